"""The whole report in Arabic: the answer of every section under its heading, in one right-to-left text."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from llmini.report import (
    answers,
    attention,
    audit_tables,
    browser_results,
    categories,
    chooser,
    conclusions,
    costs,
    encoders_answers,
    finetuning_answers,
    finetuning_damage,
    finetuning_merge,
    interaction,
    learning,
    learning_answers,
    power,
    reliability,
)
from llmini.report.display import Shown

if TYPE_CHECKING:
    from llmini.report.measured import Results

ARABIC = re.compile(r'<p dir="rtl"[^>]*>(.*?)</p>', re.DOTALL)


def sections(found: Results, learned: Results, tuned: Results, encoded: Results,
             shipped: Results) -> dict[str, Callable[[], Shown]]:  # fmt: skip
    """Arabic heading -> the answer of its section."""
    return {
        "التكميم": lambda: answers.quantization(found), "التقليم": lambda: answers.pruning(found),
        "الحجم والدقة": lambda: answers.pareto(found), "أيّ طريقة؟": lambda: chooser.answer(found),
        "المجالات": lambda: categories.answer(found), "نسبة الحذف": lambda: answers.sparsity(found),
        "نمط اثنين من أربعة": lambda: answers.masks(found), "القيم الشاذّة": lambda: conclusions.outliers(found),
        "لغة نصوص المعايرة": lambda: conclusions.calibration(found),
        "الفجوة المصمَّمة": lambda: conclusions.designed_gap(found),
        "الطريقة واللغة": lambda: interaction.answer(found),
        "الخليجية والأساسيات": lambda: finetuning_damage.gulf_answer(found),
        "الاختبارات الإحصائية": lambda: conclusions.tests(found), "قوّة الاختبار": lambda: power.answer(found),
        "الهدف": lambda: conclusions.goal(found), "الترتيب المتوقّع": lambda: conclusions.stated(found),
        "التقطير": lambda: learning.answer(learned), "السلوك باللغتين": lambda: learning.behaviour_answer(learned),
        "إعدادات التقطير": lambda: learning_answers.ablations(learned),
        "أقوال الدراسة في التقطير": lambda: learning_answers.verdicts(learned),
        "الضبط الدقيق": lambda: finetuning_answers.answer(tuned),
        "النسيان": lambda: finetuning_answers.forgetting_answer(tuned),
        "الثقة والصواب": lambda: reliability.answer(learned, tuned),
        "أقوال الدراسة في الضبط": lambda: finetuning_answers.verdicts(tuned),
        "الترجمة والضبط والدمج": lambda: finetuning_merge.sweep_answer(tuned),
        "الانتباه": lambda: attention.answer(attention.recorded(tuned)),
        "المُرمِّزات المقلَّمة": lambda: encoders_answers.sparsity(encoded),
        "قلّة البيانات": lambda: encoders_answers.resources(encoded),
        "طبقات أقلّ": lambda: encoders_answers.students(encoded),
        "صيغ المُرمِّزات": lambda: encoders_answers.formats(encoded),
        "المتصفّح": lambda: browser_results.answer(shipped),
        "تدقيق الدراسة": audit_tables.answer, "الكلفة": lambda: costs.answer(found),
    }  # fmt: skip


def arabic(*results: Results) -> Shown:
    """The summary of the compressed, the distilled, the tuned models, of the encoders and of the browser's, in turn."""
    made = {heading: answer() for heading, answer in sections(*results).items()}
    lines, texts = [], []
    for heading, answer in made.items():
        body = ARABIC.search(answer.html)
        if not body:
            continue
        heading += "" if heading.endswith("؟") else "."
        lines.append(f"<p><b>{html.escape(heading)}</b> {body[1]}</p>")
        texts.append(f"{heading} {re.sub('<[^>]+>', '', html.unescape(body[1]))}")
    return Shown(f'<div dir="rtl" lang="ar">\n{chr(10).join(lines)}\n</div>', "\n".join(texts))
