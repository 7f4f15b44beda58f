"""Two findings of the headline: the gap that a model of equal facts keeps, and what language to calibrate in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from llmini.report import comparisons, labels, paired, standing
from llmini.report.display import number
from llmini.report.figures_damage import MAIN
from llmini.report.sentences import arabic_lead, listed, name

if TYPE_CHECKING:
    from llmini.report.measured import Cell, Results

CONTROL = f"{MAIN}_control"
WORDS = {-1: ("closer", "أقرب"), 0: ("not measurably closer", "لا يثبت أنها أقرب"), 1: ("farther", "أبعد")}
ADJECTIVES = {"ar": "العربي", "en": "الإنجليزي"}


def headline(results: Results) -> tuple[str, str]:
    """Both findings as sentences, in English and in Arabic; empty where their runs are not there."""
    told = [pair for pair in (control_gap(results), calibration(results)) if pair]
    return " ".join(english for english, _ in told), " ".join(arabic for _, arabic in told)


def control_gap(results: Results) -> tuple[str, str] | None:
    """English's lead before compression, in the main model and in the control that saw every fact equally often in
    both languages, and the methods that take more Arabic than English of the control.
    """
    lead = {model: paired.dense_gap(results, results.run(model, labels.DENSE)) for model in (MAIN, CONTROL)}
    if any(math.isnan(cell["low"]) for cell in lead.values()):
        return None
    there = [(method, paired.gap(results, run)) for model, method, run in comparisons.compressed(results)
             if model == CONTROL]  # fmt: skip
    wide = [method for method, cell in there if cell["low"] > 0]
    sure = lead[CONTROL]["low"] > 0
    taken = f" (before any correction for their number): {listed(map(labels.method, wide))}" if wide else ""
    arabic = f" (قبل أي تصحيح لعددها): {' و'.join(map(name, wide))}" if wide else ""
    return (
        f"Before any compression English leads Arabic by {_points(lead[MAIN])} in the main model, which saw part of "
        f"its facts more rarely in Arabic, and by {_points(lead[CONTROL])} in the control, which saw all equally often"
        f"{', so equal facts alone do not close the gap between the two benchmarks' if sure else ''}; of the control, "
        f"{len(wide)} of {len(there)} methods take more Arabic than English by an interval above zero{taken}.",
        f"الفجوة قبل أي ضغط: {arabic_lead(lead[MAIN])} في النموذج الرئيس الذي رأى بعض حقائقه بالعربية مرّاتٍ أقلّ، "
        f"و{arabic_lead(lead[CONTROL])} في النموذج الضابط الذي رأى كلّ حقيقة باللغتين بعدد المرّات نفسه"
        f"{'، فتساوي الحقائق وحده لا يسدّ الفجوة بين الاختبارين' if sure else ''}؛ وعدد الطرق التي تأخذ "
        f"من عربية الضابط أكثر مما تأخذ من إنجليزيته، بفترة فوق الصفر: {len(wide)} من {len(there)}{arabic}.",
    )


def calibration(results: Results) -> tuple[str, str] | None:
    """W4A16 (GPTQ) calibrated on English and on Arabic text against rounding, by KL to dense on text of each language.

    Of one method under another calibration the run of the lowest seed; "no closer" wherever the intervals meet.
    """
    runs = {"en": results.run(MAIN, "w4a16"), "ar": results.run(MAIN, "w4a16", calibration="ar"),
            "none": results.run(MAIN, "w4a16_rtn")}  # fmt: skip
    cells = {key: {code: results.divergence(run, code) for code in labels.SUITES} for key, run in runs.items()}
    if any(math.isnan(cell.value) for own in cells.values() for cell in own.values()):
        return None
    near = {(key, code): _nearer(cells[key][code], cells["none"][code])
            for key in ("en", "ar") for code in ("ar", "en")}  # fmt: skip
    parts, arabic = {}, {}
    for key in ("en", "ar"):
        pairs = {code: [number(cells[which][code].value, 4) for which in (key, "none")] for code in ("ar", "en")}
        parts[key] = " and ".join(
            f"{WORDS[near[key, code]][0]} on {labels.LANGUAGES[code]} text ({one} against {other})"
            for code, (one, other) in pairs.items())  # fmt: skip
        arabic[key] = "، و".join(f"{WORDS[near[key, code]][1]} في النص {ADJECTIVES[code]} ({one} مقابل {other})"
                                 for code, (one, other) in pairs.items())  # fmt: skip
    own = all((near[key, code] < 0) == (key == code) for key, code in near)
    return (
        f"By KL to dense, {labels.method('w4a16')} calibrated on English text is, against plain rounding, "
        f"{parts['en']}; calibrated on Arabic text it is {parts['ar']}"
        f"{': each text measurably helps its own language only' if own else ''}.",
        f"وبالتباعد عن الأصل، تُقارَن {name('w4a16')} بالتقريب وحده: بمعايرة إنجليزية {arabic['en']}؛ وبمعايرة عربية "
        f"{arabic['ar']}{'، فلا يثبت نفع نص إلا للغته' if own else ''}.",
    )


def _nearer(cell: Cell, other: Cell) -> int:
    """-1 where the first is smaller by intervals that do not meet, 1 where it is larger, 0 where they meet."""
    return 0 if standing.meet(cell, other) else -1 if cell.value < other.value else 1


def _points(cell: dict[str, float]) -> str:
    return f"{number(cell['value'], 1)} points ({number(cell['low'], 1)} to {number(cell['high'], 1)})"
