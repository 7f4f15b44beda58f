"""The study's figures, as reported (hollow) and as measured (solid), in panels that never share an axis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from llmini.report import labels, paired, reported, retention, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from llmini.report.measured import Results

GOAL = 85.0  # percent of the dense accuracy: the study's goal
AVERAGES = {"ratio_of_sums": "Average: ratio of sums\nالمتوسط: نسبة المجموعين",
            "mean_of_ratios": "Average: mean of ratios\nالمتوسط: متوسط النسبتين"}  # fmt: skip


@style.styled
def quantization_retention(results: Results) -> Figure:
    """The study's Figure 8 (retention after quantization; its average is the ratio of sums), and the measured one."""
    return _retention(
        results, labels.QUANT, "ratio_of_sums", "How much accuracy does quantization keep?",
        "كم يُبقي التكميم من الدقة؟", "The study's Figure 8 averages the two languages as the ratio of sums.",
    )  # fmt: skip


@style.styled
def pruning_retention(results: Results) -> Figure:
    """The study's Figure 10 (retention after 50 % pruning; its average is the mean of ratios), and the measured one."""
    return _retention(
        results, labels.PRUNE, "mean_of_ratios", "How much accuracy does pruning to 50 % keep?",
        "كم يُبقي حذفُ نصف الأوزان من الدقة؟", "The study's Figure 10 averages the two languages as the mean of ratios.",
    )  # fmt: skip


def _retention(results: Results, among: tuple[str, ...], average: str, title: str, arabic: str, source: str) -> Figure:
    published = retention.published()
    there = {method for _, method in published.index}
    columns = [[name for name in among if name in there], results.methods(among)]
    models = [labels.rank({name for name, method in published.index if method in among}, labels.MODELS),
              results.studied()]  # fmt: skip
    kinds = ["ar", "en", average]
    size = (9.6, 3.3 + 3 * 0.235 * max(map(len, [*columns, range(5)])))
    figure, axes = style.canvas(3, 2, size, sharex="col", sharey="col")
    for column, (methods, own, solid) in enumerate(zip(columns, models, (False, True), strict=True)):
        axes[0][column].set_title(style.heading(results.tier, not solid))
        for row, kind in enumerate(kinds):
            panel = axes[row][column]
            if solid and not methods:
                style.absent(panel)
                continue
            _retention_panel(panel, results, published, methods, own, kind, solid)
            if column == 0:
                panel.set_ylabel(AVERAGES[kind] if kind in AVERAGES else style.language(kind))
        axes[2][column].set_xlabel("percent of the dense accuracy\nنسبة مئوية من دقة النموذج الأصلي")
    legends = [
        (0.3, style.handles(models[0], "full", False), 2),
        (0.78, style.handles(models[1], results.tier, True), 2),
    ]
    note = "Bars: 95 % paired bootstrap intervals over items. " if not results.items.empty else ""
    style.words(figure, title, arabic, f"Hollow: as reported. Solid: {labels.tier(results.tier)}. {note}{source} Full "
                f"line: the dense model; dashed: the goal of {GOAL:g} %.", legends)  # fmt: skip
    return figure


def _retention_panel(panel: Axes, results: Results, published: Any, methods: list[str], models: list[str], kind: str,
                     solid: bool) -> None:  # fmt: skip
    shift = dict(zip(models, style.offsets(len(models), 0.6), strict=True))
    for line, method in enumerate(methods):
        for model in models:
            value, low, high = math.nan, None, None
            if not solid and (model, method) in published.index:
                value = published.loc[(model, method), kind]
            elif solid and (run := results.run(model, method)):
                if kind in labels.SUITES:
                    value, low, high = paired.retention(results, run, kind).values()
                else:
                    value = retention.of(results, run)[kind]
            style.point(panel, value, line + shift[model], model=model, method=method, solid=solid, low=low, high=high)
    panel.axvline(100, color="#000000", linewidth=0.9, zorder=1)
    panel.axvline(GOAL, color=style.GREY, linewidth=0.9, linestyle="--", zorder=1)
    panel.set_yticks(range(len(methods)), [labels.method(name, published=not solid) for name in methods])
    panel.margins(x=0.07)
    panel.set_ylim(len(methods) - 0.5, -0.5)
    panel.grid(axis="y", visible=False)


@style.styled
def pruning_perplexity(results: Results) -> Figure:
    """The study's perplexity after 50 % pruning (WikiText-2), and the measured one in English and Arabic."""
    table = reported.table(10)
    models = [labels.rank(table["model"], labels.MODELS), results.studied()]
    figure, axes = style.canvas(1, 3, (9.6, 4.3))
    printed = [(model, method, reported.value(table, model=model, method=method)) for model in models[0]
               for method in (labels.DENSE, *labels.PRUNE)]  # fmt: skip
    _perplexity_panel(axes[0][0], printed, models[0], "full", False)
    axes[0][0].set_title(f"{style.heading(results.tier, True)}\nWikiText-2, English")
    for panel, code in zip(axes[0][1:], ("en", "ar"), strict=True):
        cells = [(model, method, results.perplexity(results.run(model, method), code).value) for model in models[1]
                 for method in (labels.DENSE, *labels.PRUNE)]  # fmt: skip
        panel.set_title(f"{style.heading(results.tier, False)}\n{labels.LANGUAGES[code]} · {labels.ARABIC[code]}")
        _perplexity_panel(panel, cells, models[1], results.tier, True)
        if code == "ar":
            panel.set_yticklabels([])
    style.words(figure, "How much does pruning to 50 % raise perplexity?", "كم يرفع حذفُ نصف الأوزان حيرةَ النموذج؟",
                "After the study's Figure 9. Hollow: as reported, from the first 2,048 tokens. Solid: "
                f"{labels.tier(results.tier)}, all windows of the held-out text; it is another text and another "
                "tokenizer, so only the distance from the dense "
                "point can be read across panels.",
                [(0.5, style.hues([labels.DENSE, *labels.PRUNE]), 4)])  # fmt: skip
    return figure


def _perplexity_panel(
    panel: Axes, cells: list[tuple[str, str, float]], models: list[str], tier: str, solid: bool
) -> None:
    found = [cell for cell in cells if cell[2] == cell[2]]
    if not found:
        style.absent(panel)
        return
    shift = dict(zip((labels.DENSE, *labels.PRUNE), style.offsets(4, 0.45), strict=True))
    for line, model in enumerate(models):
        own = [value for name, _, value in found if name == model]
        if own:
            panel.plot([min(own), max(own)], [line, line], color="#CCCCCC", linewidth=1, zorder=1)
    for model, method, value in found:
        line = models.index(model) + shift[method]
        style.point(panel, value, line, model=model, method=method, solid=solid)
    if max(cell[2] for cell in found) > 10 * min(cell[2] for cell in found):
        panel.set_xscale("log")
        style.logarithmic(panel.xaxis)
    panel.set_yticks(range(len(models)), [labels.model(name, tier).replace(", ", ",\n") for name in models])
    panel.set_ylim(len(models) - 0.5, -0.5)
    panel.grid(axis="y", visible=False)
    panel.set_xlabel("perplexity · الحيرة")
