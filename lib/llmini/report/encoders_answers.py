"""What the encoder sections conclude, read off the numbers, in English and Arabic."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from llmini.report import encoders, encoders_resources, labels, sentences, verdict
from llmini.report.display import number, signed, span
from llmini.report.encoders import dense, find, score, value
from llmini.report.encoders_overview import arabic_times, ratio, times
from llmini.report.encoders_sweeps import change, collapse, stable, student, sweep

if TYPE_CHECKING:
    from llmini.report.display import Shown
    from llmini.report.measured import Results

MOMENT = {"before": "before tuning", "after": "after tuning"}
MOMENT_AR = {"before": "قبل الضبط", "after": "بعد الضبط"}


def sparsity(results: Results) -> Shown:
    """How far each language can be pruned, at which moment, and where it collapses."""
    far, fall = stable(results), collapse(results)
    codes = list(far)
    if not codes:
        return sentences.nothing()
    parts = [f"{labels.LANGUAGES[code]} stays within 5 % of its dense F1 up to {number(far[code], 0)} %" + (
        f" and pruned after tuning has lost half of it by {number(fall[code], 0)} %"
        if isinstance(fall.get(code), float) else
        " and never loses half of it") for code in codes]  # fmt: skip
    arabic = [f"{labels.ARABIC[code]} لا تفقد أكثر من 5% من جودتها الأصلية حتى حذف {number(far[code], 0)}%، " + (
        f"وتفقد نصفها عند حذف {number(fall[code], 0)}% إذا قُلِّم المُرمِّز بعد الضبط"
        if isinstance(fall.get(code), float) else "ولا تفقد نصفها عند أيّ نسبة") for code in codes]  # fmt: skip
    better, arabic_better = [], []
    for code in codes:
        before, after = (sweep(results, code, phase) for phase in ("before", "after"))
        both = [level for level in before if level in after and level >= 0.5]
        if both:
            gap = encoders.mean(before[level]["value"] - after[level]["value"] for level in both)
            better.append(f"{signed(gap)} points in {labels.LANGUAGES[code]}")
            arabic_better.append(f"{sentences.arabic_moved(gap)} في {labels.ARABIC[code]}")
    text, arabic_text = (f"Removing the smallest weights: {'; '.join(parts)}.",
                         f"عند حذف أصغر الأوزان: {'؛ و'.join(arabic)}.")  # fmt: skip
    if better:
        text += f" From 50 % on, pruning before tuning rather than after changes F1 by {', '.join(better)} on average."
        arabic_text += (" وبدءًا من حذف 50%، متوسط أثر التقليم قبل الضبط مقارنةً بالتقليم بعده: "
                        f"{'، و'.join(arabic_better)}.")  # fmt: skip
    return sentences.said(text, arabic_text)


def resources(results: Results) -> Shown:
    """Whether encoders tuned on little data fall faster, by the intervals over seeds."""
    found = encoders_resources.verdicts(results)
    if not found:
        return sentences.nothing()
    counts = {word: [key for key, (one, _) in found.items() if one == word]
              for word in (verdict.CONFIRMED, verdict.REFUTED, verdict.UNKNOWN, verdict.ABSENT)}  # fmt: skip
    parts = [f"{labels.LANGUAGES[code]}, {encoders.data(share)} of the data, pruned {MOMENT[phase]}: "
             f"{span(cell, 1, True)}"
             for (code, phase, share), (_, cell) in found.items()]  # fmt: skip
    text = (f"Of {len(found)} comparisons of little with all of the data, the encoder with little data falls faster in "
            f"{len(counts[verdict.CONFIRMED])}, slower in {len(counts[verdict.REFUTED])}, and in "
            f"{len(counts[verdict.UNKNOWN]) + len(counts[verdict.ABSENT])} three seeds cannot tell. Points of "
            f"retention, mean over sparsities: {'; '.join(parts)}.")  # fmt: skip
    arabic = ("عدد المقارنات التي يتراجع فيها المُرمِّز قليل البيانات أسرع من غيره: "
              f"{len(counts[verdict.CONFIRMED])} من {len(found)}؛ "
              f"وعدد التي يتراجع فيها أبطأ: {len(counts[verdict.REFUTED])}؛ وعدد التي لا تكفي ثلاث بذور للحكم فيها: "
              f"{len(counts[verdict.UNKNOWN]) + len(counts[verdict.ABSENT])}.")  # fmt: skip
    return sentences.said(text, arabic)


def students(results: Results) -> Shown:
    """What distillation costs at the study's size, and whether a teacher beats none."""
    parts, arabic = [], []
    for code in encoders.languages(results):
        cells = {name: change(results, student(results, code, name), code) for name in encoders.KD}
        if all(math.isnan(cell["value"]) for cell in cells.values()):
            continue
        each = ", ".join(f"{encoders.method(name)} {span(cell, 1, True)}" for name, cell in cells.items()
                         if not math.isnan(cell["value"]))  # fmt: skip
        parts.append(f"{labels.LANGUAGES[code]}: {each}")
        each = "، و".join(f"{encoders.ARABIC[name]}: {sentences.arabic_difference(cell)}"
                          for name, cell in cells.items() if not math.isnan(cell["value"]))  # fmt: skip
        arabic.append(f"في {labels.ARABIC[code]} {each}")
    if not parts:
        return sentences.nothing()
    return sentences.said(f"Students of four of six layers, points of F1 against their teacher. {'; '.join(parts)}.",
                          f"تلاميذ من أربع طبقات من ستّ، والفرق عن المعلّم: {'؛ و'.join(arabic)}.")  # fmt: skip


def formats(results: Results) -> Shown:
    """What each format saves and whether answers change, over every tuned encoder."""
    parts, arabic = [], []
    for name in encoders.QUANT:
        runs = [line for line in find(results, method=name) if line.share == 1 and dense(results, line)]
        if not runs:
            continue
        sizes = [value(results, line, "size_disk") / value(results, dense(results, line), "size_disk") for line in runs]
        moved, fast = [], {1: [], 32: []}
        for line in runs:
            code = next((one for one in encoders.tested(results, line.task) if one in line.trained.split("+")), "ar")
            moved.append(score(results, line, code).value - score(results, dense(results, line), code).value)
            for size in fast:
                fast[size].append(ratio(results, dense(results, line), line, size, [code]))
        most = max(moved, key=abs)
        parts.append(f"{encoders.method(name)}: {number(100 * encoders.mean(sizes), 0)} % of the bytes, "
                     f"{times(encoders.mean(fast[1]))} one by one and {times(encoders.mean(fast[32]))} in batches of "
                     f"32, {signed(most)} points at most")  # fmt: skip
        arabic.append(f"<bdi>{encoders.method(name)}</bdi>: {number(100 * encoders.mean(sizes), 0)}% من الحجم، "
                      f"{arabic_times(*map(encoders.mean, fast.values()))}، وأقصى تغيّر في الجودة: "
                      f"{sentences.arabic_moved(most)}")  # fmt: skip
    if not parts:
        return sentences.nothing()
    return sentences.said("Mean over the tuned encoders, against dense fp32 in PyTorch. " + "; ".join(parts) + ".",
                          "المتوسّط على المُرمِّزات المضبوطة، مقارنةً بالأصل (<bdi>fp32</bdi> في <bdi>PyTorch</bdi>). "
                          + "؛ ".join(arabic) + ".")  # fmt: skip
