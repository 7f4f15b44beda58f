"""Is a model as sure as it should be? Reliability diagrams of the pair questions, in both languages."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from llmini.report import finetuning_figures, finetuning_runs, labels, learning_paired, learning_runs, style
from llmini.report.display import frame, number
from llmini.report.sentences import nothing, said

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from llmini.report.display import Shown
    from llmini.report.measured import Results

BINS = 10  # of equal width, as the study's ECE has them
LEAST = 5  # answers that make a point worth drawing
SHOWN = (labels.BASE, "sft_kd", "token_kd", "selectkd", *finetuning_runs.TUNED)
MARKERS = dict(zip(SHOWN, "osD^vP", strict=True))


class Bin(NamedTuple):
    """Answers whose confidence falls into one bin: how many, their mean confidence, and the share that is right (all in
    percent) with Wilson's interval."""

    n: int
    confidence: float
    right: float
    low: float
    high: float


def bins(results: Results, run: str, code: str, count: int = BINS) -> list[Bin]:
    """The filled bins of one run in one language, by rising confidence."""
    import numpy

    from llmini.measure.statistics import wilson

    table = learning_paired.questions(results, run)
    if table is None:
        return []
    sure, right = table[f"{code}_confidence"].to_numpy(), table[f"{code}_correct"].to_numpy()
    place = numpy.clip(numpy.ceil(sure * count).astype(int) - 1, 0, count - 1)  # (0, 0.1], (0.1, 0.2], …
    out = []
    for number_ in numpy.unique(place):
        inside = place == number_
        hits, n = int(right[inside].sum()), int(inside.sum())
        low, high = wilson(hits, n)
        out.append(Bin(n, 100 * float(sure[inside].mean()), 100 * hits / n, 100 * low, 100 * high))
    return out


def error(found: list[Bin]) -> float:
    """Expected calibration error of filled bins, points. Source: Guo et al. (2017), eq. 3."""
    total = sum(one.n for one in found)
    return sum(one.n * abs(one.right - one.confidence) for one in found) / total if total else math.nan


def lean(found: list[Bin]) -> float:
    """Mean confidence minus accuracy, points: positive is too sure."""
    total = sum(one.n for one in found)
    return sum(one.n * (one.confidence - one.right) for one in found) / total if total else math.nan


def chosen(learned: Results, tuned: Results | None = None) -> dict[str, tuple[Results, str]]:
    """method -> (results, run) that is drawn: the first seed of each stage, and of the last one of tuning."""
    out: dict[str, tuple[Results, str]] = {}
    for method in SHOWN:
        if method in finetuning_runs.TUNED:
            runs = finetuning_runs.after(tuned, method) if tuned is not None else {}
            found: Results | None = tuned
        else:
            runs, found = learning_runs.find(learned, method, behaviour=True), learned
        run = runs[min(runs, key=lambda seed: -1 if seed is None else seed)] if runs else None
        if run and found is not None and learning_paired.questions(found, run) is not None:
            out[method] = (found, run)
    return out


def label(method: str) -> str:
    return finetuning_runs.NAMES.get(method) or labels.method(method)


def hue(method: str) -> str:
    return finetuning_figures.HUES.get(method) or style.COLOURS.get(method, style.GREY)


@style.styled
def figure(learned: Results, tuned: Results | None = None) -> Figure:
    """Accuracy against confidence, a line a stage, Arabic beside English; below, how often each confidence occurs."""
    from matplotlib.lines import Line2D

    runs = chosen(learned, tuned)
    figure, axes = style.canvas(2, 2, (9.6, 6.4), sharex=True, sharey="row", gridspec_kw={"height_ratios": [3, 1]})
    for column, code in enumerate(labels.SUITES):
        upper, lower = axes[0][column], axes[1][column]
        upper.set_title(style.language(code))
        if not runs:
            style.absent(upper)
            style.absent(lower)
            continue
        upper.plot([0, 100], [0, 100], color="#000000", linewidth=0.9, zorder=1)
        for place, (method, (results, run)) in enumerate(runs.items()):
            found = [one for one in bins(results, run, code) if one.n >= LEAST]
            shift = 0.6 * (place - len(runs) / 2)
            xs, total = [one.confidence + shift for one in found], sum(one.n for one in found)
            upper.vlines(xs, [one.low for one in found], [one.high for one in found], color=hue(method), linewidth=0.9,
                         alpha=0.55, zorder=2)  # fmt: skip
            look = {"color": hue(method), "marker": MARKERS[method]}
            upper.plot(xs, [one.right for one in found], linewidth=1.2, zorder=3, **look)
            lower.plot(xs, [100 * one.n / total for one in found], linewidth=1.0, markersize=4, **look)
        lower.set_xlabel("confidence in the chosen answer, %\nثقة النموذج بالجواب الذي اختاره")
        lower.set(xlim=(15, 103))
    if runs:
        axes[0][0].set(ylabel="right answers, %\nنسبة الصواب", ylim=(0, 103))
        axes[1][0].set_ylabel("answers, %\nنسبة الأجوبة")
    entries = [Line2D([], [], color=hue(method), marker=MARKERS[method], label=label(method)) for method in runs]
    style.words(figure, "Is it as sure as it should be?", "هل ثقته في محلّها؟",
                f"{learning_runs.student(learned)}, {labels.tier(learned.tier)}, pair questions, first seed. On the "
                "line "
                "confidence is accuracy; below it the model is too sure. Bars: Wilson 95 %; bins of fewer than "
                f"{LEAST} "
                "answers are left out.", [(0.5, entries, 6)])  # fmt: skip
    return figure


def table(learned: Results, tuned: Results | None = None) -> pandas.DataFrame:
    """ECE and the lean to over- or underconfidence of every stage that the figure draws, per language."""
    rows = []
    for method, (results, run) in chosen(learned, tuned).items():
        row: dict = {"stage": label(method)}
        for code in labels.SUITES:
            name, found = labels.LANGUAGES[code], bins(results, run, code)
            row |= {(name, "answers"): sum(one.n for one in found), (name, "ECE, points"): error(found),
                    (name, "too sure by, points"): lean(found)}  # fmt: skip
        rows.append(row)
    if not rows:
        rows.append({"stage": "none", ("Arabic", "answers"): math.nan})
    note = ("Ten bins of equal width. Too sure by: mean confidence minus accuracy; a negative number is a model "
            "that knows "
            "more than it trusts itself to.")  # fmt: skip
    return frame(rows, ["stage"], "Calibration on the pair questions, one seed", note,
                 {"answers": 0, "ECE, points": 1, "too sure by, points": 1})  # fmt: skip


def answer(learned: Results, tuned: Results | None = None) -> Shown:
    """In which language the models are further from their own confidence, and to which side."""
    runs = chosen(learned, tuned)
    if not runs:
        return nothing()
    cells = {(method, code): bins(*pair, code) for method, pair in runs.items() for code in labels.SUITES}
    worse = sum(error(cells[method, "ar"]) > error(cells[method, "en"]) for method in runs)
    sure = {code: sum(lean(cells[method, code]) > 0 for method in runs) for code in labels.SUITES}
    ranked = {code: sorted(runs, key=lambda method, c=code: error(cells[method, c])) for code in labels.SUITES}
    ends = {code: (order[0], order[-1]) for code, order in ranked.items()}
    words = {code: f"from {number(error(cells[best, code]), 1)} ({label(best)}) to "
                   f"{number(error(cells[worst, code]), 1)} ({label(worst)})" for code, (best, worst) in ends.items()}
    arabic = {code: f"بين {number(error(cells[best, code]), 1)} (<bdi>{label(best)}</bdi>) "
                    f"و{number(error(cells[worst, code]), 1)} (<bdi>{label(worst)}</bdi>)"
              for code, (best, worst) in ends.items()}  # fmt: skip
    every = number(len(runs), 0)
    return said(
        f"Of the models drawn, ECE goes {words['ar']} points in Arabic and {words['en']} in English, and is larger "
        "in Arabic for "
        f"{number(worse, 0)} of {every} models. {number(sure['ar'], 0)} of {every} are too sure in Arabic and "
        f"{number(sure['en'], 0)} in English.",
        f"خطأ المعايرة بالنقاط في النماذج المرسومة {arabic['ar']} في العربية و{arabic['en']} في الإنجليزية؛ وعدد "
        "النماذج التي يزيد "
        f"خطؤها في العربية على خطئها في الإنجليزية: {number(worse, 0)} من {every}. وعدد ما تزيد ثقته على صوابه: "
        f"{number(sure['ar'], 0)} في العربية و{number(sure['en'], 0)} في الإنجليزية.",
    )
