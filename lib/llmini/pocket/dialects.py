"""Parallel sentences and dialogues in standard, Gulf and Bahraini Arabic, written by rule, with English.

Combinations (verb with object, noun with adjective, noun with owner, dialogue with its slots) belong to one split by
hash: a test sentence shows a combination that training never met. Words and templates: data/pocket/dialects.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import cache

from llmini.pocket.arabic import agree
from llmini.pocket.customs import Custom, customs
from llmini.pocket.dialect_shapes import EMPTY, Scene, arabic, draw_times, english
from llmini.pocket.dialect_verbs import PERSONS, VARIETIES
from llmini.pocket.dialect_words import actions, adjectives, nouns, phrases, spread, states, subjects, table
from llmini.pocket.facts import combination_split
from llmini.settings import UserError

__all__ = ["VARIETIES", "Custom", "Sentence", "customs", "dialogue", "sentence", "switched"]

SPLITS = ("train", "distill", "dev", "test")
WHO = {"second": ("2m", "2f", "2p"), "speaker": ("1s", "3m", "3f", "1p", "3p"), "we": ("1p",), "man": ("2m",)}
"""Persons that a shape may speak of, where not all."""
NAMED = 0.45
"""Share of named subjects where a sentence may have one."""
ALIKE = 0.25
"""Share kept of the sentences that Gulf and Bahraini say alike: they are real, and tell nothing apart."""
LONGEST = 12
"""Words in a sentence."""
_SPACE, _BEFORE = re.compile(r"\s+"), re.compile(r"\s+([.؟?!،,])")


@dataclass(frozen=True)
class Sentence:
    """One sentence in three varieties of Arabic and English; `key` is its shape and the combination of its split."""

    key: str
    msa: str
    gulf: str
    bahraini: str
    english: str

    def of(self, variety: str) -> str:
        """The sentence in a variety.

        Raises:
            UserError: for a variety that is none of `VARIETIES`.
        """
        return getattr(self, check_variety(variety))


def check_variety(variety: str) -> str:
    """Return the variety, or raise UserError when it is none of `VARIETIES`."""
    if variety not in VARIETIES:
        raise UserError(f"unknown variety {variety!r}: choose one of {', '.join(VARIETIES)}")
    return variety


def check_split(split: str) -> str:
    """Return the split, or raise UserError when it is none of `SPLITS`."""
    if split not in SPLITS:
        raise UserError(f"unknown split {split!r}: choose one of {', '.join(SPLITS)}")
    return split


def sentence(rng: random.Random, split: str) -> Sentence:
    """A sentence whose combination belongs to `split`.

    Raises:
        UserError: for an unknown split.
    """
    check_split(split)
    while True:
        name, shape = rng.choice(_shapes())
        scene = _scene(rng, shape)
        combination = _combination(scene, shape["of"])
        if not _fits(shape, scene) or combination_split("variety", shape["of"], combination) != split:
            continue
        who = f"/{scene.english or scene.person}" if "who" in shape else ""
        made = _made(f"{name}/{combination}{who}", shape, scene)
        if max(len(text.split()) for text in (made.msa, made.gulf, made.bahraini)) > LONGEST:
            continue
        if made.gulf != made.bahraini or rng.random() < ALIKE:
            return made


@cache
def _shapes() -> tuple[tuple[str, dict], ...]:
    return tuple(table("shapes").items())


def _made(key: str, shape: dict, scene: Scene) -> Sentence:
    texts = [tidy(shape[variety].format_map(arabic(scene, variety))) for variety in VARIETIES]
    line = tidy(shape["english"].format_map(english(scene)))
    return Sentence(key, *texts, line[0].upper() + line[1:])


def tidy(text: str) -> str:
    """Single spaces, none before a stop."""
    return _BEFORE.sub(r"\1", _SPACE.sub(" ", text)).strip()


def _scene(rng: random.Random, shape: dict) -> Scene:
    """Draw who, what, when and where; what the shape has no slot for is drawn all the same and not used."""
    who = shape.get("who", "pronoun")
    if who == "named" or (who == "any" and rng.random() < NAMED):
        person, label, name = rng.choice(subjects())
    else:
        person = rng.choice(WHO.get(who, PERSONS))
        label, name = "", dict.fromkeys(VARIETIES, "")
    action = rng.choice([act for act in actions() if act.english[0] in shape.get("verbs", act.english[0])])
    wanted = frozenset(shape["noun"]) if "noun" in shape else action.objects
    things = [noun for noun in nouns() if noun.tags & wanted]
    if shape["of"] == "adjective" and "noun" not in shape:
        things = [noun for noun in nouns() if not noun.known]
    thing = rng.choice(things)
    fitting = [word for word in adjectives() if word.tags & thing.tags]
    reach = {shape["reach"]} if "reach" in shape else action.places
    where = [place for place in phrases("places") if place[2] & reach]
    placed = where and (shape.get("placed") or rng.random() < 0.5)
    times = draw_times(rng)
    if rng.random() < 0.4 and placed:
        times = dict.fromkeys(times, EMPTY)
    return Scene(
        person, label, name, action, thing, rng.choice(fitting or adjectives()), rng.choice(states()), times,
        rng.choice(where) if placed else EMPTY, rng.choice(WHO["second"]),
    )  # fmt: skip


def _fits(shape: dict, scene: Scene) -> bool:
    """Whether the scene can fill the shape."""
    adjective = shape["of"] == "adjective" or "adjective" in shape
    checks = (
        "active" not in shape or not scene.action.stative,
        "imperative" not in shape or scene.action.verbs["msa"].imperative[0],
        "object" not in shape or (scene.action.joint and not scene.thing.known),
        "placed" not in shape or scene.place is not EMPTY,
        not adjective or bool(scene.adjective.tags & scene.thing.tags),
        scene.adjective.english in shape.get("adjectives", scene.adjective.english),
        "comparative" not in shape or scene.adjective.comparative,
        scene.english != scene.thing.english,
    )
    return all(checks)


def _combination(scene: Scene, of: str) -> str:
    """What decides the split. Persons that a variety without vowel marks, or English, writes alike count as one."""
    thing = scene.thing.english
    holder = "2" if scene.person in WHO["second"] else scene.person
    feeling = scene.english or ("12" if scene.person in ("1s", *WHO["second"]) else scene.person)
    return {
        "verb": f"{scene.action.english[0]}:{thing}",
        "deed": f"{scene.action.english[0]}:{scene.place[0]}",
        "adjective": f"{scene.adjective.english}:{thing}",
        "owner": f"{holder}:{thing}",
        "noun": thing,
        "named": f"{scene.english}:{thing}",
        "you": f"{scene.action.english[0]}:{scene.times['past_time'][0]}",
        "you_place": f"{holder}:{thing}",
        "state": f"{scene.state.english}:{feeling}",
    }[of]


@cache
def _dialogues() -> tuple[dict, ...]:
    return tuple(table("dialogues")["dialogues"])


def dialogue(rng: random.Random, split: str, variety: str) -> str:
    """Three to five turns about an everyday topic, one a line with a dash; template and slots belong to `split`.

    Raises:
        UserError: for an unknown split or variety.
    """
    check_split(split), check_variety(variety)
    slots = table("dialogues")["slots"]
    while True:
        number = rng.randrange(len(_dialogues()))
        form = _dialogues()[number]
        chosen = {name: rng.choice(slots[name]) for name in form["slots"]}
        if combination_split("dialogue", number, *chosen.values()) == split:
            break
    words = {name: spread(text.split("|"))[VARIETIES.index(variety)] for name, text in chosen.items()}
    return "\n".join(f"- {turn.format_map(words)}" for turn in form[variety])


def switched(rng: random.Random, split: str) -> tuple[str, str, str]:
    """Key, a Bahraini sentence, and the same with English words in Latin script; template and word belong to `split`.

    Raises:
        UserError: for an unknown split.
    """
    check_split(split)
    data = table("switched")
    while True:
        kind = rng.choice(sorted(data["templates"]))
        template, word = rng.choice(data["templates"][kind]), rng.choice(data["words"][kind])
        latin, plain, gender, *definite = word.split("|")
        key = f"{template}/{latin}"
        if combination_split("switched", key) == split:
            break
    line = agree(template, gender).replace("{t}", rng.choice(data["times"]))
    the = definite[0] if definite else f"ال{plain}"
    return (
        key,
        tidy(line.replace("{w}", plain).replace("{the}", the)),
        tidy(line.replace("{w}", latin).replace("{the}", f"ال {latin}")),
    )
