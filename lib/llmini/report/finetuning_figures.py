"""Figures of fine-tuning: methods over the study's layers, what each stage leaves of every skill, and loss curves."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from llmini.report import finetuning_paired, finetuning_runs, forgetting, labels, learning_paired, learning_runs, style
from llmini.report.display import number, signed
from llmini.report.finetuning_paired import CULTURE, GULF, SKILLS
from llmini.report.finetuning_runs import COMPARED, ORDINALS, STAGES, TUNED, joined, method
from llmini.report.learning_curves import read, smooth
from llmini.report.learning_tables import printed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from llmini.grid import Run
    from llmini.report.measured import Results

HUES = {"ft_v1": "#007D79", "ft_v2": "#B28600"}  # apart from distillation's in hue and in grey
MARKERS = {**style.LANGUAGE_MARKERS, "": "D", "gulf": "s"}
SHIFT = {"ar": -0.24, "en": 0.24, "": 0.0, "gulf": 0.0}
BOUNDS = {"metric": "accuracy_upper_bound", "benchmark": "bahrain_corpus", "task": "overall"}
PAIRS = {"metric": "lpg", "language": "en_ar"}
# Panel title; (language or nothing, where Table 19 prints it) of each series.
PANELS = (
    ("L1: knowledge, %\nالمعرفة", (("ar", {"benchmark": "arabic_mmlu"}), ("en", {"benchmark": "mmlu"}))),
    ("L2A: culture, %\nالثقافة", (("", {"benchmark": "aradice_culture"}),)),
    ("L2B: Bahraini, %\nاللهجة البحرينية", (("", BOUNDS),)),
    ("L3: LPG, points\nفجوة اللغتين بالنقاط", (("", PAIRS),)),
    ("perplexity\nالحيرة", (("", {"metric": "perplexity"}),)),
)
CURVES = ("-", "--", ":", "-.", (0, (6, 2, 1, 2, 1, 2)), (0, (1, 3)))  # of the study's curriculum, then ablations


def hue(name: str) -> str:
    """The colour of a method in every figure of fine-tuning."""
    return HUES.get(name, style.COLOURS.get(name, style.GREY))


def dot(panel: Axes, x: float, y: float, name: str, solid: bool, **options: Any) -> None:
    """A point of :func:`style.point` in the method's own colour."""
    colour = hue(name)
    style.point(panel, x, y, model="", method=name, solid=solid, markeredgecolor=colour,
                markerfacecolor=colour if solid else "white", **options)  # fmt: skip


def values(results: Results, name: str, column: int, code: str) -> list[float]:
    """Measured values of a panel of :func:`comparison`, one for a seed."""
    runs = finetuning_runs.after(results, name).values()
    if column == 3:
        found = [learning_paired.value(results, run, "lpg") for run in runs]
    elif column == 4:
        found = [finetuning_runs.perplexity(results, run, code) for run in runs]
    else:
        own = CULTURE if column == 1 else GULF if column == 2 else finetuning_paired.knowledge(code)
        found = [finetuning_paired.average(results, [run], own) for run in runs]
    return finetuning_paired.known(found)


@style.styled
def comparison(results: Results) -> Figure:
    """The study's comparison of distillation and fine-tuning over its layers, and every training seed here."""
    results = joined(results)
    figure, axes = style.canvas(2, len(PANELS), (9.6, 6.6), sharey="row")
    for row, solid in enumerate((False, True)):
        for column, (panel, (words, series)) in enumerate(zip(axes[row], PANELS, strict=True)):
            drawn = 0
            series = tuple((code, {}) for code in ("ar", "gulf", "en")) if solid and column == 4 else series
            for line, name in enumerate(COMPARED):
                for code, where in series:
                    found = values(results, name, column, code) if solid else [printed(19, name, **where)]
                    for value in found:
                        dot(panel, value, line + SHIFT[code], name, solid, marker=MARKERS[code], alpha=0.85)
                        drawn += value == value
            panel.set_title(words, fontsize=8.5)
            if not drawn:
                style.absent(panel)
            panel.grid(axis="y", visible=False)
            panel.margins(x=0.14)
            if column == 3 and drawn:
                panel.axvline(0, color="#000000", linewidth=0.9, zorder=1)
        if any(panel.lines for panel in axes[row]):
            axes[row][0].set_yticks(range(len(COMPARED)), [method(name) for name in COMPARED])
            axes[row][0].set_ylim(len(COMPARED) - 0.5, -0.5)
        axes[row][0].set_ylabel(style.heading(results.tier, not solid), fontweight="bold")
    style.words(figure, "What do distillation and fine-tuning change?", "ماذا يغيّر التقطير والضبط الدقيق؟",
                "After the study's Figure 11. Hollow: as reported (Table 19): 30 culture questions, keyword scores "
                "of the dialect tasks, 30 pairs, "
                f"perplexity of an unnamed text. Solid: {labels.tier(results.tier)}, {learning_runs.student(results)}, "
                "every training seed a point, fine-tuned models after stage 3. L1: ArabicMMLU and MMLU, measured the "
                "metabench mean. L2B: mean of three tasks. Perplexity: held-out text.",
                [(0.5, marks(), 4)])  # fmt: skip
    return figure


def marks() -> list[Any]:
    """Legend entries for languages, Gulf Arabic among them, and for what has none."""
    from matplotlib.lines import Line2D

    words = {code: f"{labels.LANGUAGES[code]} · {labels.ARABIC[code]}" for code in ("ar", "gulf", "en")}
    return [Line2D([], [], marker=MARKERS[code], linestyle="none", color=style.GREY, label=text)
            for code, text in {**words, "": "one value · قيمة واحدة"}.items()]  # fmt: skip


@style.styled
def heat(results: Results) -> Figure:
    """Every skill after every stage: what the start scores, and the points that each stage adds or takes away."""
    results = joined(results)
    figure, axes = style.canvas(2, 1, (9.6, 7.0))
    for panel, name in zip(axes[:, 0], TUNED, strict=True):
        cells = forgetting.matrix(results, name)
        panel.set_title(method(name))
        if all(math.isnan(cell["change"]) for stage in STAGES for cell in cells[stage].values()):
            style.absent(panel)
            continue
        shades(panel, cells)
        panel.set_xticks(range(len(SKILLS)), [f"{skill.words}\n{_narrow(skill.arabic)}" for skill in SKILLS],
                         fontsize=7)  # fmt: skip
    style.words(figure, "What does each stage leave of every skill?", "ماذا تُبقي كل مرحلة من كل مهارة؟",
                f"{labels.tier(results.tier).capitalize()}, {learning_runs.student(results)}, means over the training "
                "seeds. First line: percent right at the start. Below: points against the start after each stage; "
                "bold where the 95 % interval excludes zero. A frame marks the stage that teaches the task.")
    return figure


def _narrow(text: str) -> str:
    """Arabic in two lines where it has more than one word."""
    first, _, rest = text.partition(" ")
    return f"{first}\n{rest}" if rest else text


def shades(panel: Axes, cells: dict[int, dict[str, dict[str, float]]]) -> None:
    """The matrix as shaded cells with their numbers; light enough that black text reads on every one, in print too."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    shade = LinearSegmentedColormap.from_list("change", ["#F2A35E", "#FFFFFF", "#9DB7E8"])
    moved = finetuning_paired.known(cell["change"] for stage in STAGES for cell in cells[stage].values())
    reach = max(1.0, *map(abs, moved))
    grid = [[cells[stage][skill.words]["change"] for skill in SKILLS] for stage in forgetting.ROWS]  # NaN at the start
    grid = [[0.0 if math.isnan(value) else value for value in line] for line in grid]
    panel.imshow(grid, cmap=shade, vmin=-reach, vmax=reach, aspect="auto", interpolation="nearest")
    for row, stage in enumerate(forgetting.ROWS):
        for column, skill in enumerate(SKILLS):
            cell = cells[stage][skill.words]
            text = signed(cell["change"], 1, "–") if stage else number(cell["value"], 1, "–")
            sure = stage and (cell["low"] > 0 or cell["high"] < 0)
            panel.text(column, row, text, ha="center", va="center", fontsize=8, color="#000000",
                       fontweight="bold" if sure else "normal", style="normal" if stage else "italic")  # fmt: skip
            if stage in skill.stages:
                panel.add_patch(Rectangle((column - 0.46, row - 0.43), 0.92, 0.86, fill=False, linewidth=1.4,
                                          edgecolor="#000000"))  # fmt: skip
    names = ["start, %\nالبداية", *(f"stage {stage}\nالمرحلة {ORDINALS[stage]}" for stage in STAGES)]
    panel.set_yticks(range(len(names)), names)
    panel.tick_params(length=0)
    panel.grid(False)


@style.styled
def curves(runs: Iterable[Run]) -> Figure:
    """Training loss by step, a panel a stage; hue by method, pattern by ablation, one line a seed."""
    from matplotlib.lines import Line2D

    found = [(run, read(run)) for run in runs if run.method in TUNED]
    found = [(run, rows) for run, rows in found if rows]
    kinds = list(dict.fromkeys((run.method, finetuning_runs.setting(finetuning_runs.changed(run.options)))
                               for run, _ in found))  # fmt: skip
    patterns = {setting: CURVES[place % len(CURVES)] for place, setting in enumerate(dict.fromkeys(
        setting for _, setting in kinds))}  # fmt: skip
    figure, axes = style.canvas(1, len(STAGES), (9.6, 3.9), sharey=True)
    for panel, stage in zip(axes[0], STAGES, strict=True):
        panel.set_title(f"stage {stage}\nالمرحلة {ORDINALS[stage]}")
        own = [(run, *smooth(rows, "loss")) for run, rows in found if run.options.get("stage") == stage]
        for run, steps, losses in own:
            setting = finetuning_runs.setting(finetuning_runs.changed(run.options))
            panel.plot(steps, losses, color=hue(run.method), linestyle=patterns[setting], linewidth=1.2,
                       label=run.run_id)  # fmt: skip
        if not own:
            style.absent(panel)
            continue
        panel.set_xlabel("step · الخطوة")
    axes[0][0].set_ylabel("loss, nats a token\nالخسارة لكل رمز")
    entries = [Line2D([], [], color=hue(name), linestyle=patterns[setting], label=f"{method(name)}, {setting}")
               for name, setting in kinds]  # fmt: skip
    style.words(figure, "How the student was tuned", "كيف ضُبط التلميذ",
                "Cross-entropy of the tokens learned: whole texts in FT-v1, answers too in FT-V2, so that the two "
                "losses are of other tokens. Every seed is a line.", [(0.5, entries, 3)])  # fmt: skip
    return figure
