"""What the distillation notebooks show of their own runs: plans, answers, scores, curves and behaviour."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from llmini.records import read_all, read_record
from llmini.report import display, labels, learning_paired, learning_runs, measured
from llmini.report.learning_answers import answer, behaviour_answer, teacher_answer
from llmini.report.learning_curves import curves, subset_figure

if TYPE_CHECKING:
    from llmini.grid import Run
    from llmini.report.measured import Results
    from llmini.train.cache import Cache
    from llmini.train.prompts import Prompt

__all__ = ["answer", "answers", "behaviour_answer", "behaviour_table", "cache", "curves", "plan", "questions",
           "results", "scores", "subset_figure", "teacher_answer"]  # fmt: skip
OPTIONS = ("learning rate", "epochs", "batch", "alpha", "T", "rule", "theta", "share")
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
SHOWN = 220  # letters of a text in a table


def results(tier: str, runs: Iterable[Run]) -> Results:
    """The records of ``runs``, and those of their step controls that were made from the same code and data.

    Raises UserError when a record of ``runs`` is missing; a control may be.
    """
    runs = list(runs)
    table, items, provenance = read_all({run.folder for run in (*runs, *controls(runs))})
    return measured.build(table, items, tier, provenance, ("kd",))


def controls(runs: Iterable[Run]) -> list[Run]:
    """The controls of as many steps as each of ``runs``, of its seed and preset, that another notebook start left."""
    found = []
    for run in runs:
        if run.method in labels.CONTROLS:
            shared = tuple((name, value) for name, value in run.params if name in ("seed", "preset"))
            beside = dataclasses.replace(run, method=labels.CONTROLS[run.method], params=shared)
            if beside.fresh(read_record(run.folder / "record.json").get("provenance", {}).get("fingerprint")):
                found.append(beside)
    return found


def plan(runs: Iterable[Run]) -> display.Shown:
    """The runs, where each starts, whose answers it learns and the options that matter to its stage."""
    from llmini.train import stages

    rows = []
    for run in runs:
        row: dict[str, Any] = {"run": run.run_id}
        if run.method == labels.BASE:
            row |= {"starts from": "the model as it is", "learns": "–"}
        else:
            told = stages.recipe_of(run)
            row |= {"starts from": stages.before(run).variant, "learns": f"{told.responses} answers",
                    **learning_runs.settings(told)}  # fmt: skip
        rows.append(row)
    for row in rows:
        row |= {name: row.get(name, "–") for name in OPTIONS}
    return display.show(display.frame(rows, ["run"], "Runs", missing="–"))


def cache(cache: Cache) -> display.Shown:
    """What the teacher's answers hold and take on disk, beside what its whole distributions would take."""
    made, itemsize = cache.manifest, BYTES[cache.manifest["dtype"]]
    tokens, size = cache.tokens, sum(entry["bytes"] for entry in made["shards"].values())
    ended = sum(bool(response.ids) and response.ids[-1] in cache.ends for response in cache.responses)
    rows = {
        "teacher": made["model"], "prompts answered": len(cache.responses), "answers that came to their end": ended,
        "tokens in all answers": tokens, "tokens an answer": tokens / len(cache.responses),
        "tokens that are the teacher's first choice, %": 100 * cache.agreement, "stored as": made["dtype"],
        "bytes a token, hidden state": made["width"] * itemsize,
        "bytes a token, whole distribution": made["vocabulary"] * itemsize,
        "cache on disk, MB": size / measured.MB, "output embedding, MB": made["head"]["bytes"] / measured.MB,
    }  # fmt: skip
    decimals = {name: 0 for name, value in rows.items() if isinstance(value, int)}
    lines = [{"": name, "value": display.number(value, decimals.get(name, 1))} for name, value in rows.items()]
    return display.show(display.frame(lines, [""], "The cache of the teacher's answers"))


def answers(asked: Sequence[Prompt], cache: Cache, each: int = 3) -> display.Shown:
    """The teacher's answers to ``each`` prompts a language, from as many kinds of prompts as there are."""
    said = {response.id: response.text for response in cache.responses}
    rows = []
    for code in ("en", "ar"):
        own = [prompt for prompt in asked if prompt.language == code and prompt.id in said]
        first = list({prompt.source: prompt for prompt in reversed(own)}.values())[::-1]
        for prompt in [*first, *(prompt for prompt in own if prompt not in first)][:each]:
            rows.append({"language": labels.LANGUAGES[code], "kind": prompt.source, "prompt": short(prompt.prompt),
                         "the teacher's answer": short(said[prompt.id])})  # fmt: skip
    return display.show(display.frame(rows, ["language", "kind"], "The teacher answers"))


def short(text: str) -> str:
    """Text on one line, cut at :data:`SHOWN` letters."""
    text = re.sub(r"\s+", " ", text).strip()
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def scores(results: Results) -> display.Shown:
    """Accuracy, GSM8K, perplexity and KL to base of every run; the students against their step control, paired."""
    chosen = [line for line in learning_runs.lines(results) if not line.behaviour]
    named, trained = learning_runs.names(chosen), any(line.method in learning_runs.TRAINED for line in chosen)
    rows = []
    for line in chosen:
        row: dict[Any, Any] = {"model": named[line.run]}
        beside = learning_runs.control(results, line)
        for code in labels.SUITES:
            group = labels.LANGUAGES[code]
            row[(group, "accuracy, %")] = learning_runs.score(results, line.run, code).value
            if code == "en":
                row[(group, "GSM8K, %")] = learning_runs.score(results, line.run, "gsm8k").value
            row[(group, "perplexity")] = results.perplexity(line.run, code).value
            if trained:
                row[(group, "KL to base")] = results.divergence(line.run, code).value
                found = learning_paired.scores(results, [(beside, line.run)] if beside else [], code)
                row[(group, "against the control")] = display.span(found, sign=True, missing="–")
        if trained:
            row[("Step control", "name")] = named.get(beside, "–")
            if beside and learning_runs.get(results, beside).method != labels.CONTROLS[line.method]:
                row[("Step control", "name")] += " (fewer steps)"
        rows.append(row)
    note = ("Accuracy: ArabicMMLU and metabench means. KL in nats a token. ") + (
        "Against the control: points of accuracy beyond SFT that went on with SFT for as many steps, which is the "
        "control named (one of fewer steps where that was not run), with a 95 % paired bootstrap interval over items."
        if trained else "")  # fmt: skip
    title = f"{_about(results)}, {labels.tier(results.tier)}"
    digits = {"accuracy, %": 1, "GSM8K, %": 1, "KL to base": 4}
    return display.show(display.frame(rows, ["model"], title, note.strip(), digits, "–"))


def _about(results: Results) -> str:
    """Whom a table is about: the student, or the teacher where it is alone."""
    teacher = learning_runs.teacher(results)
    alone = teacher and len(results.runs) == 1
    return labels.model(results.runs.at[teacher, "model"], results.tier) if alone else learning_runs.student(results)


def questions(rows: Sequence[Any], each: int = 1) -> display.Shown:
    """``each`` pair questions of every category, in both languages, the right option marked.

    rows: as data/pairs has them: ``id, category, en, ar`` (each ``question, options``), ``answer``.
    """
    rows = [dataclasses.asdict(row) if dataclasses.is_dataclass(row) else dict(row) for row in rows]
    counts: dict[str, int] = {}
    out = []
    for row in rows:
        counts[row["category"]] = counts.get(row["category"], 0) + 1
        if counts[row["category"]] <= each:
            for code in ("en", "ar"):
                marked = [f"{'✓ ' if place == row['answer'] else ''}{option}"
                          for place, option in enumerate(row[code]["options"])]  # fmt: skip
                asked, options = short(row[code]["question"]), short(" | ".join(marked))
                out.append({"category": row["category"], "language": labels.LANGUAGES[code], "question": asked,
                            "options": options})  # fmt: skip
    note = "; ".join(f"{name}: {count}" for name, count in counts.items())
    shown = display.frame(out, ["category", "language"], f"{len(rows)} questions, each in English and in Arabic", note)
    return display.show(shown)


ALIKE = {"accuracy, en, %": ("acc", "en"), "accuracy, ar, %": ("acc", "ar"), "LPG": ("lpg", ""),
         "|LPG|": ("lpg_abs", ""), "CLCS, %": ("clcs", ""), "CLCS by chance, %": ("clcs_chance", ""),
         "kappa": ("clcs_kappa", "")}  # fmt: skip
SURE = {"ECE, en": ("ece", "en"), "ECE, ar": ("ece", "ar"), "smooth ECE, en": ("ece_smooth", "en"),
        "smooth ECE, ar": ("ece_smooth", "ar"), "Brier, en": ("brier", "en"), "Brier, ar": ("brier", "ar"),
        "confidence gap": ("confidence_gap", "")}  # fmt: skip
FRACTIONS = ("clcs_kappa", "brier")  # the rest is percent or points


def behaviour_table(results: Results) -> display.Shown:
    """Every bilingual measure of every student with its interval: answers in one table, confidence in another."""
    chosen = [line for line in learning_runs.lines(results) if line.behaviour]
    named = learning_runs.names(chosen)
    none = {"value": math.nan, "low": math.nan, "high": math.nan, "n": 0}
    found = {line.run: learning_paired.behaviour(results, line.run) for line in chosen}
    count = max((int(cell["n"]) for cells in found.values() for cell in cells.values()), default=0)
    tables = []
    for title, columns in (("The same questions in English and Arabic", ALIKE), ("How sure, and how rightly", SURE)):
        rows = [{"model": named[run], **{
            words: display.span(cells.get(key, none), 3 if key[0] in FRACTIONS else 1, missing="–")
            for words, key in columns.items()}} for run, cells in found.items()]  # fmt: skip
        note = (f"{count} questions. In brackets: 95 % intervals. LPG: English minus Arabic accuracy, points; CLCS: "
                "answered alike, with what two models of these accuracies would share by chance. "
                if columns is ALIKE else "ECE and confidence gap (English minus Arabic) in points.")  # fmt: skip
        tables.append(display.frame(rows, ["model"], f"{title}, {labels.tier(results.tier)}", note.strip()))
    return display.show(*tables)
