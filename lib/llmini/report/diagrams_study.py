"""The study's framework as this repository carries it out, drawn from the grid, the workflow and the notebooks."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from llmini.report import display, labels
from llmini.report.diagrams import Arrow, Box, column, draw, row
from llmini.settings import root

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {"quant": "Quantization", "prune": "Pruning", "kd": "Distillation", "finetune": "Fine-tuning",
         "encoder": "Encoders", "merge": "Translate, tune, merge", "browser": "In the browser"}  # fmt: skip
# One notebook for each way of making a model smaller or better.
ACTS = ("01_quant/01_quantization.ipynb", "02_prune/01_pruning.ipynb", "03_kd/02_distill.ipynb",
        "04_finetune/01_curriculum.ipynb")  # fmt: skip
CORPORA = {"arabic": "Arabic · العربية", "gulf": "Gulf · الخليج", "bahraini": "Bahrain · البحرين"}


@cache
def grid(tier: str) -> dict[str, list[dict[str, Any]]]:
    """family -> entries of ``workflow/grid.yaml``; of the pocket tier where the file has no such tier."""
    import yaml

    tiers = yaml.safe_load((root() / "workflow" / "grid.yaml").read_text(encoding="utf8"))
    return tiers.get(tier, tiers["pocket"])


def rules() -> dict[str, list[str]]:
    """Rule of the Snakefile -> what its input names: other rules, or ``jobs`` for the marks of finished notebooks."""
    text = (root() / "workflow" / "Snakefile").read_text(encoding="utf8")
    out = {}
    for name, body in re.findall(r"^rule (\w+):\n((?:(?: {4}.*)?\n)+)", text, re.MULTILINE):
        wanted = re.search(r"^ {4}input:\n((?: {8}.*\n)+)", body, re.MULTILINE)
        told = wanted[1] if wanted else ""
        out[name] = re.findall(r"rules\.(\w+)\.output", told) + ["jobs"] * ("MARKS" in told)
    return out


def workflow(tier: str = "pocket") -> Figure:
    """From a line of the grid to this report: families with their notebooks, and the rules that join them."""
    families = []
    for family, entries in grid(tier).items():
        notebooks = list(dict.fromkeys(entry["notebook"].split("/")[1].removesuffix(".ipynb") for entry in entries))
        models = {model for entry in entries for model in entry["models"]}
        lines = (", ".join(notebooks), f"{counted(len(entries), 'line')} of the grid, {counted(len(models), 'model')}")
        families.append((family, NAMES.get(family, family), lines, "act"))
    boxes = column(0.1, 0, 3.7, families)
    low = min(box.y - box.height for box in boxes.values())
    told = {"collect": ("one tidy table of a tier:", "a line a measurement, a line an item"),
            "report": ("analysis.ipynb reads the table", "and the published numbers")}  # fmt: skip
    chain = {name: before for name, before in rules().items() if name in told}
    steps = row(4.9, low / 2 + 0.4, 4.6, [(name, f"rule {name}", told[name], "code") for name in chain], air=0.45)
    boxes |= steps
    arrows = [Arrow(before, name) for name, named in chain.items() for before in named if before in steps]
    arrows += [Arrow(family, name) for name, named in chain.items() for family in grid(tier) if "jobs" in named]
    after = {entry_family(job, tier): family for family, entries in grid(tier).items() for entry in entries
             for job in str(entry.get("after", "")).split(",") if job}  # fmt: skip
    words = "; ".join(f"{NAMES[later]} goes on from {NAMES[earlier].lower()}" for earlier, later in after.items()
                      if earlier != later)  # fmt: skip
    return draw(boxes, arrows, "From a line of the grid to this report", "من سطر في شبكة التجارب إلى هذا التقرير",
                f"Read from workflow/grid.yaml ({labels.tier(tier)}) and workflow/Snakefile."
                f"{f' {words}.' if words else ''} Each family is a rule: it starts a notebook, which leaves a record "
                "for each run. The same rules run every tier.")  # fmt: skip


def counted(number: float, word: str) -> str:
    """``1 line``, ``3 lines``."""
    return f"{number:,g} {word}{'' if number == 1 else 's'}"


def entry_family(job: str, tier: str) -> str:
    """The family of a job by its name, ``kd-stages-…``."""
    return next(family for family in grid(tier) if job.strip().startswith(f"{family}-"))


def acts(notebook: str) -> list[tuple[str, tuple[str, ...]]]:
    """(heading, calls into the package) for each part of a notebook that calls it, in the order in which it runs."""
    cells = json.loads((root() / "notebooks" / notebook).read_text(encoding="utf8"))["cells"]
    names: set[str] = set()
    found: dict[str, list[str]] = {}
    heading = ""
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            title = re.search(r"^## (.+)$", source, re.MULTILINE)
            heading = title[1] if title else heading
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("llmini"):
                names |= {alias.asname or alias.name for alias in node.names}
        found.setdefault(heading, []).extend(_calls(ast.parse(source), names))
    return [(title, tuple(dict.fromkeys(calls))) for title, calls in found.items() if calls and title]


def _calls(tree: ast.AST, names: set[str]) -> list[str]:
    """Calls of what was imported from the package, as ``module.function``, in order."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    out = []
    for node in sorted(nodes, key=lambda node: (node.end_lineno, node.end_col_offset)):  # the inner call ends first
        call = ast.unparse(node.func)
        if call.split(".")[0] in names and not call.endswith(("progress", "prepare", "pending", "needed")):
            out.append(call)
    return out


def pipelines() -> Figure:
    """What a notebook of each family does, part by part, with the functions it calls."""
    boxes: dict[str, Box] = {}
    arrows: list[Arrow] = []
    y = 0.0
    for notebook in ACTS:
        family = notebook.split("/")[0].split("_")[1]
        head = column(0.05, y, 1.15, [(notebook, NAMES[family], (), "act")])
        parts = [(f"{notebook} {title}", title, calls, "code") for title, calls in acts(notebook)]
        lane = row(1.45, y, 8.1, parts, air=0.18)
        boxes |= {notebook: head[notebook]._replace(height=next(iter(lane.values())).height), **lane}
        keys = [notebook, *lane]
        arrows += [Arrow(one, other) for one, other in pairwise(keys)]
        y -= boxes[notebook].height + 0.3
    return draw(boxes, arrows, "What a run does, in each family", "خطوات التجربة في كل عائلة",
                "Read from the code cells of the notebooks, under their own headings: a box holds the functions that a "
                "part calls, in order.")  # fmt: skip


def stages(tier: str = "pocket") -> Figure:
    """Distillation: what each stage starts from, what it learns, whose answers, and the controls beside it."""
    from llmini.train import recipes

    told = {name: recipes.recipe(tier, name) for name in labels.STAGES[1:]}
    main = [("base", labels.method("base"), ("the student as it is",), "data")]
    for name, made in told.items():
        mixed = f"α CE + (1−α) T² KL, α {made.alpha:g}, T {made.temperature:g}"
        loss = mixed if made.needs_teacher else "cross-entropy"
        lines = [f"{made.responses} answers", loss, f"rate {made.learning_rate:g}, {counted(made.epochs, 'epoch')}"]
        lines += [f"{made.rule} > {made.theta:g}"] if made.rule != "none" else []
        main.append((name, labels.method(name), lines, "act"))
    boxes = row(0.1, 0, 9.4, main)
    low = min(box.y - box.height for box in boxes.values())
    first, last = boxes["seq_kd"], boxes["selectkd"]
    kept = ("answers and last hidden states, kept once",)
    high = {"teacher": Box(first.x, 1.05, last.x + last.width - first.x, 0.55, "Teacher, 4 bits", kept, "data")}
    below = {}
    for stage, control in labels.CONTROLS.items():
        words = labels.method(control).replace("SFT ", "")
        below[control] = Box(boxes[stage].x, low - 0.42, boxes[stage].width, 0.36, words, (), "aside")
    arrows = [Arrow(one, other) for one, other in pairwise(labels.STAGES)]
    arrows += [Arrow("teacher", name) for name, made in told.items() if made.responses == "teacher"]
    arrows += [Arrow(stage, control, dashed=True) for stage, control in labels.CONTROLS.items()]
    return draw(boxes | high | below, arrows, "Distillation, stage by stage", "التقطير مرحلة مرحلة",
                f"Read from train/presets.yaml ({labels.tier(tier)}) and the order of the stages in the code. Dashed: "
                "the control that is held against a stage, SFT that goes on for as many steps.")  # fmt: skip


def curriculum(tier: str = "pocket") -> Figure:
    """Fine-tuning: three stages, their corpora, sizes and rates, and the replay of the first in the last."""
    from llmini.train import curriculum as own

    here, full = own.settings(tier)["stages"], own.settings("full")["stages"]
    boxes = [("start", labels.method("selectkd"), ("the distilled student",), "data")]
    for number, (name, made) in enumerate(here.items(), 1):
        corpora = ", ".join(full[name].get("sources", {})).replace("_", " ")
        lines = [f"{counted(made['examples'], 'example')}, {counted(made['epochs'], 'epoch')}",
                 f"rate {made['learning_rate']:g}", f"full tier: {corpora}",
                 counted(full[name]["examples"], "example")]  # fmt: skip
        boxes.append((name, f"{number}. {CORPORA.get(name, name)}", lines, "act"))
    placed = row(0.1, 0, 9.4, boxes)
    names = list(here)
    first, last = placed[names[0]], placed[names[-1]]
    words = f"replay: {display.number(100 * own.REPLAY, 0)} % of stage 1 is learned again in stage {len(names)}"
    wide = last.x + last.width - first.x
    placed["replay"] = Box(first.x, last.y - last.height - 0.35, wide, 0.36, words, (), "aside")
    arrows = [Arrow(one, other) for one, other in pairwise(["start", *names])]
    arrows += [Arrow(names[0], "replay", dashed=True), Arrow("replay", names[-1], dashed=True)]
    return draw(placed, arrows, "Fine-tuning: a curriculum of three stages", "الضبط الدقيق: منهج من ثلاث مراحل",
                f"Read from train/curriculum.yaml ({labels.tier(tier)}; the corpora named are the full tier's). Every "
                "stage starts from the weights of the one before it and is measured on every benchmark.")  # fmt: skip
