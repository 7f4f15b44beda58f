"""Encoders against sparsity, depth and rows removed: curves over seeds, and their tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from llmini.report import encoders, labels
from llmini.report.display import frame, signed, span
from llmini.report.encoders import Line, dense, find, name, score, seeds, value
from llmini.report.measured import MB

if TYPE_CHECKING:
    import pandas

    from llmini.report.measured import Results

NER = "afriberta"


def sweep(results: Results, code: str, phase: str, share: float = 1.0,
          tested: str = "") -> dict[float, dict[str, float]]:  # fmt: skip
    """Sparsity -> F1 over the seeds (`encoders.over_seeds`), 0 the dense encoder, tuned on ``code``."""
    own = {"model": NER, "task": "ner", "trained": code, "share": share}
    start = seeds(find(results, **own, method="dense", part="prune"))
    out = {0.0: encoders.over_seeds(score(results, line, tested or code).value for line in start.values())}
    runs = find(results, **own, method="magnitude", phase=phase)
    for sparsity in sorted({line.sparsity for line in runs}):
        there = seeds(line for line in runs if line.sparsity == sparsity)
        out[sparsity] = encoders.over_seeds(score(results, line, tested or code).value for line in there.values())
    return out


def stable(results: Results) -> dict[str, float]:
    """Language -> highest sparsity (percent) up to which F1 stays within 5 % of dense, pruned before or after tuning.

    The better of both; a language without a sweep is left out.
    """
    out = {}
    for code in encoders.languages(results):
        best = [_until(sweep(results, code, phase), 0.95) for phase in ("before", "after")]
        there = [one for one in best if not math.isnan(one)]
        if there:
            out[code] = max(there)
    return out


def _until(curve: dict[float, dict[str, float]], kept: float) -> float:
    """The last sparsity, in percent, before F1 first falls below ``kept`` of dense; NaN without a curve."""
    if len(curve) < 2 or math.isnan(curve[0.0]["value"]):
        return math.nan
    last = 0.0
    for sparsity, cell in curve.items():
        if cell["value"] < kept * curve[0.0]["value"]:
            break
        last = sparsity
    return 100 * last


def collapse(results: Results) -> dict[str, float | str]:
    """Language -> lowest sparsity (percent) at which pruning after tuning leaves less than half of F1."""
    out: dict[str, float | str] = {}
    for code in encoders.languages(results):
        curve = sweep(results, code, "after")
        if len(curve) < 2 or math.isnan(curve[0.0]["value"]):
            continue
        fallen = [sparsity for sparsity, cell in curve.items() if cell["value"] < 0.5 * curve[0.0]["value"]]
        out[code] = 100 * min(fallen) if fallen else "none tried"
    return out


def student(results: Results, code: str, method: str = "distil_task", layers: int = 4) -> list[Line]:
    """The students of ``layers`` layers tuned on a language, one a seed."""
    found = find(
        results, model=NER, task="ner", trained=code, method=method, layers=layers, beginning="spaced", share=1.0
    )
    return list(seeds(found).values())


def change(results: Results, found: list[Line], code: str) -> dict[str, float]:
    """Points of score against each run's own dense encoder, over the seeds."""
    return encoders.over_seeds(score(results, line, code).value - score(results, dense(results, line), code).value
                               for line in found)  # fmt: skip


def sparsity_table(results: Results) -> pandas.DataFrame:
    """F1 against sparsity for each language, pruned before and after tuning; with seeds where there are several."""
    rows = []
    for code in encoders.languages(results):
        for phase in ("before", "after"):
            curve = sweep(results, code, phase)
            if len(curve) < 2:
                continue
            row = {"language": labels.LANGUAGES[code], "pruned": f"{phase} tuning"}
            row |= {f"{100 * sparsity:g} %": span(cell, 1) for sparsity, cell in curve.items()}
            rows.append(row)
    note = ("Entity F1 of an AfriBERTa-class encoder tuned and tested on the language, percent; intervals over three "
            "seeds where three were run. Of the study only the range it swept, 10 to 95 %, and its conclusions are "
            "printed.")  # fmt: skip
    return frame(rows, ["language", "pruned"], f"F1 against sparsity, {labels.tier(results.tier)}", note)


def transfer_table(results: Results) -> pandas.DataFrame:
    """Zero-shot transfer against sparsity: tuned on one language, tested on the others, pruned after tuning."""
    rows = []
    for code in encoders.languages(results):
        for other in encoders.languages(results):
            curve = sweep(results, code, "after", tested=other)
            if len(curve) < 2:
                continue
            row = {"tuned on": labels.LANGUAGES[code], "tested on": labels.LANGUAGES[other]}
            rows.append(row | {f"{100 * sparsity:g} %": cell["value"] for sparsity, cell in curve.items()})
    digits = {f"{share} %": 1 for share in range(101)}
    return frame(rows, ["tuned on", "tested on"], f"Across languages, against sparsity, {labels.tier(results.tier)}",
                 "Entity F1, percent, mean over the seeds; the smallest weights removed after "
                 "tuning.", digits)  # fmt: skip


def students_table(results: Results) -> pandas.DataFrame:
    """Size against F1 for every depth, beginning and way of distilling."""
    rows = []
    runs = [line for method in encoders.KD for line in find(results, method=method)]
    for key in dict.fromkeys((line.model, line.task, line.trained, name(line)) for line in runs):
        found = [line for line in runs if (line.model, line.task, line.trained, name(line)) == key]
        own, codes = seeds(found), encoders.tested(results, key[1])
        first = next(iter(own.values()))
        row = {
            "tuned on": f"{labels.model(key[0], results.tier, short=True)}, {encoders.trained(key[2])}",
            "student": key[3],
            ("Size", "smaller by, %"): 100
            * (1 - value(results, first, "size_disk") / value(results, dense(results, first), "size_disk")),
        }
        row |= {
            ("Points against the teacher", labels.LANGUAGES[code]): span(
                change(results, list(own.values()), code), 1, True
            )
            for code in codes
        }
        rows.append(row | {("Runs", "seeds"): len(own)})
    note = ("Reported: students 22 to 31 % smaller lose 1 to 2 points of F1 on average. Intervals over seeds where "
            "several were run. The student without a teacher is the control.")  # fmt: skip
    digits = {"smaller by, %": 0, "seeds": 0}
    return frame(rows, ["tuned on", "student"], f"Distilled encoders, {labels.tier(results.tier)}", note, digits)


def structured_table(results: Results) -> pandas.DataFrame:
    """Heads and neurons removed or silenced, in fp32 and int8: size, score, latency and memory."""
    rows = []
    runs = [
        line for method in ("structured", "structured_int8", "masked_l1_int8") for line in find(results, method=method)
    ]
    for line in sorted(runs, key=lambda line: (line.model, line.task, line.trained, line.sparsity)):
        if line.seed != min(
            one.seed for one in runs if (one.model, one.task, one.trained) == (line.model, line.task, line.trained)
        ):
            continue
        start, codes = dense(results, line), encoders.tested(results, line.task)
        own = next((code for code in codes if code in line.trained.split("+")), codes[0])
        row = {
            "model": f"{labels.model(line.model, results.tier, short=True)}, {line.task}, "
            f"{encoders.trained(line.trained)}",
            "method": name(line),
            ("Against dense", "bytes, %"): 100 * value(results, line, "size_disk") / value(results, start, "size_disk"),
            ("Against dense", "points"): signed(score(results, line, own).value - score(results, start, own).value),
        }
        for size in (1, 32):
            before, after = (value(results, one, "latency_ms", own, f"batch_{size}") for one in (start, line))
            row[("Against dense", f"latency, batch {size}, %")] = 100 * after / before
        row[("Process", "MB")] = value(results, line, "memory_resident") / MB
        row[("Process", "runtime alone, MB")] = value(results, line, "memory_runtime") / MB
        rows.append(row)
    note = ("Silenced heads and neurons are zero and stay in the matrices: eight bits make them smaller, nothing else "
            "does. Score and latency are those of the language that the encoder was tuned on.")  # fmt: skip
    digits = dict.fromkeys(("bytes, %", "latency, batch 1, %", "latency, batch 32, %", "MB", "runtime alone, MB"), 0)
    return frame(
        rows, ["model", "method"], f"Rows removed and rows silenced, {labels.tier(results.tier)}", note, digits
    )
