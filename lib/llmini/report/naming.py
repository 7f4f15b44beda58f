"""Names beside the points of a crowded panel: each where it covers no point, no line and no other name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from llmini.report import picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

SIZE = 7.0  # of the names, points
REACH = (8, 13, 19, 26, 34, 44, 56, 70, 85)  # how far from its point a name may stand, points of the page
TURNS = 32  # directions tried at each distance
MARKER = 4.0  # half a marker, points
AIR = 1.5  # kept free around a name, points
TOLL = 20  # what crossing another name's line costs against standing farther off, points
NEAR = 9  # up to this distance no line need lead from the name to its point


def name_points(axes: Axes, points: Sequence[tuple[float, float, str, str]]) -> list[Annotation]:
    """Write the words of (x, y, words, colour) as near to each point as there is room, led back by a thin line.

    Greedy, from the rightmost point on. A point without room gets no name, so a legend must tell it too. Settles the
    figure's layout: call it last. Returns the names written.
    """
    from matplotlib.path import Path
    from matplotlib.transforms import Bbox

    picture.settle(axes.figure)
    unit = axes.figure.dpi / 72  # pixels a point
    taken, lines, leads, notes = [], [], [], []
    for line in axes.lines:
        path = line.get_transform().transform_path(line.get_path())
        if len(path.vertices) > 1:
            lines.append(path)
        taken += [Bbox.from_extents(*(end - MARKER * unit), *(end + MARKER * unit)) for end in path.vertices[:1]
                  if len(path.vertices) == 1]  # fmt: skip
    names: list[Bbox] = []
    for x, y, words, colour in sorted(points, key=lambda point: (-point[0], -point[1])):
        here = axes.transData.transform((x, y))
        note = axes.text(x, y, words, fontsize=SIZE)
        extent = note.get_window_extent()
        note.remove()
        fits = []  # (distance with the toll for lines crossed, distance, box, line)
        for far, box in _places(here, extent, unit):
            lead = Path([here, (min(max(here[0], box.x0), box.x1), min(max(here[1], box.y0), box.y1))])
            wide = box.padded(AIR * unit)
            if (_inside(wide, axes.bbox) and not wide.count_overlaps([*taken, *names])
                    and not any(line.intersects_bbox(wide, filled=False) for line in (*lines, *leads))
                    and not any(lead.intersects_bbox(name, filled=False) for name in names)):  # fmt: skip
                crossed = sum(lead.intersects_path(other, filled=False) for other in leads)
                fits.append((far + TOLL * crossed, far, box, lead))
        if not fits:
            continue
        _, far, box, lead = min(fits, key=lambda fit: fit[0])
        names.append(box.padded(AIR * unit))
        leads += [lead] if far > NEAR else []
        offset = (box.x0 - here[0]) / unit, (box.y0 + box.y1 - 2 * here[1]) / 2 / unit
        end = tuple((lead.vertices[1] - (box.x0, box.y0)) / (box.width, box.height))  # where on the name's frame
        style = {"arrowstyle": "-", "color": colour, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2, "relpos": end}
        notes.append(axes.annotate(words, (x, y), xytext=offset, textcoords="offset points", fontsize=SIZE, va="center",
                                   ha="left", color=colour, arrowprops=style if far > NEAR else None))  # fmt: skip
    return notes


def _places(here: Any, extent: Bbox, unit: float) -> Iterator[tuple[float, Bbox]]:
    """(distance, box) of every place for a text of ``extent`` around a point, near ones first, level ones before."""
    from matplotlib.transforms import Bbox

    turns = sorted((2 * math.pi * turn / TURNS for turn in range(TURNS)), key=lambda turn: abs(math.sin(turn)))
    for far in REACH:
        for turn in turns:
            x, y = here[0] + far * unit * math.cos(turn), here[1] + far * unit * math.sin(turn)
            left = x - extent.width * (0.5 - 0.5 * max(-1, min(1, 2 * math.cos(turn))))
            low = y - extent.height * (0.5 - 0.5 * math.sin(turn))
            yield far, Bbox.from_bounds(left, low, extent.width, extent.height)


def _inside(box: Bbox, frame: Bbox) -> bool:
    return frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
