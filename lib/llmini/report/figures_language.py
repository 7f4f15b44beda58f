"""Where the two languages part: calibration language, activation outliers, and the Arabic gap that was designed in."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from llmini.report import labels, paired, style
from llmini.report.figures_damage import KL, MAIN

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from llmini.report.measured import Results

CALIBRATED = ("w4a16", "sparsegpt")
CALIBRATIONS = ("en", "ar", "mixed")


def seeds(results: Results, model: str, method: str, calibration: str) -> list[str]:
    """Run ids of one method under one calibration language, one per seed."""
    numbers = sorted(results.select(model=model, method=method, calibration=calibration)["seed"].unique())
    runs = (results.run(model, method, calibration=calibration, seed=int(number)) for number in numbers)
    return [run for run in runs if run]


@style.styled
def calibration(results: Results, model: str = MAIN) -> Figure:
    """KL to dense under English, Arabic and mixed calibration text; every seed a point, their mean a bar."""
    figure, axes = style.canvas(len(CALIBRATED), 2, (9.6, 6.2), sharey="row")
    for row, method in enumerate(CALIBRATED):
        for column, code in enumerate(labels.SUITES):
            panel = axes[row][column]
            drawn = 0
            for place, text in enumerate(CALIBRATIONS):
                values = [results.divergence(run, code).value for run in seeds(results, model, method, text)]
                for shift, value in zip(style.offsets(len(values), 0.24), values, strict=True):
                    style.point(panel, place + shift, value, model=model, method=method, solid=True)
                if values:
                    middle = statistics.fmean(values)
                    panel.plot(
                        [place - 0.25, place + 0.25], [middle, middle], color=style.COLOURS[method], linewidth=1.6
                    )
                drawn += len(values)
            if not drawn:
                style.absent(panel)
                continue
            names = [f"{labels.LANGUAGES[text]}\n{labels.ARABIC[text]}" for text in CALIBRATIONS]
            panel.set_xticks(range(len(CALIBRATIONS)), names)
            panel.set_xlim(-0.6, len(CALIBRATIONS) - 0.4)
            panel.grid(axis="x", visible=False)
            panel.set_ylim(bottom=0)
        axes[row][0].set_ylabel(f"{labels.method(method)}\n{KL}")
    for column, code in enumerate(labels.SUITES):
        axes[0][column].set_title(f"judged on {labels.LANGUAGES[code]} text\nالتقييم بنصوص {labels.ARABIC[code]}")
        axes[1][column].set_xlabel("language of the calibration text\nلغة نصوص المعايرة")
    style.words(figure, "Does the language of the calibration text matter?", "هل للغة نصوص المعايرة أثر؟",
                f"{labels.model(model, results.tier)}, {labels.tier(results.tier)}. Each point is one seed, that is "
                "one draw of calibration windows; the bar is their mean. Lower is closer to dense.")  # fmt: skip
    return figure


@style.styled
def outliers(results: Results, model: str = MAIN) -> Figure:
    """The pruners at 50 %, without and with planted activation outliers: who is ahead of whom."""
    figure, axes = style.canvas(1, 2, (9.6, 4.4), sharey=True)
    beside = []
    for panel, code in zip(axes[0], labels.SUITES, strict=True):
        panel.set_title(style.language(code))
        sides: tuple[list, list] = ([], [])
        for method in labels.PRUNE:
            runs = [results.run(model, method, outliers=planted) for planted in (False, True)]
            values = [results.divergence(run, code).value for run in runs]
            colour = style.COLOURS[method]
            if all(value == value for value in values):
                panel.plot([0, 1], values, color=colour, linewidth=1.4, zorder=2)
            for place, value in enumerate(values):
                style.point(panel, place, value, model=model, method=method, solid=True)
                sides[place].append((place, value, f"{value:.2g}", colour))
        if not any(value == value for _, value, *_ in (*sides[0], *sides[1])):
            style.absent(panel)
            continue
        panel.set_yscale("log")
        style.logarithmic(panel.yaxis)
        panel.set_xlim(-0.4, 1.4)
        beside += [(panel, sides[0], True), (panel, sides[1], False)]
        panel.set_xticks([0, 1], ["as trained\nكما دُرّب", "with outliers\nمع قيم شاذة"])
        panel.grid(axis="x", visible=False)
    for panel, points, left in beside:  # the panels share their scale: it is final only now
        style.beside(panel, points, left)
    axes[0][0].set_ylabel(KL)
    style.words(figure, "Do activation outliers change the order of the pruners?",
                "هل تغيّر القيم الشاذة ترتيب طرق التقليم؟",
                f"{labels.model(model, results.tier)}, {labels.tier(results.tier)}, 50 % sparsity. Tiny models have no "
                "activation outliers of their own. A rescale by powers of two plants them and leaves the dense model's "
                "function as it was; magnitude sees the weights alone, Wanda and SparseGPT the inputs too.",
                [(0.5, style.hues(list(labels.PRUNE)), 3)])  # fmt: skip
    return figure


@style.styled
def designed_gap(results: Results, model: str = MAIN) -> Figure:
    """Arabic loss minus English loss, for the model whose Arabic was taught more rarely and for its control."""
    models = [name for name in (model, f"{model}_control") if name in results.models()]
    control = results.methods((*labels.QUANT, *labels.PRUNE))
    methods = [name for name in control if results.run(f"{model}_control", name)] or control
    figure, axes = style.canvas(1, 2, (9.6, 2.7 + 0.36 * max(4, len(methods))), width_ratios=(1, 2.2))
    left, right = axes[0]
    for line, name in enumerate(models):
        cell = paired.dense_gap(results, results.run(name, labels.DENSE))
        style.point(left, cell["value"], line, model=name, method=labels.DENSE, solid=True, low=cell["low"],
                    high=cell["high"])  # fmt: skip
    for line, method in enumerate(methods):
        for name, shift in zip(models, style.offsets(len(models), 0.36), strict=True):
            run = results.run(name, method)
            if run:
                cell = paired.gap(results, run)
                style.point(right, cell["value"], line + shift, model=name, method=method, solid=True, low=cell["low"],
                            high=cell["high"])  # fmt: skip
    for panel, names in ((left, [labels.model(name, results.tier, short=True) for name in models]),
                         (right, [labels.method(name) for name in methods])):  # fmt: skip
        if not names or not models:
            style.absent(panel)
            continue
        panel.axvline(0, color="#000000", linewidth=0.9, zorder=1)
        panel.set_yticks(range(len(names)), names)
        panel.set_ylim(len(names) - 0.5, -0.5)
        panel.grid(axis="y", visible=False)
        panel.margins(x=0.12)
    left.set_title("Before compression\nقبل الضغط")
    left.set_xlabel("English minus Arabic accuracy, points\nتفوّق الإنجليزية بالنقاط")
    right.set_title("Added by compression\nما يضيفه الضغط")
    right.set_xlabel("Arabic loss minus English loss, points\nزيادة خسارة العربية على خسارة الإنجليزية بالنقاط")
    style.words(figure, "Which part of the Arabic gap does compression add?", "أي جزء من فجوة العربية يضيفه الضغط؟",
                f"{labels.tier(results.tier).capitalize()}. The main model saw part of its facts more rarely in "
                "Arabic; the control saw every fact equally often in both languages. Bars: 95 % paired bootstrap "
                "intervals; right of 0, Arabic loses more.",
                [(0.5, style.handles(models, results.tier, True), 2)])  # fmt: skip
    return figure
