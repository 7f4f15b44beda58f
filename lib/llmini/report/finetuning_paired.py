"""What fine-tuning measures, skill by skill, and differences between checkpoints over the same items and seeds.

As in distillation, items (clusters of them) and training seeds are drawn together; see `learning_paired`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from llmini.report import finetuning_runs, learning_paired, learning_runs, measured, paired

if TYPE_CHECKING:
    import numpy
    import pandas

    from llmini.report.measured import Cell, Results

NOTHING = learning_paired.NOTHING


class Skill(NamedTuple):
    """A benchmark task with its labels. ``stages``: those of the curriculum that teach it; none for a general one."""

    words: str
    arabic: str
    benchmark: str
    task: str
    stages: tuple[int, ...] = ()


# The one table that says which task belongs to which stage. Text in dialect is turned into MSA in stages 2 and 3.
SKILLS = (
    Skill("ArabicMMLU", "المعرفة بالعربية", "arabicmmlu", "mean"),
    Skill("metabench", "المعرفة بالإنجليزية", "metabench", "mean"),
    Skill("MMLU, en", "أسئلة المعرفة", "metabench", "mmlu"),
    Skill("GSM8K, en", "مسائل الحساب", "metabench", "gsm8k"),
    Skill("morphology", "الصرف", "dialect", "morphology", (1,)),
    Skill("correction", "تصحيح الجملة", "dialect", "correction", (1,)),
    Skill("punctuation", "علامات الترقيم", "arabic_fundamentals", "punctuation", (1,)),
    Skill("error choice", "تصويب الخطأ", "arabic_fundamentals", "gec", (1,)),
    Skill("dialect", "تمييز اللهجة", "dialect", "dialect_id", (2,)),
    Skill("to MSA", "التحويل إلى الفصحى", "dialect", "normalize", (2, 3)),
    Skill("code-switching", "مزج اللغتين", "dialect", "code_switch", (3,)),
    Skill("culture", "الثقافة", "dialect", "culture", (3,)),
)
GENERAL = tuple(skill for skill in SKILLS if not skill.stages and skill.task == "mean")
ANALYSIS = tuple(skill for skill in SKILLS if skill.task == "mmlu")
GULF = tuple(skill for skill in SKILLS if skill.task in ("dialect_id", "normalize", "code_switch"))  # of Table 14
CULTURE = tuple(skill for skill in SKILLS if skill.task == "culture")
FUNDAMENTALS = tuple(skill for skill in SKILLS if skill.benchmark == "arabic_fundamentals")
SUITES = {"arabicmmlu": "ar", "metabench": "en"}
Pairs = Sequence[tuple[str, str]]


def taught(stage: int) -> tuple[Skill, ...]:
    """The skills that a stage teaches."""
    return tuple(skill for skill in SKILLS if stage in skill.stages)


def alone(stage: int) -> tuple[Skill, ...]:
    """The skills that a stage teaches and no other does: what transfer between stages can be read from."""
    return tuple(skill for skill in SKILLS if skill.stages == (stage,))


def knowledge(code: str) -> tuple[Skill, ...]:
    """The benchmark mean of a language."""
    return tuple(skill for skill in GENERAL if SUITES[skill.benchmark] == code)


def score(results: Results, run: str | None, skill: Skill) -> Cell:
    """Accuracy, or the share of answers that match exactly where the model writes them; percent."""
    cells = (results.cell(run, metric, skill.benchmark, skill.task) for metric in ("acc", "exact_match"))
    return next((cell for cell in cells if not math.isnan(cell.value)), measured.NOTHING)


def known(values: Iterable[float]) -> list[float]:
    """The numbers among the values."""
    return [value for value in values if not math.isnan(value)]


def average(results: Results, runs: Iterable[str], skills: Sequence[Skill]) -> float:
    """Mean of several skills over runs, percent; NaN where a skill of a run is missing or there is no run."""
    values = [score(results, run, skill).value for run in runs for skill in skills]
    return sum(values) / len(values) if values else math.nan


def answers(results: Results, skill: Skill) -> pandas.DataFrame | None:
    """Items of a skill, (task, item, cluster), x run, NaN where a run was not asked; None where no run was."""
    if skill.task == "mean":
        return paired._wide(results, SUITES[skill.benchmark])
    store = results.__dict__.setdefault("_skills", {})
    if skill not in store:
        items = results.items
        benchmark, task = items["benchmark"].astype(str).map(measured.suite), items["task"].astype(str)
        own = items[(benchmark == skill.benchmark) & (task == skill.task)]
        store[skill] = paired._pivot(own.assign(task=""), skill.benchmark)
    return store[skill]


def outcomes(table: pandas.DataFrame, skill: Skill) -> paired.Outcomes:
    """The answers of every run of ``table`` to the items that all of them were asked."""
    table = table.dropna()
    task, cluster = (table.index.get_level_values(level).to_numpy(str) for level in ("task", "cluster"))
    language = SUITES.get(skill.benchmark, "") if skill.task == "mean" else ""
    return paired.Outcomes(language, tuple(table.columns), table.to_numpy(dtype=float), task, cluster)


def drawn(results: Results, skill: Skill, runs: Sequence[str]) -> tuple[numpy.ndarray, int] | None:
    """Bootstrap means of the runs, (resamples, runs) in percent, and the number of items; None without items.

    Runs that were asked every item are drawn together once, and kept: the same draws serve every comparison.
    """
    table = answers(results, skill)
    if table is None or any(run not in table.columns for run in runs):
        return None
    store = results.__dict__.setdefault("_draws", {})
    if skill not in store:
        whole = outcomes(table.dropna(axis=1), skill)
        store[skill] = whole.runs, whole.draws(seed=SKILLS.index(skill)) if whole.runs else None, len(whole.task)
    known_runs, draws, count = store[skill]
    if set(runs) <= set(known_runs):
        return draws[:, [known_runs.index(run) for run in runs]], count
    found = outcomes(table[list(dict.fromkeys(runs))], skill)
    if not len(found.task):
        return None
    return found.draws(seed=SKILLS.index(skill))[:, [found.runs.index(run) for run in runs]], len(found.task)


def difference(results: Results, parts: Sequence[tuple[Pairs, Sequence[Skill]]]) -> dict[str, float]:
    """Second run of each pair minus the first: the mean over ``parts`` of the means over their skills, in points.

    parts: (pairs, skills) each, the pairs of every part in the same order of seeds. Returns ``value, low, high, n,
    seeds`` with a 95 % interval over items and seeds; no interval without items, and NaN where a score is missing.
    """
    key = tuple((tuple(pairs), tuple(skills)) for pairs, skills in parts)
    store = results.__dict__.setdefault("_differences", {})
    if key not in store:
        store[key] = _difference(results, key)
    return dict(store[key])


def _difference(results: Results, parts: Sequence[tuple[Pairs, Sequence[Skill]]]) -> dict[str, float]:
    seeds = {len(pairs) for pairs, _ in parts}
    if len(seeds) != 1 or not all(pairs and skills for pairs, skills in parts):
        return dict(NOTHING)
    values = [_points(results, pairs, skills) for pairs, skills in parts]
    value, found = sum(values) / len(values), [_draws(results, *part) for part in parts]
    if math.isnan(value) or any(draws is None for draws, _ in found):
        return {**NOTHING, "value": value, "seeds": seeds.pop()}
    return learning_paired._spread(value, sum(draws for draws, _ in found) / len(found), sum(n for _, n in found))


def _points(results: Results, pairs: Pairs, skills: Sequence[Skill]) -> float:
    before, after = (average(results, [pair[side] for pair in pairs], skills) for side in (0, 1))
    return after - before


def _draws(results: Results, pairs: Pairs, skills: Sequence[Skill]) -> tuple[numpy.ndarray | None, int]:
    """Differences under resampled items, (resamples, pairs), and the number of items; each skill drawn by itself."""
    total, count = 0.0, 0
    for skill in skills:
        found = drawn(results, skill, [run for pair in pairs for run in pair])
        if found is None:
            return None, 0
        draws, items = found
        total, count = total + (draws[:, 1::2] - draws[:, ::2]) / len(skills), count + items
    return total, count


def common(*found: dict[int | None, str]) -> list[dict[int | None, str]]:
    """The same runs, of the seeds that all have; the base, which has none, stays."""
    seeded = [set(runs) for runs in found if None not in runs]
    shared = set.intersection(*seeded) if seeded else set()
    return [{seed: run for seed, run in runs.items() if seed in shared or seed is None} for runs in found]


def against(results: Results, before: dict[int | None, str], after: dict[int | None, str],
            skills: Sequence[Skill]) -> dict[str, float]:  # fmt: skip
    """The mean of several skills after, against before, over the seeds that both have."""
    return difference(results, [(learning_runs.facing(before, after), skills)])


def start(results: Results, method: str, skills: Sequence[Skill], stage: int = finetuning_runs.LAST,
          **options: object) -> dict[str, float]:  # fmt: skip
    """The mean of several skills after a stage of a fine-tuned method, against its start."""
    found = (finetuning_runs.after(results, method, number, **options) for number in (0, stage))
    return against(results, *found, skills)
