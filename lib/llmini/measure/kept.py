"""Scores of benchmarks that are done are kept until the record is written: a killed evaluation goes on at the next."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from llmini.records import file_hash, read_parquet, write_atomic

if TYPE_CHECKING:
    from llmini.measure.tasks import Scores


def scores(folder: Path, benchmark: str, key: str, make: Callable[[], Scores]) -> Scores:
    """The scores of ``benchmark``: those kept in ``folder`` under ``key``, else ``make()``, which are then kept.

    key: names everything that they depend on (code, data, weights); other and damaged files are never taken. What is
    read back equals what was made, bit by bit.
    """
    from llmini.measure.tasks import Scores

    note, items = folder / f"{benchmark}.json", folder / f"{benchmark}.parquet"
    try:
        told = json.loads(note.read_text(encoding="utf8"))
        if told["key"] == key and told["items"] == file_hash(items):
            return Scores(told["rows"], read_parquet(items), told["details"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    made = make()
    write_atomic(items, lambda path: made.items.to_parquet(path, index=False))
    body = {"key": key, "items": file_hash(items), "rows": made.rows, "details": made.details}
    text = json.dumps(body, ensure_ascii=False, default=str)
    write_atomic(note, lambda path: path.write_text(text, encoding="utf8"))
    return Scores(made.rows, read_parquet(items), made.details)


def forget(folder: Path) -> None:
    """Drop what is kept, once the record holds it."""
    shutil.rmtree(folder, ignore_errors=True)
