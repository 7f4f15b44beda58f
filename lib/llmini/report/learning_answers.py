"""What the distillation sections answer, in two or three sentences each, written from the numbers."""

from __future__ import annotations

import html
import math
import statistics
from typing import TYPE_CHECKING

from llmini.report import labels, learning_paired, learning_runs
from llmini.report.display import number, span
from llmini.report.sentences import (
    arabic_lead,
    arabic_moved,
    arabic_percent,
    arabic_span,
    listed,
    moved,
    name,
    nothing,
    percent,
    said,
    side,
)

if TYPE_CHECKING:
    from llmini.report.display import Shown
    from llmini.report.measured import Results
    from llmini.train.cache import Cache

SIZE = 30  # pairs, as the study


def _against(results: Results, first: str, second: str, side: str) -> dict[str, float]:
    """Accuracy of stage ``second`` beyond stage ``first``'s, over the seeds that both have."""
    facing = learning_runs.facing(*(learning_runs.find(results, stage) for stage in (first, second)))
    return learning_paired.scores(results, facing, side)


def beyond(cell: dict[str, float]) -> tuple[str, str]:
    """In both languages, whether a difference's interval excludes zero."""
    if round(cell["low"], 1) > 0:
        return "which the interval puts above zero", "والفترة كلها فوق الصفر"
    if round(cell["high"], 1) < 0:
        return "which the interval puts below zero", "والفترة كلها تحت الصفر"
    return ("an interval that holds zero, so this many items cannot tell",
            "والفترة تضم الصفر، فلا يكفي عدد الأسئلة للحكم")  # fmt: skip


def answer(results: Results) -> Shown:
    """What each stage changes against the base, per language, and what the teacher adds to as many steps of SFT."""
    found = {stage: {code: _against(results, labels.BASE, stage, code) for code in labels.SUITES}
             for stage in labels.STAGES[1:]}  # fmt: skip
    found = {stage: cells for stage, cells in found.items() if not math.isnan(cells["ar"]["value"])}
    if not found:
        return nothing()
    mean = {stage: statistics.fmean(cell["value"] for cell in cells.values()) for stage, cells in found.items()}
    best = max(mean, key=mean.get)
    parts = (f"under {labels.method(stage)} Arabic {moved(cells['ar']['value'])} and English "
             f"{moved(cells['en']['value'])}" for stage, cells in found.items())  # fmt: skip
    arabic = "؛ ".join(f"{name(stage)}: {arabic_moved(cells['ar']['value'])} في العربية و"
                       f"{arabic_moved(cells['en']['value'])} في الإنجليزية"
                       for stage, cells in found.items())  # fmt: skip
    text, arabic_text = controls(results)
    return said(
        f"Against the base, accuracy moves thus: {'; '.join(parts)}. The best stage by the mean of both languages is "
        f"{labels.method(best)}. {text}",
        f"تغيّر الدقة عن الأصل: {arabic}. أفضل المراحل بمتوسط اللغتين: {name(best)}. {arabic_text}",
    )


def controls(results: Results) -> tuple[str, str]:
    """The stages against SFT of as many steps, in both languages; says so where no control was run."""
    cells = {stage: _against(results, control, stage, "both") for stage, control in labels.CONTROLS.items()}
    english, arabic = _spelt(cells)
    if not english:
        return "No step control was run beside them.", "ولم يُجرَ ضابط بعدد الخطوات نفسه."
    return (f"Against SFT that goes on for as many steps, the mean of both languages moves under {english}.",
            f"وما تزيده على ضبط دقيق بعدد الخطوات نفسه، بمتوسط اللغتين: {arabic}.")  # fmt: skip


def _spelt(cells: dict[str, dict[str, float]]) -> tuple[str, str]:
    """Stages with their differences, ``Seq-KD +2.2 (−0.4 to +4.7) points, …``, in both languages; empty of none."""
    cells = {stage: cell for stage, cell in cells.items() if not math.isnan(cell["value"])}
    several = any(cell["seeds"] > 1 for cell in cells.values())
    lone = {stage: several and cell["seeds"] == 1 for stage, cell in cells.items()}
    english = (f"{labels.method(stage)}{' (one seed)' if lone[stage] else ''} {span(cell, sign=True)} points, "
               f"{beyond(cell)[0]}" for stage, cell in cells.items())  # fmt: skip
    arabic = (f"{name(stage)}{' (بذرة واحدة)' if lone[stage] else ''}: {arabic_moved(cell['value'])}، "
              f"{arabic_span(cell)}، {beyond(cell)[1]}" for stage, cell in cells.items())  # fmt: skip
    return "; ".join(english), "؛ ".join(arabic)


def teacher_answer(results: Results, cache: Cache) -> Shown:
    """How much of the prompts the teacher answers, how good it is, and what keeping its states takes."""
    run, made = learning_runs.teacher(results), cache.manifest
    if run is None:
        return nothing()
    ended = sum(bool(response.ids) and response.ids[-1] in cache.ends for response in cache.responses)
    right = {code: learning_runs.score(results, run, code).value for code in labels.SUITES}
    ratio = made["vocabulary"] / made["width"]
    label = labels.model(results.runs.at[run, "model"], results.tier)
    return said(
        f"{label} ({labels.method(results.runs.at[run, 'method'])}) finished {ended:,} of {len(cache.responses):,} "
        f"answers, and it is right in {percent(right['ar'])} of the Arabic and {percent(right['en'])} of the English "
        f"benchmark questions. Its {cache.tokens:,} hidden states hold its whole "
        f"distribution over every token in {number(ratio, 1)} times fewer bytes than the distributions themselves.",
        f"عدد الإجابات التي أتمّها المعلّم <bdi>{html.escape(label)}</bdi>: {ended:,} من {len(cache.responses):,}؛ "
        f"ودقته في الاختبارات: {arabic_percent(right['ar'])} في العربية و{arabic_percent(right['en'])} في الإنجليزية. "
        f"عدد الحالات الخفية المحفوظة: {cache.tokens:,}، وفيها توزيعه الكامل لكل رمز، وحجمها أصغر من حجم التوزيعات "
        f"نفسها بمقدار {number(ratio, 1)} مرة.",
    )


def behaviour_answer(results: Results) -> Shown:
    """The gap between the languages before and after, how many students have one for sure, and what 30 pairs tell."""
    from llmini.measure import bilingual

    asked = {line.run: line for line in learning_runs.lines(results) if line.behaviour}
    gaps = {run: learning_paired.level(results, [run], "lpg") for run in asked}
    gaps = {run: cell for run, cell in gaps.items() if not math.isnan(cell["value"])}
    if not gaps:
        return nothing()
    first, last = (next(iter(gaps)), _latest(asked, gaps))
    gaps |= {run: learning_paired.behaviour(results, run)["lpg", ""] for run in (first, last)}  # as in the tables
    sure = [run for run, cell in gaps.items() if cell["low"] > 0 or cell["high"] < 0]
    opening = _stage(asked[first])
    english = f"{opening[0].upper()}{opening[1:]} has a gap of {_gap(gaps[first])}"
    arabic = f"الفجوة عند {_bdi(asked[first])}: {arabic_lead(gaps[first])}"
    if last != first:
        english += f", {_stage(asked[last])} one of {_gap(gaps[last])}"
        arabic += f"؛ وعند {_bdi(asked[last])}: {arabic_lead(gaps[last])}"
    english += f"; of {len(gaps)} models {len(sure)} have a gap whose interval excludes zero."
    arabic += f". عدد النماذج التي تستبعد فترةُ فجوتها الصفر: {len(sure)} من {len(gaps)}."
    pairs = learning_paired.questions(results, last)
    if pairs is not None and len(pairs) > SIZE:
        low, high = (100 * bilingual.subsets(pairs, SIZE, 4000)["lpg"]).quantile([0.025, 0.975])
        english += (f" On {SIZE} pairs, as in the study, the gap of one and the same model, {_stage(asked[last])}, "
                    f"would lie from {number(low, 1)} to {number(high, 1)} points in 95 % of draws.")  # fmt: skip
        arabic += (f" ولو سُئل النموذج نفسه، وهو {_bdi(asked[last])}، {SIZE} سؤالًا متقابلًا باللغتين، كما في الدراسة، "
                   f"لوقعت فجوته في 95% من العينات بين {side(low)} و{side(high)}.")  # fmt: skip
    text, arabic_text = _taught(results)
    return said(english + text, arabic + arabic_text)


def _taught(results: Results) -> tuple[str, str]:
    """What each stage answers of the pairs beyond SFT of as many steps; empty without a control."""
    cells = {}
    for stage, control in labels.CONTROLS.items():
        facing = learning_runs.facing(*(learning_runs.find(results, each, behaviour=True) for each in (control, stage)))
        cells[stage] = learning_paired.behaviours(results, facing, "acc", "both")
    english, arabic = _spelt(cells)
    if not english:
        return "", ""
    return (f" Against SFT that goes on for as many steps, the share of the pairs that students answer moves, by the "
            f"mean of both languages, under {english}.",
            " وما تزيده المراحل على ضبط دقيق بعدد الخطوات نفسه في الأسئلة المتقابلة، بمتوسط اللغتين: "
            f"{arabic}.")  # fmt: skip


def _latest(asked: dict[str, learning_runs.Line], gaps: dict[str, dict]) -> str:
    """The main run of the last stage, of the lowest seed; else the last run."""
    mains = [run for run in gaps if not asked[run].preset and not asked[run].options
             and asked[run].method in labels.STAGES]  # fmt: skip
    if not mains:
        return list(gaps)[-1]
    return max(mains, key=lambda run: (labels.STAGES.index(asked[run].method), -asked[run].seed))


def _stage(line: learning_runs.Line) -> str:
    text = learning_runs.name(line)
    return f"the {text.lower()}" if line.method == labels.BASE else text


def _bdi(line: learning_runs.Line) -> str:
    return f"<bdi>{html.escape(learning_runs.name(line))}</bdi>"


def _gap(cell: dict[str, float]) -> str:
    """``12.3 points (8.1 to 16.5)``."""
    value, _, interval = span(cell).partition(" ")
    return f"{value} points {interval}".strip()


def ablations(results: Results) -> Shown:
    """Which theta, temperature, alpha and rule is best by accuracy, and whether it beats the setting of the study."""
    english, arabic = [], []
    for option, stage in (("theta", "selectkd"), ("temperature", "token_kd"), ("alpha", "token_kd")):
        runs, usual = learning_runs.series(results, stage, option), learning_runs.default(results, stage, option)
        runs = {value: run for value, run in runs.items() if not math.isnan(_mean(results, run))}
        if len(runs) < 2:
            continue
        best = max(runs, key=lambda value: _mean(results, runs[value]))
        against = [(runs[usual], runs[best])] if usual in runs and best != usual else []
        cell = learning_paired.scores(results, against, "both")
        word = {"temperature": "T"}.get(option, option)
        tail = (f" ({span(cell, sign=True)} points against {usual:g}, {beyond(cell)[0]})" if against
                else ", the main runs' own")  # fmt: skip
        english.append(f"{word} {best:g}{tail}")
        arabic_tail = f" ({arabic_moved(cell['value'])} عن {usual:g}، {beyond(cell)[1]})" if against else ""
        arabic.append(f"<bdi>{word} = {best:g}</bdi>{arabic_tail}")
    rules = {rule: run for rule, run in learning_runs.rules(results).items() if not math.isnan(_mean(results, run))}
    if len(rules) > 1:
        order = sorted(rules, key=lambda rule: -_mean(results, rules[rule]))
        english.append(f"the rules, from best to worst, {listed(order)}")
        arabic.append(f"القواعد من الأفضل إلى الأسوأ: {' ثم '.join(f'<bdi>{rule}</bdi>' for rule in order)}")
    if not english:
        return nothing()
    seeds = noise(results)
    return said(f"By the mean accuracy of both languages the best settings are: {'; '.join(english)}. {seeds[0]}",
                f"أفضل القيم بمتوسط دقة اللغتين: {'؛ '.join(arabic)}. {seeds[1]}")  # fmt: skip


def noise(results: Results) -> tuple[str, str]:
    """What another seed alone moves the mean accuracy by: the yardstick of single runs."""
    spread = []
    for stage in ("token_kd", "selectkd"):
        values = [_mean(results, run) for run in learning_runs.find(results, stage).values()]
        spread += [statistics.stdev(values)] if len(values) > 1 and not any(map(math.isnan, values)) else []
    if not spread:
        return "Each value is one seed.", "ولكل قيمة بذرة واحدة."
    size = number(max(spread), 1)
    return (f"Each value is one seed, and another seed alone moves that mean by {size} points (s.d.).",
            f"ولكل قيمة بذرة واحدة، وتغيير البذرة وحده يحرّك هذا المتوسط {size} نقطة (الانحراف المعياري).")  # fmt: skip


def _mean(results: Results, run: str) -> float:
    return statistics.fmean(learning_runs.score(results, run, code).value for code in labels.SUITES)


def verdicts(results: Results) -> Shown:
    """How many of the study's claims are confirmed here, are not, and cannot be told; which, and by what values."""
    from llmini.report import learning_claims as book

    found = [claim for claim in book.claims(results) if claim.of == book.STUDY and claim.verdict != book.ABSENT]
    if not found:
        return nothing()
    groups = {word: [f"{claim.statement} [{claim.measured}]" for claim in found if claim.verdict == word]
              for word in (book.CONFIRMED, book.REFUTED, book.UNKNOWN)}  # fmt: skip
    yes, no, open_ = (len(part) for part in groups.values())
    named = f"What the measurements confirm: {'; '.join(groups[book.CONFIRMED])}. " if yes else ""
    named += f"What they contradict: {'; '.join(groups[book.REFUTED])}." if no else "None is contradicted."
    return said(
        f"Claims of the study on distillation that were measured here: {len(found)}; confirmed: {yes}, not confirmed: "
        f"{no}, cannot be told at this size: {open_}. {named}",
        f"عدد ما قيس هنا من أقوال الدراسة في التقطير: {len(found)}؛ ثبت منها: {yes}"
        f"، وخالفه القياس في: {no}، ولا يكفي حجم "
        f"القياس للحكم على ما بقي: {open_}. والتفصيل في الجدول.",
    )
