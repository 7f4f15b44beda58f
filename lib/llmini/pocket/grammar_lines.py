"""Punctuated lines: lists, speech, questions and clauses of the grammar's words, in wordings that no benchmark has."""

from __future__ import annotations

import random
from collections.abc import Callable

from llmini.pocket import grammar_choices as choose
from llmini.pocket.grammar_sentences import Sentence
from llmini.pocket.grammar_tables import Noun, Verb, nouns, verbs


def line(rng: random.Random) -> Sentence:
    """A line of a kind, all kinds alike; it has no wrong versions."""
    maker = rng.choice(LINES)
    text = maker(rng)
    return Sentence(f"{maker.__name__}/{text}", text, ())


def listed(rng: random.Random) -> str:
    """Things in a place, with commas between them."""
    where, *things = rng.choice(_of("p")), *rng.sample(_of("o"), 3)
    return f"في ال{where.word} {things[0].word}، و{things[1].word}، و{things[2].word}."


def said(rng: random.Random) -> str:
    """Speech after a colon."""
    who = choose.person(rng)
    return f"{'قال' if who.gender == 'm' else 'قالت'} ال{who.word}: {_statement(rng)}."


def asked(rng: random.Random) -> str:
    """A question and its answer."""
    thing, where = rng.choice(_of("o")), rng.choice(_of("p"))
    return f"أين ال{thing.word}؟ ال{thing.word} في ال{where.word}."


def confirmed(rng: random.Random) -> str:
    """A question with yes or no."""
    statement = _statement(rng)
    return f"هل {statement}؟ {rng.choice(('نعم', 'أجل'))}، {statement}."


def called(rng: random.Random) -> str:
    """Someone addressed, then asked."""
    return f"يا {choose.person(rng).word}، هل {_statement(rng)}؟"


def followed(rng: random.Random) -> str:
    """Two actions, one after the other."""
    who = choose.person(rng)
    one, two = (_did(rng, verb, who) for verb in rng.sample(verbs(), 2))
    return f"{one[0]} ال{who.word} {one[1]}، ثم {two[0]} {two[1]}."


def opposed(rng: random.Random) -> str:
    """Two statements that differ."""
    one, two = rng.sample(_of("op"), 2)
    first, second = (choose.adjective(rng, noun.kind) for noun in (one, two))
    return f"ال{one.word} {first.of(one.gender)}، أما ال{two.word} ف{second.of(two.gender)}."


def timed(rng: random.Random) -> str:
    """A clause of time before the main one."""
    who = choose.person(rng)
    one, two = (_did(rng, verb, who) for verb in rng.sample(verbs(), 2))
    return f"بعد أن {one[0]} ال{who.word} {one[1]}، {two[0]} {two[1]}."


def _of(kinds: str) -> list[Noun]:
    return [noun for noun in nouns() if noun.kind in kinds]


def _did(rng: random.Random, verb: Verb, who: Noun) -> tuple[str, str]:
    return verb.form("past", f"3{who.gender}s"), choose.thing(rng, verb, who)


def _statement(rng: random.Random) -> str:
    noun = rng.choice(nouns())
    return f"ال{noun.word} {choose.adjective(rng, noun.kind).of(noun.gender)}"


LINES: tuple[Callable[[random.Random], str], ...] = (
    listed, said, asked, confirmed, called, followed, opposed, timed,
)  # fmt: skip
