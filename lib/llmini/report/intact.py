"""A results table is refused by name where it is not one: foreign columns, what stands twice, hashes that differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from llmini.records import COLUMNS, check_same_sources
from llmini.settings import UserError

if TYPE_CHECKING:
    import pandas

CELL = ["run_id", "metric", "benchmark", "task", "language"]  # what names a measurement
ITEM = ["run_id", "benchmark", "task", "language", "item_id"]
SEVERAL = ("encoder", "browser")  # families in which several notebooks measure one model
AGAIN = "make it again with `make study`"


def check(path: Path, rows: pandas.DataFrame, items: pandas.DataFrame, runs: pandas.DataFrame | None) -> None:
    """Raise UserError for the first fault of a results table: a missing or foreign column, a measurement, run or item
    that stands twice, items or provenance of a run that the table lacks, or records of one notebook and model that
    were made from different code, data or weights.
    """
    if missing := [column for column in COLUMNS if column not in rows]:
        raise UserError(f"{path} lacks the column {missing[0]!r}: {AGAIN}")
    if foreign := [column for column in rows if column not in COLUMNS]:
        raise UserError(f"{path} has a column {foreign[0]!r} that no results table has: remove it, or {AGAIN}")
    twice(path, rows, CELL)
    known = set(rows["run_id"])
    if len(items):
        present = [column for column in ITEM if column in items]
        twice(path.with_name(f"{path.stem}_items.parquet"), items, present)
        strangers(path.with_name(f"{path.stem}_items.parquet"), set(items["run_id"].unique()) - known, path)
    if runs is not None and len(runs):
        twice(path.with_name(f"{path.stem}_runs.csv"), runs, ["run_id"])
        strangers(path.with_name(f"{path.stem}_runs.csv"), set(runs["run_id"]) - known, path)
        mixed(path, rows, runs)


def twice(path: Path, table: pandas.DataFrame, key: list[str]) -> None:
    """Raise UserError naming the first line of ``table`` whose key stands there before."""
    again = table.duplicated(key)
    if again.any():
        first = table.loc[again, key].iloc[0]
        words = " ".join(str(value) for value in first if str(value) not in ("", "nan", "<NA>"))
        raise UserError(f"{path} holds {words} twice: delete one of the two, or {AGAIN}")


def strangers(path: Path, runs: set[str], table: Path) -> None:
    if runs:
        raise UserError(f"{path} holds {min(map(str, runs))}, a run that {table.name} lacks: {AGAIN}")


def mixed(path: Path, rows: pandas.DataFrame, runs: pandas.DataFrame) -> None:
    """Raise UserError naming two runs of one notebook and model whose fingerprints differ.

    A fingerprint is of the notebook, its code and data and the model's weights (`llmini.grid.fingerprint`), so all runs
    of a family, a model and a part share it. Families of several notebooks to a model (:data:`SEVERAL`) and runs
    without one, as of an older table, are held to the hashes of their weights and data alone.
    """
    heads = rows.drop_duplicates("run_id").set_index("run_id")
    seen: dict[tuple[str, str, str], tuple[str, str]] = {}
    marks = runs["fingerprint"].astype(str) if "fingerprint" in runs else [""] * len(runs)
    for run, mark in zip(runs["run_id"], marks, strict=True):
        if mark in ("", "nan") or heads.at[run, "family"] in SEVERAL:
            continue
        key = (heads.at[run, "family"], heads.at[run, "model"], notebook(heads.loc[run]))
        first, known = seen.setdefault(key, (run, mark))
        if known != mark:
            raise UserError(f"{path} mixes {first} and {run}, made from different code, data or weights "
                            f"({known[:12]} and {mark[:12]}): run the study again")  # fmt: skip
    told = runs["hashes"].astype(str) if "hashes" in runs else [""] * len(runs)
    bodies = [{"tier": heads.at[run, "tier"], "model": heads.at[run, "model"], "run_id": run,
               "provenance": {"hashes": json.loads(text)}}
              for run, text in zip(runs["run_id"], told, strict=True) if text.startswith("{")]  # fmt: skip
    check_same_sources(bodies)


def notebook(head: pandas.Series) -> str:
    """What tells apart the notebooks of one family and model: a run's own part (its id's end), or its method's kind."""
    slug = "-".join((head["tier"], head["family"], head["model"], head["variant"]))
    return head.name.removeprefix(slug) or ("attention" if head["method"] == "attention" else "")
