"""Figures as files whose bytes depend on the data alone: house settings, a settled layout, no dates, no random ids."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini.records import write_atomic
from llmini.report import numbering
from llmini.settings import root

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
TITLE = {"fontsize": 11, "fontweight": "bold"}  # of a whole figure
PLACES = 6  # decimals of an axes' corner in the figure: a thousandth of a pixel


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
        caption = ""  # what stands below the panels

        def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
            return rendered(self, "png"), {"width": round(96 * self.get_figwidth()), "alt": spoken(self)}

    return Drawing


@dataclass(frozen=True)
class Picture:
    """A saved figure; a notebook cell that ends with one shows it. ``alt``: title and caption, to be read aloud."""

    name: str
    png: bytes
    width: int
    alt: str = ""

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        return self.png, {"width": self.width, "alt": self.alt}

    def __repr__(self) -> str:
        return self.alt or f"figure {self.name}"


def save(figure: Figure, folder: str | Path, name: str) -> Picture:
    """Write ``FOLDER/NAME.png`` and ``.svg`` (from the checkout's root unless absolute); the same figure gives the
    same bytes: no date, no random ids, a settled layout. A figure of the report gets its number. Returns the picture
    for display.
    """
    number = numbering.label(name)
    if number and not figure.get_suptitle().startswith(number):
        figure.suptitle(f"{number}. {figure.get_suptitle()}", **TITLE)
    files = {suffix: rendered(figure, suffix) for suffix in METADATA}
    for suffix, content in files.items():
        write_atomic(root() / folder / f"{name}.{suffix}", lambda path, data=content: path.write_bytes(data))
    return Picture(name, files["png"], round(figure.get_figwidth() * 96), spoken(figure))


def spoken(figure: Figure) -> str:
    """What a screen reader says of ``figure``: its title in both languages, or else its panels', and its caption."""
    titles = figure.get_suptitle().split("\n") if figure.get_suptitle() else [axes.get_title() for axes in figure.axes]
    return " ".join(filter(None, (*titles, getattr(figure, "caption", ""))))


def rendered(figure: Figure, suffix: str) -> bytes:
    """``figure`` as a PNG or SVG file's bytes, under the house style."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        settle(figure)
        figure.savefig(buffer, format=suffix, dpi=DPI, metadata=METADATA[suffix], facecolor="white")
    return buffer.getvalue()


def settle(figure: Figure) -> None:
    """Lay ``figure`` out once, at the PNG's resolution, and keep the places of its axes to :data:`PLACES` decimals.

    The solver of constrained layout leaves the last bits of a place to chance (the order in which it meets its terms
    follows memory addresses), and an SVG file's ids are hashes of whole floating-point numbers.
    """
    engine = figure.get_layout_engine()
    if engine is None:
        return
    figure.set_dpi(DPI)
    engine.execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position([round(float(edge), PLACES) for edge in axes.get_position(original=True).bounds])
