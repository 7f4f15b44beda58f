"""How every figure looks: colours, markers, fonts, and files whose bytes depend on the data alone."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini.records import write_atomic
from llmini.report import labels
from llmini.settings import root

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

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
RC = {
    "font.family": "DejaVu Sans",  # shipped with matplotlib, and it holds the Arabic letters
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.markersize": 5.5,
    "svg.hashsalt": "llmini",  # ids in an SVG file are hashed with it, not with a random number
    "svg.fonttype": "path",
    "path.simplify": True,
}
DPI = 150
METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}  # no date, no version
GREY = "#666666"


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Run ``draw`` under the house style, whatever the caller's matplotlib settings are."""

    @wraps(draw)
    def under_style(*args: Any, **options: Any) -> Figure:
        import matplotlib

        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(RC)
            return draw(*args, **options)

    return under_style


def canvas(rows: int, columns: int, size: tuple[float, float], **options: Any) -> tuple[Figure, Any]:
    """A figure outside pyplot (no global state) and its axes as a 2-d array. A notebook shows it without pyplot."""
    figure = _drawing()(figsize=size, layout="constrained")
    figure.get_layout_engine().set(h_pad=0.06, w_pad=0.08, hspace=0.02, wspace=0.03)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


@cache
def _drawing() -> type[Figure]:
    from matplotlib.figure import Figure

    class Drawing(Figure):
        def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
            return rendered(self, "png"), {"width": round(96 * self.get_figwidth())}

    return Drawing


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
    figure.suptitle(f"{title}\n{arabic}", fontsize=11, fontweight="bold")
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


def beside(axes: Axes, place: float, values: list[tuple[float, str]], left: bool) -> None:
    """Write (value, colour) pairs beside the points at x = ``place``, pushed apart where the values are close."""
    bottom, top = (math.log(limit) for limit in axes.get_ylim())
    height = 72 * axes.figure.get_figheight() * 0.5 / (top - bottom)  # points per e-fold, about
    last = -math.inf
    for value, colour in sorted(pair for pair in values if pair[0] > 0):
        last = max(math.log(value) * height, last + 9)
        axes.annotate(f"{value:.2g}", (place, value), xytext=(-8 if left else 8, last - math.log(value) * height),
                      textcoords="offset points", ha="right" if left else "left", va="center", fontsize=7.5,
                      color=colour)  # fmt: skip


def offsets(count: int, spread: float = 0.5) -> list[float]:
    """``count`` positions around 0, evenly over ``spread``: what keeps the models of one line apart."""
    return [0.0] * count if count < 2 else [spread * (i / (count - 1) - 0.5) for i in range(count)]


@dataclass(frozen=True)
class Picture:
    """A saved figure; a notebook cell that ends with one shows it."""

    name: str
    png: bytes
    width: int

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        return self.png, {"width": self.width}

    def __repr__(self) -> str:
        return f"figure {self.name}"


def save(figure: Figure, folder: str | Path, name: str) -> Picture:
    """Write ``FOLDER/NAME.png`` and ``.svg`` (from the checkout's root unless absolute); the same figure gives the
    same bytes: no date, no random ids. Returns the picture for display.
    """
    files = {suffix: rendered(figure, suffix) for suffix in METADATA}
    for suffix, content in files.items():
        write_atomic(root() / folder / f"{name}.{suffix}", lambda path, data=content: path.write_bytes(data))
    return Picture(name, files["png"], round(figure.get_figwidth() * 96))


def rendered(figure: Figure, suffix: str) -> bytes:
    """``figure`` as a PNG or SVG file's bytes, under the house style."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        figure.savefig(buffer, format=suffix, dpi=DPI, metadata=METADATA[suffix], facecolor="white")
    return buffer.getvalue()
