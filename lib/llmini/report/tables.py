"""The study's tables 1, 2, 6-11 and 20-22, as printed and as measured, side by side."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from llmini import validate
from llmini.report import labels, reported, retention
from llmini.report.display import MEASURED, REPORTED, frame
from llmini.report.measured import MB
from llmini.settings import data

if TYPE_CHECKING:
    import pandas

    from llmini.report.measured import Cell, Results

Names = tuple[str, ...]
Row = Callable[[str, str, "str | None"], "dict[Any, Any]"]  # (model, method, run id) -> the cells of a line
ALLAM = ("allam_7b",)
SHAPE = ("class", "layers", "width", "heads", "KV heads", "vocabulary", "parameters")
FORMULAS = "Average 1 is the ratio of sums (the study's Figure 8), average 2 the mean of ratios (its Figure 10)."


class Part(NamedTuple):
    """One half of the study: the methods it prints, those that may be measured, and what its tables say of them."""

    study: Names
    among: Names
    when: str
    aside: str = ""


QUANTIZED = Part(
    ("dense", "int8", "w8a8", "w8a16", "int4", "w4a16"), (labels.DENSE, *labels.QUANT), "after quantization",
    " The study's text calls its INT4 row NF4; its code ran FP4, which is the row INT4 (FP4) here.",
)  # fmt: skip
PRUNED = Part(("dense", "sparsegpt", "wanda"), (labels.DENSE, *labels.PRUNE), "after pruning to 50 %")


def unit(tier: str) -> tuple[float, str]:
    """Bytes in the tier's size unit and its name: MB (10⁶) for pocket models, the study's "GB" (2³⁰) for full ones."""
    return (MB, "MB") if tier in ("pocket", "rehearsal") else (float(reported.GIB), "GB")


def group(results: Results) -> str:
    """The heading over measured columns: ``Measured, pocket tier``."""
    return f"{MEASURED}, {labels.tier(results.tier)}"


def everyone(results: Results) -> list[str]:
    """The study's models, then those measured besides."""
    return labels.rank({*labels.STUDIED, *results.studied()}, labels.MODELS)


def by_method(results: Results, models: Names | None, part: Part, title: str, note: str, row: Row,
              digits: dict[str, int] | None = None) -> pandas.DataFrame:  # fmt: skip
    """A table with a line per model and method: the study's methods, then those only measured here.

    ``models=None`` stands for :func:`everyone`.
    """
    rows = []
    if models not in (None, ALLAM):
        title += ", the other models"
    for model in everyone(results) if models is None else models:
        measured = results.methods(part.among) if model in results.models() else []
        for method in labels.rank({*part.study, *measured}, labels.METHODS):
            head = {"model": labels.both(model, results.tier), "method": labels.method(method)}
            rows.append(head | row(model, method, results.run(model, method)))
    return frame(rows, ["model", "method"], title.format(part.when), note + part.aside, digits)


def table_1() -> pandas.DataFrame:
    """Table 1: the models that the study reviewed. Nothing of it is measured here."""
    found = ({"model": row.model, "parameters": row.parameter_size, "OALL score": row.value,
              "as printed": row.printed} for row in reported.load("table_01").itertuples())  # fmt: skip
    note = "OALL: Open Arabic LLM Leaderboard; a score may belong to one size only. Nothing of it is measured here."
    return frame(found, ["model"], "Table 1. Arabic language models reviewed by the study (as reported)", note,
                 missing="not reported")  # fmt: skip


def table_2(results: Results) -> pandas.DataFrame:
    """Table 2: the studied models, and the pocket model that stands for each."""
    rows = dict(zip(labels.STUDIED, reported.load("table_02").itertuples(), strict=False))  # the first four lines
    pocket = group(results) if results.tier == "pocket" else f"{MEASURED}, pocket tier"
    out = []
    for name, row in rows.items():
        shape = _shape(name)
        out.append({"model": labels.both(name, "pocket"), (REPORTED, "architecture"): row.architecture,
                    (REPORTED, "layers"): row.layers, (REPORTED, "parameters"): row.parameters,
                    **{(pocket, key): shape.get(key, math.nan) for key in SHAPE}})  # fmt: skip
    return frame(out, ["model"], "Table 2. The compressed models, and the pocket models that stand for them",
                 "A pocket model has the architecture class of the model it stands for, and nothing of its weights.",
                 dict.fromkeys(SHAPE[1:], 0))  # fmt: skip


def _shape(name: str) -> dict[str, Any]:
    """Shape of a shipped pocket model from its config.json; empty when it is not shipped."""
    folder = data("pocket", "models", name)
    if not (folder / "config.json").exists():
        return {}
    config = json.loads((folder / "config.json").read_text(encoding="utf8"))
    shapes, _ = validate.read_weights(folder, "model")
    return {"class": config["model_type"], "layers": config["num_hidden_layers"], "width": config["hidden_size"],
            "heads": config["num_attention_heads"], "KV heads": config["num_key_value_heads"],
            "vocabulary": config["vocab_size"], "parameters": sum(map(math.prod, shapes.values()))}  # fmt: skip


def table_6(results: Results, models: Names | None = ALLAM) -> pandas.DataFrame:
    """Table 6: size after quantization; four measured sizes (definitions in the note)."""
    return _sizes(results, 6, models, QUANTIZED)


def table_9(results: Results, models: Names | None = None) -> pandas.DataFrame:
    """Table 9: size after 50 % pruning. The study counts nonzero weights; no file shrinks by it."""
    return _sizes(results, 9, models, PRUNED)


def _sizes(results: Results, number: int, models: Names | None, part: Part) -> pandas.DataFrame:
    printed, (scale, name), measured = reported.table(number), unit(results.tier), group(results)
    kinds = {"size_disk": "on disk", "size_resident": "in memory", "size_packed": "packed", "size_nonzero": "nonzero"}

    def row(model: str, method: str, run: str | None) -> dict:
        size, ratio = (reported.value(printed, model=model, method=method, metric=metric)
                       for metric in ("size", "compression_ratio"))  # fmt: skip
        out = {(REPORTED, "size, GB"): size / reported.GIB,
               (REPORTED, "ratio"): 1.0 if method == labels.DENSE and math.isfinite(size) else ratio}  # fmt: skip
        out |= {(measured, f"{words}, {name}"): results.cell(run, key).value / scale for key, words in kinds.items()}
        return out | {(measured, f"ratio, {kinds[key]}"): 100 / retention.size_share(results, run, key)
                      for key in ("size_disk", "size_packed", "size_nonzero")}  # fmt: skip

    note = ("The study's GB are GiB (2³⁰ bytes). On disk: the files as saved; in memory: after the first forward pass, "
            "where compressed formats may be expanded; packed: each matrix in full or as a 1-bit mask and its nonzero "
            "values, whichever is smaller; nonzero: the study's count of nonzero weights times their bytes. Ratio: "
            "dense size over this size.")  # fmt: skip
    return by_method(results, models, part, f"Table {number}. Model size {{}}", note, row)


def table_7(results: Results, models: Names | None = ALLAM) -> pandas.DataFrame:
    """Table 7: perplexity after quantization."""
    return _perplexities(results, 7, models, QUANTIZED)


def table_10(results: Results, models: Names | None = None) -> pandas.DataFrame:
    """Table 10: perplexity after 50 % pruning."""
    return _perplexities(results, 10, models, PRUNED)


def _perplexities(results: Results, number: int, models: Names | None, part: Part) -> pandas.DataFrame:
    printed, measured = reported.table(number), group(results)

    def row(model: str, method: str, run: str | None) -> dict:
        out = {(REPORTED, "WikiText-2 (en)"): reported.value(printed, model=model, method=method)}
        for (protocol, words), code in product((("", "all windows"), ("first", "first window")), labels.SUITES):
            out[(measured, f"{words}, {code}")] = results.perplexity(run, code, protocol).value
        return out | {(measured, f"bits per byte, {code}"): results.cell(run, "bits_per_byte", "", "", code).value
                      for code in labels.SUITES}  # fmt: skip

    note = ("The study's script scored the first 2,048 tokens only. Measured texts are not WikiText-2 in the pocket "
            "tier but held-out text of the pocket world, so reported and measured values cannot be compared. Bits "
            "per byte on parallel sentences can be compared across tokenizers.")  # fmt: skip
    digits = {f"bits per byte, {code}": 3 for code in labels.SUITES}
    return by_method(results, models, part, f"Table {number}. Perplexity {{}}", note, row, digits)


def table_8(results: Results, models: Names | None = ALLAM) -> pandas.DataFrame:
    """Table 8: mean accuracies after quantization, with retention under both formulas."""
    return _means(results, 8, models, QUANTIZED)


def table_11(results: Results, models: Names | None = None) -> pandas.DataFrame:
    """Table 11: mean accuracies after 50 % pruning, with retention under both formulas."""
    return _means(results, 11, models, PRUNED)


def _means(results: Results, number: int, models: Names | None, part: Part) -> pandas.DataFrame:
    means, kept, none = reported.means(), retention.published(), dict.fromkeys(labels.SUITES, math.nan)

    def row(model: str, method: str, run: str | None) -> dict:
        key = (model, method)
        own = {code: results.mean(run, code) for code in labels.SUITES}
        share = kept.loc[key] if key in kept.index else None
        return {**_columns(REPORTED, means.loc[key] if key in means.index else none, share, method),
                **_columns(group(results), own, retention.of(results, run), method)}  # fmt: skip

    note = (f"ar: ArabicMMLU; en: metabench without GSM8K. Retention: percent of the dense model's mean. {FORMULAS} "
            "s.e.: standard error of a mean by itself; the paired table gives intervals of differences.")  # fmt: skip
    digits = dict.fromkeys(("kept, ar", "kept, en", "average 1", "average 2"), 1)
    return by_method(results, models, part, f"Table {number}. Mean accuracy {{}}, percent", note, row, digits)


def _columns(name: str, means: Any, kept: Any, method: str) -> dict[tuple[str, str], Any]:
    """Accuracy (with its standard error where measured) and retention; the dense model keeps itself: a dash."""
    out: dict[tuple[str, str], Any] = {}
    for code in labels.SUITES:
        cell: Cell | float = means[code]
        own = {code: cell.value, f"s.e. {code}": cell.stderr} if isinstance(cell, tuple) else {code: cell}
        out |= {(name, words): value for words, value in own.items()}
    for key, words in (("ar", "kept, ar"), ("en", "kept, en"), ("ratio_of_sums", "average 1"),
                       ("mean_of_ratios", "average 2")):  # fmt: skip
        out[(name, words)] = "–" if method == labels.DENSE else math.nan if kept is None else kept[key]
    return out


def table_20(results: Results, models: Names | None = ALLAM) -> pandas.DataFrame:
    """Table 20: accuracy per task after quantization; one line per task."""
    return _per_task(results, 20, models, QUANTIZED)


def table_22(results: Results, models: Names | None = None) -> pandas.DataFrame:
    """Table 22: accuracy per task after 50 % pruning; one line per model and task."""
    return _per_task(results, 22, models, PRUNED)


def _per_task(results: Results, number: int, models: Names | None, part: Part) -> pandas.DataFrame:
    printed, measured = reported.table(number), group(results)
    tasks = [(suite, *task) for suite, own in labels.TASKS.items() for task in [("mean", "acc"), *own.items()]]
    methods = labels.rank({*part.study, *results.methods(part.among)}, labels.METHODS)
    rows = []
    for model, (suite, task, metric) in product(everyone(results) if models is None else models, tasks):
        there = {(REPORTED, labels.method(method, published=True)):
                 reported.value(printed, model=model, method=method, benchmark=suite, task=task)
                 for method in part.study}  # fmt: skip
        here = {(measured, labels.method(method)): results.cell(results.run(model, method), metric, suite, task).value
                for method in methods}  # fmt: skip
        rows.append({"model": labels.both(model, results.tier), "benchmark": suite, "task": task, **there, **here})
    note = ("acc_norm for ARC and HellaSwag, exact match for GSM8K, accuracy elsewhere, as the study printed them; the "
            "metabench mean is of plain accuracies and leaves GSM8K out, so it is not the mean of the lines below "
            f"it.{part.aside}")  # fmt: skip
    return frame(rows, ["model", "benchmark", "task"], f"Table {number}. Accuracy per task {part.when}, percent", note)


def table_21(results: Results, models: Names | None = None) -> pandas.DataFrame:
    """Table 21: parameters that are not zero, before and after 50 % pruning."""
    printed, measured = reported.table(21), group(results)
    scale, words, decimals = (1e3, "thousands", 1) if unit(results.tier)[1] == "MB" else (1e6, "millions", 0)

    def row(model: str, method: str, run: str | None) -> dict:
        count, base = (reported.value(printed, model=model, method=name) for name in (method, labels.DENSE))
        return {(REPORTED, "nonzero"): count, (REPORTED, "share, %"): 100 * count / base,
                (measured, f"nonzero, {words}"): results.cell(run, "size_nonzero").value / 2 / scale,
                (measured, "share, %"): retention.size_share(results, run, "size_nonzero")}  # fmt: skip

    note = (f"Measured counts are size_nonzero over the two bytes of a bfloat16 weight, in {words}: the results table "
            "keeps six digits of a size, which is not enough to tell single weights.")  # fmt: skip
    digits = {"nonzero": 0, f"nonzero, {words}": decimals, "share, %": 1}
    return by_method(results, models, PRUNED, "Table 21. Parameters that are not zero", note, row, digits)
