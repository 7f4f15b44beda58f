"""The study's distillation tables 3, 4, 12, 15-18 and 23, as printed and as measured, side by side."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

from llmini.report import labels, learning_paired, learning_runs, reported
from llmini.report.display import REPORTED, frame, span
from llmini.report.tables import group

if TYPE_CHECKING:
    import pandas

    from llmini.report.measured import Results

STUDENT = "qwen2_5_7b_instruct"
LORA = "LoRA r=16 on q_proj, v_proj"  # the study's chapter on training; Table 3 does not print it
# Sources of Table 4 -> the kinds of the pocket world's prompts that stand for each.
POCKET = {"opus-100 (Helsinki-NLP)": ("translation",), "tatsu-lab/alpaca": ("fact", "subject", "problem", "pronoun"),
          "GCC banking (generated)": ("banking", "dialect")}  # fmt: skip
FULL = dict(zip(POCKET, ("opus-100", "alpaca", "banking"), strict=True))
SEEDS = "Means over the training seeds; s.e.: of the items, by themselves."


def printed(number: int, method: str, **where: Any) -> float:
    """A cell of a distillation table as printed; NaN where the study has a dash or no cell."""
    return reported.value(reported.load(f"table_{number:02d}"), method=method, **where)


def shown(results: Results, behaviour: bool = False) -> list[str]:
    """The study's stages, then the step controls that were run."""
    return [*labels.STAGES, *(name for name in labels.CONTROLS.values()
                              if learning_runs.find(results, name, behaviour=behaviour))]  # fmt: skip


def average(values: list[float]) -> float:
    """Mean of what is there; NaN of nothing."""
    known = [value for value in values if not math.isnan(value)]
    return statistics.fmean(known) if known else math.nan


def spread(values: list[float]) -> float:
    """Standard deviation over seeds; NaN of fewer than two."""
    known = [value for value in values if not math.isnan(value)]
    return statistics.stdev(known) if len(known) > 1 else math.nan


def table_3(results: Results) -> pandas.DataFrame:
    """Table 3: the pipeline's settings, and the recipes of the runs here."""
    rows = reported.load("table_03").set_index("stage")
    here, out = f"Run here, {labels.tier(results.tier)}", []
    for stage in labels.STAGES[1:]:
        told, line = rows.loc[stage], learning_runs.find(results, stage)
        made = learning_runs.recipe(results, learning_runs.get(results, line[min(line)])) if line else None
        row: dict[Any, Any] = {"stage": labels.method(stage)}
        for name, column in (("learning rate", "learning_rate"), ("epochs", "epochs"), ("batch", "batch_size"),
                             ("alpha", "alpha"), ("T", "temperature"), ("theta", "theta")):  # fmt: skip
            value = float(told[column])
            row[(REPORTED, name)] = math.nan if math.isnan(value) else learning_runs.plain(value)
        own = {} if made is None else learning_runs.settings(made)
        own |= {} if made is None else {"learns": f"{made.responses} answers", "weights": weights(made)}
        for name in ("learns", "learning rate", "epochs", "batch", "alpha", "T", "rule", "theta", "weights"):
            row[(here, name)] = own.get(name, math.nan)
        row[(here, "seeds")] = len(line)
        out.append(row)
    note = (f"The study trains {LORA} with alpha=32 at every stage. Its text has SFT learn the teacher's answers, "
            "which is what Seq-KD does; here SFT learns reference answers, and the preset as_written repeats the text. "
            "A dash stands for a setting that the stage does not read.")  # fmt: skip
    return frame(out, ["stage"], "Table 3. The distillation pipeline", note, {"seeds": 0}, missing="not run")


def weights(told: Any) -> str:
    """Which weights a recipe trains."""
    return f"LoRA r={told.lora_r} on {', '.join(told.lora_targets)}" if told.lora_targets else "all"


def table_4(results: Results) -> pandas.DataFrame:
    """Table 4: the study's corpus, and the prompts of each split of the corpus used here."""
    here, out = f"Used here, {labels.tier(results.tier)}", []
    counts = corpus(results.tier)
    for row in reported.load("table_04").itertuples():
        line: dict[Any, Any] = {"source": row.source, (REPORTED, "prompts"): row.size,
                                (REPORTED, "language"): row.language}  # fmt: skip
        if row.source in POCKET:
            line[(here, "kinds")] = ", ".join(POCKET[row.source]) if "kinds" in counts else FULL[row.source]
        else:
            line[(here, "kinds")] = "all"
        for split in ("gold", "distill"):
            for code in ("en", "ar", ""):
                cells = [count for key, count in counts.get(split, {}).items() if key[1] == code
                         and row.source in (key[0], "Total")]  # fmt: skip
                if code or "kinds" not in counts:
                    name = f"{split}, {code}" if code else split
                    line[(here, name)] = sum(cells) if cells else math.nan
        out.append(line)
    kinds = ("The pocket world has no sentence or instruction of these sources: the kinds of its own prompts that do "
             "the same work stand in their line." if "kinds" in counts else
             "The counts are those that the loader draws, after its filters.")  # fmt: skip
    note = (f"Gold prompts have a reference answer and train SFT; distillation prompts have none and are answered by "
            f"the teacher. The two share no prompt, and neither shares one with an evaluation. {kinds}")  # fmt: skip
    digits = {name: 0 for line in out for _, name in (key for key in line if isinstance(key, tuple))}
    return frame(out, ["source"], "Table 4. The distillation corpus", note, digits)


def corpus(tier: str) -> dict[str, Any]:
    """Split -> (source of Table 4, language) -> prompts. The language is empty where the hub alone can tell it."""
    if tier in ("pocket", "rehearsal"):
        from llmini.train import prompts

        kind = {name: source for source, names in POCKET.items() for name in names}
        out: dict[str, Any] = {"kinds": True}
        for split in ("gold", "distill"):
            out[split] = {}
            for prompt in prompts.load(tier, split):
                key = kind.get(prompt.source, prompt.source), prompt.language
                out[split][key] = out[split].get(key, 0) + 1
        return out
    from llmini.train import sources

    return {split: {(source, ""): sources.COUNTS[name] for source, name in FULL.items()}
            for split in ("gold", "distill")}  # fmt: skip


def table_12(results: Results) -> pandas.DataFrame:
    """Table 12: MMLU, ArabicMMLU and GSM8K per stage."""
    out, measured = [], group(results)
    for stage in shown(results):
        runs = list(learning_runs.find(results, stage).values())
        row: dict[Any, Any] = {"stage": labels.method(stage)}
        for words, benchmark, task in (("MMLU, en", "mmlu", "mmlu"), ("ArabicMMLU, ar", "arabic_mmlu", "ar"),
                                       ("GSM8K, en", "gsm8k", "gsm8k")):  # fmt: skip
            row[(REPORTED, words)] = printed(12, stage, benchmark=benchmark)
            cells = [learning_runs.score(results, run, task) for run in runs]
            row[(measured, words)] = average([cell.value for cell in cells])
            row[(measured, f"s.e. {words[:-4]}")] = average([cell.stderr for cell in cells])
        row[(measured, "metabench, en")] = average([learning_runs.score(results, run, "en").value for run in runs])
        row[(measured, "seeds")] = len(runs)
        out.append(row)
    note = ("The study's ArabicMMLU is 100 questions of general knowledge, so its standard error is about 4.9 points; "
            "Table 23 prints GSM8K as 14 for SFT and 18 for Seq-KD. In the pocket tier every benchmark is the pocket "
            f"world's own. {SEEDS}")  # fmt: skip
    return beside(out, measured, "Table 12. Standard benchmarks, percent", note, {"seeds": 0})


def beside(rows: list[dict], measured: str, title: str, note: str, digits: dict[str, int],
            index: str = "stage") -> pandas.DataFrame:  # fmt: skip
    """A frame whose reported columns stand before the measured ones."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    order = [index, *(key for key in keys if key[0] == REPORTED), *(key for key in keys if key[0] == measured)]
    rows = [{key: row.get(key, math.nan) for key in order} for row in rows]
    return frame(rows, [index], title, note, digits)


BEHAVIOUR = {"EN, %": ("acc", "en"), "AR, %": ("acc", "ar"), "LPG": ("lpg", ""), "CLCS, %": ("clcs", ""),
             "ECE, ar": ("ece", "ar"), "confidence gap": ("confidence_gap", "")}  # fmt: skip
ALSO = {"CLCS by chance": ("clcs_chance", ""), "kappa": ("clcs_kappa", "")}


def table_15(results: Results) -> pandas.DataFrame:
    """Table 15: bilingual behaviour per stage; measured with intervals, on one seed as the study did."""
    out, measured, count = [], group(results), 0
    for stage in shown(results, behaviour=True):
        runs = learning_runs.find(results, stage, behaviour=True)
        cells = learning_paired.behaviour(results, min(runs.items(), key=lambda pair: pair[0] or 0)[1]) if runs else {}
        row: dict[Any, Any] = {"stage": labels.method(stage)}
        for words, (metric, language) in BEHAVIOUR.items():
            where = {"metric": "accuracy" if metric == "acc" else metric, "language": language or "en_ar"}
            row[(REPORTED, words)] = printed(15, stage, **where)
        for words, key in {**BEHAVIOUR, **ALSO}.items():
            cell = cells.get(key)
            row[(measured, words)] = math.nan if cell is None else span(cell, 2 if key[0] == "clcs_kappa" else 1)
            count = max(count, int(cell["n"])) if cell else count
        out.append(row)
    note = (f"The study asked 30 pairs and prints no interval; LPG there is the absolute difference. Measured: {count} "
            "pairs, the lowest seed, 95 % intervals in brackets. LPG is English minus Arabic; all but kappa in percent "
            "or points.")  # fmt: skip
    return beside(out, measured, "Table 15. Bilingual behaviour", note, {"ECE, ar": 2})


def table_16(results: Results) -> pandas.DataFrame:
    """Table 16: perplexity per stage."""
    out, measured = [], group(results)
    for stage in shown(results):
        runs = list(learning_runs.find(results, stage).values())
        row: dict[Any, Any] = {"stage": labels.method(stage)}
        for name, metric in (("perplexity", "perplexity"), ("mean NLL", "average_nll")):
            row[(REPORTED, name)] = printed(16, stage, metric=metric)
        for code in labels.SUITES:
            values = [results.perplexity(run, code).value for run in runs]
            row[(measured, f"perplexity, {code}")] = average(values)
            row[(measured, f"mean NLL, {code}")] = average([math.log(value) for value in values if value > 0])
        row[(measured, "seeds")] = len(runs)
        out.append(row)
    note = ("The study does not name its text. Table 23 prints 1.32 for SFT, which is likely its training text. "
            "Measured: held-out text of each language, another text and another tokenizer, so compare the stages, not "
            "the columns. Means over the training seeds.")  # fmt: skip
    digits = {"mean NLL": 4, "mean NLL, ar": 4, "mean NLL, en": 4, "seeds": 0}
    return beside(out, measured, "Table 16. Perplexity", note, digits)


def table_17(results: Results) -> pandas.DataFrame:
    """Table 17: what another seed changes."""
    out, measured = [], group(results)
    for stage in labels.STAGES:
        runs = list(learning_runs.find(results, stage, behaviour=True).values())
        row: dict[Any, Any] = {"stage": labels.method(stage)}
        for words, metric, language in (("EN, %", "acc", "en"), ("AR, %", "acc", "ar"), ("LPG", "lpg", "")):
            where = {"metric": "accuracy_mean" if metric == "acc" else "lpg_mean", "language": language or "en_ar"}
            row[(REPORTED, words)] = printed(17, stage, **where)
            values = [learning_paired.value(results, run, metric, language) for run in runs]
            row[(measured, words)] = average(values)
            row[(measured, f"s.d. {words.removesuffix(', %')}")] = "–" if stage == labels.BASE else spread(values)
        row[(REPORTED, "s.d.")] = 0.0 if row[(REPORTED, "LPG")] == row[(REPORTED, "LPG")] else math.nan
        row[(measured, "seeds")] = "–" if stage == labels.BASE else len(runs)
        out.append(row)
    note = ("The study asked 15 pairs and says that three seeds deviate by zero, as greedy answers of one checkpoint "
            "would. Measured: the checkpoint of each training seed, over all pairs; s.d.: over those seeds. The base "
            "is not trained and has one answer.")  # fmt: skip
    return beside(out, measured, "Table 17. Seeds", note, {"seeds": 0})
