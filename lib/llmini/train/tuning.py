"""Which fine-tuning runs there are, where each starts, and what is measured of it."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini.grid import Run, listed, pending
from llmini.settings import UserError
from llmini.train import curriculum, stages

if TYPE_CHECKING:
    import pandas

    from llmini.measure.battery import Baseline
    from llmini.records import Record

START = "selectkd"
"""The study fine-tunes its distilled student."""


def plan(tier: str, model: str, variant: str = "ft_v1,ft_v2", stage: Any = "all", seed: Any = 0,
         replay: Any = curriculum.REPLAY, order: str = "", start: str = START,
         adapter: str = "") -> list[Run]:  # fmt: skip
    """The runs of one notebook start: the starting checkpoint first, each stage after the one it starts from.

    variant: ``ft_v1``, ``ft_v2`` or both. stage: 1, 2, 3, several or ``all``; earlier stages are part of the plan; 0 is
    the starting checkpoint alone. replay: share of stage 1 in stage 3; order: ``reversed`` or ``mixed``, else the
    curriculum's. start: stages of distillation, or ``base``. adapter: full, lora or qlora, else what is usual in
    the tier. Raises UserError for what does not exist.
    """
    for name in listed(start):
        if name != "base" and name not in stages.BEFORE:
            raise UserError(f"unknown start {name!r}: choose among base, {', '.join(stages.BEFORE)}")
    places = [1, 2, 3] if stage == "all" else [int(place) for place in listed(stage)]
    if order == "mixed":
        places = [3]
    found: dict[str, Run] = {}
    axes = (listed(variant), listed(seed), listed(replay), listed(start), places)
    for name, number, share, first, place in itertools.product(*axes):
        if place == 0:
            run = begin(tier, model, first, int(number))
            found[run.run_id] = run
            continue
        if name not in curriculum.VARIANTS:
            raise UserError(f"unknown variant {name!r} of fine-tuning: choose {' or '.join(curriculum.VARIANTS)}")
        curriculum.learned(order, place)
        other = place == 3 and order != "mixed" and float(share) != curriculum.REPLAY
        told = {"order": order, "replay": float(share) if other else "", "start": "" if first == START else first,
                "adapter": adapter}  # fmt: skip
        options = {"stage": place, "seed": int(number), **{key: value for key, value in told.items() if value != ""}}
        last = Run(tier, "finetune", model, name, tuple(sorted(options.items())))
        found |= {run.run_id: run for run in line(last)}
    return list(found.values())


def begin(tier: str, model: str, start: str, seed: int) -> Run:
    """The run that measures a starting checkpoint; the base has no seed."""
    return Run(tier, "finetune", model, start, () if start == "base" else (("seed", seed),))


def before(run: Run) -> Run:
    """The run whose weights ``run`` starts from: the stage before, or the starting checkpoint."""
    options = run.options
    if options["stage"] == 1 or options.get("order") == "mixed":
        return begin(run.tier, run.model, options.get("start", START), options["seed"])
    options = {name: value for name, value in options.items() if name != "replay"} | {"stage": options["stage"] - 1}
    return dataclasses.replace(run, params=tuple(sorted(options.items())))


def line(run: Run) -> list[Run]:
    """The runs up to ``run`` and with it, from the starting checkpoint on."""
    return [*line(before(run)), run] if run.method in curriculum.VARIANTS else [run]


def origin(run: Run) -> Run:
    """The starting checkpoint of a run, which its measurements are held against."""
    return line(run)[0]


def checkpoint(run: Run) -> Path:
    """Where a run's weights are. Raises UserError when the distilled student it starts from is missing."""
    from llmini.models import locate

    if run.method == "base":
        return locate(run.model, run.tier)
    if run.method in curriculum.VARIANTS:
        return run.folder / "checkpoint"
    distilled = dataclasses.replace(run, family="kd").folder / "checkpoint"
    if not distilled.is_dir():
        raise UserError(f"the distilled student {distilled.parent.name} is missing: run "
                        "notebooks/03_kd/02_distill.ipynb first, or pass start=base")  # fmt: skip
    return distilled


def lessons(run: Run, teacher_model: str = stages.TEACHER) -> list[Any]:
    """The examples a run learns."""
    from llmini.train.cache import Cache

    answers = stages.teacher(run.tier, teacher_model)[0].folder / "answers"
    options = run.options
    return curriculum.examples(
        run.tier, run.method, options["stage"], seed=options["seed"], replay=options.get("replay", curriculum.REPLAY),
        order=options.get("order", ""), cache=Cache.open(answers) if answers.is_dir() else None,
    )  # fmt: skip


def train(run: Run, teacher_model: str = stages.TEACHER) -> Path:
    """Train a run from the checkpoint before it, on examples held against every evaluation set; returns its folder.

    Interrupted anywhere it continues; other examples than those it began with, a changed source say, stop it with a
    message. What is trained already is returned.
    """
    from llmini.records import write_atomic
    from llmini.train import prompts
    from llmini.train.distill import distil

    if run.method not in curriculum.VARIANTS:
        return checkpoint(run)
    options = run.options
    learned = lessons(run, teacher_model)
    asked = [prompts.Prompt(example.id, example.language, "", example.prompt) for example in learned if example.prompt]
    prompts.contamination(asked, prompts.evaluation_texts(run.tier), prompts.NGRAM[run.tier])
    corpus = curriculum.learned(options.get("order", ""), options["stage"])
    recipe = curriculum.recipe(run.tier, corpus[0], options["seed"], options.get("adapter", ""))
    made = distil(checkpoint(before(run)), run.folder / "checkpoint", learned, recipe, tier=run.tier)
    text = json.dumps(curriculum.manifest(learned), ensure_ascii=False, indent=1) + "\n"
    write_atomic(run.folder / "examples.json", lambda path: path.write_text(text, encoding="utf8"))
    return made


def needed(run: Run, runs: list[Run], notebook: str) -> bool:
    """Whether a later run that is not done yet starts from this one."""
    return any(run in line(one)[:-1] for one in pending(runs, notebook))


def measure(run: Run, folder: Path, notebook: str, baseline: Baseline | None = None) -> Record:
    """Everything that is measured of a checkpoint, dialect tasks and the pair questions included.

    ``baseline``: the starting checkpoint's, None for itself.
    """
    from llmini.measure import battery

    return battery.measure(run, folder, notebook, baseline, (provenance, dialect, behaviour))


def provenance(record: Record, model: Any, tokenizer: Any) -> None:
    """What the run learned, as its record keeps it."""
    from llmini.settings import runs

    path = runs(record.tier, record.run_id, "examples.json")
    if path.is_file():
        record.provenance["lessons"] = json.loads(path.read_text(encoding="utf8"))


def dialect(record: Record, model: Any, tokenizer: Any) -> pandas.DataFrame:
    """Rows and items of the dialect and culture tasks."""
    from llmini.measure.dialect import evaluate

    scores = evaluate(model, tokenizer, record.tier)
    for row in scores.rows:
        record.add(**row)
    return scores.items


def behaviour(record: Record, model: Any, tokenizer: Any) -> pandas.DataFrame:
    """Rows and items of the questions that stand in two languages."""
    from llmini.measure import pairs

    return pairs.add(record, model, tokenizer)
