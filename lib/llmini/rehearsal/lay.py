"""Writing what a hub would hold: a folder for every model and data set of a rehearsal, in the hub's own layout."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

from llmini import texts
from llmini.rehearsal import rows, shapes, weights
from llmini.settings import progress

NOTE = "Made up to rehearse with; nothing measured with it is a result."


def lay(folder: Path, models: list[str] | None = None, datasets: list[str] | None = None) -> Path:
    """Write ``models/ORG/NAME`` and ``datasets/ORG/NAME`` below ``folder`` and return it; what is there is kept.

    models, datasets: ids; default: all of `shapes.MODELS` and `rows.MADE`.
    """
    for repository in progress(shapes.MODELS if models is None else models, desc="models"):
        place = folder / "models" / repository
        if not (place / "whole").exists():
            weights.save(repository, place)
            (place / "whole").touch()
    for repository in progress(rows.MADE if datasets is None else datasets, desc="data sets"):
        place = folder / "datasets" / repository
        if not (place / "whole").exists():
            write(repository, place)
            (place / "whole").touch()
    return folder


def write(repository: str, folder: Path) -> None:
    """One data set: parquet files by configuration and split under a card that lists them; C4 as compressed lines."""
    made = rows.MADE[repository]()
    folder.mkdir(parents=True, exist_ok=True)
    card: list[dict[str, Any]] = []
    for name, splits in made.items():
        files = []
        for split, lines in splits.items():
            if repository == "allenai/c4":
                path = texts.C4_SHARDS[name]
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
                (folder / path).write_bytes(gzip.compress(text.encode(), mtime=0))
            else:
                path = f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', name)}/{split}-00000-of-00001.parquet"
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                table(repository, lines).to_parquet(folder / path)
            files.append({"split": split, "path": path})
        card.append({"config_name": name, "data_files": files})
    import yaml

    head = yaml.safe_dump({"configs": card}, allow_unicode=True, sort_keys=False)
    (folder / "README.md").write_text(f"---\n{head}---\n\n{NOTE}\n", encoding="utf8")


def table(repository: str, lines: list[dict[str, Any]]) -> Any:
    """Rows as a `datasets.Dataset` in the published types: MMLU's answers are a class label of four letters."""
    import datasets

    made = datasets.Dataset.from_list(lines)
    if repository == "cais/mmlu":
        made = made.cast_column("answer", datasets.ClassLabel(names=list("ABCD")))
    return made
