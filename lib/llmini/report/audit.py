"""The study's claims held against its own tables: each derived again, with a verdict by rule.

A claim's numbers come from ``data/reported`` alone. ``yes``: it follows from the tables; ``no``: it does not;
``partly``: one part of it does. What no table can show (a shot count, a citation) is named so and gets no verdict here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from llmini.report import reported
from llmini.report.display import number as written

if TYPE_CHECKING:
    import pandas

YES, PARTLY, NO, OUTSIDE = "yes", "partly", "no", "not in the tables"
GOAL_SMALLER, GOAL_KEPT = 50.0, 85.0  # percent: the study's objective
ROUGHLY = 0.1  # "a half", "a quarter": within a tenth of it is partly right


class Derivation(NamedTuple):
    """What the tables give for a claim: the verdict, the recomputed number (NaN for comparisons), and it in words."""

    verdict: str
    value: float
    found: str


Derive = Callable[[str], Derivation]  # from the claimed value as the study prints it


@cache
def load(name: str) -> pandas.DataFrame:
    """A file of ``data/reported`` as :func:`llmini.report.reported.load` reads it, kept."""
    return reported.load(name)


def printed(source: str | int, /, **where: object) -> float:
    """The one printed value of a table under the study's own ids, NaN where it prints none.

    Raises LookupError when several rows answer: a derivation must name its cell.
    """
    found = [row for row in rows(f"table_{source:02d}" if isinstance(source, int) else source)
             if all(row.get(column) == wanted for column, wanted in where.items())]  # fmt: skip
    if len(found) > 1:
        raise LookupError(f"{len(found)} cells of {source} answer {where}")
    return float(found[0]["value"]) if found else math.nan


@cache
def rows(name: str) -> list[dict[str, object]]:
    """The lines of a file, for many quick look-ups."""
    return load(name).to_dict("records")


def number(value: float, tolerance: float | None = None) -> Derive:
    """``yes`` where ``value`` rounds to the claimed number at its own precision, or lies within ``tolerance`` of it
    (for numbers that were computed from unrounded inputs)."""

    def derive(claimed: str) -> Derivation:
        wanted, half = stated(claimed)
        room = half if tolerance is None else max(half, tolerance)
        return Derivation(YES if abs(value - wanted) <= room + 1e-9 else NO, value, f"{written(value, 4)}")

    return derive


def stated(text: str) -> tuple[float, float]:
    """A printed number and half a unit of its last digit: ``+0.11%`` is (0.11, 0.005).

    Raises ValueError when the text holds no number.
    """
    found = re.search(r"[-+]?\d[\d,]*(\.\d+)?", text.replace("−", "-"))
    if not found:
        raise ValueError(f"no number in {text!r}")
    return float(found[0].replace(",", "")), 0.5 * 10.0 ** -(len(found[1]) - 1 if found[1] else 0)


def roughly(value: float) -> Derive:
    """A round share ("half of the size"): ``yes`` by rounding, ``partly`` within a tenth of it, else ``no``."""

    def derive(claimed: str) -> Derivation:
        wanted, half = stated(claimed)
        off = abs(value - wanted)
        verdict = YES if off <= half else PARTLY if off <= ROUGHLY * wanted else NO
        return Derivation(verdict, value, f"{written(value, 4)}")

    return derive


def parts(*facts: tuple[str, bool]) -> Derive:
    """A claim of several parts: ``yes`` when all hold, ``no`` when none does, else ``partly``."""

    def derive(claimed: str) -> Derivation:
        held = [fact for _, fact in facts]
        verdict = YES if all(held) else PARTLY if any(held) else NO
        return Derivation(verdict, math.nan, "; ".join(f"{words}: {'yes' if fact else 'no'}" for words, fact in facts))

    return derive


def whole(*facts: tuple[str, bool]) -> Derive:
    """A claim that is true only as a whole: ``yes`` when all parts hold, else ``no``."""

    def derive(claimed: str) -> Derivation:
        found = parts(*facts)(claimed)
        return found._replace(verdict=YES if found.verdict == YES else NO)

    return derive


def equal(*values: float) -> Derive:
    """``yes`` when the numbers of the claim (``59.5 / 70.8``, ``58-63``) are these, in order, as printed."""

    def derive(claimed: str) -> Derivation:
        wanted = [float(word) for word in re.findall(r"\d+\.?\d*", claimed)]
        same = len(wanted) == len(values) and all(abs(a - b) < 1e-9 for a, b in zip(wanted, values, strict=True))
        text = " / ".join(f"{value:g}" for value in values)
        return Derivation(YES if same else NO, values[0] if len(values) == 1 else math.nan, text)

    return derive


def goal(smaller: float, kept: dict[str, float]) -> Derive:
    """The objective, half the size with 85 % of the accuracy, met in both languages. A claim that it is *not* met is
    right in each language in which it is not."""

    def derive(claimed: str) -> Derivation:
        met = [smaller >= GOAL_SMALLER and kept[code] >= GOAL_KEPT for code in ("ar", "en")]
        found = (f"{written(smaller, 1)} % smaller, Arabic {written(kept['ar'], 1)} %, "
                 f"English {written(kept['en'], 1)} %")  # fmt: skip
        if claimed.startswith("not"):
            return Derivation(NO if all(met) else PARTLY if any(met) else YES, math.nan, found)
        return Derivation(YES if all(met) else NO, math.nan, found)

    return derive


def derivations() -> dict[str, Derive]:
    """Claim id -> how it is derived, over all parts of the study."""
    from llmini.report import audit_compression, audit_teaching

    return {**audit_compression.derivations(), **audit_teaching.derivations()}


@cache
def claims() -> pandas.DataFrame:
    """``derived_claims.csv`` with three columns more: ``verdict``, ``value`` and ``found``, derived anew."""
    table, known = load("derived_claims"), derivations()
    done = [known[row.id](str(row.claimed_value)) if row.id in known else Derivation(OUTSIDE, math.nan, "")
            for row in table.itertuples()]  # fmt: skip
    return table.assign(**{name: [getattr(one, name) for one in done] for name in Derivation._fields})
