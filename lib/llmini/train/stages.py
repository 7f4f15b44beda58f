"""Which distillation runs there are, and where each starts: a stage begins with the weights of the one before it."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

from llmini.grid import Run, fingerprint, listed, pending
from llmini.settings import UserError
from llmini.train.recipes import Recipe, recipe

TEACHER = "qwen2_5_32b_instruct"
BEFORE = {"sft_kd": "base", "seq_kd": "sft_kd", "token_kd": "seq_kd", "selectkd": "token_kd", "sft_control": "sft_kd",
          "sft_control_3": "sft_control", "sft_control_4": "sft_control_3"}  # fmt: skip
"""Stage -> the stage it starts from. The controls go on with SFT for as many steps as the stage they stand beside."""
CHAIN = ("base", "sft_kd", "seq_kd", "token_kd", "selectkd", "sft_control")
OPTIONS = ("theta", "temperature", "alpha", "rule", "share")  # what an ablation changes, and its variant's name tells


def teacher(tier: str, model: str = TEACHER, method: str = "int4", **_: Any) -> list[Run]:
    """The run of the quantized teacher: its own measurements, and its answers beside them."""
    return [Run(tier, "kd", model, method)]


def plan(tier: str, model: str, stage: Any = "all", seed: Any = 0, preset: str = "", teacher_model: str = TEACHER,
         **changes: Any) -> list[Run]:  # fmt: skip
    """The training runs of one notebook start, each after the one whose weights it starts from.

    stage: one, several or ``all``, the study's four with base and the SFT step control. seed, and theta, temperature,
    alpha, rule and share, may list several values; those of an ablation apply to the named stages alone. The runs they
    start from are part of the plan. teacher_model makes no other runs: a tier has one teacher. Raises UserError for an
    unknown stage or option.
    """
    stages = list(CHAIN) if stage == "all" else listed(stage)
    for name in stages:
        if name not in ("base", *BEFORE):
            raise UserError(f"unknown stage {name!r}: choose among {', '.join(('base', *BEFORE))}")
    if strangers := set(changes) - set(OPTIONS):
        raise UserError(f"unknown option {sorted(strangers)[0]!r}: choose among {', '.join(OPTIONS)}")
    axes = {name: listed(value) for name, value in changes.items() if value not in (None, "")}
    found: dict[str, Run] = {}
    for number in listed(seed):
        common = {"seed": int(number), **({"preset": preset} if preset else {})}
        for name in stages:
            for values in itertools.product(*axes.values()):
                run = make(tier, model, name, {**common, **dict(zip(axes, map(typed, values), strict=True))})
                found |= {one.run_id: one for one in line(run)}
    return list(found.values())


def behaviour(tier: str, model: str, **options: Any) -> list[Run]:
    """The runs that measure, of every checkpoint of `plan`, how it behaves in two languages."""
    return [dataclasses.replace(run, part="behaviour") for run in plan(tier, model, **options)]


def make(tier: str, model: str, stage: str, options: dict[str, Any]) -> Run:
    """A run; the base has neither seed nor preset."""
    return Run(tier, "kd", model, stage, () if stage == "base" else tuple(sorted(options.items())))


def before(run: Run) -> Run:
    """The run whose weights ``run`` starts from: of the same seed and preset, without the ablation."""
    kept = {name: value for name, value in run.options.items() if name not in OPTIONS}
    return make(run.tier, run.model, BEFORE[run.method], kept)


def line(run: Run) -> list[Run]:
    """The runs up to ``run`` and with it, from the base on: each starts from the one before."""
    return [run] if run.method == "base" else [*line(before(run)), run]


def training(run: Run) -> Run:
    """The run that made the checkpoint a behaviour run looks at."""
    return dataclasses.replace(run, part="")


def recipe_of(run: Run) -> Recipe:
    """The recipe of a run; a rule with a share takes part in the comparison at equal budget."""
    options = run.options
    preset = options.pop("preset", None)
    stage = "sft_kd" if run.method.startswith("sft_control") else run.method
    return recipe(run.tier, stage, preset, **options)


def quantized(run: Run) -> Path:
    """The teacher's checkpoint, quantized as its run says; made once."""
    from llmini.compress.checkpoint import compress
    from llmini.models import locate

    if run.method == "dense":
        return locate(run.model, run.tier)
    folder = run.folder / "checkpoint"
    return folder if folder.is_dir() else compress(run.model, folder, tier=run.tier, quant=run.method)


def train(run: Run, teacher_model: str = TEACHER) -> Path:
    """Train a run from the checkpoint of the one before it, on prompts held against every evaluation set.

    What is trained already, from the same weights, examples and recipe, is returned. Raises UserError when the
    teacher's answers or the checkpoint before are missing.
    """
    from llmini.models import locate
    from llmini.train import prompts
    from llmini.train.cache import Cache
    from llmini.train.distill import distil, examples

    if run.method == "base":
        return locate(run.model, run.tier)
    chosen = recipe_of(run)
    taught = chosen.responses == "teacher"
    asked = prompts.load(run.tier, "distill" if taught else "gold")
    prompts.contamination(asked, prompts.evaluation_texts(run.tier), prompts.NGRAM[run.tier])
    cache = None
    if taught:
        answers = teacher(run.tier, teacher_model)[0].folder / "answers"
        if not answers.is_dir():
            raise UserError(f"{teacher_model} has not answered yet: run notebooks/03_kd/01_teacher.ipynb first")
        cache = Cache.open(answers)
    start = checkpoint(before(run))
    if isinstance(start, Path) and not start.is_dir():
        raise UserError(f"{start} is missing: run the stage {BEFORE[run.method]} first")
    made = examples(asked, chosen, cache)
    return distil(start, run.folder / "checkpoint", made, chosen, teacher=cache, tier=run.tier)


def needed(run: Run, runs: list[Run], notebook: str) -> bool:
    """Whether a later run that is not done yet starts from this one."""
    return any(run in line(one)[:-1] for one in pending(runs, notebook))


def behave(run: Run, notebook: str) -> None:
    """Ask a trained student the questions that stand in two languages, and write the record of its behaviour."""
    import json

    from llmini.measure import pairs
    from llmini.models import load

    made = training(run)
    place = checkpoint(made)
    model, tokenizer = load(place, run.tier)
    record = run.record()
    record.add_items(pairs.add(record, model, tokenizer))
    if made.method != "base":
        log = json.loads((place / "training.json").read_text(encoding="utf8"))
        for language, kept in log["kept_share"].items():
            record.add("selected_share", kept, benchmark="distillation", language=language, n=log["examples"])
    record.provenance |= {"fingerprint": fingerprint(notebook, run.tier, run.model), "checkpoint": made.run_id}
    record.write(run.folder)


def checkpoint(run: Run) -> Path | str:
    """Where a run's weights are: its own folder, or the model's name for the base."""
    return run.model if run.method == "base" else run.folder / "checkpoint"


def typed(value: Any) -> Any:
    """``"0.5"`` as a number, as papermill's lists of several values come; words stay words."""
    try:
        return float(value)
    except ValueError:
        return value
