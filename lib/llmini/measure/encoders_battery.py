"""Everything that is measured of one encoder variant, and its record."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini import encoders, grid
from llmini.records import Record
from llmini.settings import UserError

if TYPE_CHECKING:
    import numpy

    from llmini.measure.encoders_runtime import Runtime

TIMED = 128
"""Test sentences of a language from which timed batches are filled."""
UNTIMED = ("magnitude",)
"""Methods whose zeros are stored and multiplied like any weight: their cost is the dense model's."""


@dataclass(frozen=True)
class Baseline:
    """The dense variant's logits by language, and its bytes on disk."""

    logits: dict[str, numpy.ndarray]
    size: int


def perform(run: grid.Run, notebook: str, tested: Sequence[str] = ()) -> None:
    """Make a run's variant, measure it against the dense one, and leave its record.

    Raises UserError when the dense run of the same task, languages, share and seed was not done before.
    """
    from llmini.train import encoders_making, encoders_runs

    dense = None if run.method == "dense" else load_baseline(encoders_runs.base(run))
    made = measure(run, encoders_making.built(run), notebook, dense, tested)
    if dense is None:
        save_baseline(run, made)
    shutil.rmtree(run.folder / "checkpoint", ignore_errors=True)  # made again in seconds from the tuned encoder


def measure(run: grid.Run, folder: Path, notebook: str, dense: Baseline | None = None,
            tested: Sequence[str] = ()) -> Baseline:  # fmt: skip
    """Measure the variant in ``folder`` on the test sentences of every tested language and write the run's record.

    ``dense`` is None for the dense variant itself. tested: languages, by default all of a pocket task, and those that
    the encoder was tuned on in the other tiers. Returns the variant's own logits and size.
    """
    from llmini.measure import encoders_runtime
    from llmini.train import encoders_data, encoders_runs
    from llmini.train.encoders import recipe

    task, record = encoders_runs.task_of(run), run.record()
    tokenizer = load_tokenizer(folder)
    languages = list(tested) or (list(task.languages) if run.tier in ("pocket", "rehearsal") else
                                 encoders_data.spoken(task, run.options["trained"]))  # fmt: skip
    found = {language: encoders_data.examples(run.tier, task.name, language, "test") for language in languages}
    length = recipe(run.tier).length
    rows = {language: encoders_data.rows(own, tokenizer, task.labels, length) for language, own in found.items()}
    runtime = encoders_runtime.load(folder, task.kind)
    logits = {language: add_scores(record, task, runtime, language, own, rows[language], tokenizer.pad_token_id or 0,
                                   run.method != "magnitude") for language, own in found.items()}  # fmt: skip
    mine = Baseline(logits, size(folder))
    record.add("size_disk", mine.size, unit="bytes")
    if dense is not None:
        add_distance(record, task.benchmark, logits, dense)
        record.add("compression_ratio", dense.size / mine.size, task="size_disk", unit="ratio")
    if run.method in ("magnitude", "structured"):
        record.add("size_nonzero", nonzero(folder), unit="bytes")
    if run.method in UNTIMED:
        record.provenance["cost"] = {
            "note": "zeros are stored and multiplied like any weight: speed and memory are the dense model's"
        }
    else:
        timed = {language: own[:TIMED] for language, own in rows.items()}
        add_cost(record, task, folder, timed, tokenizer.pad_token_id or 0)
    record.provenance["fingerprint"] = grid.fingerprint(notebook, run.tier, run.model)
    record.write(run.folder)
    return mine


def add_scores(record: Record, task: Any, runtime: Runtime, language: str, found: Sequence[Any],
               rows: Sequence[dict[str, Any]], pad: int, kinds: bool) -> numpy.ndarray:  # fmt: skip
    """Entity F1 (whole, and of each kind) or accuracy in a language; returns the logits."""
    from llmini.measure import encoders as scores

    said = scores.answers(runtime, rows, task.labels, pad)
    right = scores.gold(found, said.labels)
    made = scores.entity_f1(right, said.labels) if task.metric == "f1" else scores.accuracy(right, said.labels)
    record.add(task.metric, made["value"], benchmark=task.benchmark, task="mean", language=language,
               stderr=made["stderr"], n=made["n"])  # fmt: skip
    for kind, (value, count) in made.get("kinds", {}).items() if kinds else ():
        if count:
            record.add(task.metric, value, benchmark=task.benchmark, task=kind, language=language, n=count)
    return said.logits


def add_distance(record: Record, benchmark: str, logits: dict[str, numpy.ndarray], dense: Baseline) -> None:
    """Flips and KL divergence against the dense variant, over labelled positions."""
    from llmini.measure import encoders as scores

    for language, own in logits.items():
        where = {"benchmark": benchmark, "task": "mean", "language": language}
        for metric, made in (("flip_rate", scores.flips(own, dense.logits[language])),
                             ("kl_to_dense", scores.divergence(own, dense.logits[language]))):  # fmt: skip
            record.add(metric, made["value"], stderr=made["stderr"], n=made["n"],
                       unit="nats" if metric == "kl_to_dense" else "", **where)  # fmt: skip


def add_cost(record: Record, task: Any, folder: Path, rows: dict[str, Sequence[dict[str, Any]]], pad: int) -> None:
    """Latency and memory in a fresh process; GPU memory only where a GPU ran."""
    from llmini.measure.encoders_cost import cost

    told = cost(folder, task.kind, rows, pad)
    for one in told["latency"]:
        where = {
            "benchmark": task.benchmark,
            "task": f"batch_{one['batch']}",
            "language": one["language"],
            "unit": "ms",
        }
        record.add("latency_ms", one["median"], stderr=one["stderr"], n=one["n"], **where)
        record.add("latency_low", one["low"], **where)
        record.add("latency_high", one["high"], **where)
    record.add("memory_resident", told["resident"], unit="bytes")
    record.add("memory_runtime", told["before"], unit="bytes")
    record.add("peak_memory", told["peak"], unit="bytes")
    if told["gpu"] is not None:
        record.add("memory_gpu", told["gpu"], unit="bytes")
    record.provenance["cost"] = {name: told[name] for name in ("runtime", "threads", "device")}


def size(folder: Path) -> int:
    """Bytes of a variant's weights. Raises UserError for a folder without any."""
    files = [path for path in folder.iterdir() if path.name.endswith((".safetensors", ".onnx", ".onnx.data"))]
    if not files:
        raise UserError(f"{folder} holds no weights: make the variant again")
    return sum(path.stat().st_size for path in files)


def nonzero(folder: Path) -> int:
    """Bytes of the weights that are not zero: what the studies count as the size of a pruned model."""
    return sum(int(tensor.count_nonzero()) * tensor.element_size() for tensor in encoders.tensors(folder).values())


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer beside a variant's weights."""
    from llmini.models import load_tokenizer as load

    return load(folder)


def save_baseline(run: grid.Run, made: Baseline) -> None:
    """Keep the dense variant's logits beside its record, for every later comparison."""
    import numpy

    from llmini.records import write_atomic

    path = run.folder / "reference.npz"
    write_atomic(path, lambda target: numpy.savez(open(target, "wb"), size=made.size, **made.logits))  # noqa: SIM115


def load_baseline(run: grid.Run) -> Baseline:
    """The baseline of a finished dense run. Raises UserError when it is missing."""
    import numpy

    path = run.folder / "reference.npz"
    if not path.is_file():
        raise UserError(f"{path} is missing: delete {run.folder} and run again")
    with numpy.load(path) as found:
        return Baseline({name: found[name] for name in found.files if name != "size"}, int(found["size"]))
