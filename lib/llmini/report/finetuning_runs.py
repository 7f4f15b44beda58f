"""The fine-tuning runs of a results table: which stage each is, where it started, and what was measured of it."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from llmini.report import labels, learning_runs, measured

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pandas

    from llmini.report.measured import Results
    from llmini.train.recipes import Recipe

FAMILIES = ("finetune", "kd", "merge")
START = "selectkd"  # what the study's curriculum starts from
TUNED = ("ft_v1", "ft_v2")
COMPARED = (labels.BASE, "token_kd", START, *TUNED)  # the methods of Table 19 and its figure
STUDENTS = (labels.BASE, *learning_runs.TRAINED, *TUNED)
STAGES = (1, 2, 3)
LAST = STAGES[-1]
ORDINALS = {1: "الأولى", 2: "الثانية", 3: "الثالثة"}
NAMES = {"ft_v1": "FT-v1", "ft_v2": "FT-V2"}  # as the study prints them
# Options that an ablation changes, and what a main run leaves unsaid.
DEFAULTS = {"replay": 0.1, "order": "forward", "start": START, "adapter": ""}
ORDERS = ("forward", "stages", "curriculum", "")
WORDS = {"full": "every weight", "lora": "LoRA", "qlora": "LoRA on an NF4 base", "reversed": "stages reversed",
         "mixed": "stages mixed"}  # fmt: skip


class Line(NamedTuple):
    """One checkpoint. ``stage`` is 0 where fine-tuning starts; ``options``: what an ablation changed."""

    run: str
    method: str
    stage: int
    seed: int
    options: dict[str, Any]


def load(folder: str | Path = "data/results", tier: str = "pocket") -> Results:
    """Fine-tuning, distillation and merging of ``FOLDER/{tier}.csv``; as :func:`llmini.report.measured.load`."""
    return measured.load(folder, tier, FAMILIES)


def joined(results: Results) -> Results:
    """One run a checkpoint: a stage of distillation has its benchmarks, its answers to the pairs and, where fine-tuning
    starts from it, its dialect tasks in three records. What two of them hold is taken from the first of finetune, kd.
    """
    if "_joined" not in results.__dict__:
        import pandas

        names = canonical(results)
        rows = _renamed(results, results.rows, names)
        rows = rows.drop_duplicates(["run_id", "benchmark", "task", "language", "metric"])
        items = results.items if results.items.empty else _renamed(results, results.items, names)
        made = pandas.DataFrame([{**line, "run_id": names[run]} for run, line in results.provenance.items()
                                 if run in names]) if results.provenance else None  # fmt: skip
        out = measured.build(rows, items, results.tier, made, ("finetune", "kd"))
        out.__dict__["_joined"] = out
        results.__dict__["_joined"] = out
    return results.__dict__["_joined"]


def canonical(results: Results) -> dict[str, str]:
    """Run id -> the id under which its checkpoint is known here. The teacher, and ablations and presets of distillation
    have none.
    """
    first, names = {}, {}
    for family in ("finetune", "kd"):
        heads = results.rows[results.rows["family"] == family].drop_duplicates("run_id")
        for row in heads.itertuples():
            options = json.loads(row.params) if isinstance(row.params, str) and row.params else {}
            if row.method not in STUDENTS or (family == "kd" and set(options) - {"seed"}):
                continue
            # A stage of fine-tuning, and a distilled model tuned further, bear their options in their variant.
            key = (row.method, int(options.get("seed", 0))) if not set(options) - {"seed"} else (row.variant,)
            key = (row.method,) if row.method == labels.BASE else key
            names[row.run_id] = first.setdefault(key, row.run_id)
    return names


def _renamed(results: Results, table: pandas.DataFrame, names: dict[str, str]) -> pandas.DataFrame:
    """The rows of known checkpoints under their ids, each benchmark whole from one record, the finetune family's first;
    the tier's prefix is dropped.
    """
    table = table[table["run_id"].isin(names)]
    old = table["run_id"].astype(str)
    order = old.map(results.runs["family"]).eq("kd").to_numpy().argsort(kind="stable")
    suites = table["benchmark"].astype(str).map(measured.suite)
    table = table.assign(run_id=old.map(names), benchmark=suites, source=old).iloc[order]
    first = table.groupby(["run_id", "benchmark"], sort=False)["source"].transform("first")
    table = table[table["source"] == first].drop(columns="source")
    if "family" in table:  # params and variant of the run that gives the name
        heads = table.drop_duplicates("run_id").set_index("run_id")
        for column in ("family", "variant", "method", "params"):
            table[column] = table["run_id"].map(heads[column])
    return table


def lines(results: Results) -> list[Line]:
    """Every checkpoint of :func:`joined`: by method, options, stage and seed."""
    results = joined(results)
    if "_tuned" not in results.__dict__:
        heads, found = results.rows.drop_duplicates("run_id"), []
        for row in heads.itertuples():
            params = json.loads(row.params) if isinstance(row.params, str) and row.params else {}
            found.append(Line(row.run_id, row.method, int(params.get("stage", 0)), int(params.get("seed", 0)),
                              changed(params)))  # fmt: skip
        results.__dict__["_tuned"] = sorted(found, key=_place)
    return results.__dict__["_tuned"]


def changed(params: dict[str, Any]) -> dict[str, Any]:
    """What an ablation changed among a run's params."""
    found = {name: params[name] for name in DEFAULTS if name in params and params[name] != DEFAULTS[name]}
    return {name: value for name, value in found.items() if not (name == "order" and value in ORDERS)}


def _place(line: Line) -> tuple:
    options = sorted((name, str(value)) for name, value in line.options.items())
    return STUDENTS.index(line.method), options, line.stage, line.seed


def find(results: Results, method: str, stage: int = 0, **options: Any) -> dict[int | None, str]:
    """Seed (None of the base, which has none) -> run id of a checkpoint in :func:`joined`.

    A fine-tuned one is found after ``stage``; replay changes stage 3 alone, so that its earlier stages are the main
    runs'.
    """
    if "replay" in options and stage < LAST:
        options = {name: value for name, value in options.items() if name != "replay"}
    wanted = (method, stage, options)
    return {None if method == labels.BASE else line.seed: line.run for line in lines(results)
            if (line.method, line.stage, line.options) == wanted}  # fmt: skip


def after(results: Results, method: str, stage: int = LAST, **options: Any) -> dict[int | None, str]:
    """The checkpoint of a compared method: a fine-tuned one after ``stage``, any other as it is. Stage 0: its start."""
    if method not in TUNED:
        return find(results, method)
    return find(results, method, stage, **options) if stage else find(results, options.get("start", START))


def kinds(results: Results) -> list[tuple[str, dict[str, Any]]]:
    """(method, options) of every curriculum that was run, to its end or not; the study's own first."""
    found = [(line.method, line.options) for line in lines(results) if line.stage]
    return [pair for place, pair in enumerate(found) if pair not in found[:place]]


def ablated(results: Results) -> list[tuple[str, dict[str, Any]]]:
    """Those of :func:`kinds` that change something and came to the last stage."""
    return [(name, options) for name, options in kinds(results) if options and find(results, name, LAST, **options)]


def method(name: str) -> str:
    """What tables and figures call a method."""
    return NAMES.get(name, labels.method(name))


def setting(options: dict[str, Any]) -> str:
    """``no replay``, ``stages reversed``, ``from Base``: an ablation in words."""
    words = []
    for key, value in options.items():
        if key == "replay":
            words.append(f"replay {100 * value:g} %" if value else "no replay")
        elif key == "start":
            words.append(f"from {method(value)}")
        else:
            words.append(WORDS.get(value, str(value)))
    return ", ".join(words) or "as the study"


def curriculum(name: str, options: dict[str, Any]) -> str:
    """``FT-v1`` or ``FT-v1, no replay``."""
    return f"{method(name)}, {setting(options)}" if options else method(name)


def name(line: Line, seeds: bool = False) -> str:
    """``FT-v1, stage 3, no replay, seed 1``; a start by its method alone."""
    words = [method(line.method)] + ([f"stage {line.stage}"] if line.stage else [])
    words += [setting(line.options)] if line.options else []
    words += [f"seed {line.seed}"] if seeds and line.method != labels.BASE else []
    return ", ".join(words)


def names(chosen: Iterable[Line]) -> dict[str, str]:
    """Run id -> name; with seeds where there are several."""
    chosen = list(chosen)
    several = len({line.seed for line in chosen if line.method != labels.BASE}) > 1
    return {line.run: name(line, several) for line in chosen}


def perplexity(results: Results, run: str | None, code: str) -> float:
    """Perplexity of the tier's held-out text in ``ar``, ``en`` or ``gulf``."""
    found = results.perplexity(run, code).value
    return results.cell(run, "perplexity", f"world_{code}", "", code).value if math.isnan(found) else found


def lessons(results: Results, run: str) -> dict[str, Any]:
    """What a run's record says that it learned: ``examples``, ``instructions``, ``sources``, ``languages``, ``sha256``;
    empty where it says nothing.
    """
    text = joined(results).provenance.get(run, {}).get("lessons")
    return json.loads(text) if isinstance(text, str) and text.startswith("{") else {}


def recipe(tier: str, options: dict[str, Any]) -> Recipe:
    """What a stage of fine-tuning is told, by its run's options."""
    from llmini.train import curriculum

    corpus = curriculum.learned(options.get("order", ""), options["stage"])[0]
    return curriculum.recipe(tier, corpus, options.get("seed", 0), options.get("adapter", ""))
