"""What the settings of distillation change: the study's tables 18 and 23, temperature, alpha, rules and presets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from llmini.report import labels, learning_paired, learning_runs, reported
from llmini.report.display import REPORTED, frame, span
from llmini.report.learning_tables import average, beside, printed
from llmini.report.tables import group

if TYPE_CHECKING:
    import pandas

    from llmini.report.measured import Results

ABLATED = (("temperature", "token_kd"), ("alpha", "token_kd"))  # besides theta, which is Table 18
KEPT = "kept, {}, %"
# Lines of Table 23: label, benchmark, task, metric; and where a measured run has it.
LAYERS = (
    ("MMLU, en", "mmlu", "mmlu_en", "accuracy"), ("ArabicMMLU, ar", "arabic_mmlu", "unspecified", "accuracy"),
    ("GSM8K, en", "gsm8k", "gsm8k", "accuracy"), ("AraDiCE Qatar, ar", "aradice_culture", "qatar", "accuracy"),
    ("Bahrain Corpus, all", "bahrain_corpus", "overall", "accuracy_upper_bound"),
    ("Bahrain Corpus, dialect", "bahrain_corpus", "dialect_id", "accuracy_upper_bound"),
    ("Bahrain Corpus, to MSA", "bahrain_corpus", "normalize", "accuracy_upper_bound"),
    ("Bahrain Corpus, code-switching", "bahrain_corpus", "code_switch", "accuracy_upper_bound"),
    ("pairs, EN", "parallel_prompts", "en", "acc"), ("pairs, AR", "parallel_prompts", "ar", "acc"),
    ("pairs, LPG", "parallel_prompts", "", "lpg"), ("pairs, CLCS", "parallel_prompts", "", "clcs"),
    ("pairs, ECE, ar", "parallel_prompts", "ar", "ece"), ("perplexity", "unspecified", "en", "perplexity"),
)  # fmt: skip


def table_18(results: Results) -> pandas.DataFrame:
    """Table 18: the threshold of SelecTKD's gate."""
    rows, measured, out = reported.load("table_18"), group(results), []
    runs, asked = (learning_runs.series(results, "selectkd", "theta", behaviour) for behaviour in (False, True))
    for theta in sorted({*rows["theta"], *runs, *asked}):
        row: dict[Any, Any] = {"theta": f"{theta:g}"}
        for words, metric in (("kept, ar, %", "ar_selected_percent"), ("LPG", "lpg")):
            row[(REPORTED, words)] = reported.value(rows, theta=theta, metric=metric)
        said = rows[rows["theta"] == theta]["conclusion"]
        row[(REPORTED, "called")] = said.iloc[0] if len(said) else math.nan
        row |= {(measured, words): cell for words, cell in changed(results, runs.get(theta), asked.get(theta)).items()}
        out.append(row)
    note = ("Reported shares cannot come from one ablation: a higher threshold never keeps more tokens, and the lines "
            "of 0.0 and 0.7 hold the full training's LPG. Measured: share of the answers' tokens that training kept, "
            "accuracies of the benchmarks, and LPG on the pairs with its 95 % interval; one seed.")  # fmt: skip
    digits = {"accuracy, ar, %": 1, "accuracy, en, %": 1}
    return beside(out, measured, "Table 18. The threshold theta", note, digits, index="theta")


def changed(results: Results, run: str | None, asked: str | None) -> dict[str, Any]:
    """Kept share and accuracy per language, and LPG, of a run and of its behaviour run."""
    row: dict[str, Any] = {KEPT.format(code): learning_runs.kept(results, run or asked, code) for code in labels.SUITES}
    row |= {f"accuracy, {code}, %": learning_runs.score(results, run, code).value for code in labels.SUITES}
    return {**row, "LPG": span(learning_paired.level(results, [asked] if asked else [], "lpg"))}


def table_23(results: Results) -> pandas.DataFrame:
    """Table 23, the distillation columns: every benchmark by stage."""
    measured, out = group(results), []
    for words, benchmark, task, metric in LAYERS:
        row: dict[Any, Any] = {"benchmark": words}
        for stage in labels.STAGES:
            where: dict[str, str] = {"benchmark": benchmark, "metric": "accuracy" if metric == "acc" else metric}
            if benchmark == "parallel_prompts":
                where["language"] = task or "en_ar"
            elif benchmark != "unspecified":
                where["task"] = task
            row[(REPORTED, labels.method(stage))] = printed(23, stage, **where)
            row[(measured, labels.method(stage))] = layer(results, stage, benchmark, task, metric)
        out.append(row)
    note = ("Table 23 disagrees with Tables 12 to 14 in GSM8K, AraDiCE Qatar and the Bahrain Corpus; both prints are "
            "kept. Its perplexities are of unnamed texts, and that of SFT of another one. Measured: means over the "
            "training seeds, perplexity on held-out English text. AraDiCE and the Bahrain Corpus belong to the full "
            "tier; Table 23 of the part on fine-tuning has the questions that stand in for them here.")  # fmt: skip
    return beside(out, measured, "Table 23. All benchmarks by stage (distillation)", note, {}, index="benchmark")


def layer(results: Results, stage: str, benchmark: str, task: str, metric: str) -> float:
    """A measured cell of Table 23, mean over the seeds."""
    runs = list(learning_runs.find(results, stage, behaviour=benchmark == "parallel_prompts").values())
    if benchmark == "parallel_prompts":
        return average([learning_paired.value(results, run, metric, task) for run in runs])
    if metric == "perplexity":
        return average([results.perplexity(run, "en").value for run in runs])
    short = {"mmlu": "mmlu", "arabic_mmlu": "ar", "gsm8k": "gsm8k"}.get(benchmark)
    if short:
        return average([learning_runs.score(results, run, short).value for run in runs])
    tasks = {"overall": ("mean",), "qatar": ("mean", "qatar", "aradice_culture")}.get(task, (task,))
    values = [results.cell(run, kind, benchmark, name).value
              for run in runs for name in tasks for kind in ("acc", "exact_match")]  # fmt: skip
    return average(values)


def ablation_table(results: Results) -> pandas.DataFrame:
    """Temperature and alpha against the main run, and the selection rules against random at an equal kept share."""
    out = []
    for option, stage in ABLATED:
        runs, asked = (learning_runs.series(results, stage, option, behaviour) for behaviour in (False, True))
        main = runs.get(learning_runs.default(results, stage, option))
        for value in sorted({*runs, *asked}):
            setting = f"{labels.method(stage)}, {learning_runs.OPTIONS[option]}"
            out.append(_line(results, setting, f"{value:g}", runs.get(value), asked.get(value), main))
    runs, asked = learning_runs.rules(results), learning_runs.rules(results, behaviour=True)
    for rule in {**runs, **asked}:
        out.append(_line(results, "SelecTKD, rule at equal share", rule, runs.get(rule), asked.get(rule),
                         runs.get("random")))  # fmt: skip
    if not out:
        out.append({"setting": "none", "value": "none", "accuracy, ar, %": math.nan})
    note = ("Against: points of accuracy beyond the main run's value (temperature, alpha) or beyond random selection "
            "(rules), with 95 % paired intervals over items. One seed.")  # fmt: skip
    title = f"Temperature, alpha and selection rules, {labels.tier(results.tier)}"
    return frame(out, ["setting", "value"], title, note, {"accuracy, ar, %": 1, "accuracy, en, %": 1})


def _line(results: Results, setting: str, value: str, run: str | None, asked: str | None,
          other: str | None) -> dict[str, Any]:  # fmt: skip
    row = {"setting": setting, "value": value, **changed(results, run, asked)}
    for code in labels.SUITES:
        pairs = [(other, run)] if other and run and other != run else []
        row[f"against, {code}"] = span(learning_paired.scores(results, pairs, code), sign=True, missing="–")
    return row


def preset_table(results: Results) -> pandas.DataFrame:
    """The study as its text and as its published code have it, each stage against the same stage here."""
    out = []
    for line in learning_runs.lines(results):
        if line.behaviour or not line.preset:
            continue
        main = learning_runs.find(results, line.method).get(line.seed)
        row: dict[Any, Any] = {"preset": line.preset, "stage": labels.method(line.method)}
        for code in labels.SUITES:
            name, pairs = labels.LANGUAGES[code], [(main, line.run)] if main else []
            row |= {(name, "accuracy, %"): learning_runs.score(results, line.run, code).value,
                    (name, "against the stage here"): span(learning_paired.scores(results, pairs, code), sign=True),
                    (name, "KL to base"): results.divergence(line.run, code).value}  # fmt: skip
        row[("Pairs", "LPG")] = span(learning_paired.level(results, [line.run + learning_runs.BEHAVIOUR], "lpg"))
        out.append(row)
    if not out:
        out.append({"preset": "none", "stage": "none", ("Arabic", "accuracy, %"): math.nan})
    note = ("as_written: SFT on the teacher's answers, which makes SFT and Seq-KD one thing done twice. "
            "as_published_code: prompts trained, no end of answer learned, the divergence the other way round and "
            "summed over the answer, and the student's own start as its teacher (data/reported/code_audit.csv). "
            "Against: points of accuracy, 95 % paired intervals over items; one seed.")  # fmt: skip
    return frame(out, ["preset", "stage"], f"The study's own settings, {labels.tier(results.tier)}", note,
                 {"accuracy, %": 1, "KL to base": 4})  # fmt: skip
