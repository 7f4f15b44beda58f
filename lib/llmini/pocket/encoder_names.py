"""Entities of the encoders' sentences: people, organisations, locations and dates, each value in one split alone.

A scene names an entity in English, standard and Gulf Arabic at once. First names, families, companies and towns are
split before they are put together, so that no word of a test person's or a test town's name is labelled in training;
months and weekdays recur, whole dates do not. Tables: data/pocket/encoders/entities.yaml, names of the pocket world.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from llmini import settings
from llmini.pocket.facts import ordered, pairs, subjects, unit
from llmini.pocket.facts import table as world

LANGUAGES = ("en", "ar", "gulf")
SPLITS = ("train", "dev", "test")
KINDS = ("PER", "ORG", "LOC", "DATE")
SHARES = {"train": 0.60, "dev": 0.10, "test": 0.30}
KUNYA = 0.25
"""Share of people whom Gulf text calls بو or أم with a first name, as neighbours do."""
YEARS = range(1990, 2026)
_DATE = re.compile(r"^(.*?)\[(.*)\]$")


@dataclass(frozen=True)
class Entity:
    """One entity in three varieties. ``texts`` and ``before`` (words that are no part of it): by language."""

    kind: str
    texts: dict[str, str]
    before: dict[str, str]
    gender: str = "m"


@cache
def table(name: str) -> Any:
    """A YAML file of data/pocket/encoders."""
    return yaml.safe_load(settings.data("pocket", "encoders", f"{name}.yaml").read_text(encoding="utf-8"))


def spread(line: str) -> tuple[str, str, str]:
    """English, standard and Gulf Arabic from ``English|Arabic`` or ``English|Arabic|Gulf``."""
    english, arabic, *gulf = line.split("|")
    return english, arabic, gulf[0] if gulf else arabic


def share(items: list, split: str, salt: str) -> list:
    """The items of a split, by quota over an order that depends on their text and the salt alone."""
    found, start = ordered(items, "encoder", salt), 0.0
    for name, part in SHARES.items():
        low, high = round(start * len(found)), round((start + part) * len(found))
        if name == split:
            return found[low:high]
        start += part
    raise ValueError(f"unknown split {split!r}: choose one of {', '.join(SPLITS)}")


@cache
def words(kind: str, split: str) -> list:
    """The names of a split: ``men``, ``women``, ``families``, ``companies``, ``towns`` or ``places``."""
    if kind == "towns":
        stems = share(pairs(world("names")["town_stems"]), split, kind)
        return [line[:2] for line in subjects("town") if line[0].startswith(tuple(stem[0] for stem in stems))]
    lines = table("entities")["real_places"] if kind == "places" else world("names")[kind]
    return share(pairs(lines), split, kind)


def heads(kind: str, split: str) -> list[list[str]]:
    """Patterns around a name; test text also holds patterns that training never saw."""
    patterns = table("entities")[kind]
    everywhere = patterns["everywhere"]
    if split == "test":
        everywhere = [*everywhere, *patterns["evaluation"]]
    return [line.split("|") for line in everywhere]


def person(rng: random.Random, split: str) -> Entity:
    """A person: first name and family mostly, else one of them."""
    gender = rng.choice("mf")
    first, family = rng.choice(words("men" if gender == "m" else "women", split)), rng.choice(words("families", split))
    form = rng.choices(("full", "first", "family"), weights=(0.7, 0.12, 0.18))[0]
    sides = {"full": [f"{a} {b}" for a, b in zip(first, family, strict=True)], "first": first, "family": family}[form]
    texts = {"en": sides[0], "ar": sides[1], "gulf": sides[1]}
    if form != "family" and rng.random() < KUNYA:
        texts["gulf"] = f"{'بو' if gender == 'm' else 'أم'} {first[1]}"
    return entity("PER", texts, gender)


def organisation(rng: random.Random, split: str) -> Entity:
    """A company, bank, university and the like, or a company's bare name."""
    name = rng.choice(words("towns" if rng.random() < 0.25 else "companies", split))
    if rng.random() < 0.2:
        name = rng.choice(words("companies", split))
        return entity("ORG", dict(zip(LANGUAGES, spread("|".join(name)), strict=True)), "f")
    *patterns, gender = rng.choice(heads("organisations", split))
    sides = zip(LANGUAGES, patterns, (name[0], name[1], name[1]), strict=True)
    return entity("ORG", {language: pattern.replace("{x}", word) for language, pattern, word in sides}, gender)


def location(rng: random.Random, split: str) -> Entity:
    """An invented town, a real place, or an island, a district and the like."""
    form = rng.choices(("town", "place", "around"), weights=(0.5, 0.25, 0.25))[0]
    name = rng.choice(words("places" if form == "place" else "towns", split))
    patterns = rng.choice(heads("locations", split)) if form == "around" else ["{x}"] * 3
    sides = zip(LANGUAGES, patterns, (name[0], name[1], name[1]), strict=True)
    return entity("LOC", {language: pattern.replace("{x}", word) for language, pattern, word in sides})


def date(rng: random.Random, split: str) -> Entity:
    """A date whose value belongs to ``split``."""
    tables = table("entities")
    while True:
        pattern = rng.choice(heads("dates", split))
        month, weekday = spread(rng.choice(tables["months"])), spread(rng.choice(tables["weekdays"]))
        ordinal, season = spread(rng.choice(tables["ordinals"])), spread(rng.choice(tables["seasons"]))
        day, year = rng.randint(1, 28), rng.choice(YEARS)
        texts, before = {}, {}
        for side, language in enumerate(LANGUAGES):
            filled = pattern[side].format(d=day, y=year, m=month[min(side, 1)], n=month[2], w=weekday[side],
                                          o=ordinal[side], s=season[side])  # fmt: skip
            before[language], texts[language] = (part.strip() for part in _DATE.match(filled).groups())
        if _split_of(texts["en"]) == split:
            return Entity("DATE", texts, before)


def _split_of(value: str) -> str:
    point = unit("encoder", "date", value)
    return "train" if point < SHARES["train"] else "dev" if point < SHARES["train"] + SHARES["dev"] else "test"


def entity(kind: str, texts: dict[str, str], gender: str = "m") -> Entity:
    """An entity without words before it."""
    return Entity(kind, texts, dict.fromkeys(LANGUAGES, ""), gender)
