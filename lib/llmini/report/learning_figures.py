"""Figures of distillation: stages as reported and as measured, the threshold, and the other settings."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llmini.report import labels, learning_paired, learning_runs, reported, style
from llmini.report.learning_tables import printed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from llmini.report.measured import Results

SHIFT = {"ar": -0.17, "en": 0.17}
SIDES = {"ar": "-", "en": "--"}  # where lines of both languages share a panel
HEADS = ("benchmarks: accuracy, %\nالاختبارات: الدقة", "pairs: accuracy, %\nالأسئلة المتقابلة: الدقة",
         "pairs: LPG, points\nالأسئلة المتقابلة: فجوة اللغتين بالنقاط")  # fmt: skip
TEACHER = "teacher"
KEPT = "tokens kept, %\nالرموز المختارة"
ACCURACY = "accuracy, %\nالدقة"
GAP = "LPG, points\nفجوة اللغتين بالنقاط"
STAGES = ("token_kd", "token_kd", "selectkd")  # of temperature, alpha and the rules


def measure(results: Results, stage: str, column: int, code: str) -> list[float]:
    """Values of a panel of :func:`comparison`, one for a seed. ``code`` is empty for the gap."""
    runs = learning_runs.find(results, stage, behaviour=column > 0)
    if stage == TEACHER:
        line = learning_runs.teacher(results)
        runs = {None: line} if line and not column else {}
    if column == 0:
        values = [learning_runs.score(results, run, code).value for run in runs.values()]
    else:
        values = [learning_paired.value(results, run, "acc" if code else "lpg", code) for run in runs.values()]
    return [value for value in values if not math.isnan(value)]


def published(stage: str, column: int, code: str) -> float:
    """The study's value for a panel of :func:`comparison`."""
    if column == 0:
        return printed(12, stage, benchmark={"ar": "arabic_mmlu", "en": "mmlu"}[code])
    return printed(15, stage, metric="accuracy" if code else "lpg", language=code or "en_ar")


@style.styled
def comparison(results: Results) -> Figure:
    """Accuracy and LPG by stage: the study's, and here every seed as a point with the step control as a band."""
    stages = [list(labels.STAGES), [*labels.STAGES, *([TEACHER] if learning_runs.teacher(results) else [])]]
    figure, axes = style.canvas(2, 3, (9.6, 6.9), sharey="row")
    for row, solid in enumerate((False, True)):
        for column, panel in enumerate(axes[row]):
            drawn = 0
            for line, stage in enumerate(stages[row]):
                for code in ("",) if column == 2 else ("ar", "en"):
                    values = measure(results, stage, column, code) if solid else [published(stage, column, code)]
                    place = line + SHIFT.get(code, 0.0)
                    if solid:
                        _control(panel, results, stage, column, code, place)
                    _points(panel, values, place, stage, code, solid)
                    drawn += sum(value == value for value in values)
            panel.set_title(HEADS[column], fontsize=9)
            if not drawn:
                style.absent(panel)
            panel.grid(axis="y", visible=False)
            panel.margins(x=0.09)
            if column == 2 and drawn:
                panel.axvline(0, color="#000000", linewidth=0.9, zorder=1)
        if any(panel.lines for panel in axes[row]):
            names = [learning_runs.name(learning_runs.get(results, learning_runs.teacher(results)))
                     if stage == TEACHER else labels.method(stage) for stage in stages[row]]  # fmt: skip
            axes[row][0].set_yticks(range(len(names)), [name.replace(", ", ",\n") for name in names])
            axes[row][0].set_ylim(len(names) - 0.5, -0.5)
        axes[row][0].set_ylabel(style.heading(results.tier, not solid), fontweight="bold")
    note = ("Reported: ArabicMMLU (100 questions) and MMLU, 30 pairs. Measured: ArabicMMLU and metabench means, every "
            "training seed a point. Grey: SFT that went on with SFT for as many steps, from its lowest to its highest "
            "seed; what lies beyond it is the teacher's part. Points missing above are not reported.")  # fmt: skip
    style.words(figure, "What does each stage of distillation change?", "ماذا تغيّر كل مرحلة من مراحل التقطير؟",
                f"Hollow: as reported. Solid: {labels.tier(results.tier)}, {learning_runs.student(results)}. {note}",
                [(0.5, [*style.languages(), *_grey()], 3)])  # fmt: skip
    return figure


def _points(panel: Axes, values: list[float], place: float, stage: str, code: str, solid: bool) -> None:
    method = stage if stage != TEACHER else "int4"
    marker = style.LANGUAGE_MARKERS.get(code, "D")
    for value in values:
        style.point(panel, value, place, model="", method=method, solid=solid, marker=marker, alpha=0.85)


def _control(panel: Axes, results: Results, stage: str, column: int, code: str, place: float) -> None:
    """A band from the lowest to the highest seed of the step control that took as many steps as ``stage``."""
    values = measure(results, labels.CONTROLS[stage], column, code) if stage in labels.CONTROLS else []
    if values:
        ends = (place - 0.15, place + 0.15)
        panel.fill_betweenx(ends, min(values), max(values), color="#BBBBBB", linewidth=0, alpha=0.7, zorder=1)
        panel.plot([statistics.fmean(values)] * 2, ends, color="#8C8C8C", linewidth=1.6, zorder=1.5)


def _grey() -> list[Any]:
    from matplotlib.patches import Patch

    return [Patch(color="#BBBBBB", label="SFT control · ضابط الضبط الدقيق")]


@style.styled
def thresholds(results: Results) -> Figure:
    """Kept share, accuracy and LPG by theta: the study's Table 18 and the measured ablation."""
    table = reported.load("table_18")
    study = sorted(set(table["theta"]))
    figure, axes = style.canvas(3, 2, (9.6, 7.4))
    said = {KEPT: [("ar", [reported.value(table, theta=t, metric="ar_selected_percent") for t in study])], ACCURACY: [],
            GAP: [("", [reported.value(table, theta=t, metric="lpg") for t in study])]}  # fmt: skip
    found = _ablated(results, "selectkd", "theta")
    for column, (places, values, solid) in enumerate(((study, said, False), (*found, True))):
        axes[0][column].set_title(style.heading(results.tier, not solid))
        for panel, words in zip(axes[:, column], (KEPT, ACCURACY, GAP), strict=True):
            _series(panel, "selectkd", values[words], solid)
            panel.set_ylabel(words)
            if words == ACCURACY and not solid:
                panel.texts[-1].set_text("not reported\nلم يُنشر")
        _ticks(axes[:, column], [f"{place:g}" for place in places], "theta · العتبة")
    style.words(figure, "Which threshold, and what does it keep?", "أيّ عتبة، وماذا تُبقي؟",
                f"SelecTKD. Hollow: as reported, no accuracy by theta. Solid: {labels.tier(results.tier)}, "
                f"{learning_runs.student(results)}, one seed: benchmark accuracy, and LPG on the pairs with its 95 % "
                "interval. A higher threshold cannot keep more tokens of one teacher: the reported shares do.",
                [(0.5, _lines(), 2)])  # fmt: skip
    return figure


@style.styled
def ablations(results: Results) -> Figure:
    """Kept share, accuracy and LPG by temperature, by alpha, and by selection rule at an equal share."""
    figure, axes = style.canvas(3, 3, (9.6, 7.4))
    runs, twins = (learning_runs.rules(results, behaviour) for behaviour in (False, True))
    columns = [("temperature T · الحرارة", *_ablated(results, STAGES[0], "temperature")),
               ("alpha · ألفا", *_ablated(results, STAGES[1], "alpha")),
               ("rule · القاعدة", list(runs), _values(results, list(runs), runs, twins))]  # fmt: skip
    for column, (words, places, values) in enumerate(columns):
        axes[0][column].set_title(labels.method(STAGES[column]))
        for panel, name in zip(axes[:, column], (KEPT, ACCURACY, GAP), strict=True):
            _series(panel, STAGES[column], values[name], True, joined=column < 2)
            if column == 0:
                panel.set_ylabel(name)
        _ticks(axes[:, column], [place if isinstance(place, str) else f"{place:g}" for place in places], words)
    for row in axes:
        _align(row)
    style.words(figure, "Temperature, alpha, and the rule that selects", "الحرارة وألفا وقاعدة الاختيار",
                f"{labels.tier(results.tier).capitalize()}, {learning_runs.student(results)}, one seed: benchmark "
                "accuracy, and LPG on the pairs with its 95 % interval. Token-KD keeps every token; the rules were "
                "told to keep an equal share of them.", [(0.5, _lines(), 2)])  # fmt: skip
    return figure


def _ablated(results: Results, stage: str, option: str) -> tuple[list[Any], dict[str, list]]:
    runs, twins = (learning_runs.series(results, stage, option, behaviour) for behaviour in (False, True))
    places = sorted({*runs, *twins})
    return places, _values(results, places, runs, twins)


def _values(results: Results, places: list[Any], runs: dict[Any, str], twins: dict[Any, str]) -> dict[str, list]:
    """Panel -> (language, values) of each line; the gap's values are cells with an interval."""
    def each(read: Callable[[str], Any], among: dict[Any, str]) -> list[Any]:
        return [read(among[place]) if place in among else math.nan for place in places]

    both = {**twins, **runs}
    return {
        KEPT: [(code, each(lambda run, code=code: learning_runs.kept(results, run, code), both)) for code in SIDES],
        ACCURACY: [(code, each(lambda run, code=code: learning_runs.score(results, run, code).value, runs))
                   for code in SIDES],
        GAP: [("", each(lambda run: learning_paired.level(results, [run], "lpg"), twins))],
    }  # fmt: skip


def _series(panel: Axes, stage: str, series: list[tuple[str, list]], solid: bool, joined: bool = True) -> None:
    """One line a language over places 0, 1, …; cells with an interval get a bar."""
    colour, drawn = style.COLOURS[stage], 0
    for code, cells in series:
        places = range(len(cells))
        values = [cell["value"] if isinstance(cell, dict) else cell for cell in cells]
        if joined and any(value == value for value in values):
            panel.plot(places, values, color=colour, linewidth=1.2, linestyle=SIDES.get(code, "-"), zorder=2)
        for place, value, cell in zip(places, values, cells, strict=True):
            ends = {key: cell[key] for key in ("low", "high")} if isinstance(cell, dict) else {}
            shift = 0.0 if joined else SHIFT.get(code, 0.0) / 2
            style.point(panel, place + shift, value, model="", method=stage, solid=solid, vertical=True,
                        marker=style.LANGUAGE_MARKERS.get(code, "D"), **ends)  # fmt: skip
        drawn += sum(value == value for value in values)
    if not drawn:
        style.absent(panel)


def _ticks(panels: Any, names: list[str], words: str) -> None:
    """Names along the lowest panel of a column; shares on a scale from 0 to 100. Empty panels stay as they are."""
    panels[-1].set_xlabel(words)
    for panel in (panel for panel in panels if panel.lines):
        panel.set_xticks(range(len(names)), names if panel is panels[-1] else [""] * len(names))
        panel.set_xlim(-0.5, len(names) - 0.5)
    if panels[0].lines:
        panels[0].set_ylim(-4, 105)


def _align(panels: Any) -> None:
    """One scale for all panels of a row that hold something."""
    full = [panel for panel in panels if panel.lines]
    limits = [limit for panel in full for limit in panel.get_ylim()]
    for panel in full:
        panel.set_ylim(min(limits), max(limits))


def _lines() -> list[Any]:
    """Legend entries for languages where lines are dashed for English."""
    from matplotlib.lines import Line2D

    return [Line2D([], [], color=style.GREY, linestyle=SIDES[code], marker=style.LANGUAGE_MARKERS[code],
                   label=f"{labels.LANGUAGES[code]} · {labels.ARABIC[code]}") for code in SIDES]  # fmt: skip
