"""Words of three varieties of Arabic with English: nouns with gender, adjectives, people, times and places.

The tables stand in data/pocket/dialects; every entry is one line with bars, see the head of each file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from llmini import settings
from llmini.pocket.arabic import accusative
from llmini.pocket.dialect_verbs import VARIETIES, Verb


@dataclass(frozen=True)
class Noun:
    """A noun: English, its number (`one`, `mass`, `many`), and (word, gender, definite as it stands) per variety."""

    english: str
    number: str
    words: dict[str, tuple[str, str, bool]]
    tags: frozenset[str]

    def bare(self, variety: str) -> str:
        """The word without the article."""
        return self.words[variety][0]

    def definite(self, variety: str) -> str:
        """The word with the article, unless it is definite by itself."""
        word, _, fixed = self.words[variety]
        return word if fixed else "ال" + word

    def gender(self, variety: str) -> str:
        """`m` or `f`: it may differ between varieties (السيارة, الموتر)."""
        return self.words[variety][1]

    @property
    def known(self) -> bool:
        """Whether the noun is a name, or definite by itself."""
        return self.words["msa"][2]

    def english_definite(self) -> str:
        """`the car`; names and `my brother` stay as they are."""
        return self.english if self.known or "skill" in self.tags else f"the {self.english}"

    def english_indefinite(self, adjective: str = "") -> str:
        """`a car`, `an old car`, `fresh bread`, `new shoes`."""
        text = f"{adjective} {self.english}".strip()
        if self.number != "one":
            return text
        return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"


@dataclass(frozen=True)
class Described:
    """An adjective or a state: English, forms per variety (m, f, plural) and the comparative."""

    english: str
    forms: dict[str, tuple[str, ...]]
    tags: frozenset[str] = frozenset()
    comparative: tuple[str, ...] = ()
    fixed: bool = False

    def form(self, variety: str, gender: str) -> str:
        """The form for `m`, `f` or `p`."""
        return self.forms[variety]["mfp".index(gender)]

    def predicate(self, variety: str, gender: str) -> str:
        """The form after ليس and كان: accusative in standard Arabic, the same word elsewhere."""
        word = self.form(variety, gender)
        if variety != "msa" or self.fixed:
            return word
        if gender == "p":
            return word[:-2] + "ين" if word.endswith("ون") else word if word.endswith(("اء", "ى")) else accusative(word)
        # فعلان and its feminine فعلى bear no nunation
        return word if word.endswith(("شان", "سان", "ى")) else accusative(word)


@dataclass(frozen=True)
class Action:
    """A verb in English and the three varieties, with the tags of its objects and places, and its notes."""

    english: tuple[str, str, str, str]
    particle: str
    verbs: dict[str, Verb]
    objects: frozenset[str]
    places: frozenset[str]
    stative: bool

    @property
    def joint(self) -> bool:
        """Whether the object follows without a preposition in every variety, so that a pronoun can be joined."""
        return not self.particle and not any(verb.preposition for verb in self.verbs.values())


@cache
def table(name: str) -> Any:
    """A YAML file of data/pocket/dialects."""
    return yaml.safe_load(settings.data("pocket", "dialects", f"{name}.yaml").read_text(encoding="utf-8"))


def spread(columns: list[str]) -> list[str]:
    """Three varieties from one, two (Gulf and Bahraini alike) or three columns."""
    return columns if len(columns) == 3 else [columns[0], columns[-1], columns[-1]]


@cache
def nouns() -> tuple[Noun, ...]:
    """Every noun of the table."""
    found = []
    for line in table("nouns"):
        english, *columns, tags = line.split("|")
        number = "many" if english.endswith("*") else "mass" if english.startswith("~") else "one"
        pairs, gender = [], ""
        for column in spread(columns):
            word, gender = column.rsplit(" ", 1)
            pairs.append((word.lstrip("="), gender, word.startswith("=")))
        found.append(
            Noun(english.strip("~*"), number, dict(zip(VARIETIES, pairs, strict=True)), frozenset(tags.split()))
        )
    return tuple(found)


def _forms(text: str) -> tuple[tuple[str, ...], bool]:
    words = [word.lstrip("=").replace("_", " ") for word in text.split()]
    return tuple(words if len(words) > 1 else [words[0], words[0] + "ة"]), text.startswith("=")


@cache
def adjectives() -> tuple[Described, ...]:
    """Every adjective of the table."""
    found = []
    for line in table("describing")["adjectives"]:
        columns = line.split("|")
        more = tuple(columns.pop().split()) if _comparative(columns[-1]) else ()
        english, *forms, tags = [column for column in columns if column]
        read = [_forms(column) for column in spread(forms)]
        found.append(
            Described(
                english,
                dict(zip(VARIETIES, (form for form, _ in read), strict=True)),
                frozenset(tags.split()),
                more,
                read[0][1],
            )
        )
    return tuple(found)


def _comparative(column: str) -> bool:
    return bool(column) and not column.isascii()


@cache
def states() -> tuple[Described, ...]:
    """Every state of a person, with its plural."""
    found = []
    for line in table("describing")["states"]:
        english, *forms = line.split("|")
        found.append(Described(english, {v: tuple(f.split()) for v, f in zip(VARIETIES, spread(forms), strict=True)}))
    return tuple(found)


@cache
def actions() -> tuple[Action, ...]:
    """Every verb of the table."""
    found = []
    for line in table("verbs")["verbs"]:
        english, msa, gulf, bahraini, objects, places, *notes = line.split("|")
        base, third, past, ing, *particle = english.split()
        verbs = {v: Verb.parse(v, text) for v, text in zip(VARIETIES, (msa, gulf, bahraini), strict=True)}
        tags = (frozenset(objects.split()), frozenset(places.split()))
        found.append(Action((base, third, past, ing), " ".join(particle), verbs, *tags, notes == ["stative"]))
    return tuple(found)


@cache
def auxiliary(name: str) -> dict[str, Verb]:
    """`be`, `want` or `can` in each variety."""
    forms = table("verbs")["auxiliary"][name].split("|")
    return {variety: Verb.parse(variety, text) for variety, text in zip(VARIETIES, forms, strict=True)}


@cache
def phrases(name: str) -> tuple[tuple[str, dict[str, str], frozenset[str]], ...]:
    """Times and places: English, words per variety, tags (places alone)."""
    found = []
    for line in table("scene")[name]:
        english, *words = line.split("|")
        tags = frozenset(words.pop().split()) if name == "places" else frozenset()
        found.append((english, dict(zip(VARIETIES, spread(words), strict=True)), tags))
    return tuple(found)


@cache
def subjects() -> tuple[tuple[str, str, dict[str, str]], ...]:
    """People: person, English, words per variety."""
    found = []
    for line in table("scene")["subjects"]:
        person, english, *words = line.split("|")
        found.append((person, english, dict(zip(VARIETIES, spread(words), strict=True))))
    return tuple(found)
