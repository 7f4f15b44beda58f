"""Labelled sentences for entity recognition, in English, standard and Gulf Arabic: the same scene in each.

Templates, openings, endings and entity values are disjoint between the splits (`encoder_names`). Tokens are words and
marks; labels are IOB2 over PER, ORG, LOC and DATE. Templates: data/pocket/encoders/sentences.yaml.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import cache

from llmini.pocket import encoder_names as names
from llmini.pocket.arabic import accusative, agree
from llmini.pocket.encoder_names import LANGUAGES, Entity, table
from llmini.settings import UserError

LABELS = ("O", *(f"{side}-{kind}" for kind in names.KINDS for side in "BI"))
COUNTS = {"train": 2400, "dev": 300, "test": 500}
"""Sentences of a split in each language."""
OPENED, ENDED = 0.2, 0.3
"""Shares of sentences with an opening and with an ending."""
MAKERS = {"P": names.person, "Q": names.person, "O": names.organisation, "R": names.organisation,
          "L": names.location, "K": names.location, "D": names.date}  # fmt: skip
_SLOT = re.compile(r"\{([PQORLKD])\}")
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeiou])")


@dataclass(frozen=True)
class Tagged:
    """A sentence as words with one IOB2 label each; ``scene`` is its number, the same in every language."""

    words: tuple[str, ...]
    labels: tuple[str, ...]
    scene: int


@cache
def sentences(split: str, language: str, seed: int = 0) -> list[Tagged]:
    """The sentences of a split in a language, in seeded order.

    Raises:
        UserError: for an unknown split or language.
    """
    if split not in COUNTS or language not in LANGUAGES:
        raise UserError(f"no entity sentences of split {split!r} in {language!r}: splits {', '.join(COUNTS)}; "
                        f"languages {', '.join(LANGUAGES)}")  # fmt: skip
    rng = random.Random(f"entities/{seed}/{split}")
    made = [scene(rng, split) for _ in range(COUNTS[split])]
    return [render(parts, language, number) for number, parts in enumerate(made)]


def scene(rng: random.Random, split: str) -> list[tuple[str, dict[str, Entity], dict[str, tuple]]]:
    """Clauses of one sentence: (template line, entity of each slot, filler words)."""
    chosen = table("sentences")[split]
    lines = [rng.choice(chosen["sentences"])]
    if rng.random() < OPENED:
        lines.insert(0, rng.choice(chosen["openings"]))
    if rng.random() < ENDED:
        lines.append(rng.choice(chosen["endings"]))
    tables = table("entities")
    clauses = []
    for line in lines:
        slots = dict.fromkeys(_SLOT.findall(line))
        filled = {slot: MAKERS[slot](rng, split) for slot in slots}
        while len({entity.texts["en"] for entity in filled.values()}) < len(filled):
            filled = {slot: MAKERS[slot](rng, split) for slot in slots}
        words = {"role": tuple(rng.choice(tables["roles"]).split("|")),
                 "event": tuple(rng.choice(tables["events"]).split("|"))}  # fmt: skip
        clauses.append((line, filled, words))
    return clauses


def render(clauses: list[tuple[str, dict[str, Entity], dict[str, tuple]]], language: str, number: int = 0) -> Tagged:
    """A scene in a language as words and labels."""
    words: list[str] = []
    labels: list[str] = []
    for line, entities, filler in clauses:
        text = line.split(" | ")[LANGUAGES.index(language)].strip()
        for word, label in clause(text, entities, filler, language):
            words.append(word)
            labels.append(label)
    if language == "en":
        words[0] = words[0][0].upper() + words[0][1:]
    return Tagged((*words, "."), (*labels, "O"), number)


def clause(text: str, entities: dict[str, Entity], filler: dict[str, tuple], language: str) -> list[tuple[str, str]]:
    """(word, label) of one clause."""
    person = entities["P"].gender if "P" in entities else "m"
    organisation = entities["O"].gender if "O" in entities else "m"
    text = agree(text, person, organisation) if language != "en" else text
    text = filled(text, filler, person, language)
    found = []
    for place, part in enumerate(_SLOT.split(text)):
        if place % 2 == 0:
            found += [(word, "O") for word in part.split()]
            continue
        entity = entities[part]
        found += [(word, "O") for word in entity.before[language].split()]
        inside = entity.texts[language].split()
        found += [(word, f"{'I' if at else 'B'}-{entity.kind}") for at, word in enumerate(inside)]
    return found


def filled(text: str, filler: dict[str, tuple], gender: str, language: str) -> str:
    """The words that are no entity, in the form that the place asks for."""
    role, event = filler["role"], filler["event"]
    if language == "en":
        return _ARTICLE.sub(r"\1n ", text.replace("{role}", role[0]).replace("{event}", event[0]))
    own = role[1 if gender == "m" else 2]
    forms = {"role": own, "the_role": f"ال{own}", "role_as": accusative(own), "a_role": role[1],
             "event": event[1], "the_event": f"ال{event[1]}", "event_as": accusative(event[1])}  # fmt: skip
    for name, form in forms.items():
        text = text.replace(f"{{{name}}}", form)
    return text
