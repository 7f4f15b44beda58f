"""What a method costs to apply: seconds, memory and bytes, each where it was measured."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from llmini.report import labels, style
from llmini.report.categories import METHODS, runs
from llmini.report.sentences import listed, name, nothing, said
from llmini.report.tables import unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from llmini.report.display import Shown
    from llmini.report.measured import Results


class Cost(NamedTuple):
    """Of one run: seconds to compress, peak memory of that (bytes: of the device where there is one, else of the
    process), the size of its files and its size packed (bytes). NaN where not recorded."""

    seconds: float
    memory: float
    disk: float
    packed: float


PANELS = (("seconds", "seconds to compress\nثواني الضغط"),
          ("memory", "peak memory while\ncompressing, {}\nذروة الذاكرة عند الضغط"),
          ("disk", "size of the files, {}\nحجم الملفات"), ("packed", "packed size, {}\nالحجم المرصوص"))  # fmt: skip


def of(results: Results, run: str) -> Cost:
    """The cost of one run from its recipe and its sizes."""
    text = results.provenance.get(run, {}).get("recipe")
    told: dict[str, Any] = json.loads(text) if isinstance(text, str) and text.startswith("{") else {}
    seconds, memory = told.get("seconds", {}), told.get("peak_memory", {})
    total = seconds.get("total", math.nan) if isinstance(seconds, dict) else float(seconds)
    peak = memory.get("device") or memory.get("host") or math.nan if isinstance(memory, dict) else math.nan
    return Cost(total, float(peak), *(results.cell(run, f"size_{kind}").value for kind in ("disk", "packed")))


@style.styled
def figure(results: Results) -> Figure:
    """Seconds, memory and sizes of every method, a marker a model."""
    methods, (scale, word) = results.methods(METHODS), unit(results.tier)
    models = results.studied()
    figure, axes = style.canvas(1, 4, (9.6, 2.6 + 0.27 * max(4, len(methods))), sharey=True)
    shift = dict(zip(models, style.offsets(len(models), 0.5), strict=True))
    for panel, (field, words) in zip(axes[0], PANELS, strict=True):
        drawn = 0
        for line, method in enumerate(methods):
            for model in models:
                run = results.run(model, method)
                value = getattr(of(results, run), field) if run else math.nan
                value = value if field == "seconds" else value / scale
                style.point(panel, value, line + shift[model], model=model, method=method, solid=True)
                drawn += value == value
        if not drawn:
            style.absent(panel)
            continue
        panel.set_xlabel(words.format(word), fontsize=8)
        if field in ("seconds", "memory"):
            panel.set_xscale("log")
            style.logarithmic(panel.xaxis)
        else:
            panel.set_xlim(left=0)
        panel.grid(axis="y", visible=False)
    if methods:
        axes[0][0].set_yticks(range(len(methods)), [labels.method(method) for method in methods])
        axes[0][0].set_ylim(len(methods) - 0.5, -0.5)
    style.words(figure, "What does a method cost to apply?", "كم تكلّف كل طريقة عند تطبيقها؟",
                f"{labels.tier(results.tier).capitalize()}, on the machine that measured here. Memory while "
                "compressing: of the device, or of the whole process where there is none, libraries included. "
                "Packed: pruned matrices as a 1-bit mask and "
                "their nonzero values.", [(0.5, style.handles(models, results.tier, True), 4)])  # fmt: skip
    return figure


def answer(results: Results, model: str = "allam_7b") -> Shown:
    """The quickest and the slowest method to apply on the main model, and the smallest file."""
    own = {method: of(results, run) for method, run in runs(results, model).items()}
    timed = {method: cost.seconds for method, cost in own.items() if not math.isnan(cost.seconds)}
    sized = {method: cost.packed for method, cost in own.items() if not math.isnan(cost.packed)}
    if not timed or not sized:
        return nothing()
    from llmini.report.display import number

    quick, slow = min(timed, key=timed.get), max(timed, key=timed.get)
    small = [method for method, packed in sized.items() if packed == min(sized.values())]
    scale, word = unit(results.tier)
    ends = [f"{labels.method(method)} ({number(timed[method], 1)} s)" for method in (quick, slow)]
    size = number(min(sized.values()) / scale, 1)
    return said(
        f"On {labels.model(model, results.tier)} compressing takes from {ends[0]} to {ends[1]}. The smallest packed "
        f"size is {size} {word}, by {listed(map(labels.method, small))}.",
        f"أسرع الطرق تطبيقًا {name(quick)} وزمنها بالثواني {number(timed[quick], 1)}، وأبطؤها {name(slow)} وزمنها "
        f"{number(timed[slow], 1)}. وأصغر حجم مرصوص <bdi>{size} {word}</bdi>، بطريقة {' أو '.join(map(name, small))}.",
    )
