"""Where a run's weights and data came from: hashes for its record, and whether all of it is only a rehearsal.

Only small files and names are read: nothing is downloaded, and torch is not imported.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from llmini.settings import root

MARK = "llmini_rehearsal"
"""Field of a config.json that says: these weights were made up to rehearse with (see `llmini.rehearsal`)."""
REHEARSAL = "rehearsal"
DATASETS = {
    "allenai/c4": "calibration",
    "Salesforce/wikitext": "perplexity",
    "Helsinki-NLP/opus-100": "bits per byte, translation, Arabic fundamentals",
    "MBZUAI/ArabicMMLU": "Arabic benchmark",
    "HCAI/metabench": "English benchmark",
    "openai/gsm8k": "distillation: a benchmark",
    "cais/mmlu": "distillation: a benchmark",
    "QCRI/AraDiCE-Culture": "distillation: a benchmark",
    "QCRI/AraDiCE-PIQA": "distillation: a benchmark",
    "QCRI/AraDiCE-TruthfulQA": "distillation: a benchmark",
    "arcee-globe/AlGhafa-Arabic-LLM-Benchmark-Translated-10percent": "distillation: a benchmark",
    "tatsu-lab/alpaca": "distillation: instructions",
    "nyu-mll/glue": "encoders: sentiment of SST-2",
}
"""Data sets of the hub that the small and full tiers read, and what for."""
MEASURED = ("data/pocket/tasks", "data/pocket/world")
"""Data of this repository that every pocket run is measured on."""


def source(model: str, tier: str) -> str | None:
    """The folder or hub id of a model, as models.yaml or train/translate.yaml names it; None for neither."""
    from llmini import models
    from llmini.train import translate_text

    entry = models.registry().get(tier, {}).get(model)
    if entry is not None:
        return entry["source"]
    return translate_text.settings(tier).get("models", {}).get(model)


def hub() -> Path:
    """The folder in which the hub's client keeps what it downloads (``$HF_HOME``, ``$HF_HUB_CACHE``)."""
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "huggingface"))
    return Path(os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or home / "hub").expanduser()


def snapshot(repository: str, kind: str = "models") -> Path | None:
    """The newest downloaded snapshot of a repository in the local cache; its name is the commit. None when absent."""
    home = hub() / f"{kind}--{repository.replace('/', '--')}"
    try:
        commit = (home / "refs" / "main").read_text(encoding="utf8").strip()
    except OSError:
        return None
    place = home / "snapshots" / commit
    return place if place.is_dir() else None


def folder(model: str, tier: str) -> Path | None:
    """Where a model's files are on this machine, if they are."""
    found = source(model, tier)
    if found is None:
        return None
    place = root() / found
    return place if place.is_dir() else snapshot(found)


def hashes(model: str, tier: str) -> dict[str, str]:
    """Name -> hash of what a run comes from: ``model``, and ``data`` or each data set of the hub by its id.

    A hub repository's hash is its commit; what is not on this machine has none. Two records whose hashes differ under
    one name do not belong in one table.
    """
    found = {"data": digest(MEASURED)} if tier == "pocket" else {}
    place = folder(model, tier)
    if place is not None:
        found["model"] = f"{source(model, tier)}@{place.name}" if place.parent.name == "snapshots" else weights(place)
    if tier != "pocket":
        for repository in DATASETS:
            if (there := snapshot(repository, "datasets")) is not None:
                found[repository] = there.name
    return found


@functools.lru_cache
def _digest(parts: tuple[str, ...], base: Path) -> str:
    state = hashlib.sha256()
    for path in sorted(path for part in parts for path in (base / part).rglob("*")):
        if path.suffix in (".yaml", ".json", ".jsonl", ".csv"):
            state.update(f"{path.relative_to(base)}\0".encode() + path.read_bytes())
    return state.hexdigest()


def digest(parts: Iterable[str]) -> str:
    """One hash of the data files below folders of the checkout."""
    return _digest(tuple(parts), root())


@functools.lru_cache
def _weights(place: Path, stamp: tuple) -> str:
    state = hashlib.sha256()
    for path in sorted(place.glob("*.safetensors")):
        with path.open("rb") as file:
            state.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return state.hexdigest()


def weights(place: Path) -> str:
    """One hash of a folder's weight files; a file that changed is hashed again."""
    stamp = tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in place.glob("*.safetensors"))
    return _weights(place, stamp)


def rehearsed(model: str, tier: str) -> bool:
    """Whether a run of ``model`` here is a rehearsal: its configuration bears :data:`MARK`, or, in a tier that reads
    the hub, any model in the local cache does. So nothing measured beside made-up weights passes for a measurement.
    """
    place = folder(model, tier)
    if place is not None and marked(place):
        return True
    return tier != "pocket" and any(map(marked, cached()))


def same(body: dict, model: str, tier: str) -> bool:
    """Whether a record was made from the weights and data that are here now: no hash differs under one name, and it is
    a rehearsal's if and only if a run here would be."""
    past = body["provenance"].get("hashes", {})
    now = hashes(model, tier)
    return (body["tier"] == REHEARSAL) == rehearsed(model, tier) and all(
        now.get(name, value) == value for name, value in past.items()
    )


def cached() -> Iterator[Path]:
    """The snapshots of all models in the local cache."""
    return hub().glob("models--*/snapshots/*")


def marked(place: Path) -> bool:
    """Whether a folder's config.json bears :data:`MARK`."""
    try:
        return MARK in json.loads((place / "config.json").read_text(encoding="utf8"))
    except (OSError, ValueError, TypeError):
        return False
