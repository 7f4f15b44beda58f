"""Text of the banking corpus: its sources, amounts and counts in two languages, IBAN check digits, near copies."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from llmini import settings
from llmini.pocket.arabic import Noun, accusative, agree, counted, counted_english
from llmini.settings import UserError
from llmini.texts import normalise_arabic

LANGUAGES = ("en", "ar")
STYLES = ("code", "long", "short")
"""How amounts are written throughout a pair: BHD 12.500, 12.500 Bahraini dinars, 12.500 dinars."""
MONTHS = (
    ("January", "يناير"), ("February", "فبراير"), ("March", "مارس"), ("April", "أبريل"), ("May", "مايو"),
    ("June", "يونيو"), ("July", "يوليو"), ("August", "أغسطس"), ("September", "سبتمبر"), ("October", "أكتوبر"),
    ("November", "نوفمبر"), ("December", "ديسمبر"),
)  # fmt: skip
WEEKDAYS = (
    ("Monday", "الاثنين"), ("Tuesday", "الثلاثاء"), ("Wednesday", "الأربعاء"), ("Thursday", "الخميس"),
    ("Friday", "الجمعة"), ("Saturday", "السبت"), ("Sunday", "الأحد"),
)  # fmt: skip
_SLOT = re.compile(r"\{(\w+)(#?)\}")
_START = re.compile(r"(?:^|(?<=[.?!] )|(?<=\n))[a-z]")
_WORD = re.compile(r"[^\W_]+(?:[.,]\d+)*")


@cache
def source(name: str) -> Any:
    """A YAML file of data/banking. Raises UserError when it is missing."""
    import yaml

    path = settings.data("banking", f"{name}.yaml")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as fault:
        raise UserError(f"cannot read {path}: restore data/banking from the repository") from fault
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@dataclass(frozen=True)
class Currency:
    """A currency: ISO code, noun, Arabic adjectives (singular, plural), Arabic sign, and its small units."""

    code: str
    noun: Noun
    adjective: tuple[str, str]
    sign: str
    parts: int = 100
    small: Noun | None = None


@cache
def currency(key: str) -> Currency:
    """The currency of a country (`BH`), or a foreign one by its code (`USD`)."""
    row = source("countries")["countries"].get(key)
    money = row["money"] if row else source("countries")["foreign"][key]
    noun, adjective = Noun.parse(money["noun"]), tuple(money["adjective"].split("|"))
    if row is None:
        return Currency(key, noun, adjective, key)
    return Currency(row["code"], noun, adjective, money["sign"], row["parts"], Noun.parse(row["small"]))


@dataclass(frozen=True)
class Money:
    """An amount in minor units (fils, halalas) of a currency."""

    minor: int
    currency: Currency

    @property
    def bare(self) -> str:
        """The number alone: `1,250`, or with all its decimals `1,250.500`."""
        whole, rest = divmod(self.minor, self.currency.parts)
        return f"{whole:,}" + (f".{rest:0{len(str(self.currency.parts)) - 1}}" if rest else "")

    def text(self, language: str, style: str = "long") -> str:
        """The amount as English or Arabic writes it."""
        money, (whole, rest) = self.currency, divmod(self.minor, self.currency.parts)
        if language == "en":
            if style == "code":
                return f"{money.code} {self.bare}"
            name = money.noun.one if self.minor == money.parts else money.noun.many
            return f"{self.bare} {name if style == 'long' else name.split()[-1]}"
        if style == "code":
            return f"{self.bare} {money.sign}"
        if style == "short" and rest > 2 and whole != 1 and whole != 2 and money.small:
            small = Count(rest, money.small).text("ar")
            return f"{Count(whole, money.noun).text('ar')} و{small}" if whole else small
        if rest or whole < 3:  # singular after decimals; below 3 words would need a case
            return f"{self.bare} {money.noun.singular}" + (f" {money.adjective[0]}" if style == "long" else "")
        return Count(whole, money.noun).text("ar") + (f" {self._adjective(whole)}" if style == "long" else "")

    def _adjective(self, whole: int) -> str:
        """The adjective agrees with the counted noun: plural after 3-10, accusative after 11-99."""
        one, many = self.currency.adjective
        rest = whole % 100
        return many if 3 <= rest <= 10 else accusative(one) if rest >= 11 else one


@dataclass(frozen=True)
class Count:
    """So many things; Arabic agreement by :func:`llmini.pocket.arabic.counted`, thousands set off by commas."""

    number: int
    noun: Noun

    @property
    def bare(self) -> str:
        """The number alone."""
        return f"{self.number:,}"

    def text(self, language: str, style: str = "") -> str:
        """Number and noun."""
        words = (counted_english if language == "en" else counted)(self.number, self.noun)
        return words.replace(str(self.number), self.bare, 1)


@dataclass(frozen=True)
class Rate:
    """A share, written in percent: Rate(Fraction(9, 200)) is 4.5%."""

    value: Fraction

    def text(self, language: str, style: str = "") -> str:
        """The percentage with the decimals it needs."""
        return f"{float(self.value * 100):.6g}%"


@dataclass(frozen=True)
class Day:
    """A date, written `15 March 2026` and `15 مارس 2026`."""

    date: datetime.date

    def text(self, language: str, style: str = "") -> str:
        """Day, month in words, year."""
        return f"{self.date.day} {MONTHS[self.date.month - 1][LANGUAGES.index(language)]} {self.date.year}"


def written(value: Any, language: str, style: str) -> str:
    """A slot's value in a language: text, a pair (English, Arabic), or anything with a ``text`` method."""
    if isinstance(value, tuple):
        return value[LANGUAGES.index(language)]
    return value.text(language, style) if hasattr(value, "text") else str(value)


def fill(template: str, slots: dict, language: str, style: str = "long", gender: str = "m") -> str:
    """Fill `{slot}` and `{slot#}` (the bare number), after `[m|f]` took the gender; English sentences start large.

    Raises KeyError for a slot that the template names and ``slots`` lacks.
    """

    def put(found: re.Match) -> str:
        value = slots[found[1]]
        return value.bare if found[2] else written(value, language, style)

    text = _SLOT.sub(put, agree(template, gender))
    return _START.sub(lambda found: found[0].upper(), text) if language == "en" else text


def remainder(iban: str) -> int:
    """The IBAN modulo 97 with its first four characters last and letters as 10 to 35; 1 when valid (ISO 13616)."""
    plain = iban.replace(" ", "")
    return int("".join(str(int(character, 36)) for character in plain[4:] + plain[:4])) % 97


def check_digits(prefix: str, account: str) -> str:
    """The two check digits of a country code and an account part: 98 - (remainder with 00), ISO 7064 MOD 97-10."""
    return f"{98 - remainder(prefix + '00' + account):02}"


def grouped(iban: str) -> str:
    """An IBAN in groups of four, as printed on paper."""
    return " ".join(iban[start : start + 4] for start in range(0, len(iban), 4))


def words(text: str) -> list[str]:
    """Words and numbers, lower case, Arabic normalised with letters folded, without punctuation."""
    return _WORD.findall(normalise_arabic(text, letters=True).lower())


def shingles(found: list[str], size: int = 3) -> frozenset[tuple[str, ...]]:
    """Runs of ``size`` words of :func:`words`; a shorter text is one run."""
    if len(found) <= size:
        return frozenset([tuple(found)])
    return frozenset(zip(*(found[start:] for start in range(size)), strict=False))


def similarity(first: frozenset, second: frozenset) -> float:
    """Jaccard index of two sets of shingles."""
    common = len(first & second)
    return common / (len(first) + len(second) - common)


def listed(items: list[str], language: str, choice: bool = False) -> str:
    """`a, b and c`, or with ``choice`` `a, b or c`; Arabic joins every item by و, or by commas with أو at the end."""
    if language == "ar" and not choice:
        return " و".join(items)
    comma, last = (", ", " or " if choice else " and ") if language == "en" else ("، ", " أو ")
    return last.join([comma.join(items[:-1]), items[-1]] if len(items) > 1 else items)
