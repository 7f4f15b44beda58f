"""The two encoder studies' tables, as printed and as measured here, side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from llmini.report import encoders, labels, reported
from llmini.report.display import MEASURED, REPORTED, frame, number, span
from llmini.report.encoders import Line, dense, find, score, value
from llmini.report.encoders_sweeps import NER, change, collapse, stable, student
from llmini.report.measured import MB

if TYPE_CHECKING:
    import pandas

    from llmini.report.measured import Results

# Method as the BERT study prints it -> as it is named here.
PRINTED = {
    "fp32": "dense",
    "int8_dynamic": "int8_dynamic",
    "bnb_8bit": "bnb_8bit",
    "bnb_4bit": "bnb_4bit",
    "onnx_fp32": "onnx_fp32",
    "onnx_int8": "onnx_int8",
    "l1_structured_pruning_int8": "masked_l1_int8",
}
HARDWARE = {
    "colab_cpu": "Colab CPU",
    "t4_gpu": "T4 GPU",
    "gtx_1050_ti": "GTX 1050 Ti",
    "cpu_onnxruntime": "CPU, ONNX Runtime",
}
WORDS = {"accuracy_percent": "accuracy, %", "latency_ms": "latency, ms", "latency_s": "latency, s", "ram_mb": "RAM, MB",
         "ram_delta_mb": "RAM added, MB", "vram_total_mb": "VRAM, MB", "vram_delta_mb": "VRAM added, MB",
         "inference_time_s": "inference time, s"}  # fmt: skip
TITLES = {
    "seed4_3.1": "DistilBERT on SST-2, CPU: FP32 and PyTorch's dynamic INT8",
    "seed4_3.2": "DistilBERT on SST-2, CPU: L1 structured pruning, then INT8",
    "seed4_3.3": "DistilBERT on SST-2, T4: bitsandbytes 8 and 4 bit",
    "seed4_3.4": "DistilBERT on SST-2, GTX 1050 Ti: bitsandbytes 8 and 4 bit",
    "seed4_3.5": "BERT-base on SST-2, T4: bitsandbytes 8 and 4 bit",
    "seed4_3.6": "DistilBERT on SST-2, CPU: ONNX Runtime in FP32 and INT8",
}


def measured_group(results: Results) -> str:
    """``Measured, pocket tier``."""
    return f"{MEASURED}, {labels.tier(results.tier)}"


def mood(results: Results, model: str, method: str, **options: Any) -> Line | None:
    """The run of a sentiment encoder tuned on English, of the lowest seed, that a line of the BERT study stands
    beside.
    """
    where = {"task": "sentiment", "trained": "en", "share": 1.0, "method": method, **options}
    for known in (model, f"{model}_sst2"):
        if found := find(results, model=known, **where):
            return min(found, key=lambda line: (line.options.get("recover", 1) != 1, line.seed, line.part))
    return None


def study_b(results: Results, table: str) -> pandas.DataFrame:
    """One of the six tables of the DistilBERT and BERT study, with what was measured of the same method here."""
    printed, rows = reported.load("seed4_bert_study"), []
    printed = printed[printed["table"] == table]
    for (model, method, bits), own in printed.groupby(["model", "method", "sparsity_or_bits"], sort=False):
        pruned = method.startswith("l1")
        told = {row.metric: row.value for row in own.itertuples() if not row.metric.endswith("delta_percent")}
        words = f"{encoders.method(PRINTED[method])}{f', {bits:g} %' if pruned else ''}"
        line = mood(results, model, PRINTED[method], **({"sparsity": bits / 100} if pruned else {}))
        row = {"model": labels.both(model, results.tier), "method": words}
        row |= {(REPORTED, f"{WORDS[key]}"): one for key, one in told.items()}
        rows.append(row | here(results, line))
    where = HARDWARE[printed["hardware"].iloc[0]]
    note = (f"Reported: {where}; a RAM or VRAM that the study calls added is a difference within one process, which "
            "may be negative. Measured: one fresh process for each variant on this machine's CPU unless the runtime "
            "names a GPU; RAM is all of that process. The pocket task is generated reviews, not SST-2.")  # fmt: skip
    digits = {"accuracy, %": 2, "process, MB": 0, "runtime alone, MB": 0, "GPU, MB": 0}
    return frame(rows, ["model", "method"], f"{TITLES[table]} (its Table {table.removeprefix('seed4_')})", note, digits)


def here(results: Results, line: Line | None) -> dict[tuple[str, str], Any]:
    """Measured cells beside a line of the BERT study."""
    group = measured_group(results)
    out = {(group, "accuracy, %"): score(results, line, "en").value}
    for size in (1, 32):
        ends = {key: value(results, line, metric, "en", f"batch_{size}") for key, metric in
                (("value", "latency_ms"), ("low", "latency_low"), ("high", "latency_high"))}  # fmt: skip
        out[(group, f"ms, batch {size}")] = span(ends, 2)
    for words, metric in (("on disk, MB", "size_disk"), ("process, MB", "memory_resident"),
                          ("runtime alone, MB", "memory_runtime"), ("GPU, MB", "memory_gpu")):  # fmt: skip
        out[(group, words)] = value(results, line, metric) / MB
    return out


def study_a(results: Results) -> pandas.DataFrame:
    """What the AfriBERTa study claims, in its figures, beside the same quantity here."""
    told = reported.load("seed3_afriberta")
    rows = []
    for words, method, metric, found in (
        ("weights pruned with stable F1, %", "unstructured_magnitude_pruning", "stable_sparsity", stable(results)),
        ("sparsity at which pruning after tuning collapses, %", "prune_after_finetune", "collapse_sparsity",
         collapse(results)),
        ("students smaller by, %", "knowledge_distillation", "compression", smaller(results)),
        ("F1 lost by distillation, points", "knowledge_distillation", "average_f1_loss", lost(results)),
        ("size saved by LLM.int8, %", "llm_int8", "size_reduction", saved(results, "size_disk")),
        ("latency saved by LLM.int8, %", "llm_int8", "latency_reduction", saved(results, "latency_ms")),
        ("latency saved by dynamic INT8, PyTorch, %", "", "", saved(results, "latency_ms", "int8_dynamic")),
        ("latency saved by dynamic INT8, ONNX Runtime, %", "", "", saved(results, "latency_ms", "onnx_int8")),
    ):  # fmt: skip
        own = told[(told["method"] == method) & (told["metric"] == metric)]
        rows.append(
            {
                "quantity": words,
                (REPORTED, "AfriBERTa"): printed_range(own),
                **{
                    (measured_group(results), labels.LANGUAGES[code]): found.get(code, math.nan)
                    for code in encoders.languages(results)
                },
            }
        )
    note = ("Each language is that of an encoder tuned and tested on it. Stable: the highest sparsity up to which "
            "mean F1 over the seeds stays within 5 % of dense, the better of pruning before and after; collapse: the "
            "lowest at which pruning after tuning leaves less than half of it. Students: four of six layers. Latency: "
            "one sentence.")  # fmt: skip
    digits = {labels.LANGUAGES[code]: 1 for code in encoders.languages(results)}
    return frame(rows, ["quantity"], "AfriBERTa on MasakhaNER, and an AfriBERTa-class encoder here", note, digits)


def printed_range(own: pandas.DataFrame) -> float | str:
    """``22 to 31``, ``up to 50 to 60`` or one number, as the study's text has it; NaN when it prints none."""
    if own.empty:
        return math.nan
    row = own.iloc[0]
    text = f"{row.value:g}" + (f" to {row.value_high:g}" if not math.isnan(row.value_high) else "")
    mark = str(row.qualifier) if isinstance(row.qualifier, str) else ""
    return f"{mark} {text}".strip()


def smaller(results: Results) -> dict[str, float]:
    """Language -> percent of the bytes that a student of four layers lacks."""
    return {code: 100 * (1 - value(results, line, "size_disk") / value(results, dense(results, line), "size_disk"))
            for code in encoders.languages(results) for line in student(results, code)[:1]}  # fmt: skip


def lost(results: Results) -> dict[str, str]:
    """Language -> F1 lost by the better of both distillations, points, over the seeds."""
    out = {}
    for code in encoders.languages(results):
        both = [change(results, student(results, code, method), code) for method in ("distil_task", "distil_agnostic")]
        there = [cell for cell in both if not math.isnan(cell["value"])]
        if there:
            best = max(there, key=lambda cell: cell["value"])
            out[code] = number(-best["value"], 1)
    return out


def saved(results: Results, metric: str, method: str = "bnb_8bit") -> dict[str, float]:
    """Language -> percent of bytes or of a sentence's latency that a format saves."""
    out = {}
    for code in encoders.languages(results):
        for line in find(results, model=NER, task="ner", trained=code, method=method, share=1.0)[:1]:
            where = ("", "") if metric == "size_disk" else (code, "batch_1")
            out[code] = 100 * (
                1 - value(results, line, metric, *where) / value(results, dense(results, line), metric, *where)
            )
    return out
