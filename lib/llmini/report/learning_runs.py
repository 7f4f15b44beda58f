"""The distillation runs of a results table: which stage each is, which are its siblings, what was measured of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llmini.report import labels, measured

if TYPE_CHECKING:
    from llmini.report.measured import Results
    from llmini.train.recipes import Recipe

BEHAVIOUR = "-behaviour"  # ends the id of the run that asks a checkpoint the pair questions
PAIRS = "pairs"
OPTIONS = {"theta": "theta", "temperature": "T", "alpha": "alpha", "rule": "", "share": "share"}
TRAINED = (*labels.STAGES[1:], *labels.CONTROLS.values())
SHARES = {"lpg", "lpg_abs", "clcs", "clcs_chance", "ece", "ece_smooth", "confidence_gap", "selected_share"}


class Line(NamedTuple):
    """One run. ``options``: what an ablation changed, empty for a main run."""

    run: str
    method: str
    seed: int
    preset: str
    options: dict[str, Any]
    behaviour: bool


def load(folder: str | Path = "data/results", tier: str = "pocket") -> Results:
    """The distillation runs of ``FOLDER/{tier}.csv``; otherwise as :func:`llmini.report.measured.load`."""
    return measured.load(folder, tier, ("kd",))


def lines(results: Results) -> list[Line]:
    """Every run: the teacher, the base, then by stage, preset, options and seed; a behaviour run after its twin."""
    if "_lines" not in results.__dict__:
        heads = results.rows.drop_duplicates("run_id")
        params = {row.run_id: json.loads(row.params) if isinstance(row.params, str) and row.params else {}
                  for row in heads.itertuples()}  # fmt: skip
        found = [Line(row.run_id, row.method, int(params[row.run_id].get("seed", 0)),
                      params[row.run_id].get("preset", ""),
                      {name: params[row.run_id][name] for name in OPTIONS if name in params[row.run_id]},
                      row.run_id.endswith(BEHAVIOUR)) for row in heads.itertuples()]  # fmt: skip
        results.__dict__["_lines"] = sorted(found, key=_place)
    return results.__dict__["_lines"]


def _place(line: Line) -> tuple:
    order = (labels.BASE, *TRAINED)
    rank = order.index(line.method) if line.method in order else -1
    options = [(name, str(value)) for name, value in line.options.items()]
    return rank, line.preset, options, line.seed, line.behaviour


def find(results: Results, method: str, *, behaviour: bool = False, preset: str = "",
         **options: Any) -> dict[int | None, str]:  # fmt: skip
    """Seed (None of the base, which has none) -> run id; the main runs unless a preset or options are given."""
    wanted = (method, preset, options, behaviour)
    return {None if method == labels.BASE else line.seed: line.run for line in lines(results)
            if (line.method, line.preset, line.options, line.behaviour) == wanted}  # fmt: skip


def facing(first: dict[int | None, str], second: dict[int | None, str]) -> list[tuple[str, str]]:
    """Runs of the same seed side by side; the base faces every seed."""
    if None in first or None in second:
        return [(one, other) for one in first.values() for other in second.values()]
    return [(first[seed], second[seed]) for seed in sorted(first.keys() & second.keys())]


def teacher(results: Results) -> str | None:
    """The teacher's run: the one that is no stage."""
    return next((line.run for line in lines(results) if line.method not in (labels.BASE, *TRAINED)), None)


def student(results: Results) -> str:
    """The student's label, never the bare name of the model that a pocket one stands for."""
    name = next((results.runs.at[line.run, "model"] for line in lines(results)
                 if line.method in (labels.BASE, *TRAINED)), "qwen2_5_7b_instruct")  # fmt: skip
    return labels.model(name, results.tier)


def control(results: Results, line: Line) -> str | None:
    """The step control of as many steps as ``line`` took, of its seed and preset; else the longest shorter; or None."""
    names = list(labels.CONTROLS.values())
    wanted = labels.CONTROLS.get(line.method)
    for name in reversed(names[: names.index(wanted) + 1] if wanted else []):
        runs = find(results, name, behaviour=line.behaviour, preset=line.preset)
        if line.seed in runs:
            return runs[line.seed]
    return None


def get(results: Results, run: str) -> Line:
    """The line of a run id."""
    return next(line for line in lines(results) if line.run == run)


def name(line: Line, seeds: bool = False) -> str:
    """``Token-KD``, ``SelecTKD, theta 0.9``, ``SelecTKD, random, share 0.5``, ``SFT (as_written)``; with its seed."""
    words = [f"{labels.method(line.method)} ({line.preset})" if line.preset else labels.method(line.method)]
    if line.method not in (labels.BASE, *TRAINED):
        words = [f"Teacher, {labels.method(line.method)}"]
    for option, value in line.options.items():
        text = value if isinstance(value, str) else f"{value:g}"
        words.append(f"{OPTIONS[option]} {text}".strip())
    if seeds and line.method in TRAINED:
        words.append(f"seed {line.seed}")
    return ", ".join(words)


def names(chosen: Iterable[Line]) -> dict[str, str]:
    """Run id -> name; with seeds where there are several."""
    chosen = list(chosen)
    several = len({line.seed for line in chosen if line.method in TRAINED}) > 1
    return {line.run: name(line, several) for line in chosen}


def value(results: Results, run: str | None, metric: str, language: str = "") -> float:
    """A behaviour metric or kept share as recorded; shares and gaps in percent and points. NaN when absent."""
    rows = results.rows
    found = rows[(rows["run_id"] == run) & (rows["metric"] == metric)]
    found = found[found["language"].fillna("") == language] if language else found
    if found.empty:
        return math.nan
    row = found.iloc[0]
    return float(row["value"]) * (100 if metric in SHARES and row["unit"] not in ("percent", "points") else 1)


def kept(results: Results, run: str | None, language: str) -> float:
    """Percent of the answers' tokens that the stage's rule kept in training; NaN when it was not recorded."""
    if run is None:
        return math.nan
    twin = run.removesuffix(BEHAVIOUR)
    values = [value(results, each, "selected_share", language) for each in (twin + BEHAVIOUR, twin)]
    return next((share for share in values if not math.isnan(share)), math.nan)


def score(results: Results, run: str | None, task: str) -> measured.Cell:
    """Accuracy on ``ar`` (ArabicMMLU), ``en`` (metabench), ``mmlu`` or ``gsm8k``, percent, wherever the tier has it."""
    if task in labels.SUITES:
        return results.mean(run, task)
    metric = {"gsm8k": "exact_match"}.get(task, "acc")
    places = ((task, "mean"), (task, task), (labels.METABENCH, task))
    cells = (results.cell(run, metric, *place) for place in places)
    return next((cell for cell in cells if not math.isnan(cell.value)), measured.NOTHING)


def recipe(results: Results, line: Line) -> Recipe | None:
    """What a run was told: its provenance where that holds a recipe, else the tier's recipe of its stage."""
    from llmini.train import recipes

    if line.method not in TRAINED:
        return None
    noted = results.provenance.get(line.run, {}).get("recipe")
    noted = json.loads(noted) if isinstance(noted, str) and noted.startswith("{") else {}
    noted = noted.get("run", noted).get("recipe", noted)
    if "learning_rate" in noted:
        return recipes.Recipe(**noted)
    stage = line.method if line.method in recipes.STAGES else "sft_kd"
    return recipes.recipe(results.tier, stage, line.preset or None, seed=line.seed, **line.options)


def settings(told: Recipe) -> dict[str, str]:
    """A recipe's options as text; a dash where the stage does not read one."""
    selects = told.needs_teacher and told.rule != "none"
    values = {"learning rate": told.learning_rate, "epochs": told.epochs, "batch": told.batch_size * told.accumulation,
              "alpha": told.alpha if told.needs_teacher else None,
              "T": told.temperature if told.needs_teacher else None, "rule": told.rule if selects else None,
              "theta": told.theta if selects and told.rule == "confidence" else None,
              "share": told.share if selects and told.rule in ("entropy", "random") else None}  # fmt: skip
    return {name: plain(value) for name, value in values.items()}


def plain(value: Any) -> str:
    """A setting as a person writes it: ``0.00002``, ``3``, ``confidence``, a dash for None."""
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:.6f}".rstrip("0").rstrip(".")


def default(results: Results, stage: str, option: str) -> Any:
    """What the tier's recipe has for an option that the main runs of a stage leave unsaid."""
    from llmini.train import recipes

    return getattr(recipes.recipe(results.tier, stage), option)


def series(results: Results, stage: str, option: str, behaviour: bool = False) -> dict[Any, str]:
    """Value -> run id of an ablation over one option, the main run in its place; of the lowest seed."""
    found = {}
    for line in lines(results):
        if line.method == stage and line.behaviour == behaviour and not line.preset and set(line.options) == {option}:
            found.setdefault(line.options[option], line.run)
    main = find(results, stage, behaviour=behaviour)
    if main:
        found.setdefault(default(results, stage, option), main[min(main)])
    return dict(sorted(found.items()))


def rules(results: Results, behaviour: bool = False) -> dict[str, str]:
    """Selection rule -> run id, of the runs that keep an equal share of the tokens."""
    found = {line.options["rule"]: line.run for line in reversed(lines(results))
             if {"rule", "share"} == set(line.options) and line.behaviour == behaviour}  # fmt: skip
    return {rule: found[rule] for rule in ("confidence", "verified", "entropy", "random") if rule in found}
