"""How every figure looks: colours, markers, titles, legends and the words in it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmini.report import labels
from llmini.report.picture import TITLE, canvas, rendered, save, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = ["absent", "apart", "beside", "canvas", "handles", "heading", "hues", "language", "languages", "logarithmic",
           "offsets", "point", "rendered", "save", "styled", "words"]  # fmt: skip
# One hue per method in every figure. Quantization: Paul Tol's "muted" scheme; pruning: three of Okabe and Ito's;
# distillation: IBM's, its controls in greys.
COLOURS = {
    "dense": "#000000",
    "int8": "#332288",
    "w8a8": "#88CCEE",
    "w8a16": "#44AA99",
    "fp8": "#117733",
    "int4": "#DDAA33",
    "int4_fp4": "#999933",
    "w4a16": "#CC6677",
    "w4a16_awq": "#882255",
    "w4a16_rtn": "#AA4499",
    "sparsegpt": "#0072B2",
    "wanda": "#D55E00",
    "magnitude": "#555555",
    "base": "#1A1A1A",
    "sft_kd": "#648FFF",
    "seq_kd": "#785EF0",
    "token_kd": "#DC267F",
    "selectkd": "#FE6100",
    "sft_control": "#8C8C8C",
    "sft_control_3": "#7A7A7A",
    "sft_control_4": "#696969",
}
MARKERS = {"allam_7b": "o", "qwen3_8b": "s", "llama3_1_8b": "^", "gemma3_12b": "D", "allam_7b_control": "P",
           "qwen3_0_6b": "v", "qwen3_1_7b": "<", "gemma3_270m": ">", "gemma3_1b": "X"}  # fmt: skip
LANGUAGE_MARKERS = {"ar": "o", "en": "v"}  # where one model's two languages share a panel
MEASURED_AR = {"pocket": "القياس هنا: نماذج الجيب", "full": "القياس هنا"}
REPORTED_AR = "كما نُشر في الدراسة"
GREY = "#666666"


def words(figure: Figure, title: str, arabic: str, caption: str, legends: Sequence[tuple[float, list[Any], int]] = (),
          width: int = 150) -> None:  # fmt: skip
    """Title in both languages above; below, legends and then the caption, in room that the panels keep clear of.

    ``legends``: (centre from 0 to 1, handles, entries a line) each.
    """
    lines, height = textwrap.wrap(caption, width), 72 * figure.get_figheight()
    rows = max((math.ceil(len(handles) / columns) for _, handles, columns in legends), default=0)
    foot = (8 + 10.5 * len(lines)) / height
    above = foot + (8 + 13.5 * rows if rows else 6) / height
    figure.get_layout_engine().set(rect=(0, above, 1, 1 - above))
    figure.suptitle(f"{title}\n{arabic}", **TITLE)
    figure.caption = caption
    figure.text(0.012, foot, "\n".join(lines), fontsize=8, color=GREY, ha="left", va="top", linespacing=1.25)
    for centre, entries, columns in legends:
        if entries:
            legend = figure.legend(handles=entries, loc="lower center", bbox_to_anchor=(centre, foot), ncols=columns,
                                   columnspacing=1.3, handletextpad=0.4, handlelength=1.3)  # fmt: skip
            legend.set_in_layout(False)


def heading(tier: str, reported: bool) -> str:
    """Title over a column of panels, in both languages."""
    if reported:
        return f"As reported\n{REPORTED_AR}"
    return f"Measured, {labels.tier(tier)}\n{MEASURED_AR.get(tier, MEASURED_AR['full'])}"


def language(code: str) -> str:
    """``Arabic`` over its Arabic name."""
    return f"{labels.LANGUAGES[code]}\n{labels.ARABIC[code]}"


def point(axes: Axes, x: float, y: float, *, model: str, method: str, solid: bool, low: float | None = None,
          high: float | None = None, vertical: bool = False, **options: Any) -> None:  # fmt: skip
    """One model under one method: hue by method, marker by model, solid when measured, hollow when reported.

    ``low`` and ``high`` draw an interval along x (along y with ``vertical``). Nothing is drawn for NaN.
    """
    if not (x == x and y == y):
        return
    colour = COLOURS.get(method, GREY)
    if low is not None and high is not None and low == low and high == high:
        start, end = ((x, x), (low, high)) if vertical else ((low, high), (y, y))
        axes.plot(start, end, color=colour, linewidth=1.1, alpha=options.get("alpha", 0.8), zorder=2)
    style = {"marker": MARKERS.get(model, "v"), "markerfacecolor": colour if solid else "white",
             "markeredgecolor": colour, "markeredgewidth": 1.3, "linestyle": "none", "zorder": 3, "clip_on": False,
             **options}  # fmt: skip
    axes.plot([x], [y], **style)


def handles(models: list[str], tier: str, solid: bool) -> list[Any]:
    """Legend entries for models: grey markers, hollow for published models."""
    from matplotlib.lines import Line2D

    face = GREY if solid else "white"
    return [Line2D([], [], marker=MARKERS.get(name, "v"), linestyle="none", markerfacecolor=face, markeredgecolor=GREY,
                   markeredgewidth=1.3, label=labels.model(name, tier)) for name in models]  # fmt: skip


def hues(methods: list[str]) -> list[Any]:
    """Legend entries for methods: coloured squares."""
    from matplotlib.patches import Patch

    return [Patch(color=COLOURS.get(name, GREY), label=labels.method(name)) for name in methods]


def languages() -> list[Any]:
    """Legend entries for the two languages where both share a panel."""
    from matplotlib.lines import Line2D

    return [Line2D([], [], marker=marker, linestyle="none", color=GREY,
                   label=f"{labels.LANGUAGES[code]} · {labels.ARABIC[code]}")
            for code, marker in LANGUAGE_MARKERS.items()]  # fmt: skip


def absent(axes: Axes) -> None:
    """Say in an empty panel that nothing was measured."""
    axes.text(0.5, 0.5, "not measured\nلم يُقَس", ha="center", va="center", color=GREY, transform=axes.transAxes)
    axes.set(xticks=[], yticks=[])
    axes.grid(False)


def logarithmic(axis: Axis) -> None:
    """Plain numbers on a logarithmic axis; between the decades only where there is less than one of them."""

    def between(value: float, _: object) -> str:
        low, high = axis.get_view_interval()
        lead = int(f"{value:e}"[0])
        return f"{value:g}" if high < 3 * low or (high < 12 * low and lead in (2, 3, 5)) else ""

    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(between)


def beside(axes: Axes, points: Sequence[tuple[float, float, str, str]], left: bool, share: float = 0.5) -> None:
    """Write (x, y, words, colour) beside the points, pushed apart where they are close and led back by a thin line.

    ``share``: the part of the figure's height that the panel takes, about. Call it when the limits of y are final.
    """
    scale = axes.yaxis.get_transform().transform
    bottom, top = scale([*axes.get_ylim()])
    height = 72 * axes.figure.get_figheight() * share / (top - bottom)  # points of the page a unit of the scale
    there = sorted((point for point in points if math.isfinite(point[1])), key=lambda point: point[1])
    exact = [float(scale([y])[0]) * height for _, y, _, _ in there]
    for (x, y, words, colour), place, moved in zip(there, exact, apart(exact, 9), strict=True):
        lead = {"arrowstyle": "-", "color": colour, "linewidth": 0.5, "shrinkA": 1, "shrinkB": 3}
        axes.annotate(words, (x, y), xytext=(-12 if left else 12, moved - place), textcoords="offset points",
                      ha="right" if left else "left", va="center", fontsize=7.5, color=colour,
                      arrowprops=lead if abs(moved - place) > 2 else None)  # fmt: skip


def apart(places: Sequence[float], gap: float) -> list[float]:
    """Rising ``places`` moved, by the least squares, until neighbours are ``gap`` apart.

    Pool-adjacent-violators on the places less their share of the gaps (Ayer et al., 1955).
    """
    pools: list[tuple[float, int]] = []  # mean and count
    for number, place in enumerate(places):
        mean, count = place - number * gap, 1
        while pools and pools[-1][0] > mean:
            before, size = pools.pop()
            mean, count = (before * size + mean * count) / (size + count), size + count
        pools.append((mean, count))
    level = [mean for mean, count in pools for _ in range(count)]
    return [mean + number * gap for number, mean in enumerate(level)]


def offsets(count: int, spread: float = 0.5) -> list[float]:
    """``count`` positions around 0, evenly over ``spread``: what keeps the models of one line apart."""
    return [0.0] * count if count < 2 else [spread * (i / (count - 1) - 0.5) for i in range(count)]
