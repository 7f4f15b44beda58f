"""Pieces of the report's sentences, in English and in Arabic.

In Arabic, counts are put as "how many: k of n", which agrees with every number; changes are named as a rise or a fall,
because a minus sign has no fixed side in right-to-left text.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping

from llmini.report import labels
from llmini.report.display import Shown, number


def said(english: str, arabic: str) -> Shown:
    """An answer in both languages: English, then Arabic in a right-to-left paragraph."""
    return Shown(f'<p>{html.escape(english)}</p>\n<p dir="rtl" lang="ar">{arabic}</p>', f"{english}\n{arabic}")


def nothing() -> Shown:
    """The answer of a section whose runs are not there."""
    return said("Not measured.", "لم يُقَس.")


def name(method: str) -> str:
    """A method's Latin name, kept in its own direction inside Arabic text."""
    return f"<bdi>{html.escape(labels.method(method))}</bdi>"


def listed(words: Iterable[str], comma: str = ", ") -> str:
    """``a, b and c``; ``none`` for nothing."""
    words = list(words)
    if len(words) < 2:
        return words[0] if words else "none"
    return f"{comma.join(words[:-1])}{comma.rstrip() if comma != ', ' else ''} and {words[-1]}"


def order(methods: Iterable[str]) -> str:
    """``SparseGPT, Wanda and Magnitude``."""
    return listed(labels.method(method) for method in methods)


def per_language(methods: dict[str, Iterable[str]]) -> str:
    """``A, B and C in both languages``, or one list for Arabic and one for English where they differ."""
    arabic, english = (order(methods[code]) for code in ("ar", "en"))
    return f"{arabic} in both languages" if arabic == english else f"{arabic} in Arabic and {english} in English"


def arabic_per_language(methods: dict[str, Iterable[str]]) -> str:
    """``… في اللغتين``, or one order for Arabic and one for English where they differ."""
    arabic, english = (arabic_order(methods[code]) for code in ("ar", "en"))
    return f"{arabic} في اللغتين" if arabic == english else f"{arabic} في العربية، و{english} في الإنجليزية"


def arabic_order(methods: Iterable[str]) -> str:
    """``SparseGPT ثم Wanda ثم Magnitude``."""
    return " ثم ".join(name(method) for method in methods) or "لا شيء"


def percent(value: float) -> str:
    """``95.3 %``; ``not measured`` for NaN."""
    return "not measured" if math.isnan(value) else f"{number(value, 1)} %"


def arabic_percent(value: float) -> str:
    """``95.3%``; ``غير مقيس`` for NaN."""
    return "غير مقيس" if math.isnan(value) else f"{number(value, 1)}%"


def worded(value: float, unmeasured: str, none: str, below: str, above: str) -> str:
    """A change in words: ``below`` or ``above`` with its size in points, ``none`` where that rounds to zero."""
    if math.isnan(value):
        return unmeasured
    size = number(abs(value), 1)
    return none if float(size) == 0 else (below if value < 0 else above).format(size)


def points(value: float) -> str:
    """``loses 3.1 points``, ``gains 0.4 points`` or ``loses nothing`` for a loss in points."""
    return worded(value, "not measured", "loses nothing", "gains {} points", "loses {} points")


def arabic_points(value: float) -> str:
    """``خسارة 3.1 نقطة``, ``كسب 0.4 نقطة`` or ``لا خسارة`` for a loss in points."""
    return worded(value, "غير مقيس", "لا خسارة", "كسب {} نقطة", "خسارة {} نقطة")


def moved(value: float) -> str:
    """``rises by 3.1 points``, ``falls by 0.4 points`` or ``does not move`` for a difference in points."""
    return worded(value, "was not measured", "does not move", "falls by {} points", "rises by {} points")


def arabic_moved(value: float) -> str:
    """``ارتفاع 3.1 نقطة``, ``انخفاض 0.4 نقطة`` or ``لا تغيّر``."""
    return worded(value, "غير مقيس", "لا تغيّر", "انخفاض {} نقطة", "ارتفاع {} نقطة")


def arabic_span(cell: Mapping[str, float]) -> str:
    """``بين انخفاض 0.4 نقطة وارتفاع 5.8 نقطة``: where a difference lies; empty without an interval."""
    if math.isnan(cell["low"]):
        return ""
    low, high = (arabic_moved(cell[end]) for end in ("low", "high"))
    return f"بين {low} و{high}"


def arabic_difference(cell: Mapping[str, float]) -> str:
    """``ارتفاع 3.1 نقطة (بين ارتفاع 0.4 نقطة وارتفاع 5.8 نقطة)``; the change alone without an interval."""
    reach = arabic_span(cell)
    return arabic_moved(cell["value"]) + (f" ({reach})" if reach else "")


def side(value: float) -> str:
    """``12.3 نقطة لصالح الإنجليزية``: English's lead with its winner instead of a sign."""
    return f"{number(abs(value), 1)} نقطة لصالح {'الإنجليزية' if value >= 0 else 'العربية'}"


def arabic_lead(cell: Mapping[str, float]) -> str:
    """English's lead with its interval; an interval that changes sides names the winner at each end."""
    if math.isnan(cell["low"]):
        return side(cell["value"])
    if cell["low"] * cell["high"] > 0:
        low, high = sorted(abs(cell[end]) for end in ("low", "high"))
        return f"{side(cell['value'])} (بين {number(low, 1)} و{number(high, 1)})"
    return f"{side(cell['value'])} (بين {side(cell['low'])} و{side(cell['high'])})"


def change(value: float) -> str:
    """``falls by 12 %`` or ``rises by 3 %``."""
    return f"{'falls' if value < 0 else 'rises'} by {number(abs(value), 0)} %"


def arabic_change(value: float) -> str:
    """``انخفاض بنسبة 12%`` or ``ارتفاع بنسبة 3%``."""
    return f"{'انخفاض' if value < 0 else 'ارتفاع'} بنسبة {number(abs(value), 0)}%"
