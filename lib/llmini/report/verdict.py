"""A claim and what it rests on; verdicts read off 95 % intervals.

A verdict is *confirmed* where all of the interval agrees with the claim, *not confirmed* where all of it disagrees, and
otherwise *cannot be told at this size*. Where a claim says that a score falls which is 0 % to begin with, nothing
could confirm it: it *cannot be tested*.
"""

from __future__ import annotations

import math
from typing import NamedTuple

CONFIRMED, REFUTED, UNKNOWN, ABSENT = "confirmed", "not confirmed", "cannot be told at this size", "not measured"
MARGIN = 100 / 30  # points: one of the study's 30 questions, the least difference that it could see
STUDY, HERE = "The study", "Asked here"
FLOOR = "cannot be tested: 0 % before"
ASIDE = ""  # of a part that is told beside the claim and decides nothing
SHOWN = 4  # parts in a claim's words


class Part(NamedTuple):
    """One measurement that a claim rests on: its words and its verdict."""

    text: str
    verdict: str


class Claim(NamedTuple):
    """A claim, the tables it stands in, what they print, and what it rests on here."""

    of: str
    statement: str
    source: str
    printed: str
    parts: list[Part]

    @property
    def verdict(self) -> str:
        """The least favourable of the parts' verdicts; of a part at the floor only where there is no other."""
        found = {part.verdict for part in self.parts} - {ASIDE}
        if found == {FLOOR}:
            return FLOOR
        return next(word for word in (REFUTED, ABSENT, UNKNOWN, CONFIRMED) if word in found or word == CONFIRMED)

    @property
    def measured(self) -> str:
        """The parts in words; of more than :data:`SHOWN`, those that decide."""
        parts = self.parts
        if len(parts) > SHOWN:
            parts = [part for part in parts if part.verdict == self.verdict]
        return "; ".join(part.text for part in parts[:SHOWN]) + ("; …" if len(parts) > SHOWN else "")


def rises(cell: dict[str, float]) -> str:
    """Verdict on "this difference is above zero"."""
    if math.isnan(cell["low"]):
        return ABSENT
    return CONFIRMED if cell["low"] > 0 else REFUTED if cell["high"] < 0 else UNKNOWN


def falls(cell: dict[str, float]) -> str:
    """Verdict on "this difference is below zero"."""
    return rises({"low": -cell["high"], "high": -cell["low"]})


def same(cell: dict[str, float]) -> str:
    """Verdict on "no difference": within the margin it is, away from zero it is not."""
    if math.isnan(cell["low"]):
        return ABSENT
    if cell["low"] > -MARGIN and cell["high"] < MARGIN:
        return CONFIRMED
    return REFUTED if cell["low"] > 0 or cell["high"] < 0 else UNKNOWN


def keeps(cell: dict[str, float]) -> str:
    """Verdict on "nothing is lost": at most the margin is."""
    if math.isnan(cell["low"]):
        return ABSENT
    return CONFIRMED if cell["low"] > -MARGIN else REFUTED if cell["high"] < 0 else UNKNOWN
