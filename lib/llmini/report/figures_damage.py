"""What compression costs Arabic and English: the Pareto front, sparsity, masks, divergence per method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmini.report import labels, naming, paired, reported, retention, style
from llmini.report.figures import GOAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from llmini.report.measured import Results

MAIN = "allam_7b"
HALF = 50.0  # percent of the dense size: the study's goal
SPARSITIES = tuple(round(0.1 * step, 1) for step in range(1, 10))
KL = "KL to dense, nats a token\nالتباعد عن النموذج الأصلي"
KEPT = "percent of the dense accuracy\nنسبة مئوية من الدقة الأصلية"


def front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The Pareto front of (size, retention): points that no smaller or equal one matches or beats, by rising size."""
    best: list[tuple[float, float]] = []
    for size, kept in sorted(points, key=lambda point: (point[0], -point[1])):
        if size == size and kept == kept and (not best or kept > best[-1][1]):
            best.append((size, kept))
    return best


@style.styled
def pareto(results: Results, size: str = "size_packed") -> Figure:
    """Size against retention per language, with the Pareto front of the ALLaM model.

    ``size``: the measured size drawn; by default pruned weights are counted as a 1-bit mask and their nonzero values.
    """
    figure, axes = style.canvas(2, 2, (9.6, 7.8), sharex="col")
    published, sizes = retention.published(), reported.sizes()
    printed = {key: 100 * sizes[key] / sizes[(key[0], labels.DENSE)] for key in published.index}
    names: list[tuple[Axes, list]] = []
    for row, code in enumerate(labels.SUITES):
        cells = [(*key, share, published.loc[key, code], None, None) for key, share in printed.items()]
        names.append((axes[row][0], _pareto_panel(axes[row][0], cells, False)))
        runs = [(model, method, results.run(model, method)) for model in results.studied()
                for method in results.methods((*labels.QUANT, *labels.PRUNE))]  # fmt: skip
        cells = [(model, method, retention.size_share(results, run, size),
                  *paired.retention(results, run, code).values()) for model, method, run in runs if run]  # fmt: skip
        names.append((axes[row][1], _pareto_panel(axes[row][1], cells, True)))
        axes[row][0].set_ylabel(f"{labels.LANGUAGES[code]} · {labels.ARABIC[code]}\n{KEPT}")
    for column, reported_panel in enumerate((True, False)):
        axes[0][column].set_title(style.heading(results.tier, reported_panel))
        axes[1][column].set_xlabel("size, percent of the dense model\nالحجم، نسبة مئوية من النموذج الأصلي")
    there = labels.rank(
        {*results.methods((*labels.QUANT, *labels.PRUNE)), *(key[1] for key in printed)}, labels.METHODS
    )
    own = style.handles(results.studied(), results.tier, True)
    legends = [(0.3, style.hues(labels.rank(there, labels.METHODS)), 4), (0.79, own, 2)]
    style.words(figure, "How small, and how good?", "ما الحجم وما الدقة؟",
                f"Hollow: as reported. Solid: {labels.tier(results.tier)}, with 95 % paired bootstrap intervals. Line: "
                "Pareto front of ALLaM's row, the one with names; other models are faint. Shaded: the goal, at most "
                f"half the size and at least {GOAL:g} % of the accuracy. Reported sizes of pruned models count nonzero "
                "weights only; measured ones add the 1-bit mask that says where they are.", legends)  # fmt: skip
    for panel, points in names:
        naming.name_points(panel, points)
    return figure


def _pareto_panel(panel: Axes, cells: list[tuple[Any, ...]], solid: bool) -> list[tuple[float, float, str, str]]:
    """Draw a panel; returns what :func:`llmini.report.naming.name_points` is to write into it: ALLaM's methods."""
    cells = [cell for cell in cells if cell[2] == cell[2] and cell[3] == cell[3]]
    if not cells:
        style.absent(panel)
        return []
    for model, method, share, kept, low, high in cells:
        main = model == MAIN
        style.point(panel, share, kept, model=model, method=method, solid=solid, vertical=True,
                    low=low if main else None, high=high if main else None, alpha=1.0 if main else 0.35)  # fmt: skip
    line = front([(cell[2], cell[3]) for cell in cells if cell[0] == MAIN])
    if line:
        ends = [*line, (max(cell[2] for cell in cells) * 1.02, line[-1][1])]
        panel.step(*zip(*ends, strict=True), where="post", color=style.GREY, linewidth=1.0, zorder=1)
    panel.axhline(100, color="#000000", linewidth=0.9, zorder=1)
    ends = [end for cell in cells if cell[0] == MAIN for end in cell[3:] if end is not None and end == end]
    low, high = (pick(*(cell[3] for cell in cells), *ends, edge) for pick, edge in ((min, GOAL), (max, 101.0)))
    left, right = min(HALF, *(cell[2] for cell in cells)) - 3, max(cell[2] for cell in cells) + 3
    panel.fill_between([left, HALF], GOAL, high + 1, color="#EEF4E8", zorder=0, linewidth=0)
    panel.set(xlim=(left, right), ylim=(low - 2, high + 1))
    return [(share, kept, labels.method(method, published=not solid), style.COLOURS[method])
            for model, method, share, kept, *_ in cells if model == MAIN]  # fmt: skip


@style.styled
def sparsity(results: Results, model: str = MAIN) -> Figure:
    """Damage against sparsity, 10 to 90 %, per pruner and language: retention, KL to dense, perplexity ratio."""
    figure, axes = style.canvas(3, 2, (9.6, 8.6), sharex=True, sharey="row")
    names = (KEPT, KL, "perplexity over dense\nنسبة الحيرة إلى حيرة الأصل")
    for column, code in enumerate(labels.SUITES):
        axes[0][column].set_title(style.language(code))
        drawn = [_sparsity_line(axes[:, column], results, model, method, code) for method in labels.PRUNE]
        if not any(drawn):
            for panel in axes[:, column]:
                style.absent(panel)
            continue
        axes[0][column].axhline(100, color="#000000", linewidth=0.9, zorder=1)
        axes[0][column].axhline(GOAL, color=style.GREY, linewidth=0.9, linestyle="--", zorder=1)
        for panel in axes[1:, column]:
            panel.set_yscale("log")
            style.logarithmic(panel.yaxis)
        axes[2][column].set_xlabel("sparsity, percent of weights removed\nنسبة الأوزان المحذوفة")
        axes[2][column].set_xticks(range(10, 100, 10))
    for row, name in enumerate(names):
        axes[row][0].set_ylabel(name)
    style.words(figure, "How does damage grow with sparsity?", "كيف ينمو الضرر مع ازدياد التقليم؟",
                f"{labels.model(model, results.tier)}, {labels.tier(results.tier)}. Bands: 95 % paired bootstrap "
                f"intervals over items. Dashed: the goal of {GOAL:g} %. A benchmark of four options keeps about a "
                "quarter of its items by chance, so retention has a floor; KL to dense has none.",
                [(0.5, style.hues(list(labels.PRUNE)), 3)])  # fmt: skip
    return figure


def _sparsity_line(panels: Any, results: Results, model: str, method: str, code: str) -> bool:
    """One pruner's three curves in one language; False when it was not run at any sparsity."""
    runs = [(share, results.run(model, method, sparsity=share)) for share in SPARSITIES]
    runs = [(100 * share, run) for share, run in runs if run]
    if not runs:
        return False
    shares = [share for share, _ in runs]
    kept = [paired.retention(results, run, code) for _, run in runs]
    ratio = [
        results.perplexity(run, code).value / results.perplexity(results.dense(run), code).value for _, run in runs
    ]
    colour = style.COLOURS[method]
    curves = ([cell["value"] for cell in kept], [results.divergence(run, code).value for _, run in runs], ratio)
    for panel, values in zip(panels, curves, strict=True):
        panel.plot(shares, values, color=colour, marker=style.MARKERS[model], linewidth=1.3, markersize=4.5)
    panels[0].fill_between(shares, [cell["low"] for cell in kept], [cell["high"] for cell in kept], color=colour,
                           alpha=0.13, linewidth=0)  # fmt: skip
    return True


@style.styled
def masks(results: Results, model: str = MAIN) -> Figure:
    """2:4 against unstructured 50 %: the same number of zeros, with and without a pattern that hardware can use."""
    figure, axes = style.canvas(2, 2, (9.6, 5.4), sharey=True)
    for column, code in enumerate(labels.SUITES):
        axes[0][column].set_title(style.language(code))
        found = False
        for line, method in enumerate(labels.PRUNE):
            for mask, shift in (("0:0", -0.2), ("2:4", 0.2)):
                run = results.run(model, method, mask=mask)
                if run is None:
                    continue
                found = True
                kept, low, high = paired.retention(results, run, code).values()
                common = {"model": model, "method": method, "solid": True}
                style.point(axes[0][column], kept, line + shift, low=low, high=high, **common)
                style.point(axes[1][column], results.divergence(run, code).value, line + shift, **common)
                for panel, end in ((axes[0][column], high if high == high else kept),
                                   (axes[1][column], results.divergence(run, code).value)):  # fmt: skip
                    panel.annotate("2:4" if mask == "2:4" else "50 %", (end, line + shift), xytext=(6, 0), va="center",
                                   textcoords="offset points", fontsize=7, color=style.GREY)  # fmt: skip
        for panel, name in zip(axes[:, column], (KEPT, KL), strict=True):
            if not found:
                style.absent(panel)
                continue
            panel.set_xlabel(name)
            panel.margins(x=0.1)
            panel.set_yticks(range(len(labels.PRUNE)), [labels.method(name) for name in labels.PRUNE])
            panel.set_ylim(len(labels.PRUNE) - 0.5, -0.5)
            panel.grid(axis="y", visible=False)
    style.words(figure, "What does the 2:4 pattern cost?", "ما كلفة نمط اثنين من كل أربعة؟",
                f"{labels.model(model, results.tier)}, {labels.tier(results.tier)}. 50 %: half of the weights of each "
                "layer, anywhere; 2:4: two of every four neighbours. Bars: 95 % paired bootstrap "
                "intervals.")  # fmt: skip
    return figure


@style.styled
def divergence(results: Results) -> Figure:
    """KL to dense of every method and model: the measure that still ranks methods where accuracy cannot."""
    methods = results.methods((*labels.QUANT, *labels.PRUNE))
    models = results.studied()
    figure, axes = style.canvas(1, 2, (9.6, 2.6 + 0.27 * max(4, len(methods))), sharex=True, sharey=True)
    shift = dict(zip(models, style.offsets(len(models)), strict=True))
    for panel, code in zip(axes[0], labels.SUITES, strict=True):
        panel.set_title(style.language(code))
        if not methods:
            style.absent(panel)
            continue
        for line, method in enumerate(methods):
            for model in models:
                value = results.divergence(results.run(model, method), code).value
                style.point(panel, value, line + shift[model], model=model, method=method, solid=True)
        panel.set_xscale("log")
        style.logarithmic(panel.xaxis)
        panel.set_xlabel(KL)
        panel.set_yticks(range(len(methods)), [labels.method(name) for name in methods])
        panel.set_ylim(len(methods) - 0.5, -0.5)
        panel.grid(axis="y", visible=False)
    style.words(figure, "How far does each method move the model?", "كم تُبعد كل طريقة النموذج عن أصله؟",
                f"{labels.tier(results.tier).capitalize()}. KL divergence from the dense model's predictions on "
                "held-out text, logarithmic. Pruned models: 50 % sparsity.",
                [(0.5, style.handles(models, results.tier, True), 4)])  # fmt: skip
    return figure
