"""Nouns, verbs and adjectives of data/pocket/grammar, and their inflection by rule, in unvocalised written Arabic.

The rules hold for the classes of words that the tables name, and for no others: verbs that are sound (or begin with a
waw that the present drops, or with a hamza), hollow, or defective in ya; nouns that do not end in a hamza.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from llmini import settings
from llmini.pocket import arabic

PERSONS = ("1s", "1p", "2ms", "2fs", "2mp", "3ms", "3fs", "3md", "3fd", "3mp", "3fp")
"""Person, gender and number of a verb form: `3fd` is the third person feminine dual."""
_PAST = {"1s": "ت", "1p": "نا", "2ms": "ت", "2fs": "ت", "2mp": "تم", "3ms": "", "3fs": "ت", "3md": "ا", "3fd": "تا",
         "3mp": "وا", "3fp": "ن"}  # fmt: skip
_PRESENT = {"1s": ("أ", ""), "1p": ("ن", ""), "2ms": ("ت", ""), "2fs": ("ت", "ين"), "2mp": ("ت", "ون"),
            "3ms": ("ي", ""), "3fs": ("ت", ""), "3md": ("ي", "ان"), "3fd": ("ت", "ان"), "3mp": ("ي", "ون"),
            "3fp": ("ي", "ن")}  # fmt: skip
_CONSONANT = ("1s", "1p", "2ms", "2fs", "2mp", "3fp")  # past endings that begin with a consonant


@dataclass(frozen=True)
class Noun:
    """A noun: `gender` m or f; `kind` h person, o thing, p place, a animal, t the rest; `female` of persons."""

    word: str
    gender: str
    plural: str
    kind: str
    female: str

    @property
    def sound(self) -> bool:
        """Whether the plural keeps the singular and takes an ending."""
        stem = self.word.removesuffix("ة")
        return self.plural in (stem + "ات", stem + "ون") or (stem.endswith("ى") and self.plural.endswith("يات"))

    def dual(self, oblique: bool = False) -> str:
        """`مدينة` -> `مدينتان`, oblique `مدينتين`; a final ى turns into ي."""
        stem = {"ة": "ت", "ى": "ي"}.get(self.word[-1], self.word[-1])
        return self.word[:-1] + stem + ("ين" if oblique else "ان")

    def many(self, oblique: bool = False) -> str:
        """The plural; a sound masculine one ends in `ين` in the oblique cases."""
        masculine = self.plural == self.word + "ون"
        return self.word + "ين" if oblique and masculine else self.plural


@dataclass(frozen=True)
class Adjective:
    """An adjective: `people` is its masculine plural for people, `kinds` the classes of nouns that it goes with."""

    word: str
    feminine: str
    people: str | None
    comparative: str | None
    kinds: str

    def of(self, gender: str) -> str:
        """The singular of a gender."""
        return self.word if gender == "m" else self.feminine


@dataclass(frozen=True)
class Verb:
    """A verb by its third person masculine singular; `kind` s sound, h hollow, d defective in ya."""

    past: str
    present: str
    root: str
    masdar: str | None
    participle: str | None
    kind: str
    objects: tuple[str, ...]

    def form(self, tense: str, person: str) -> str:
        """The form of a person of :data:`PERSONS` in `past`, `present`, `jussive` (after لم) or `future` (with سـ).

        Raises:
            KeyError: for an unknown person.
            ValueError: for an unknown tense.
        """
        if tense == "future":
            return "س" + self.form("present", person)
        if tense not in ("past", "present", "jussive"):
            raise ValueError(f"no tense {tense!r}: past, present, jussive, future")
        return self._past(person) if tense == "past" else self._present(person, tense == "jussive")

    def _past(self, person: str) -> str:
        stem, ending = self.past, _PAST[person]
        if self.kind == "h" and person in _CONSONANT:
            stem = stem[:-2] + stem[-1]  # the long vowel is shortened before two consonants
        if self.kind == "d" and ending:
            stem = stem[:-1] + ("" if person in ("3fs", "3fd", "3mp") else "ي")
        if stem.endswith("ت") and ending.startswith("ت"):
            stem = stem[:-1]  # two of them are written as one
        if stem.endswith("ن") and ending.startswith("ن"):
            stem = stem[:-1]
        return stem + ending

    def _present(self, person: str, jussive: bool) -> str:
        prefix, ending = _PRESENT[person]
        stem = self.present[1:]
        if self.kind == "h" and (person == "3fp" or (jussive and not ending)):
            stem = stem[:-2] + stem[-1]
        if self.kind == "d" and (ending in ("ون", "ين") or (jussive and not ending)):
            stem = stem[:-1]
        if jussive and person != "3fp":
            ending = {"ون": "وا", "ين": "ي", "ان": "ا"}.get(ending, ending)
        if stem.endswith("ن") and ending.startswith("ن"):
            stem = stem[:-1]
        word = prefix + stem + ending
        return "آ" + word[2:] if word.startswith("أأ") else word


def accusative(word: str) -> str:
    """Indefinite accusative singular, as :func:`llmini.pocket.arabic.accusative`; a final ى takes no alef."""
    return word if word.endswith("ى") else arabic.accusative(word)


@cache
def table(name: str) -> Any:
    """A YAML file of data/pocket/grammar."""
    return yaml.safe_load(settings.data("pocket", "grammar", f"{name}.yaml").read_text(encoding="utf-8"))


def _rows(name: str) -> list[list[str | None]]:
    return [[None if part == "-" else part for part in line.split("|")] for line in table(name)[name]]


@cache
def nouns() -> tuple[Noun, ...]:
    """Every noun, without the feminine persons."""
    return tuple(Noun(*row) for row in _rows("nouns"))


@cache
def females() -> tuple[Noun, ...]:
    """The feminine of every person: `معلمة`, `معلمات`."""
    return tuple(Noun(noun.female, "f", noun.female[:-1] + "ات", "h", "") for noun in nouns() if noun.female)


@cache
def adjectives() -> tuple[Adjective, ...]:
    """Every adjective."""
    return tuple(Adjective(*row) for row in _rows("adjectives"))


@cache
def verbs() -> tuple[Verb, ...]:
    """Every verb."""
    return tuple(Verb(*row[:6], tuple(row[6].split(","))) for row in _rows("verbs"))
