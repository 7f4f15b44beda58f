"""Method by language: whether methods differ in how much more of Arabic than of English they take.

A run's Arabic loss minus its English loss is its gap; two methods interact with language when their gaps differ. All
runs of a model answer the same items, so their gaps are drawn together.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from llmini.report import labels, paired, style
from llmini.report.categories import METHODS, runs
from llmini.report.display import frame, number, signed, span
from llmini.report.sentences import listed, nothing, said

if TYPE_CHECKING:
    import numpy
    import pandas
    from matplotlib.figure import Figure

    from llmini.report.display import Shown
    from llmini.report.measured import Results

CLASSES = {"8-bit formats": ("int8", "w8a8", "w8a16", "fp8"),
           "4-bit formats": ("int4", "int4_fp4", "w4a16", "w4a16_awq", "w4a16_rtn"),
           "pruning to 50 %": labels.PRUNE}  # fmt: skip
CONTRASTS = (("4-bit formats", "8-bit formats"), ("pruning to 50 %", "8-bit formats"),
             ("pruning to 50 %", "4-bit formats"))  # fmt: skip
SIDES = {"ar": 0, "en": 1}
ALPHA = 0.05


class Gaps(NamedTuple):
    """Of one model: ``methods``, their gaps in points, and bootstrap ``draws`` of the gaps, (resamples, methods)."""

    methods: list[str]
    values: numpy.ndarray
    draws: numpy.ndarray


def gaps(results: Results, model: str) -> Gaps | None:
    """Arabic loss minus English loss of every method of ``model``; None without items of both languages."""
    import numpy

    store = results.__dict__.setdefault("_gaps", {})
    if model not in store:
        chosen = runs(results, model)
        lost = {code: _losses(results, chosen, code) for code in SIDES}
        there = [method for method in chosen if all(part and method in part for part in lost.values())]
        values = [paired.gap(results, chosen[method])["value"] for method in there]
        drawn = [lost["ar"][method] - lost["en"][method] for method in there]
        store[model] = Gaps(there, numpy.array(values), numpy.array(drawn).T) if there else None
    return store[model]


def _losses(results: Results, chosen: dict[str, str], code: str) -> dict[str, numpy.ndarray]:
    """method -> bootstrap draws of its loss in points."""
    pairs = {method: paired.drawn(results, [results.dense(run), run], code) for method, run in chosen.items()}
    return {method: draws[:, 0] - draws[:, 1] for method, draws in pairs.items() if draws is not None}


def test(found: Gaps) -> dict[str, float]:
    """Wald test that all gaps are equal: ``chi2``, ``df``, ``p``.

    The differences from the last method's gap, weighed by the inverse of their bootstrap covariance (Efron and
    Tibshirani, 1993, ch. 13; Rao's generalised inverse where some methods never part). NaN for fewer than two methods.
    """
    import numpy
    from scipy.stats import chi2

    if len(found.methods) < 2:
        return {"chi2": math.nan, "df": math.nan, "p": math.nan}
    apart = found.values[:-1] - found.values[-1]
    covariance = numpy.atleast_2d(numpy.cov(found.draws[:, :-1] - found.draws[:, -1:], rowvar=False))
    rank = int(numpy.linalg.matrix_rank(covariance, hermitian=True))
    if not rank:
        return {"chi2": math.nan, "df": math.nan, "p": math.nan}
    value = float(apart @ numpy.linalg.pinv(covariance, hermitian=True) @ apart)
    return {"chi2": value, "df": rank, "p": float(chi2.sf(value, rank))}


def contrast(found: Gaps, first: str, second: str) -> dict[str, float]:
    """Mean gap of one class of methods minus that of another, points: ``value, low, high``."""
    places = [[found.methods.index(name) for name in CLASSES[words] if name in found.methods]
              for words in (first, second)]  # fmt: skip
    if not all(places):
        return {"value": math.nan, "low": math.nan, "high": math.nan}
    one, other = places
    low, high = paired.interval(found.draws[:, one].mean(axis=1) - found.draws[:, other].mean(axis=1))
    return {"value": float(found.values[one].mean() - found.values[other].mean()), "low": low, "high": high}


def table(results: Results) -> pandas.DataFrame:
    """Per model: the test that no method interacts with language, and the classes of methods against each other."""
    from llmini.measure.statistics import holm

    found = {model: own for model in results.models() if (own := gaps(results, model))}
    tests = {model: test(own) for model, own in found.items()}
    adjusted = dict(zip(tests, holm([own["p"] for own in tests.values()]), strict=True)) if tests else {}
    rows = []
    for model, own in found.items():
        row: dict = {"model": labels.model(model, results.tier), ("Equal gaps?", "methods"): len(own.methods),
                     ("Equal gaps?", "chi²"): tests[model]["chi2"], ("Equal gaps?", "df"): tests[model]["df"],
                     ("Equal gaps?", "p"): tests[model]["p"],
                     ("Equal gaps?", "p, Holm"): float(adjusted[model])}  # fmt: skip
        row |= {("Gap of one class less that of another, points", f"{one} − {other}"):
                span(contrast(own, one, other), sign=True) for one, other in CONTRASTS}  # fmt: skip
        rows.append(row)
    if not rows:
        rows.append({"model": "none", ("Equal gaps?", "methods"): math.nan})
    note = ("Gap: Arabic loss minus English loss, points. Chi²: Wald test over the paired cluster bootstrap that a "
            "model's methods all have one gap; Holm over the models. Differences with 95 % intervals; positive: the "
            "first class takes more of Arabic, beyond what it takes of English.")  # fmt: skip
    return frame(rows, ["model"], "Does the damage to Arabic depend on the method?", note,
                 {"methods": 0, "chi²": 1, "df": 0, "p": 4, "p, Holm": 4})  # fmt: skip


@style.styled
def figure(results: Results) -> Figure:
    """Loss in each language, a line a method: parallel lines are no interaction, a steep one takes a side."""
    models = [model for model in results.models() if runs(results, model)]
    figure, axes = style.canvas(1, max(1, len(models)), (9.6, 4.9), sharey=True)
    drawn: list[str] = []
    for panel, model in zip(axes[0], models or [None], strict=True):
        chosen = runs(results, model) if model else {}
        if not chosen:
            style.absent(panel)
            continue
        for method, run in chosen.items():
            cell = paired.gap(results, run)
            panel.plot(list(SIDES.values()), [cell[code] for code in SIDES], color=style.COLOURS[method], linewidth=1.3,
                       marker=style.MARKERS.get(model, "o"), markersize=4.5, alpha=0.9, clip_on=False)  # fmt: skip
            drawn.append(method)
        panel.set_title(labels.model(model, results.tier).replace(", ", ",\n"))
        panel.set_xticks(list(SIDES.values()), [style.language(code) for code in SIDES])
        panel.set_xlim(-0.35, 1.35)
        panel.axhline(0, color="#000000", linewidth=0.9, zorder=1)
        panel.grid(axis="x", visible=False)
    axes[0][0].set_ylabel("accuracy lost, points\nما ضاع من الدقة بالنقاط")
    style.words(figure, "Does a method take a side?", "هل تنحاز الطريقة إلى لغة؟",
                f"{labels.tier(results.tier).capitalize()}, points of mean accuracy against the dense model. A line "
                "falls where Arabic pays more and rises where English does; parallel lines are methods that do not "
                "differ in that. The table tests it.", [(0.5, style.hues(labels.rank(drawn, METHODS)), 6)])  # fmt: skip
    return figure


@style.styled
def gap_figure(results: Results) -> Figure:
    """Arabic loss minus English loss of every method and model, with intervals."""
    methods, models = results.methods(METHODS), results.models()
    figure, axes = style.canvas(1, 1, (9.6, 2.4 + 0.42 * max(4, len(methods))))
    panel, shift = axes[0][0], dict(zip(models, style.offsets(len(models), 0.62), strict=True))
    for line, method in enumerate(methods):
        for model in models:
            run = results.run(model, method)
            if run:
                cell = paired.gap(results, run)
                style.point(panel, cell["value"], line + shift[model], model=model, method=method, solid=True,
                            low=cell["low"], high=cell["high"])  # fmt: skip
    if not methods:
        style.absent(panel)
    else:
        panel.axvline(0, color="#000000", linewidth=0.9, zorder=1)
        panel.set_yticks(range(len(methods)), [labels.method(name) for name in methods])
        panel.set_ylim(len(methods) - 0.5, -0.5)
        panel.set_xlabel("Arabic loss minus English loss, points · خسارة العربية ناقص خسارة الإنجليزية بالنقاط")
        panel.grid(axis="y", visible=False)
    style.words(figure, "Who pays more, Arabic or English?", "من يدفع أكثر: العربية أم الإنجليزية؟",
                f"{labels.tier(results.tier).capitalize()}. Right of the line Arabic lost more. Bars: 95 % paired "
                "cluster bootstrap intervals, the two languages' items drawn apart.",
                [(0.5, style.handles(models, results.tier, True), 5)])  # fmt: skip
    return figure


def answer(results: Results) -> Shown:
    """In how many models the methods' gaps differ, and which classes part on the main one."""
    found = {model: own for model in results.models() if (own := gaps(results, model)) and len(own.methods) > 1}
    if not found:
        return nothing()
    from llmini.measure.statistics import holm

    p = holm([test(own)["p"] for own in found.values()])
    differ = [labels.model(model, results.tier, short=True) for model, value in zip(found, p, strict=True)
              if value <= ALPHA]  # fmt: skip
    cells = {(model, pair): contrast(own, *pair) for model, own in found.items() for pair in CONTRASTS}
    clear = [(model, pair, cell) for (model, pair), cell in cells.items() if cell["low"] > 0 or cell["high"] < 0]
    known = sum(not math.isnan(cell["value"]) for cell in cells.values())
    parts = listed((f"{pair[0]} against {pair[1]} on {labels.model(model, results.tier, short=True)} "
                    f"({signed(cell['value'])} points)" for model, pair, cell in clear), "; ")  # fmt: skip
    return said(
        f"The test that every method takes equally much more of one language is rejected, after Holm, for "
        f"{number(len(differ), 0)} of {number(len(found), 0)} models"
        f"{f' ({listed(differ)})' if differ else ''}. Classes of methods whose gaps differ by an interval that "
        f"excludes zero: {parts}.",
        f"عدد النماذج التي رُفض فيها، بعد تصحيح هولم، أن تأخذ الطرق كلها من إحدى اللغتين الزيادة "
        f"نفسها: {number(len(differ), 0)} من {number(len(found), 0)}. وعدد الفروق بين أصناف الطرق التي تستبعد "
        f"فترتُها الصفر: {number(len(clear), 0)} من {number(known, 0)}.",
    )
