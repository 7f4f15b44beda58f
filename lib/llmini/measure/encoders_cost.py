"""What an encoder costs to run, measured in a fresh process for each variant: time a batch, memory, and who ran it.

A variant is loaded alone: resident memory is the whole process's after it has run, beside what the same runtime held
before any weight was read, and never a difference within a process that other models have been in.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini.settings import UserError, root

if TYPE_CHECKING:
    import numpy

BATCHES = (1, 32)
REPEATS = {1: 40}
"""Timed calls of a batch size; each is of the next sentences."""
USUAL = 12
"""Timed calls of any other batch size."""
WARM_UP = 3
RESAMPLES = 2000


def cost(folder: Path, kind: str, rows: dict[str, Sequence[dict[str, Any]]], pad: int, threads: int = 0,
         batches: Sequence[int] = BATCHES) -> dict[str, Any]:  # fmt: skip
    """Measure a variant in a process of its own.

    rows: language -> rows of `encoders_data.rows`, the sentences that are timed. Returns ``latency``: one entry for
    each batch size and language with ``median``, ``low``, ``high`` (95 %, bootstrap) and ``stderr`` in ms and the
    number of calls; ``resident``, ``before`` and ``peak`` in bytes; ``gpu`` in bytes, None without a GPU; ``runtime``,
    ``threads``, ``device``. Raises UserError with the process's last words when it fails.
    """
    import numpy

    threads = threads or int(os.environ.get("OMP_NUM_THREADS") or 1)
    with tempfile.TemporaryDirectory() as scratch:
        numpy.savez(Path(scratch, "batches.npz"), **prepared(rows, pad, batches))
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "LLMINI_ROOT": str(root()),
                       "TOKENIZERS_PARALLELISM": "false", "PYTHONWARNINGS": "ignore"}  # fmt: skip
        command = [sys.executable, "-m", "llmini.measure.encoders_worker", str(folder), kind, scratch]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise UserError(f"measuring {folder.parent.name} failed in its own process: {last}")
        told = json.loads(Path(scratch, "told.json").read_text(encoding="utf8"))
    told["latency"] = [{"batch": size, "language": language, **summary(times)}
                       for (size, language), times in _keyed(told.pop("seconds"))]  # fmt: skip
    return told


def prepared(rows: dict[str, Sequence[dict[str, Any]]], pad: int, batches: Sequence[int]) -> dict[str, numpy.ndarray]:
    """The batches that are timed, ``SIZE/LANGUAGE/NUMBER/ids`` and ``…/mask``: warm-up first, sentences in turn."""
    from llmini.measure.encoders import arrays

    found = {}
    for language, own in rows.items():
        if not own:
            raise UserError(f"no sentence in {language!r} to time")
        for size in batches:
            for number in range(WARM_UP + REPEATS.get(size, USUAL)):
                part = [own[(number * size + at) % len(own)] for at in range(size)]
                found[f"{size}/{language}/{number}/ids"], found[f"{size}/{language}/{number}/mask"] = arrays(part, pad)
    return found


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Median in ms with its bootstrap interval (Efron and Tibshirani, 1993, ch. 13) and standard error."""
    import numpy

    times = 1000 * numpy.asarray(seconds)
    draws = numpy.random.default_rng(0).integers(len(times), size=(RESAMPLES, len(times)))
    medians = numpy.median(times[draws], axis=1)
    low, high = numpy.quantile(medians, [0.025, 0.975])
    return {"median": float(numpy.median(times)), "low": float(low), "high": float(high),
            "stderr": float(medians.std(ddof=1)), "n": len(times)}  # fmt: skip


def _keyed(seconds: dict[str, list[float]]) -> list[tuple[tuple[int, str], list[float]]]:
    return [((int(key.split("/")[0]), key.split("/")[1]), times) for key, times in seconds.items()]
