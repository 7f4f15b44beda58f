"""What the error rules know of words, from the tables of the grammar and the world: gender, other form, government."""

from __future__ import annotations

import re
from functools import cache

from llmini.pocket import facts, passages
from llmini.pocket.grammar_tables import PERSONS, adjectives, females, nouns, table, verbs

_PAIR = re.compile(r"[\[<]([^\[\]<>|]*)\|([^\[\]<>|]*)[\]>]")
_WORD = re.compile(r"[\u0621-\u0652]+")


@cache
def gendered() -> dict[str, tuple[str, str]]:
    """Verb, participle or pronoun -> (its gender, its form of the other gender)."""
    found = {}
    lines = [str(facts.table(name)) for name in ("relations", "chains", "pronouns", "counting")]
    for masculine, feminine in _PAIR.findall(" ".join(lines)):
        if masculine != feminine and _WORD.fullmatch(masculine) and _WORD.fullmatch(feminine):
            found |= {masculine: ("m", feminine), feminine: ("f", masculine)}
    for pair in table("errors")["pairs"].split():
        masculine, feminine = pair.split("|")
        found |= {masculine: ("m", feminine), feminine: ("f", masculine)}
    for verb in verbs():
        for tense in ("past", "present"):
            masculine, feminine = (verb.form(tense, person) for person in PERSONS[5:7])
            found |= {masculine: ("m", feminine), feminine: ("f", masculine)}
    return found


@cache
def pronouns() -> frozenset[str]:
    """Those of :func:`gendered` that are pronouns or bear one."""
    return frozenset(word for word, (_, other) in gendered().items() if word + "ا" == other or other + "ا" == word)


@cache
def genders() -> dict[str, str]:
    """Gender of names and of the table's nouns, these with and without the article. Words of two genders are left out.
    """
    found = [*named().items()]
    for noun in (*nouns(), *females()):
        forms = {noun.word: noun.gender} | ({} if noun.kind == "h" else {noun.plural: "f"})
        found += [(article + form, gender) for form, gender in forms.items() for article in ("", "ال")]
    return _sure(found)


@cache
def named() -> dict[str, str]:
    """Gender of first names, and of the first word of every other name of the pocket world."""
    kinds = ("event", "town", "company", "bank", "animal", "country")
    return _sure([
        *((word, gender) for _, word, gender in passages.first_names()),
        *((word.split()[0], gender) for kind in kinds for _, word, gender in facts.subjects(kind)),
    ])  # fmt: skip


def _sure(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """The pairs whose word stands with one gender alone."""
    found: dict[str, set[str]] = {}
    for word, gender in pairs:
        found.setdefault(word, set()).add(gender)
    return {word: next(iter(known)) for word, known in found.items() if len(known) == 1}


@cache
def intransitive() -> frozenset[str]:
    """Verbs that take no object, in the forms of :func:`gendered`."""
    return frozenset(form for word in table("errors")["intransitive"].split() for form in (word, gendered()[word][1]))


@cache
def described() -> dict[str, tuple[str, str]]:
    """Adjective without article -> (its gender, its form of the other gender)."""
    return {
        form: (gender, adjective.of("f" if gender == "m" else "m"))
        for adjective in adjectives()
        for gender, form in (("m", adjective.word), ("f", adjective.feminine))
    }


@cache
def constructs() -> frozenset[str]:
    """Nouns that, without article before a noun with it, head a construct."""
    return frozenset(table("errors")["constructs"].split())


def only_gender(words: list[str]) -> str | None:
    """The gender of the people named, when one gender alone is."""
    known = {name: gender for _, name, gender in passages.first_names()}
    seen = {known[word] for word in words if word in known}
    return next(iter(seen)) if len(seen) == 1 else None


@cache
def plurals() -> dict[str, str]:
    """Plural -> singular of what can be counted."""
    rows = [line.split("|") for line in facts.table("counting")["nouns"]]
    return {noun.plural: noun.word for noun in nouns()} | {row[3]: row[2] for row in rows} | {"دنانير": "دينار"}


@cache
def singulars() -> dict[str, str]:
    """Singular -> plural of what can be counted."""
    return {singular: plural for plural, singular in plurals().items()}


@cache
def collectives() -> frozenset[str]:
    """Plurals and words of quantity, before which a verb may take either gender."""
    return frozenset(table("errors")["collectives"].split())


@cache
def people() -> frozenset[str]:
    """Nouns with a plural in ون."""
    return frozenset(noun.word for noun in nouns() if noun.plural == noun.word + "ون")


@cache
def governed() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Word -> (the preposition it takes, wrong ones)."""
    rows = [line.split("|") for line in table("errors")["prepositions"]]
    return {row[0]: (row[1], tuple(row[2].split())) for row in rows}
