"""Forgetting, measured: what each stage of the curriculum leaves of every skill, and transfer between the stages."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

from llmini.report import finetuning_paired, finetuning_runs, labels, learning_runs
from llmini.report.display import frame, span
from llmini.report.finetuning_paired import GENERAL, SKILLS, alone, taught
from llmini.report.finetuning_runs import LAST, STAGES, TUNED, after, joined
from llmini.report.learning_tables import average, spread

if TYPE_CHECKING:
    import pandas

    from llmini.report.finetuning_paired import Skill
    from llmini.report.measured import Results

ROWS = {0: "start", **{stage: f"stage {stage}" for stage in STAGES}}
TEXTS = ("ar", "gulf", "en")
WRITTEN, FAILED = "Written answers", "wrong script, %"
CHRF = (("correction", "correction, chrF"), ("normalize", "to MSA, chrF"))
OWN = tuple(f"stage {stage}'s own" for stage in STAGES)


def matrix(results: Results, method: str, **options: Any) -> dict[int, dict[str, dict[str, float]]]:
    """Stage (0: the start) -> skill's words -> ``value`` (percent, mean over the seeds), ``change`` from the start with
    ``low`` and ``high``, ``seeds``. The start is averaged over the seeds of the last stage, where there is one.
    """
    results, out = joined(results), {}
    last = after(results, method, **options)
    for stage in ROWS:
        runs = after(results, method, stage, **options)
        runs = {seed: run for seed, run in runs.items() if seed in last or seed is None or not last}
        out[stage] = {}
        for skill in SKILLS:
            moved = dict(finetuning_paired.NOTHING)
            if stage:
                moved = finetuning_paired.start(results, method, (skill,), stage, **options)
            out[stage][skill.words] = {
                "value": finetuning_paired.average(results, runs.values(), (skill,)), "change": moved["value"],
                "low": moved["low"], "high": moved["high"], "seeds": len(runs)}  # fmt: skip
    return out


def matrix_table(results: Results, chosen: list[tuple[str, dict[str, Any]]] | None = None) -> pandas.DataFrame:
    """Every benchmark after every stage: percent, and below it the difference from the start with its interval.

    chosen: (method, options) of other curricula than the study's two; their stages that were not run are left out.
    """
    results, rows = joined(results), []
    for method, options in [(method, {}) for method in TUNED] if chosen is None else chosen:
        found, words = matrix(results, method, **options), finetuning_runs.curriculum(method, options)
        there = {stage: after(results, method, stage, **options) for stage in ROWS}
        shown = [stage for stage in ROWS if chosen is None or there[stage]]
        for stage in shown:
            runs, row = there[stage].values(), {"method": words, "after": ROWS[stage]}
            row |= {(_group(skill), skill.words): found[stage][skill.words]["value"] for skill in SKILLS}
            row |= {(WRITTEN, name): average([results.cell(run, "chrf", "dialect", task).value for run in runs])
                    for task, name in CHRF}  # fmt: skip
            row[(WRITTEN, FAILED)] = average([failures(results, run) for run in runs])
            rows.append({**row, ("Runs", "seeds"): len(runs)})
        for stage in (stage for stage in shown if stage):
            row = {"method": words, "after": f"{ROWS[stage]}, change"}
            for skill in SKILLS:
                cell = found[stage][skill.words]
                row[(_group(skill), skill.words)] = span({**cell, "value": cell["change"]}, sign=True)
            rows.append({**row, **dict.fromkeys([*((WRITTEN, name) for _, name in CHRF), (WRITTEN, FAILED),
                                                 ("Runs", "seeds")], "–")})  # fmt: skip
    note = ("Percent right, mean over the training seeds; changes from the start in points with 95 % intervals over "
            "items and seeds. The group says which stages teach a task; general ones are taught by none. chrF: 0 to "
            "100. Wrong script: answers with a letter that is neither Arabic nor Latin, all of which count as wrong.")
    digits = {skill.words: 1 for skill in SKILLS} | {name: 1 for _, name in CHRF} | {FAILED: 1, "seeds": 0}
    return frame(rows, ["method", "after"], f"Every benchmark after every stage, {labels.tier(results.tier)}", note,
                 digits)  # fmt: skip


def _group(skill: Skill) -> str:
    return f"Stage {' and '.join(map(str, skill.stages))}" if skill.stages else "General"


def failures(results: Results, run: str | None) -> float:
    """Percent of the written answers of the dialect tasks that hold a letter neither Arabic nor Latin, over tasks."""
    cells = [results.cell(run, "script_failures", "dialect", skill.task).value for skill in finetuning_paired.GULF]
    return 100 * average(cells)


def stages(results: Results, method: str, **options: Any) -> dict[int, dict[int, float]]:
    """R: after stage i (0: the start) -> mean score of the tasks that stage j alone teaches, percent."""
    results = joined(results)
    return {done: {own: finetuning_paired.average(results, after(results, method, done, **options).values(),
                                                  alone(own)) for own in STAGES} for done in ROWS}  # fmt: skip


def transfer(results: Results, method: str, **options: Any) -> dict[str, dict[str, float]]:
    """``backward`` and ``forward`` transfer between the stages, in points, with 95 % intervals over items and seeds.

    With R[i, j] the score after stage i on the tasks that stage j alone teaches (one taught twice would count training
    as transfer), T stages and b[j] the start's score:
    backward = 1/(T-1) sum over j < T of R[T, j] - R[j, j], below zero where later stages forget;
    forward = 1/(T-1) sum over j > 1 of R[j-1, j] - b[j].
    Source: Lopez-Paz and Ranzato (2017), "Gradient Episodic Memory", arXiv:1706.08840, section 2;
    their b is of untrained weights, the one here of the model that the curriculum starts from.
    """
    results = joined(results)
    done = _stages(results, method, **options)
    parts = {"backward": [(learning_runs.facing(done[own], done[LAST]), alone(own)) for own in STAGES[:-1]],
             "forward": [(learning_runs.facing(done[0], done[own - 1]), alone(own)) for own in STAGES[1:]]}
    return {name: finetuning_paired.difference(results, part) for name, part in parts.items()}


def _stages(results: Results, method: str, **options: Any) -> list[dict[int | None, str]]:
    """The runs after every stage (0: the start), of the seeds that have them all."""
    return finetuning_paired.common(*(after(results, method, stage, **options) for stage in ROWS))


def backward(results: Results, method: str) -> dict[int, tuple[float, dict[str, float]]]:
    """Stage -> (its tasks' score at its own end, percent; what they move by until the last stage, in points): the terms
    of backward transfer. A stage that learned nothing has nothing to lose.
    """
    results = joined(results)
    done = _stages(results, method)
    return {own: (finetuning_paired.average(results, done[own].values(), alone(own)),
                  finetuning_paired.against(results, done[own], done[LAST], alone(own)))
            for own in STAGES[:-1]}  # fmt: skip


def transfer_table(results: Results) -> pandas.DataFrame:
    """Scores on each stage's tasks after each stage, and both transfers."""
    results, rows = joined(results), []
    kept = [(method, options) for method, options in finetuning_runs.ablated(results) if set(options) == {"replay"}]
    for method, options in [*((name, {}) for name in TUNED), *kept]:
        words = finetuning_runs.curriculum(method, options)
        found, moved = stages(results, method, **options), transfer(results, method, **options)
        for done, scores in found.items():
            row = {"method": words, "after": ROWS[done], **dict(zip(OWN, scores.values(), strict=True))}
            for name, cell in moved.items():
                row[f"{name} transfer"] = span(cell, sign=True) if done == LAST else "–"
            rows.append(row)
    note = ("R[i, j]: mean score after stage i on the tasks that stage j alone teaches, percent. Backward transfer: "
            "the mean of R[3, j] − R[j, j] over stages 1 and 2, below zero where later stages forget. Forward "
            "transfer: the mean of R[j−1, j] minus the start's score over stages 2 and 3. Lopez-Paz and Ranzato "
            "(2017), arXiv:1706.08840, with the start in the place of untrained weights. Points, 95 % intervals over "
            "items and seeds. Tasks: "
            + "; ".join(f"stage {own}: {', '.join(skill.words for skill in alone(own))}" for own in STAGES) + ".")
    return frame(rows, ["method", "after"], f"Transfer between the stages, {labels.tier(results.tier)}", note,
                 dict.fromkeys(OWN, 1))  # fmt: skip


def perplexity_table(results: Results) -> pandas.DataFrame:
    """Perplexity per language after every stage, and KL to the start."""
    results, rows = joined(results), []
    for method in TUNED:
        for stage, words in ROWS.items():
            runs = list(after(results, method, stage).values())
            row: dict[Any, Any] = {"method": finetuning_runs.method(method), "after": words}
            for code in TEXTS:
                values = [finetuning_runs.perplexity(results, run, code) for run in runs]
                kl = [results.divergence(run, code).value for run in runs]
                name = labels.LANGUAGES[code]
                lone = "–" if len(finetuning_paired.known(values)) == 1 else spread(values)
                row |= {(name, "perplexity"): average(values), (name, "s.d."): lone,
                        (name, "KL to start"): average(kl) if stage else "–"}  # fmt: skip
            rows.append({**row, ("Runs", "seeds"): len(runs)})
    note = ("Held-out text of each language; means over the training seeds, s.d.: over those seeds. KL in nats a "
            "token.")  # fmt: skip
    return frame(rows, ["method", "after"], f"Perplexity after every stage, {labels.tier(results.tier)}", note,
                 {"seeds": 0, "KL to start": 4})  # fmt: skip


def relative(results: Results, method: str, code: str, stage: int = LAST) -> dict[str, float]:
    """Percent by which perplexity moves from the start: ``value, low, high, seeds``.

    The geometric mean over the seeds with Student's 95 % interval of its logarithm; no interval of fewer than two.
    """
    from scipy import stats

    results = joined(results)
    pairs = learning_runs.facing(after(results, method, 0), after(results, method, stage))
    values = [[finetuning_runs.perplexity(results, run, code) for run in pair] for pair in pairs]
    ratios = finetuning_paired.known(math.log(after) - math.log(before) for before, after in values)
    if not ratios:
        return dict(finetuning_paired.NOTHING)
    middle, low, high = statistics.fmean(ratios), math.nan, math.nan
    if len(ratios) > 1:
        reach = stats.t.ppf(0.975, len(ratios) - 1) * statistics.stdev(ratios) / math.sqrt(len(ratios))
        low, high = middle - reach, middle + reach
    percent = {"value": middle, "low": low, "high": high}
    return {name: 100 * math.expm1(value) for name, value in percent.items()} | {"n": 0, "seeds": len(ratios)}


def ablation_table(results: Results) -> pandas.DataFrame:
    """The curriculum without replay, reversed and mixed: scores after the last stage, against the study's order."""
    results, rows = joined(results), []
    for method in TUNED:
        main, others = after(results, method), [own for name, own in finetuning_runs.ablated(results) if name == method]
        for options in [{}, *others] if others or main else []:
            runs = after(results, method, **options)
            row: dict[Any, Any] = {"method": finetuning_runs.method(method),
                                   "setting": finetuning_runs.setting(options)}  # fmt: skip
            for words, skills in (*((f"Tasks of stage {own}", taught(own)) for own in STAGES), ("General", GENERAL)):
                row[(words, "score, %")] = finetuning_paired.average(results, runs.values(), skills)
                cell = finetuning_paired.against(results, *finetuning_paired.common(main, runs), skills)
                row[(words, "against")] = span(cell, sign=True, missing="not measured") if options else "–"
            rows.append({**row, ("Runs", "seeds"): len(runs)})
    if not rows:
        rows.append({"method": "none", "setting": "none", ("General", "score, %"): math.nan})
    note = ("After the last stage. As the study: stages 1, 2, 3 with 10 % of stage 1 replayed in stage 3. General: "
            "mean of ArabicMMLU and metabench. Against: points beyond the study's order, of the same seeds, with 95 % "
            "intervals over items and seeds. Tasks of stages 2 and 3 count to MSA, which both teach; the transfer "
            "table leaves it out.")  # fmt: skip
    return frame(rows, ["method", "setting"], f"Replay and order of the stages, {labels.tier(results.tier)}", note,
                 {"score, %": 1, "seeds": 0})  # fmt: skip
