"""The study's fine-tuning tables: the curriculum, 13, 14, 19 and 23, as printed and as measured; Hala's numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from llmini.report import finetuning_paired, finetuning_runs, labels, learning_ablations, learning_paired, reported
from llmini.report.display import REPORTED, frame, span
from llmini.report.finetuning_paired import CULTURE, GULF, SKILLS
from llmini.report.finetuning_runs import COMPARED, TUNED, after, joined, method
from llmini.report.forgetting import failures
from llmini.report.learning_runs import plain
from llmini.report.learning_tables import average, beside, printed
from llmini.report.tables import group

if TYPE_CHECKING:
    import pandas

    from llmini.report.measured import Results

HERE = {1: "morphology, agreement, correction", 2: "Gulf text, the teacher's answers",
        3: "Bahraini dialogue and culture, replay of stage 1"}  # fmt: skip
BOUNDS = "accuracy_upper_bound"  # what the study calls its scores on the Bahrain Corpus
# Lines of Table 13: words, benchmark, task.
ARADICE = (("culture", "aradice_culture", "qatar"), ("TruthfulQA, MSA", "aradice_truthfulqa", "truthfulqa_msa"),
           ("PIQA, MSA", "aradice_piqa", "piqa_msa"), ("HellaSwag, MSA", "aradice_hellaswag", "hellaswag_msa"))
# Study's task -> the skill measured in its place. ArabicMMLU and MMLU of the pocket tier are the pocket world's own.
MEASURED = {"mmlu_en": ("mmlu",), "unspecified": ("arabicmmlu",), "gsm8k": ("gsm8k",), "qatar": ("culture",),
            "overall": tuple(skill.task for skill in GULF), "dialect_id": ("dialect_id",),
            "normalize": ("normalize",), "code_switch": ("code_switch",)}  # fmt: skip


def curriculum_table(results: Results) -> pandas.DataFrame:
    """The study's three stages, and what the runs here were told and saw."""
    results, out = joined(results), []
    here = f"Run here, {labels.tier(results.tier)}"
    for told in reported.load("curriculum").itertuples():
        row: dict[Any, Any] = {"stage": f"{told.stage}. {told.stage_name}", (REPORTED, "data"): told.data_sources,
                               (REPORTED, "samples"): told.samples, (REPORTED, "epochs"): f"{told.epochs:g}",
                               (REPORTED, "learning rate"): plain(told.learning_rate)}  # fmt: skip
        row[(here, "data")] = HERE[told.stage] if results.tier == "pocket" else math.nan
        found = {name: after(results, name, told.stage) for name in TUNED}
        made = finetuning_runs.recipe(results.tier, {"stage": told.stage}) if any(found.values()) else None
        for name, runs in found.items():
            seen = finetuning_runs.lessons(results, runs[min(runs)]) if runs else {}
            row[(here, f"samples, {method(name)}")] = seen.get("examples", math.nan)
        row[(here, "of them instructions")] = seen.get("instructions", math.nan)
        for words, key in (("epochs", "epochs"), ("learning rate", "learning_rate")):
            row[(here, words)] = plain(getattr(made, key)) if made else math.nan
        row[(here, "seeds")] = max(map(len, found.values()))
        out.append(row)
    note = ("The study prints the number 18 over this table and over that of theta. LoRA r=16, alpha=32 on attention "
            "and feed-forward projections in the study, every weight in the pocket tier. FT-v1 learns each stage's "
            "corpora as plain text, FT-V2 the same with instruction-format data mixed in, here in the place of as many "
            "documents. Samples here: of the "
            "lowest seed, those of the replay included.")  # fmt: skip
    whole = {key[1]: 0 for row in out for key in row if isinstance(key, tuple)}
    return frame(out, ["stage"], "The curriculum of fine-tuning", note, whole, missing="not run")


def skills(task: str) -> list[finetuning_paired.Skill]:
    """The skills measured in the place of one of the study's tasks; none where this project has no such task."""
    wanted = MEASURED.get(task, ())
    return [skill for skill in SKILLS if skill.task in wanted or (skill.task == "mean" and skill.benchmark in wanted)]


def table_13(results: Results) -> pandas.DataFrame:
    """Table 13: AraDiCE by stage; measured, the culture questions with their intervals."""
    results, out, measured = joined(results), [], group(results)
    for name in COMPARED:
        runs, row = after(results, name), {"stage": method(name)}
        for words, benchmark, task in ARADICE:
            row[(REPORTED, words)] = printed(13, name, benchmark=benchmark, task=task)
        row[(measured, "culture")] = finetuning_paired.average(results, runs.values(), CULTURE)
        cell = _step(results, name, CULTURE)
        row[(measured, "against the base")] = "–" if name == labels.BASE else span(cell, sign=True)
        for words, benchmark, task in ARADICE[1:]:
            cells = [results.cell(run, "acc", benchmark, task).value for run in runs.values()]
            row[(measured, words)] = average(cells)
        row[(measured, "seeds")] = len(runs)
        out.append(row)
    note = ("The study's culture questions are 30, of Qatar; Table 19 prints 53.3 for the base where this one has "
            "66.7. Measured: questions on Bahraini and Gulf life, four options. AraDiCE itself belongs to the full "
            "tier. Against the base: points, 95 % intervals over items and seeds.")  # fmt: skip
    digits = {"culture": 1, "seeds": 0}
    return beside(out, measured, "Table 13. Culture and AraDiCE, percent", note, digits)


def _step(results: Results, name: str, own: Any) -> dict[str, float]:
    found = finetuning_paired.common(after(results, labels.BASE), after(results, name))
    return finetuning_paired.against(results, *found, own)


def table_14(results: Results) -> pandas.DataFrame:
    """Table 14: the Bahraini dialect tasks by stage."""
    results, out, measured = joined(results), [], group(results)
    for name in COMPARED:
        runs = after(results, name).values()
        row: dict[Any, Any] = {"stage": method(name)}
        where = {"metric": BOUNDS}
        for skill in GULF:
            row[(REPORTED, skill.words)] = printed(14, name, task=skill.task, **where)
            row[(measured, skill.words)] = finetuning_paired.average(results, runs, (skill,))
        row[(REPORTED, "mean")] = printed(14, name, task="overall", **where)
        row[(REPORTED, "wrong script, %")] = printed(14, name, task="cjk_failures", metric="rate_percent")
        row[(measured, "mean")] = finetuning_paired.average(results, runs, GULF)
        row[(measured, "to MSA, chrF")] = average([results.cell(run, "chrf", "dialect", "normalize").value
                                                   for run in runs])  # fmt: skip
        row[(measured, "wrong script, %")] = average([failures(results, run) for run in runs])
        row[(measured, "seeds")] = len(runs)
        out.append(row)
    note = ("The study calls its scores upper bounds: an answer is right where a keyword stands in it. Measured: the "
            "exact label, the exact sentence and the rule stated with the task; an answer with a letter that is "
            "neither Arabic nor Latin is wrong. Means over the training seeds; the mean is of the three tasks.")
    return beside(out, measured, "Table 14. Bahraini dialect, percent", note,
                  {"seeds": 0} | dict.fromkeys(("mean", "wrong script, %"), 1))  # fmt: skip


def layer(results: Results, name: str, benchmark: str, task: str, metric: str) -> float:
    """A measured cell of Tables 19 and 23, mean over the seeds."""
    results = joined(results)
    runs = list(after(results, name).values())
    if benchmark == "parallel_prompts":
        return average([learning_paired.value(results, run, metric, task) for run in runs])
    if metric == "perplexity":
        return average([finetuning_runs.perplexity(results, run, "en") for run in runs])
    return finetuning_paired.average(results, runs, skills(task))


def layers(results: Results, number: int, methods: tuple[str, ...]) -> list[dict[Any, Any]]:
    """Rows of Table 19 or 23: what the study printed of ``methods``, and what was measured."""
    measured, out = group(results), []
    for words, benchmark, task, metric in learning_ablations.LAYERS:
        where = {"benchmark": benchmark, "metric": "accuracy" if metric == "acc" else metric}
        if benchmark == "parallel_prompts":
            where["language"] = task or "en_ar"
        elif benchmark != "unspecified":
            where["task"] = task
        row: dict[Any, Any] = {"benchmark": words}
        row |= {(REPORTED, method(name)): printed(number, name, **where) for name in methods}
        row |= {(measured, method(name)): layer(results, name, benchmark, task, metric) for name in methods}
        out.append(row)
    return out


SAME = ("Measured: means over the training seeds; AraDiCE Qatar and the Bahrain Corpus are the culture questions and "
        "the dialect tasks of this project, perplexity is of held-out English text.")  # fmt: skip


def table_19(results: Results) -> pandas.DataFrame:
    """Table 19: distillation and fine-tuning over all layers."""
    note = ("The study prints 70.7 for FT-V2 on the Arabic pairs, which no 30 questions give; with 70.0 the gap is the "
            f"16.7 beside it. It does not name the text of its perplexity. {SAME}")  # fmt: skip
    return beside(layers(results, 19, COMPARED), group(results), "Table 19. Distillation and fine-tuning", note, {},
                  index="benchmark")  # fmt: skip


def table_23(results: Results) -> pandas.DataFrame:
    """Table 23 whole: the lines of its distillation part, with the fine-tuning columns beside them."""
    note = f"Table 23 disagrees with Tables 12 to 14 in places; both prints are kept. {SAME}"
    rows = layers(results, 23, (*labels.STAGES, *TUNED))
    return beside(rows, group(results), "Table 23. All benchmarks by stage", note, {}, index="benchmark")


def hala_table() -> pandas.DataFrame:
    """What the related study Hala prints. Nothing of it is measured here."""
    rows = []
    for row in reported.load("seed2_hala").fillna("").itertuples():
        ends = [text for text in (row.value, row.value_high) if text != ""]
        value = " to ".join(text if isinstance(text, str) else f"{text:g}" for text in ends)
        rows.append({"topic": row.topic, "of": row.model or "–", "method": row.method or "–",
                     "number": row.metric.replace("_", " "), "as printed": f"{value} {row.unit}".strip(),
                     "said with": row.qualifier or "–"})  # fmt: skip
    note = ("A translation teacher in FP8, a translator tuned on its output, and Arabic models merged by slerp. "
            "03_translate_and_tune repeats the steps on pocket models; none of these numbers is measured here.")
    return frame(rows, ["topic", "of"], "Hala, as reported", note, missing="not reported")
