"""What this project measured of an exported model, as ACAI's model view shows it (acai/README.md)."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from llmini.settings import data

LANGUAGES = ("ar", "en")
MEASURED = ("perplexity", "perplexity_dense", "retention")


def facts(folder: str | Path, results: str | Path | None = None) -> dict[str, Any]:
    """Facts of the checkpoint in ``folder``: sizes in bytes, compression ratio, perplexity and retention by language.

    From its ``llmini.json`` (``dense_sizes``) and ``training.json`` (``perplexity``, ``perplexity_dense`` and
    ``retention``, each {"ar": x, "en": y}; ``scores``, {"dense": {"AGENT/LANGUAGE": accuracy, …}, "w4a16": …}, and how
    many were ``asked``). Over these stand the rows of family ``browser`` of this model in ``results`` (default: the
    committed pocket results). Retention is summed accuracy after compression over that before. What nobody measured is
    left out.
    """
    folder = Path(folder)
    note, recipe = (json.loads(path.read_text(encoding="utf8")) if (path := folder / name).is_file() else {}
                    for name in ("training.json", "llmini.json"))  # fmt: skip
    found = of_scores(note.get("scores", {}), note.get("asked", {}))
    found |= {key: note[key] for key in MEASURED if isinstance(note.get(key), dict)} | sizes(folder, recipe)
    found |= of_rows(rows(results or data("results", "pocket.csv"), folder.name))
    return dict(sorted(found.items()))


def training(folder: str | Path) -> dict[str, Any]:
    """training.json of a model that this project made for the application; empty, with no scores, for any other."""
    path = Path(folder) / "training.json"
    return {"scores": {"dense": {}}, **(json.loads(path.read_text(encoding="utf8")) if path.is_file() else {})}


def label(folder: str | Path) -> str:
    """What the application calls the model: ``label`` of its training.json, else its folder's name and size."""
    told = training(folder).get("label")
    weights = facts(folder).get("size_dense", 0) / 2
    return told or Path(folder).name.upper() + (f", {weights / 1e6:.1f} M" if weights else "")


def sizes(folder: Path, recipe: dict[str, Any]) -> dict[str, float]:
    """Bytes of the weights as they lie there and as they were before, and the ratio of these."""
    packed = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    dense = recipe.get("dense_sizes", {}).get("size_disk", 0)
    ratio = {"size_dense": dense, "compression_ratio": round(dense / packed, 4)} if dense and packed else {}
    return {"size_disk": packed, **ratio}


def of_scores(scores: dict[str, dict[str, float]], asked: dict[str, int]) -> dict[str, Any]:
    """Retention by language, out of the shares of agents' lessons answered to the letter and how many were asked."""
    dense = scores.get("dense", {})
    packed = next((found for method, found in scores.items() if method != "dense"), {})
    kept = {}
    for language in LANGUAGES:
        own = [key for key in dense if key in packed and key.endswith(f"/{language}")]
        before, after = (sum(found[key] * asked.get(key, 1) for key in own) for found in (dense, packed))
        if before:
            kept[language] = round(after / before, 4)
    return {"retention": kept} if kept else {}


def rows(results: str | Path, model: str) -> list[dict[str, str]]:
    """Rows of family ``browser`` of one model; none where nothing is measured yet."""
    if not Path(results).is_file():
        return []
    with Path(results).open(encoding="utf8", newline="") as file:
        return [row for row in csv.DictReader(file) if (row["family"], row["model"]) == ("browser", model)]


def of_rows(told: Iterable[dict[str, str]]) -> dict[str, Any]:
    """Perplexity of the world's text, and retention: summed accuracy of the compressed model over that of the dense
    one, on the tasks that both answered (the quantization figure's formula)."""
    told, found = list(told), {}
    for language in LANGUAGES:
        own = [row for row in told if row["language"] == language]
        for row in own:
            if row["metric"] == "perplexity" and row["benchmark"] == f"world_{language}":
                key = "perplexity_dense" if row["method"] == "dense" else "perplexity"
                found.setdefault(key, {})[language] = float(row["value"])
        dense, packed = ({(row["benchmark"], row["task"]): float(row["value"]) for row in own if row["metric"] == "acc"
                          and (row["method"] == "dense") is which} for which in (True, False))  # fmt: skip
        both = dense.keys() & packed.keys()
        if both and (whole := sum(dense[key] for key in both)):
            found.setdefault("retention", {})[language] = round(sum(packed[key] for key in both) / whole, 4)
    return found
