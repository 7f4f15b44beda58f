"""Boxes and arrows: how a diagram is drawn, whatever it was read from."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from llmini.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Paul Tol's "light" scheme: pale enough to write on, apart in every kind of colour vision.
HUES = {"data": "#DDDDDD", "code": "#BBE3F5", "act": "#E8F0C4", "result": "#FBD9E3", "aside": "#F5F5F5"}
INK, EDGE = "#222222", "#777777"
INSTEAD = "One of six drawn in place of the study's diagrams, its Figures 2 to 7."
TITLE, LINE = 8.5, 7.2  # points
GAP, HEAD = 0.16, 0.17  # of a line of small text and of a title, in inches


class Box(NamedTuple):
    """A box by its left upper corner, in inches; ``lines`` are small text below the title."""

    x: float
    y: float
    width: float
    height: float
    title: str
    lines: tuple[str, ...] = ()
    hue: str = "code"


class Arrow(NamedTuple):
    """From one box to another; ``words`` beside it; dashed where it is no step of the main way."""

    start: str
    end: str
    words: str = ""
    dashed: bool = False


def column(x: float, y: float, width: float, boxes: Iterable[tuple[str, str, Sequence[str], str]],
           air: float = 0.22) -> dict[str, Box]:  # fmt: skip
    """Boxes (key, title, lines, hue) below each other from (x, y), each as high as its text."""
    out = {}
    for key, title, lines, hue in boxes:
        wrapped, headed = wrap(lines, width), textwrap.fill(title, round(width * 12))
        height = 0.36 + HEAD * headed.count("\n") + GAP * len(wrapped) + (0.06 if wrapped else 0)
        out[key] = Box(x, y, width, height, headed, wrapped, hue)
        y -= height + air
    return out


def row(x: float, y: float, width: float, boxes: Sequence[tuple[str, str, Sequence[str], str]],
        air: float = 0.3) -> dict[str, Box]:  # fmt: skip
    """Boxes beside each other from (x, y), all as high as the highest, sharing ``width``."""
    each = (width - air * (len(boxes) - 1)) / max(1, len(boxes))
    made = [column(x + place * (each + air), y, each, [box]) for place, box in enumerate(boxes)]
    height = max((box.height for own in made for box in own.values()), default=0)
    return {key: box._replace(height=height) for own in made for key, box in own.items()}


def wrap(lines: Iterable[str], width: float) -> tuple[str, ...]:
    """Lines broken to a box's width."""
    letters = max(8, round(width * 16.5))
    return tuple(part for line in lines for part in textwrap.wrap(line, letters, subsequent_indent="  "))


@style.styled
def draw(boxes: dict[str, Box], arrows: Iterable[Arrow], title: str, arabic: str, caption: str) -> Figure:
    """A figure as high as its boxes need, 9.6 inches wide, titled in both languages."""
    top = max(box.y for box in boxes.values()) + 0.1
    low = min(box.y - box.height for box in boxes.values()) - 0.1
    figure, axes = style.canvas(1, 1, (9.6, top - low + 1.15))
    panel = axes[0][0]
    panel.set(xlim=(0, 9.6), ylim=(low, top), xticks=[], yticks=[])
    panel.grid(False)
    for spine in panel.spines.values():
        spine.set_visible(False)
    for arrow in arrows:
        if arrow.start in boxes and arrow.end in boxes:
            _arrow(panel, boxes[arrow.start], boxes[arrow.end], arrow)
    for box in boxes.values():
        _box(panel, box)
    style.words(figure, title, arabic, f"{caption} {INSTEAD}")
    return figure


def _box(panel: Axes, box: Box) -> None:
    from matplotlib.patches import FancyBboxPatch

    frame = {"boxstyle": "round,pad=0,rounding_size=0.06", "facecolor": HUES[box.hue], "edgecolor": EDGE}
    corner = (box.x, box.y - box.height)
    panel.add_patch(FancyBboxPatch(corner, box.width, box.height, linewidth=0.8, zorder=2, **frame))
    middle = box.x + box.width / 2
    more = HEAD * box.title.count("\n")
    high = box.y - 0.19 - more / 2 if box.lines else box.y - box.height / 2
    words = {"fontsize": TITLE, "fontweight": "bold", "color": INK, "zorder": 3}
    panel.text(middle, high, box.title, ha="center", va="center", **words)
    for place, line in enumerate(box.lines):
        panel.text(box.x + 0.08, box.y - 0.42 - more - GAP * place, line, ha="left", va="center", fontsize=LINE,
                   color=INK, zorder=3)  # fmt: skip


def _arrow(panel: Axes, start: Box, end: Box, arrow: Arrow) -> None:
    """Straight where the boxes face each other, from the nearest sides."""
    (x, y), (x2, y2), bend = _ends(start, end)
    panel.annotate("", (x2, y2), (x, y), zorder=1, arrowprops={
        "arrowstyle": "-|>", "color": EDGE, "linewidth": 1.0, "shrinkA": 0, "shrinkB": 0,
        "linestyle": "--" if arrow.dashed else "-", "connectionstyle": f"arc3,rad={bend}"})  # fmt: skip
    if arrow.words:
        panel.text((x + x2) / 2, (y + y2) / 2 + 0.09, arrow.words, ha="center", va="center", fontsize=LINE, color=INK,
                   zorder=4, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6})  # fmt: skip


def _ends(start: Box, end: Box) -> tuple[tuple[float, float], tuple[float, float], float]:
    """Where an arrow leaves one box and meets the other, and how far it bends."""
    right, left = start.x + start.width <= end.x, end.x + end.width <= start.x
    level = min(start.y, end.y) - max(start.y - start.height, end.y - end.height)
    if right or left:
        x, x2 = (start.x + start.width, end.x) if right else (start.x, end.x + end.width)
        if level > 0:  # they share a height
            y = (min(start.y, end.y) + max(start.y - start.height, end.y - end.height)) / 2
            return (x, y), (x2, y), 0.0
        return (x, start.y - start.height / 2), (x2, end.y - end.height / 2), 0.0
    middle = (max(start.x, end.x) + min(start.x + start.width, end.x + end.width)) / 2
    if start.y > end.y:
        return (middle, start.y - start.height), (middle, end.y), 0.0
    return (middle, start.y), (middle, end.y - end.height), 0.0
