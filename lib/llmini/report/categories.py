"""Retention category by category: which subjects a compressed model forgets first, in each language."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

from llmini.report import labels, paired, reported, style
from llmini.report.display import frame, number, span
from llmini.report.figures_damage import MAIN
from llmini.report.sentences import name, nothing, said

if TYPE_CHECKING:
    import numpy
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from llmini.report.display import Shown
    from llmini.report.measured import Results

LOW, HIGH = 50.0, 110.0  # percent: ends of the shades
METHODS = (*labels.QUANT, *labels.PRUNE)
ARABIC = {"humanities": "الإنسانيات", "language": "اللغة العربية", "other": "أخرى", "social_science": "الاجتماعيات",
          "stem": "العلوم والتقنية"}  # fmt: skip
TASKS = [(code, labels.SUITES[code], task, metric) for code in labels.SUITES
         for task, metric in labels.TASKS[labels.SUITES[code]].items()]  # fmt: skip


def named(task: str) -> str:
    """A category over its Arabic name, where it is one of ArabicMMLU's."""
    word = task.replace("_", " ")
    return f"{word}\n{ARABIC[task]}" if task in ARABIC else word


def runs(results: Results, model: str) -> dict[str, str]:
    """method -> run id at the study's settings."""
    found = {method: results.run(model, method) for method in results.methods(METHODS)}
    return {method: run for method, run in found.items() if run}


def retention(results: Results, run: str | None, suite: str, task: str, metric: str) -> dict[str, float]:
    """``value, low, high``: percent of the dense accuracy on one task, with its paired cluster-bootstrap interval."""
    import numpy

    dense = results.dense(run)
    base = results.cell(dense, metric, suite, task).value
    value = 100 * results.cell(run, metric, suite, task).value / base if base else math.nan
    draws = drawn(results, results.runs.at[run, "model"], suite, task, metric) if run else {}
    if run not in draws or dense not in draws:
        return {"value": value, "low": math.nan, "high": math.nan}
    with numpy.errstate(invalid="ignore", divide="ignore"):  # a draw without one right answer of the dense model
        low, high = paired.interval(100 * draws[run] / draws[dense])
    return {"value": value, "low": low, "high": high}


def drawn(results: Results, model: str, suite: str, task: str, metric: str) -> dict[str, numpy.ndarray]:
    """Run id -> bootstrap means of one task (percent), all methods of a model and their dense model drawn together."""
    store = results.__dict__.setdefault("_categories", {})
    if (model, suite, task) not in store:
        chosen = list(runs(results, model).values())
        chosen = list(dict.fromkeys([*filter(None, map(results.dense, chosen)), *chosen]))
        store[model, suite, task] = _draw(results.items, chosen, suite, task, metric)
    return store[model, suite, task]


def _draw(items: pandas.DataFrame, chosen: list[str], suite: str, task: str, metric: str) -> dict[str, numpy.ndarray]:
    column = "correct_norm" if metric == "acc_norm" and "correct_norm" in items else "correct"
    suites = [suite, f"pocket_{suite}"]
    own = items[items["run_id"].isin(chosen) & (items["task"] == task) & items["benchmark"].isin(suites)]
    if own.empty:
        return {}
    own = own[["run_id", "item_id", "cluster", column]].astype(dict.fromkeys(("run_id", "item_id", "cluster"), str))
    own["cluster"] = own["cluster"].where(~own["cluster"].isin(["", "nan", "None"]), own["item_id"])
    wide = own.assign(**{column: own[column].astype(float)}).drop_duplicates(["run_id", "item_id"])
    wide = wide.pivot(index=["item_id", "cluster"], columns="run_id", values=column).dropna()
    clusters = wide.index.get_level_values("cluster").to_numpy(str)
    found = paired.Outcomes("ar", tuple(wide.columns), wide.to_numpy(dtype=float), clusters != "", clusters)
    return dict(zip(found.runs, found.draws().T, strict=True)) if len(wide) else {}


def published(model: str, method: str, suite: str, task: str) -> float:
    """Percent of the dense accuracy on one task as the study prints both (Tables 20 and 22)."""
    own, dense = (printed().get((model, which, suite, task), math.nan) for which in (method, labels.DENSE))
    return 100 * own / dense if dense else math.nan


@cache
def printed() -> dict[tuple[str, str, str, str], float]:
    """(model, method, suite, task) -> percent, of Tables 20 and 22."""
    rows = [row for number in (20, 22) for row in reported.table(number).itertuples()]
    return {(row.model, row.method, row.benchmark, row.task): row.value for row in rows}


@style.styled
def figure(results: Results, model: str = MAIN) -> Figure:
    """Retention of every method on every category, as reported and as measured: a table of shades."""
    told = [name for name in METHODS if not math.isnan(published(model, name, "arabicmmlu", "stem"))]
    own = runs(results, model)
    cells = [[[published(model, name, suite, task) for _, suite, task, _ in TASKS] for name in told],
             [[retention(results, run, suite, task, metric)["value"] for _, suite, task, metric in TASKS]
              for run in own.values()]]  # fmt: skip
    heights = [max(3, len(told)), max(3, len(own))]
    figure, axes = style.canvas(2, 1, (9.6, 2.5 + 0.29 * sum(heights)), sharex=True,
                                gridspec_kw={"height_ratios": heights})  # fmt: skip
    for panel, names, values, hollow in zip(axes[:, 0], (told, own), cells, (True, False), strict=True):
        names = list(names)
        panel.set_title(style.heading(results.tier, hollow))
        if not any(value == value for line in values for value in line):
            style.absent(panel)
            continue
        _shades(panel, values)
        panel.set_yticks(range(len(names)), [labels.method(name, published=hollow) for name in names])
    axes[1][0].set_xticks(range(len(TASKS)), [named(task) for _, _, task, _ in TASKS], fontsize=8)
    style.words(figure, "Which categories suffer?", "أيّ المجالات تتضرّر؟",
                f"Percent of the dense accuracy, {labels.model(model)} as reported and "
                f"{labels.model(model, results.tier)} ({labels.tier(results.tier)}). Left of the line Arabic "
                f"(ArabicMMLU), right of it English (metabench). Shades end at {LOW:g} and {HIGH:g} %; the table gives "
                "intervals.")
    return figure


def _shades(panel: Axes, values: list[list[float]]) -> None:
    """Cells with their numbers; darker is more lost. Viridis's relative for every kind of colour vision."""
    import matplotlib
    import numpy

    array = numpy.array(values)
    palette = matplotlib.colormaps["cividis"]
    panel.imshow(numpy.ma.masked_invalid(array), cmap=palette, vmin=LOW, vmax=HIGH, aspect="auto")
    for line, row in enumerate(array):
        for place, value in enumerate(row):
            if value == value:
                dark = value < (LOW + HIGH) / 2
                panel.text(place, line, f"{value:.0f}", ha="center", va="center", fontsize=7.5,
                           color="white" if dark else "black")  # fmt: skip
    split = sum(code == "ar" for code, *_ in TASKS) - 0.5
    panel.axvline(split, color="white", linewidth=3)
    panel.grid(False)


def table(results: Results, model: str = MAIN) -> pandas.DataFrame:
    """Retention per category with intervals: one line per method and language's category."""
    rows = []
    for method, run in runs(results, model).items():
        row: dict = {"method": labels.method(method)}
        for code, suite, task, metric in TASKS:
            row[labels.LANGUAGES[code], task.replace("_", " ")] = span(retention(results, run, suite, task, metric), 0)
        rows.append(row)
    note = ("Percent of the dense accuracy, with 95 % paired bootstrap intervals; items of one fact are drawn "
            "together, and a task has few of them, so that an interval is wide.")  # fmt: skip
    return frame(rows, ["method"], f"Retention per category, {labels.model(model, results.tier)}", note)


def answer(results: Results, model: str = MAIN) -> Shown:
    """The category that loses most in each language, over the methods, and how far the categories are apart."""
    own = runs(results, model).values()
    kept = {key: [retention(results, run, *key[1:])["value"] for run in own] for key in TASKS}
    means = {key: sum(values) / len(values) for key, values in kept.items() if values and all(v == v for v in values)}
    if not means:
        return nothing()
    sides = {code: {key[2]: mean for key, mean in means.items() if key[0] == code} for code in labels.SUITES}
    if not all(sides.values()):
        return nothing()
    worst = {code: min(part, key=part.get) for code, part in sides.items()}
    best = {code: max(part, key=part.get) for code, part in sides.items()}
    words = {code: f"{worst[code].replace('_', ' ')} keeps least ({number(sides[code][worst[code]], 1)} %) and "
                   f"{best[code].replace('_', ' ')} most ({number(sides[code][best[code]], 1)} %)" for code in sides}
    quoted = {task: f"«{ARABIC[task]}»" if task in ARABIC else name(task) for task in (*worst.values(), *best.values())}
    arabic = {code: f"{quoted[worst[code]]} ({number(sides[code][worst[code]], 1)}%)، وأكثرها {quoted[best[code]]} "
                    f"({number(sides[code][best[code]], 1)}%)" for code in sides}  # fmt: skip
    return said(
        f"Averaged over {number(len(own), 0)} methods on {labels.model(model, results.tier)}, "
        f"of the Arabic categories {words['ar']}, and of the English tasks {words['en']}. A category has few items, so "
        "that single cells of the table do not rank.",
        f"في متوسط الطرق، وعددها {number(len(own), 0)}: أقلّ مجالات العربية بقاءً "
        f"{arabic['ar']}؛ وأقلّ مهام الإنجليزية بقاءً {arabic['en']}. وأسئلة المجال الواحد قليلة، فلا تُرتَّب الخلايا "
        "المفردة.",
    )
