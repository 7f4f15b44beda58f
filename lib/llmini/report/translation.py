"""What the notebook of translation, tuning and merging shows: who translates how well, what was kept, and the sweep."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from llmini.records import read_all
from llmini.report import display, labels, learning_runs, measured
from llmini.report.finetuning_tables import hala_table
from llmini.report.learning import short
from llmini.report.sentences import arabic_moved, moved, nothing, said
from llmini.report.translation_sweep import figure, find, interval, sweep, sweep_table

if TYPE_CHECKING:
    from llmini.grid import Run
    from llmini.report.measured import Results

__all__ = ["answer", "examples", "figure", "hala", "instructions", "plan", "results", "sweep_table", "translators"]
NAMES = {"teacher": "teacher, dense", "fp8": "teacher, FP8", "w8a8": "teacher, W8A8",
         "translator_base": "small translator, before", "translator": "small translator, tuned",
         "base": "student, before", "tuned": "student, tuned", "slerp": "merged"}  # fmt: skip
BEFORE = {"fp8": "teacher", "w8a8": "teacher", "translator": "translator_base"}  # what each is held against
DIRECTIONS = {"en-ar": "into Arabic", "ar-en": "into English"}


def results(tier: str, runs: Iterable[Run]) -> Results:
    """The records of ``runs``. Raises UserError when one is missing."""
    table, items, provenance = read_all({run.folder for run in runs})
    return measured.build(table, items, tier, provenance, ("merge",))


def plan(runs: Iterable[Run]) -> display.Shown:
    """The runs, what each is, and how those that are trained are."""
    from llmini.train import translate, translate_text

    rows = []
    for run in runs:
        part = {"translator": "small", "tuned": "tuned", "teacher": "teacher"}.get(run.method)
        if part == "teacher" and not translate_text.settings(run.tier)["teach"]:
            part = None
        told = translate.recipe(run.tier, part, run.options.get("seed", 0)) if part else None
        row = {"run": run.run_id, "is": NAMES[run.method], "model": labels.model(run.model, run.tier)}
        values = ((told.learning_rate, told.epochs, told.batch_size * told.accumulation) if told else (None,) * 3)
        row |= dict(zip(("learning rate", "epochs", "batch"), map(learning_runs.plain, values), strict=True))
        rows.append(row)
    return display.show(display.frame(rows, ["run"], "Runs", missing="–"))


def translators(results: Results) -> display.Shown:
    """chrF of every translator in both directions, against what it was before, with size, KL and speed."""
    rows = []
    teacher = next(iter(find(results, "teacher")), None)
    for run in find(results, "teacher", "fp8", "w8a8") + find(results, "translator_base", "translator"):
        method = results.runs.at[run, "method"]
        former = next(iter(find(results, BEFORE.get(method, ""))), None)
        row: dict[Any, Any] = {"model": name(results, run)}
        for task, words in DIRECTIONS.items():
            cell = results.cell(run, "chrf", "translation", task)
            row[(words, "chrF")] = display.span(interval(cell))
            row[(words, "against before")] = display.span(change(results, former, run, task), sign=True, missing="–")
        kl = [results.cell(run, "kl_to_dense", "translation", "", code).value for code in ("ar", "en")]
        row[("Cost", "KL to dense")] = statistics.fmean(kl) if not any(map(math.isnan, kl)) else "–"
        row[("Cost", "disk, MB")] = results.cell(run, "size_disk").value / measured.MB
        row[("Cost", "tokens a second")] = speed(results, run)[0]
        row[("Cost", "times the dense teacher's")] = speed(results, run)[0] / speed(results, teacher)[0]
        rows.append(row)
    honest = [run for run in find(results, "fp8", "w8a8") if speed(results, run)[1]]
    note = ("chrF2 by sacrebleu, 0 to 100, with its 95 % interval (1.96 bootstrap standard errors); against before: "
            "mean difference of sentence chrF, paired bootstrap over sentences. KL in nats a token over the requests "
            "with their references. Tokens a second: batched translation on this machine.")  # fmt: skip
    if honest:
        note += (" The compressed teacher's speed is not that of its format: its weights are decompressed under plain "
                 "transformers, and only its activations are rounded.")  # fmt: skip
    digits = {"KL to dense": 4, "disk, MB": 1, "tokens a second": 0}
    return display.show(display.frame(rows, ["model"], f"Translators, {labels.tier(results.tier)}", note, digits, "–"))


def name(results: Results, run: str) -> str:
    """What a run is, with its seed where there are several."""
    method, seed = results.runs.loc[run, ["method", "seed"]]
    several = len(find(results, method)) > 1
    return NAMES[method] + (f", seed {seed}" if several else "")


def change(results: Results, former: str | None, run: str, task: str) -> dict[str, float]:
    """Mean sentence chrF of ``run`` beyond ``former``'s over the same sentences; NaN without one."""
    from llmini.measure.statistics import paired_bootstrap

    own = results.items[results.items["task"].astype(str).eq(task)] if "chrf" in results.items else results.items[:0]
    sides = [own[own["run_id"] == each].set_index("item_id")["chrf"].astype(float) for each in (former, run)
             if "chrf" in own]  # fmt: skip
    if len(sides) < 2 or any(side.empty for side in sides):
        return {"value": math.nan, "low": math.nan, "high": math.nan}
    first, second = sides[0].align(sides[1], join="inner")
    found = paired_bootstrap(first, second)
    return {"value": found["diff"], "low": found["low"], "high": found["high"]}


def speed(results: Results, run: str | None) -> tuple[float, bool]:
    """Tokens a second, and whether the stored format was expanded to run."""
    plain, expanded = (results.cell(run, "tokens_per_second", "", task).value for task in ("", "decompressed"))
    return (plain, False) if math.isnan(expanded) else (expanded, True)


def examples(runs: Sequence[Run], each: int = 2) -> display.Shown:
    """``each`` test sentences a direction, from as many kinds as there are, as every translator has them."""
    from llmini.train import translate, translate_text

    told = [run for run in runs if run.method in ("teacher", "fp8", "w8a8", "translator_base", "translator")]
    pairs = translate_text.tested(told[0].tier)
    firsts = list({pair.id.partition("/")[0]: place for place, pair in reversed(list(enumerate(pairs)))}.values())[::-1]
    rows = []
    for direction, words in DIRECTIONS.items():
        source, target = direction.split("-")
        made = {run: translate.stored(run.folder / direction) for run in told}
        for place in firsts[:each]:
            row = {"direction": words, "sentence": short(pairs[place].side(source)),
                   "reference": short(pairs[place].side(target))}  # fmt: skip
            rows.append(row | {NAMES[run.method]: short(texts[place]) for run, texts in made.items() if texts})
    return display.show(display.frame(rows, ["direction", "sentence"], "The same sentences", missing="–"))


def instructions(run: Run, each: int = 3) -> display.Shown:
    """What the filters did with the translated instructions of a tuned run, and the first of those kept."""
    from llmini.train.translate_filter import RULES

    made, kept = (json.loads((run.folder / "instructions" / f"{file}.json").read_text(encoding="utf8"))
                  for file in ("filters", "kept"))  # fmt: skip
    rows = [{"rule": rule, "turned away": made["rules"][rule], "what it asks": words} for rule, words in RULES.items()]
    rows.append({"rule": "kept", "turned away": math.nan, "what it asks": f"{made['kept']} of {made['instructions']}"})
    note = "; ".join(f"{kind}: {some} of {whole}" for kind, (some, whole) in made["kinds"].items())
    limits = ", ".join(f"{rule.replace('_', ' ')} {value:g}" for rule, value in made["limits"].items())
    tables = [display.frame(rows, ["rule"], "Filters, in order", f"Thresholds: {limits}. Kept by kind: {note}.",
                            {"turned away": 0}, "–")]  # fmt: skip
    passed = [row for row in kept if not row[-1]]
    chosen = list({row[1]: row for row in reversed(passed)}.values())[::-1][:each]
    rows = [{"kind": row[1], "English": short(f"{row[2]} → {row[3]}"), "Arabic": short(f"{row[4]} ← {row[5]}")}
            for row in chosen]  # fmt: skip
    return display.show(*tables, display.frame(rows, ["kind"], "Instructions kept", "Prompt and answer."))


def answer(results: Results) -> display.Shown:
    """What compression cost the teacher and the small translator learned; what tuning and merging changed."""
    quantized, found = find(results, "fp8", "w8a8"), sweep(results)
    groups = [find(results, "teacher"), quantized, find(results, "translator_base"), find(results, "translator")]
    tuned = find(results, "tuned")
    if not all(groups) or not tuned or not {0.0, 1.0} <= set(found):
        return nothing()
    chrf = [[statistics.fmean(results.cell(run, "chrf", "translation", task).value for run in runs)
             for task in DIRECTIONS] for runs in groups]  # fmt: skip
    (dense, small_dense), (low, small_low), (before, other_before), (after, other_after) = (
        [display.number(value, 1) for value in pair] for pair in chrf)  # fmt: skip
    method = labels.method(results.runs.at[quantized[0], "method"])
    share = results.cell(tuned[0], "selected_share", "instructions", "", "ar")
    kept, asked = display.number(share.value * share.n, 0), display.number(share.n, 0)
    change = {code: found[1.0][code]["change"]["value"] for code in labels.SUITES}
    mean = {t: statistics.fmean(cell["value"] for cell in cells.values()) for t, cells in found.items()}
    best = max(mean, key=mean.get)
    place = f"t = {best:g}"
    return said(
        f"In {method} the teacher translates at {low} chrF into Arabic and {small_low} into English, where the dense "
        f"one has {dense} and {small_dense}; its small pupil goes from {before} to {after} and from {other_before} to "
        f"{other_after}. Tuned on the {kept} of {asked} translated instructions that passed the filters, the student "
        f"{moved(change['ar'])} in Arabic and {moved(change['en'])} in English, and the mean of both is highest at "
        f"{place}.",
        f"درجة chrF في ترجمة المعلّم بعد تكميمه إلى <bdi>{method}</bdi>: {low} إلى العربية و{small_low} إلى الإنجليزية، "
        f"وكانت قبل التكميم {dense} و{small_dense}؛ أما المترجم الصغير الذي تعلّم منه فانتقلت درجته من {before} إلى "
        f"{after} في الترجمة إلى العربية، ومن {other_before} إلى {other_after} في الترجمة إلى الإنجليزية. عدد "
        f"التعليمات المترجمة التي اجتازت المرشّحات: {kept} من {asked}؛ وتغيّر الدقة بعد الضبط عليها: "
        f"{arabic_moved(change['ar'])} في العربية و{arabic_moved(change['en'])} في الإنجليزية، وأعلى متوسط للغتين عند "
        f"<bdi>{place}</bdi>.",
    )


def hala() -> display.Shown:
    """What the related study prints of its own models."""
    return display.show(hala_table())
