"""What the fine-tuning notebook shows of its own runs: the plan, loss curves, the forgetting matrix and scores."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from llmini.records import read_all
from llmini.report import display, finetuning_paired, finetuning_runs, forgetting, labels, learning_paired, measured
from llmini.report.finetuning_answers import answer, forgetting_answer
from llmini.report.finetuning_figures import curves
from llmini.report.finetuning_paired import CULTURE, FUNDAMENTALS, GENERAL, GULF, SUITES
from llmini.report.learning_runs import plain, student

if TYPE_CHECKING:
    from llmini.grid import Run
    from llmini.report.measured import Results

__all__ = ["answer", "curves", "forgetting_answer", "matrix", "plan", "results", "scores"]
TEXTS = {"perplexity, ar": "ar", "perplexity, gulf": "gulf", "perplexity, en": "en"}


def plan(runs: Iterable[Run]) -> display.Shown:
    """The runs, where each starts, the corpora it learns, and what it is told."""
    from llmini.train import curriculum, tuning

    rows = []
    for run in runs:
        row: dict[str, Any] = {"run": run.run_id, "starts from": "measured as it is", "learns": "–"}
        if run.method in finetuning_runs.TUNED:
            told, options = finetuning_runs.recipe(run.tier, run.options), run.options
            again = options.get("replay", curriculum.REPLAY) if options["stage"] == 3 else 0
            replay = f"{100 * again:g} % of the first stage" if again and options.get("order") != "mixed" else "–"
            row |= {"starts from": tuning.before(run).variant,
                    "learns": ", ".join(curriculum.learned(options.get("order", ""), options["stage"])),
                    "replay": replay, "learning rate": plain(told.learning_rate), "epochs": plain(told.epochs),
                    "batch": plain(told.batch_size * told.accumulation), "LoRA r": plain(told.lora_r),
                    "base": "NF4" if told.base_bits == 4 else told.precision}  # fmt: skip
        rows.append(row)
    names = ("starts from", "learns", "replay", "learning rate", "epochs", "batch", "LoRA r", "base")
    rows = [{"run": row["run"], **{name: row.get(name, "–") for name in names}} for row in rows]
    return display.show(display.frame(rows, ["run"], "Runs", missing="–"))


def results(tier: str, runs: Iterable[Run]) -> Results:
    """The records of ``runs``. Raises UserError when one is missing."""
    table, items, provenance = read_all({run.folder for run in runs})
    return measured.build(table, items, tier, provenance, finetuning_runs.FAMILIES)


def matrix(results: Results) -> display.Shown:
    """Every benchmark after every stage of what was run; the changes from the start with their intervals."""
    return display.show(forgetting.matrix_table(results, finetuning_runs.kinds(results)))


def scores(results: Results) -> display.Shown:
    """Every checkpoint: benchmark means against the start, fundamentals, dialect, culture, LPG and perplexities."""
    results, rows = finetuning_runs.joined(results), []
    chosen = finetuning_runs.lines(results)
    named = finetuning_runs.names(chosen)
    for line in chosen:
        origin = finetuning_runs.after(results, line.method, 0, **line.options) if line.stage else {}
        origin = origin.get(line.seed, origin.get(None))
        row: dict[Any, Any] = {"model": named[line.run]}
        for skill in GENERAL:
            group, pairs = labels.LANGUAGES[SUITES[skill.benchmark]], [(origin, line.run)] if origin else []
            cell = finetuning_paired.difference(results, [(pairs, (skill,))])
            row |= {(group, f"{skill.words}, %"): finetuning_paired.score(results, line.run, skill).value,
                    (group, f"against the start, {SUITES[skill.benchmark]}"): span(cell, line.stage)}  # fmt: skip
        for words, skills in (("fundamentals", FUNDAMENTALS), ("dialect tasks", GULF), ("culture", CULTURE)):
            row[("Taught, %", words)] = finetuning_paired.average(results, [line.run], skills)
        row[("Pairs", "LPG")] = display.span(learning_paired.level(results, [line.run], "lpg"))
        row |= {("Text", words): finetuning_runs.perplexity(results, line.run, code) for words, code in TEXTS.items()}
        rows.append(row)
    note = ("Against the start: points beyond the model that fine-tuning started from, of the same seed, with a 95 % "
            "paired bootstrap interval over items. Fundamentals: punctuation and error choice; dialect tasks: mean of "
            "three. LPG: English minus Arabic accuracy on the pair questions, points.")  # fmt: skip
    digits = {f"{skill.words}, %": 1 for skill in GENERAL} | dict.fromkeys(("fundamentals", "dialect tasks",
                                                                              "culture"), 1)  # fmt: skip
    title = f"{student(results)}, {labels.tier(results.tier)}"
    return display.show(display.frame(rows, ["model"], title, note, digits))


def span(cell: dict[str, float], tuned: int) -> str:
    """A difference with its interval; a dash for a start, which stands against nothing."""
    return display.span(cell, sign=True) if tuned else "–"
