"""Figures of the distillation notebooks: how students learned, and how much a few pairs of questions can tell."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from llmini.report import labels, learning_paired, learning_runs, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from llmini.grid import Run
    from llmini.report.learning_runs import Line
    from llmini.report.measured import Results

LOG = "training.json"
PANELS = {"loss": "loss\nالخسارة", "ce": "cross-entropy, nats per token\nالإنتروبيا التقاطعية لكل رمز",
          "kl": "divergence from the teacher, nats\nالتباعد عن المعلّم لكل رمز",
          "ar": "tokens kept, Arabic, %\nالرموز المختارة في العربية",
          "en": "tokens kept, English, %\nالرموز المختارة في الإنجليزية"}  # fmt: skip
POINTS = 40  # of a drawn curve
STYLES = ("-", "--", ":", "-.")  # runs of one stage
SIZES = (15, 30)  # pairs on which the study measured seeds and behaviour
DRAWS = 4000


def read(run: Run) -> list[dict[str, Any]]:
    """The curve of a run's training.json; empty for the base and for a checkpoint that is no longer there."""
    path = run.folder / "checkpoint" / LOG
    return json.loads(path.read_text(encoding="utf8"))["curve"] if path.exists() else []


def smooth(rows: list[dict[str, Any]], name: str) -> tuple[list[float], list[float]]:
    """Steps and values of ``loss``, ``ce``, ``kl`` (means weighed by kept tokens) or a language's kept share (percent),
    over at most :data:`POINTS` stretches.
    """
    rows = [row for row in rows if name in row or f"kept_{name}" in row]
    width = max(1, -(-len(rows) // POINTS))
    steps, values = [], []
    for start in range(0, len(rows), width):
        part = rows[start : start + width]
        if name in PANELS and name not in labels.SUITES:
            weights = [row.get("kept", 1) for row in part]
            value = sum(row[name] * weight for row, weight in zip(part, weights, strict=True)) / max(1, sum(weights))
        else:
            value = 100 * sum(row[f"kept_{name}"] for row in part) / max(1, sum(row[f"tokens_{name}"] for row in part))
        steps.append(part[-1]["step"])
        values.append(value)
    return steps, values


@style.styled
def curves(runs: Iterable[Run]) -> Figure:
    """Loss, cross-entropy, divergence and kept share per language, by training step; one line a run."""
    found = {run.run_id: (run, read(run)) for run in runs}
    found = {name: pair for name, pair in found.items() if pair[1]}
    lines = {name: learning_runs.Line(name, run.method, run.options.get("seed", 0), run.options.get("preset", ""),
                                      {key: run.options[key] for key in learning_runs.OPTIONS if key in run.options},
                                      False) for name, (run, _) in found.items()}  # fmt: skip
    looks, named = _looks(lines), learning_runs.names(lines.values())
    figure, axes = style.canvas(2, 3, (9.6, 5.4))
    panels = dict(zip(PANELS, axes.flat, strict=False))
    for key, panel in panels.items():
        drawn = [(name, *smooth(rows, key)) for name, (_, rows) in found.items()]
        drawn = [(name, steps, values) for name, steps, values in drawn if steps]
        panel.set_title(PANELS[key], fontsize=8.5)
        if not drawn:
            style.absent(panel)
            continue
        for name, steps, values in drawn:
            panel.plot(steps, values, linewidth=1.2, label=named[name], **looks[name])
        panel.set_ylim(bottom=0)
        if key in labels.SUITES:
            panel.set_ylim(0, 105)
        panel.set_xlabel("step · الخطوة")
    handles = _legend(lines, looks, named)
    axes[1][2].axis("off")
    axes[1][2].legend(handles=handles, loc="center", ncols=1 + len(handles) // 13, fontsize=7.5)
    style.words(figure, "How the students learned", "كيف تعلّم التلاميذ",
                "Means over the tokens that counted. Stages of answers alone have no divergence and keep every token. "
                "The loss of Token-KD and SelecTKD is a sum of both terms: it has another scale.")  # fmt: skip
    return figure


def _looks(lines: dict[str, Line]) -> dict[str, dict[str, Any]]:
    """Hue by stage; main runs of every seed in one full line, each ablation and preset in a pattern of its own."""
    out, kinds = {}, {}
    for name, line in lines.items():
        own = kinds.setdefault(line.method, {})
        kind = (line.preset, str(line.options))
        pattern = own.setdefault(kind, next(itertools.islice(itertools.cycle(STYLES), len(own), None)))
        out[name] = {"color": style.COLOURS.get(line.method, style.GREY), "linestyle": pattern}
    return out


def _legend(lines: dict[str, Line], looks: dict[str, Any], named: dict[str, str]) -> list[Any]:
    """One entry a line; the seeds of one kind share theirs."""
    from matplotlib.lines import Line2D

    out = {}
    for name, line in lines.items():
        out.setdefault(learning_runs.name(line), Line2D([], [], label=learning_runs.name(line), **looks[name]))
    return list(out.values())


def _bar(panel: Axes, ends: tuple[float, float], line: float, colour: str, width: float, alpha: float) -> None:
    panel.plot(ends, (line, line), color=colour, linewidth=width, alpha=alpha, solid_capstyle="butt", zorder=2)


@style.styled
def subset_figure(results: Results, main: bool = False) -> Figure:
    """Where LPG and CLCS land on 15 and on 30 of the pairs, and what all of them say, for one seed of each student.

    ``main`` leaves ablations and controls out.
    """
    import numpy

    from llmini.measure import bilingual

    chosen = [line for line in learning_runs.lines(results) if line.behaviour and not line.preset]
    if main:
        chosen = [line for line in chosen if line.method in labels.STAGES and not line.options]
    seeds = [line.seed for line in chosen if line.method in learning_runs.TRAINED]
    chosen = [line for line in chosen if line.method == labels.BASE or line.seed == min(seeds, default=0)]
    chosen = [line for line in chosen if learning_paired.questions(results, line.run) is not None]
    figure, axes = style.canvas(1, 2, (9.6, 2.6 + 0.42 * max(len(chosen), 3)), sharey=True)
    looks = {15: (-0.26, 3.0, 0.35), 30: (0.0, 3.0, 0.65), None: (0.26, 1.4, 1.0)}
    for place, line in enumerate(chosen):
        pairs, colour = learning_paired.questions(results, line.run), style.COLOURS.get(line.method, style.GREY)
        found = learning_paired.behaviour(results, line.run)
        for size in (size for size in SIZES if size <= len(pairs)):
            drawn = 100 * bilingual.subsets(pairs, size, DRAWS)
            shift, width, alpha = looks[size]
            for panel, metric in zip(axes[0], ("lpg", "clcs"), strict=True):
                low, high = numpy.quantile(drawn[metric], (0.025, 0.975))
                _bar(panel, (low, high), place + shift, colour, width, alpha)
        for panel, metric in zip(axes[0], ("lpg", "clcs"), strict=True):
            cell = found[metric, ""]
            _bar(panel, (cell["low"], cell["high"]), place + looks[None][0], colour, looks[None][1], 1.0)
            panel.plot([cell["value"]], [place + looks[None][0]], marker="o", color=colour, linestyle="none", zorder=3)
    names = [learning_runs.name(line) for line in chosen]
    for panel, words in zip(axes[0], ("LPG: English minus Arabic accuracy, points\nتفوّق الإنجليزية على العربية بالنقاط",
                                      "CLCS: answered alike, %\nنسبة ما تتفق فيه اللغتان"), strict=True):  # fmt: skip
        if not chosen:
            style.absent(panel)
            continue
        panel.set_yticks(range(len(names)), names)
        panel.set_ylim(len(names) - 0.45, -0.55)
        panel.set_xlabel(words)
        panel.grid(axis="y", visible=False)
    if chosen:
        axes[0][0].axvline(0, color="#000000", linewidth=0.9, zorder=1)
    style.words(figure, "How much can thirty questions tell?", "كم يُعرف من ثلاثين سؤالًا؟",
                f"{learning_runs.student(results)}, {labels.tier(results.tier)}, one seed. Thick bars: where 95 % of "
                "the subsets of that many pairs fall, drawn from the same answers. Thin bars with points: all pairs, "
                "with their 95 % intervals.", [(0.5, _sizes(looks), 3)])  # fmt: skip
    return figure


def _sizes(looks: dict[Any, tuple[float, float, float]]) -> list[Any]:
    from matplotlib.lines import Line2D

    words = {15: "15 pairs · 15 سؤالًا", 30: "30 pairs · 30 سؤالًا", None: "all pairs · الأسئلة كلها"}
    return [Line2D([], [], color=style.GREY, linewidth=width, alpha=alpha, label=words[size],
                   marker="o" if size is None else "none") for size, (_, width, alpha) in looks.items()]  # fmt: skip
