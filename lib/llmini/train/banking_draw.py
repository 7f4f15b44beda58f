"""Random amounts for the computed operations of the banking corpus, in the money of one country."""

from __future__ import annotations

import datetime
import random
import string
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from llmini.pocket.arabic import Noun
from llmini.train.banking_text import Count, Currency, Money, Rate, currency, source

Slots = dict[str, Any]
UNPEGGED = "0.307"
"""Local price of a dollar around which exercises invent rates where no official peg exists (Kuwait)."""


class Inexact(Exception):
    """A result that the currency cannot pay to the last small unit: draw again."""


@dataclass
class Draw:
    """A source of random amounts in the money of one country (`BH`)."""

    rng: random.Random
    country: str

    @property
    def row(self) -> dict:
        """The country's facts."""
        return source("countries")["countries"][self.country]

    @property
    def currency(self) -> Currency:
        """The country's currency."""
        return currency(self.country)

    def money(self, low: int, high: int, step: int = 1) -> Money:
        """A whole amount from low to high dinars, or ten times that in riyals and dirhams, worth about a tenth each."""
        scale = 1 if self.currency.code in ("BHD", "KWD", "OMR") else 10
        return self.of(self.rng.randrange(low, high + 1, step) * scale * self.currency.parts)

    def of(self, minor: int | Fraction) -> Money:
        """An amount of so many minor units. Raises Inexact for a broken one."""
        if minor != int(minor):
            raise Inexact
        return Money(int(minor), self.currency)

    def rate(self, low: int, high: int, steps: int = 4) -> Rate:
        """A percentage between low and high in steps of 1/steps."""
        return Rate(Fraction(self.rng.randint(low * steps, high * steps), 100 * steps))

    def count(self, noun: Noun, *numbers: int) -> Count:
        """One of the numbers of things."""
        return Count(self.rng.choice(numbers), noun)

    def foreign(self) -> tuple[Money, str, Fraction]:
        """A foreign amount, and an invented price of one unit in local money near the market: text and value."""
        code = self.rng.choice(sorted(source("countries")["foreign"]))
        row, money = source("countries")["foreign"][code], currency(code)
        price = float(row["value"]) * float(self.row.get("rate", UNPEGGED)) * self.rng.uniform(0.99, 1.01)
        text = f"{price:.{3 if price >= 1 else 4 if price >= 0.1 else 5}f}"
        return Money(self.rng.randint(2, 60) * row["step"] * money.parts, money), text, Fraction(text)

    def day(self) -> datetime.date:
        """A date in 2025 to 2027."""
        return datetime.date(2025, 1, 1) + datetime.timedelta(self.rng.randrange(1095))

    def account(self) -> str:
        """An invented account part of the country's IBAN: a bank code that begins with X or 9, and digits."""
        code, number = self.row["iban"]["parts"]
        bank = "X" + "".join(self.rng.choices(string.ascii_uppercase, k=3))
        if code.endswith("n"):
            bank = "9" * (int(code[:-1]) - 1) + self.rng.choice("456789")
        return bank + "".join(self.rng.choices(string.digits, k=int(number[:-1])))
