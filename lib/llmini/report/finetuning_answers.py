"""What the fine-tuning sections answer, in two or three sentences each, written from the numbers."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any

from llmini.report import finetuning_paired, finetuning_runs, forgetting
from llmini.report.display import number, span
from llmini.report.finetuning_paired import GENERAL, GULF, taught
from llmini.report.finetuning_runs import LAST, ORDINALS, STAGES, TUNED, after, joined
from llmini.report.learning_answers import beyond
from llmini.report.sentences import arabic_change, arabic_difference, arabic_moved, change, moved, nothing, said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmini.report.display import Shown
    from llmini.report.measured import Results


def bdi(text: str) -> str:
    """Latin text in its own direction inside Arabic."""
    return f"<bdi>{html.escape(text)}</bdi>"


def reached(results: Results) -> list[tuple[str, dict[str, Any], int]]:
    """(method, options, its last stage) of every curriculum that was run from a start that was measured."""
    found = []
    for name, options in finetuning_runs.kinds(results):
        done = [stage for stage in STAGES if finetuning_runs.find(results, name, stage, **options)]
        cell = finetuning_paired.start(results, name, GENERAL, max(done), **options)
        if not math.isnan(cell["value"]):
            found.append((name, options, max(done)))
    return found


def answer(results: Results) -> Shown:
    """What fine-tuning adds to the tasks that it teaches, and takes from general knowledge, against its start."""
    results = joined(results)
    english, arabic = [], []
    found = reached(results)
    main = [each for each in found if not each[1]]
    for name, options, stage in main or found:
        own = tuple(dict.fromkeys(skill for done in range(1, stage + 1) for skill in taught(done)))
        own, general = (finetuning_paired.start(results, name, skills, stage, **options) for skills in (own, GENERAL))
        words = finetuning_runs.curriculum(name, options)
        english.append(f"{words}, after stage {stage}, moves the tasks it was taught by {_size(own)} and general "
                       f"knowledge by {_size(general)}, {beyond(general)[0]}")  # fmt: skip
        arabic.append(f"{bdi(words)} بعد المرحلة {ORDINALS[stage]}: {arabic_difference(own)} في مهام التدريب، "
                      f"و{arabic_difference(general)} في المعرفة العامة، {beyond(general)[1]}")  # fmt: skip
    if not english:
        return nothing()
    last = _repair(results)
    return said(f"Against the model it started from, {'; '.join(english)}.{last[0]}",
                f"مقارنةً بالنموذج الذي بدأ منه الضبط: {'؛ '.join(arabic)}.{last[1]}")  # fmt: skip


def _size(cell: dict[str, float]) -> str:
    """``+3.1 points (+1.0 to +5.2)``."""
    value, _, interval = span(cell, sign=True).partition(" ")
    return "an unmeasured number of points" if math.isnan(cell["value"]) else f"{value} points {interval}".strip()


def _repair(results: Results) -> tuple[str, str]:
    """What instruction data win back; empty unless both variants came to their end."""
    parts: tuple[tuple[str, str, Sequence], ...] = (("general knowledge", "المعرفة العامة", GENERAL),
                                                    ("the dialect tasks", "مهام اللهجة", GULF))  # fmt: skip
    ends = finetuning_paired.common(*(after(results, name) for name in TUNED))
    english, arabic = [], []
    for words, arabic_words, skills in parts:
        cell = finetuning_paired.against(results, *ends, skills)
        if not math.isnan(cell["value"]):
            verb = many(cell) if words.endswith("tasks") else moved(cell["value"])
            english.append(f"{words} {verb} ({beyond(cell)[0]})")
            arabic.append(f"{arabic_moved(cell['value'])} في {arabic_words} ({beyond(cell)[1]})")
    if not english:
        return "", ""
    return (f" With instruction data (FT-V2 against FT-v1), {' and '.join(english)}.",
            f" وأثر بيانات التعليمات ({bdi('FT-V2')} مقارنةً بـ{bdi('FT-v1')}): {'، و'.join(arabic)}.")  # fmt: skip


def forgetting_answer(results: Results) -> Shown:
    """Backward transfer of both variants, what replay keeps of stage 1, and what perplexity does."""
    results = joined(results)
    english, arabic = [], []
    for name in TUNED:
        parts = {own: cell for own, cell in forgetting.backward(results, name).items()
                 if not math.isnan(cell[0] + cell[1]["value"])}  # fmt: skip
        if parts:
            words = (f"stage {own}'s {many(cell)} from {number(learned, 1)} %, {beyond(cell)[0]}" if learned else
                     f"stage {own}'s, which it left at 0 %, {many(cell)}" for own, (learned, cell) in parts.items())
            english.append(f"under {finetuning_runs.method(name)} {', and '.join(words)}")
            words = (f"{arabic_moved(cell['value'])} في مهام المرحلة {ORDINALS[own]} "
                     + (f"من {number(learned, 1)}%، {beyond(cell)[1]}" if learned else "التي تركتها عند الصفر")
                     for own, (learned, cell) in parts.items())  # fmt: skip
            arabic.append(f"{bdi(finetuning_runs.method(name))}: {'، و'.join(words)}")
    if not english:
        return nothing()
    replay, perplexity = _replay(results), _perplexity(results)
    return said(
        f"From the end of their own stage to the end of the curriculum, tasks move thus: {'; '.join(english)}."
        f"{replay[0]}{perplexity[0]}",
        f"تغيّر المهام بين نهاية مرحلتها ونهاية المنهج: {'؛ '.join(arabic)}.{replay[1]}{perplexity[1]}",
    )


def many(cell: dict[str, float]) -> str:
    """``fall by 5.5 points``: of tasks, which are many."""
    for one, many in (("does not move", "do not move"), ("falls", "fall"), ("rises", "rise")):
        if moved(cell["value"]).startswith(one):
            return moved(cell["value"]).replace(one, many)
    return moved(cell["value"])


def _replay(results: Results) -> tuple[str, str]:
    """What a tenth of stage 1 in stage 3 keeps of its tasks; empty without the ablation."""
    ends = [after(results, "ft_v1", replay=0.0), after(results, "ft_v1")]
    cell = finetuning_paired.against(results, *finetuning_paired.common(*ends), taught(1))
    if math.isnan(cell["value"]):
        return " No run without replay stands beside them.", " ولم يُجرَ تدريب بلا إعادة للمرحلة الأولى."
    return (f" Replay of stage 1 leaves its tasks {_size(cell)} from where they end without it, {beyond(cell)[0]}.",
            f" وأثر إعادة عُشر المرحلة الأولى في مهامها: {arabic_difference(cell)}، {beyond(cell)[1]}.")  # fmt: skip


def _perplexity(results: Results) -> tuple[str, str]:
    """Perplexity of each language after the last stage of FT-v1, against the start; empty where it is missing."""
    cells = {code: forgetting.relative(results, "ft_v1", code, LAST)["value"] for code in ("ar", "gulf", "en")}
    if any(map(math.isnan, cells.values())):
        return "", ""
    return (f" Under FT-v1 perplexity {change(cells['ar'])} on Arabic, {change(cells['gulf'])} on Gulf Arabic and "
            f"{change(cells['en'])} on English text.",
            f" وتغيّر الحيرة مع {bdi('FT-v1')}: {arabic_change(cells['ar'])} في العربية، و"
            f"{arabic_change(cells['gulf'])} في الخليجية، و{arabic_change(cells['en'])} في الإنجليزية.")  # fmt: skip


def verdicts(results: Results) -> Shown:
    """How many of the study's claims are confirmed here, are not, and cannot be told; and which are not."""
    from llmini.report import finetuning_claims as book
    from llmini.report import learning_claims as rules

    found = [claim for claim in book.claims(results) if claim.of == rules.STUDY and claim.verdict != rules.ABSENT]
    if not found:
        return nothing()
    by = {word: [claim.statement for claim in found if claim.verdict == word]
          for word in (rules.CONFIRMED, rules.REFUTED, rules.UNKNOWN, rules.FLOOR)}  # fmt: skip
    against = f" Contradicted: {'; '.join(by[rules.REFUTED])}." if by[rules.REFUTED] else " None is contradicted."
    count = {word: number(len(statements), 0) for word, statements in by.items()}
    return said(
        f"Of the study's claims on fine-tuning {len(found)} were measured here: {count[rules.CONFIRMED]} confirmed, "
        f"{count[rules.REFUTED]} not confirmed, {count[rules.UNKNOWN]} that cannot be told at this size, "
        f"{count[rules.FLOOR]} that cannot be tested, since the score was 0 % before.{against}",
        f"عدد ما قيس هنا من أقوال الدراسة في الضبط الدقيق: {len(found)}، ثبت منها: {count[rules.CONFIRMED]}، وخالفه "
        f"القياس في: {count[rules.REFUTED]}، وتعذّر الحكم في: {count[rules.UNKNOWN]}، وتعذّر الاختبار لأن الدرجة قبله "
        f"صفر في: {count[rules.FLOOR]}. والتفصيل في الجدول.",
    )
