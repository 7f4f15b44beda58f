"""The run of the browser notebook: a checkpoint, what is measured of it, and its export beside the record."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini.grid import Run
from llmini.settings import UserError

if TYPE_CHECKING:
    from llmini.records import Record

SHIPPED = "acai"
"""The pocket model made for the application: it is 4-bit as it lies in data/pocket/models."""
METHODS = ("dense", "w4a16", "w8a16")
AGENTS = "acai_agents"
"""Benchmark: lessons of the agents that no training saw, answered to the letter."""
PROMPT, TOKENS, REPEATS = 64, 48, 5  # of the speed under ONNX Runtime


def plan(tier: str, model: str, method: str = "w4a16", **_: Any) -> list[Run]:
    """The run of one notebook start. Raises UserError for a method whose integers no export carries."""
    if method not in METHODS:
        raise UserError(f"{method!r} is not exported: choose among {', '.join(METHODS)}")
    return [Run(tier, "browser", model, method)]


def checkpoint(run: Run) -> Path:
    """Where the run's weights are; compressed first where that has to be done, once."""
    from llmini import models, settings
    from llmini.compress.checkpoint import compress

    if run.model == SHIPPED:
        return settings.data("pocket", "models", SHIPPED)
    if run.method == "dense":
        return models.locate(run.model, run.tier)
    folder = run.folder / "checkpoint"
    return folder if folder.is_dir() else compress(run.model, folder, tier=run.tier, quant=run.method)


def export(run: Run) -> dict[str, Any]:
    """The manifest of the run's export (`browser.export`), which is made if it is not there whole already."""
    from llmini.browser import export as exporter
    from llmini.browser import facts, manifest

    place, folder = run.folder / "onnx", checkpoint(run)
    try:
        return manifest.check(place)
    except UserError:
        exporter.export(folder, place, tier=run.tier, name=facts.label(folder), facts=facts.facts(folder),
                        overwrite=True)  # fmt: skip
    return manifest.check(place)


def measure(run: Run, notebook: str) -> Record:
    """Sizes, perplexity, the agents' lessons and each form's download and speed; the record is written."""
    from llmini import grid, models
    from llmini.browser import facts
    from llmini.measure import battery

    folder, told, record = checkpoint(run), export(run), run.record()
    model, tokenizer = models.load(folder, run.tier)
    battery.add_sizes(record, model, folder, None)
    battery.add_perplexity(record, model, tokenizer)
    if run.model == SHIPPED:
        add_lessons(record, folder)
    for form, entry in told["forms"].items():
        record.add("size_disk", entry["download"], benchmark="onnx", task=form, unit="bytes")
        speeds = decode(run.folder / "onnx" / entry["file"])
        record.add("tokens_per_second", statistics.median(speeds), benchmark="onnxruntime", task=form, unit="tokens/s",
                   n=len(speeds))  # fmt: skip
    record.provenance |= {"fingerprint": grid.fingerprint(notebook, run.tier, run.model),
                          "parity": told["self_test"]["parity"], "label": facts.label(folder)}  # fmt: skip
    record.write(run.folder)
    return record


def add_lessons(record: Record, folder: Path) -> None:
    """``acc`` by agent and language on lessons of split test."""
    from llmini.pocket import acai

    for name, (right, asked) in acai.scores(folder).items():
        agent, _, language = name.partition("/")
        record.add("acc", right, benchmark=AGENTS, task=agent, language=language, n=asked,
                   stderr=(right * (1 - right) / asked) ** 0.5)  # fmt: skip


def decode(path: Path) -> list[float]:
    """Tokens a second of greedy decoding under ONNX Runtime on one thread, :data:`REPEATS` times after a warm-up."""
    from llmini.browser.parity import Session

    session, found = Session(path), []
    for _ in range(REPEATS + 1):
        token = int(session.read(list(range(10, 10 + PROMPT)), 1)[-1].argmax())
        began = time.perf_counter()
        for _ in range(TOKENS):
            token = int(session.step([token])[-1].argmax())
        found.append(TOKENS / (time.perf_counter() - began))
    return found[1:]


def record(run: Run, notebook: str) -> dict[str, Any]:
    """The record of a run as it is written, measured now if it is not fresh."""
    from llmini import grid

    if grid.pending([run], notebook):
        measure(run, notebook)
    return json.loads((run.folder / "record.json").read_text(encoding="utf8"))
