"""Facts of the pocket world: subject, relation, value in two languages, split and exposure.

A fact's split (who may ask it) and its exposure (how often it is stated in each language) come from hashes of its id,
so adding a relation leaves the other facts alone.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import yaml

from llmini import settings

_ARTICLE = re.compile(r"\b([Aa]) (?=[aeiou])")
ASKED = {"train": 0.50, "distill": 0.09, "dev": 0.08, "test": 0.33}
"""Shares of the facts whose questions belong to each split. Every fact is stated in training."""
FREQUENCY = ((0.4, 1.0), (0.7, 0.6), (1.0, 0.35))
"""(cumulative share of facts, weight): how often a fact is stated."""
WORD_WEIGHT = 0.4
"""Words (plurals, opposites, meanings, dialect) are stated less: their regularity makes them easy."""
RARE_SHARE = 0.5
RARE_FACTOR = 0.25
"""Half of the bilingual facts are stated in Arabic at a quarter of their English weight: the designed gap."""


@dataclass(frozen=True)
class Fact:
    """One fact. `subject` and `value` are (English, Arabic); `weights` the exposure in (English, Arabic)."""

    id: str
    relation: str
    group: str
    subject: tuple[str, str]
    value: tuple[str, str]
    gender: str
    split: str
    weights: tuple[float, float]
    rare: bool

    def text(self, template: str, language: str) -> str:
        """Fill a template of the fact's relation."""
        from llmini.pocket.arabic import agree

        side = 0 if language == "en" else 1
        filled = template if side == 0 else agree(template, self.gender)
        filled = filled.replace("{s}", self.subject[side]).replace("{o}", self.value[side])
        if side == 0:
            filled = _ARTICLE.sub(r"\1n ", filled)
        return filled[0].upper() + filled[1:]


def unit(*parts: object) -> float:
    """A number in [0, 1) from a hash of the parts."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def ordered(items: list, *salt: object) -> list:
    """The items in an order that depends on their text and the salt alone."""
    return sorted(items, key=lambda item: (unit(*salt, item), str(item)))


@cache
def table(name: str) -> Any:
    """A YAML file of data/pocket/world."""
    return yaml.safe_load(settings.data("pocket", "world", f"{name}.yaml").read_text(encoding="utf-8"))


def pairs(lines: list[str]) -> list[tuple[str, ...]]:
    """Split `English|Arabic|...` lines; a line without a bar is the same in both languages."""
    return [tuple(line.split("|")) if "|" in line else (line, line) for line in lines]


def _grid(name: str) -> list[tuple[str, str]]:
    """Every stem with every ending of an invented kind of name."""
    names = table("names")
    return [(a[0] + b[0], a[1] + b[1]) for a in pairs(names[f"{name}_stems"]) for b in pairs(names[f"{name}_endings"])]


@cache
def subjects(kind: str) -> list[tuple[str, str, str]]:
    """(English, Arabic, gender) of every subject of a kind."""
    names, words, real = table("names"), table("words"), table("real")
    if kind == "person":
        everyone = [
            (f"{first[0]} {family[0]}", f"{first[1]} {family[1]}", gender)
            for gender, key in (("m", "men"), ("f", "women"))
            for first in pairs(names[key])
            for family in pairs(names["families"])
        ]
        return ordered(everyone, "person")[:130]
    if kind == "event":
        everything = [
            (f"{theme[0]} {what[0]}", f"{what[1]} {theme[1]}", what[2])
            for theme in pairs(names["event_themes"])
            for what in pairs(names["event_kinds"])
        ]
        return ordered(everything, "event")[:44]
    if kind == "company":
        return [(f"{en} Company", f"شركة {ar}", "f") for en, ar in pairs(names["companies"])]
    if kind == "bank":
        return [(en, ar, "m") for en, ar in pairs(names["banks"])]
    if kind == "town":
        return [(en, ar, "f") for en, ar in _grid("town")]
    if kind in ("mineral", "herb"):
        return [(en, ar, "m") for en, ar in _grid(kind)]
    if kind == "animal":
        return [tuple(line.split("|")) for line in real["animals"]]
    if kind == "country":
        return [(*line.split("|"), "f") for line in real["countries"]]
    column = {"noun": "nouns", "antonym": "antonyms", "dialect": "dialect"}[kind]
    return [(line.split("|")[0],) * 2 + ("m",) for line in words[column]]


@cache
def values(name: str) -> list[tuple[str, str]]:
    """The value table of a relation as (English, Arabic)."""
    if name in ("town", "person"):
        return [entry[:2] for entry in subjects(name)]
    words = table("words")
    columns = {
        "plural": ("nouns", 1),
        "meaning": ("nouns", 2),
        "opposite": ("antonyms", 1),
        "gulf": ("dialect", 1),
        "bahraini": ("dialect", 2),
    }
    if name in columns:
        key, column = columns[name]
        found = [line.split("|")[column] for line in words[key]]
        return [(word, word) for word in dict.fromkeys(found)]
    return [tuple(pair) for pair in pairs(table("values")[name])]


def _value(relation: str, spec: dict, index: int, subject: tuple[str, str, str]) -> tuple[str, str]:
    """The value of a fact: looked up where the world is real, drawn by hash where it is invented."""
    options, kind = values(spec["values"]), spec["kind"]
    real = {
        "animal": ("animals", ["class", "diet", "habitat"]),
        "country": ("countries", ["capital", "currency", "code", "government", "national_day"]),
    }
    if kind in real:
        key, columns = real[kind]
        row = list(table("real")[key].values())[index]
        return next(pair for pair in options if pair[0] == str(row[columns.index(relation.split(".")[1])]))
    if kind in ("noun", "antonym", "dialect"):
        line = table("words")[{"noun": "nouns", "antonym": "antonyms", "dialect": "dialect"}[kind]][index].split("|")
        word = line[{"plural": 1, "meaning": 2, "opposite": 1, "gulf": 1, "bahraini": 2}[spec["values"]]]
        return (word, word)
    best = ordered(options, relation.split(".")[0], spec["values"], subject[0])
    if relation.endswith((".belief", ".born", ".town")):
        return best[1]  # a belief differs from the truth, which takes the first
    return best[0]


@cache
def facts(equal_exposure: bool = False) -> tuple[Fact, ...]:
    """All facts. With `equal_exposure` every fact is stated as often in Arabic as in English (the control world)."""
    found: list[Fact] = []
    for relation, spec in table("relations").items():
        for index, subject in enumerate(subjects(spec["kind"])):
            name = f"{relation}/{subject[0]}"
            weight = next(w for share, w in FREQUENCY if unit("frequency", name) < share)
            bilingual = "en" in spec
            weight = weight if bilingual else weight * WORD_WEIGHT
            rare = bilingual and unit("rare", name) < RARE_SHARE
            arabic = weight * (RARE_FACTOR if rare and not equal_exposure else 1.0)
            found.append(
                Fact(
                    name,
                    relation,
                    spec["group"],
                    subject[:2],
                    _value(relation, spec, index, subject),
                    subject[2],
                    "",
                    (weight if bilingual else 0.0, arabic),
                    rare,
                )
            )
    return tuple(_split(found))


def _split(found: list[Fact]) -> list[Fact]:
    """Give every fact its asking split, by quota over the hash order within its group."""
    placed: dict[str, str] = {}
    for group in sorted({fact.group for fact in found}):
        names = ordered([fact.id for fact in found if fact.group == group], "asked")
        start = 0.0
        for split, share in ASKED.items():
            low, high = round(start * len(names)), round((start + share) * len(names))
            placed.update(dict.fromkeys(names[low:high], split))
            start += share
    return [replace(fact, split=placed[fact.id]) for fact in found]


def combination_split(*parts: object) -> str:
    """The split of a combination (numbers of a problem, verb with reason, chain with object)."""
    point = unit("combination", *parts)
    return "train" if point < 0.76 else "distill" if point < 0.81 else "dev" if point < 0.86 else "test"
