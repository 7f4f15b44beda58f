"""Which encoder runs there are: the plans of the three notebooks."""

from __future__ import annotations

import itertools
from typing import Any

from llmini.grid import Run, listed
from llmini.settings import UserError
from llmini.train import encoders_data, encoders_distill

QUANT = ("int8_dynamic", "onnx_fp32", "onnx_int8", "bnb_8bit", "bnb_4bit")
PRUNE = ("magnitude", "structured", "structured_int8", "masked_l1_int8")
KD = ("student", "distil_task", "distil_agnostic")
PHASES = ("before", "after")


def quant(tier: str, model: str, method: Any = "all", task: str = "ner", trained: Any = "ar", share: Any = 1,
          seed: Any = 0) -> list[Run]:  # fmt: skip
    """Runs of one start of 01_quant/02_encoders: for each way of tuning the dense encoder, then the formats.

    Every option may list several values; trained joins languages with ``+`` ("ar+en"). Raises UserError for what does
    not exist.
    """
    methods = checked(method, QUANT)
    return [run for tuned in bases(tier, model, task, trained, share, seed, "quant")
            for run in (tuned, *(make(tuned, name) for name in methods))]  # fmt: skip


def prune(tier: str, model: str, method: Any = "all", task: str = "ner", trained: Any = "ar", sparsity: Any = 0.5,
          phase: Any = "before,after", share: Any = 1, seed: Any = 0, recover: Any = 1) -> list[Run]:  # fmt: skip
    """Runs of one start of 02_prune/02_encoders.

    phase: whether magnitude pruning comes ``before`` or ``after`` tuning; recover: epochs of tuning after heads and
    neurons were removed.
    """
    methods, found = checked(method, PRUNE), []
    for name in listed(phase):
        if name not in PHASES:
            raise UserError(f"unknown phase {name!r}: weights are pruned before or after tuning")
    for tuned in bases(tier, model, task, trained, share, seed, "prune"):
        found.append(tuned)
        for name, amount in itertools.product(methods, map(float, listed(sparsity))):
            told = [("phase", one) for one in listed(phase)] if name == "magnitude" else \
                   [("recover", float(one)) for one in listed(recover)]  # fmt: skip
            found += [make(tuned, name, sparsity=amount, **dict([one])) for one in told]
    return found


def kd(tier: str, model: str, method: Any = "all", task: str = "ner", trained: Any = "ar", layers: Any = 4,
       beginning: Any = "spaced", share: Any = 1, seed: Any = 0) -> list[Run]:  # fmt: skip
    """Runs of one start of 03_kd/04_encoders: the teacher, then students of ``layers`` layers.

    beginning: which of the teacher's layers a student begins with (`encoders_distill.BEGINNINGS`).
    """
    methods, found = checked(method, KD), []
    for tuned in bases(tier, model, task, trained, share, seed, "kd"):
        found.append(tuned)
        for name, depth, start in itertools.product(methods, map(int, listed(layers)), listed(beginning)):
            if start not in encoders_distill.BEGINNINGS:
                raise UserError(f"unknown beginning {start!r}: choose among {', '.join(encoders_distill.BEGINNINGS)}")
            found.append(make(tuned, name, layers=depth, beginning=start))
    return found


def checked(method: Any, known: tuple[str, ...]) -> list[str]:
    """The asked methods without ``dense``, which every plan has. Raises UserError for an unknown one."""
    methods = list(known) if method == "all" else [name for name in listed(method) if name != "dense"]
    if strangers := [name for name in methods if name not in known]:
        raise UserError(f"unknown method {strangers[0]!r} for encoders: choose among dense, {', '.join(known)}")
    return methods


def bases(tier: str, model: str, task: str, trained: Any, share: Any, seed: Any, part: str) -> list[Run]:
    """The dense runs, one for each language or languages, share of the data and seed."""
    known = encoders_data.task(tier, task)
    found = []
    for languages, amount, number in itertools.product(listed(trained), map(float, listed(share)), listed(seed)):
        encoders_data.spoken(known, languages)
        told = {"task": task, "trained": languages, "seed": int(number), **({"share": amount} if amount < 1 else {})}
        found.append(Run(tier, "encoder", model, "dense", tuple(sorted(told.items())), part))
    return found


def make(tuned: Run, method: str, **options: Any) -> Run:
    """The run of a method on a dense one."""
    return Run(tuned.tier, "encoder", tuned.model, method, tuple(sorted({**tuned.options, **options}.items())),
               tuned.part)  # fmt: skip


def base(run: Run) -> Run:
    """The dense run that a run is held against."""
    told = {name: value for name, value in run.options.items() if name in ("task", "trained", "seed", "share")}
    return Run(run.tier, "encoder", run.model, "dense", tuple(sorted(told.items())), run.part)


def task_of(run: Run) -> encoders_data.Task:
    """The task of a run."""
    return encoders_data.task(run.tier, run.options["task"])
