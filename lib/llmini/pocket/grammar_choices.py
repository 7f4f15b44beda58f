"""Words drawn from the grammar's tables so that they go together."""

from __future__ import annotations

import random

from llmini.pocket.grammar_tables import Adjective, Noun, Verb, adjectives, females, nouns

_WHERE = {
    "a": ("بستان", "حديقة", "جزيرة", "مزرعة", "قرية"),
    "سكن": ("بيت", "قرية", "مدينة", "جزيرة", "مزرعة", "غرفة"),
    "لعب": ("ملعب", "حديقة", "شارع", "بيت", "مدرسة", "بستان", "جزيرة", "قرية"),
}
"""Places that suit animals, and verbs; any other place suits the rest."""


def person(rng: random.Random) -> Noun:
    """A man or a woman by trade."""
    return rng.choice([noun for noun in (*nouns(), *females()) if noun.kind == "h"])


def adjective(rng: random.Random, kind: str) -> Adjective:
    """An adjective that suits a class of nouns."""
    return rng.choice([adjective for adjective in adjectives() if kind in adjective.kinds])


def thing(rng: random.Random, verb: Verb, subject: Noun) -> str:
    """What follows a verb, without its subject's name."""
    return rng.choice([thing for thing in verb.objects if subject.word not in thing])


def where(rng: random.Random, what: str = "") -> Noun:
    """A place to be in, for animals (`a`) or a verb where one is named."""
    places = [noun for noun in nouns() if noun.kind == "p" and noun.word not in ("نهر", "جبل")]
    return rng.choice([noun for noun in places if noun.word in _WHERE.get(what, [place.word for place in places])])


def clear(noun: Noun) -> bool:
    """Whether the plural is no other noun's singular: مزارع are farms, and one farmer."""
    return noun.plural not in {other.word for other in nouns()}
