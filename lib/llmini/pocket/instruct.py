"""Instructions for the pocket teacher and student: chat turns, the third and last stage of their training.

`tell` asks for what is known of a subject. Half of the subjects, by hash, are told about here and in the gold prompts
of distillation; the other half is left to the teacher, which knows their facts from plain statements.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from llmini.pocket import passages
from llmini.pocket.facts import Fact, facts, unit
from llmini.pocket.world import LANGUAGES, World, chat, questions, templates

MIXTURE = {"tell": 0.34, "ask": 0.26, "problem": 0.20, "pronoun": 0.06, "translate": 0.06, "dialect": 0.04,
           "banking": 0.04}  # fmt: skip
PLAIN = """{{ bos_token }}{% for message in messages %}{% set content = message['content'] %}\
{% set arabic = content and content[:1] in 'ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىي' %}\
{% if message['role'] == 'user' %}\
{{ ('سؤال: ' if arabic else 'Question: ') + content + ('\\nجواب:' if arabic else '\\nAnswer:') }}\
{% else %}{{ ' ' + content + eos_token }}{% endif %}{% endfor %}"""
"""Chat template of teacher and student: the plain form of question and answer, in which the benchmarks ask too. They
know both forms; in this one the teacher answers facts that nobody asked far better (0.87 against 0.40 in English).
Written in the part of Jinja that browsers have too (transformers.js compares no strings by order)."""
TELL = ("Tell me about {s}.", "حدّثني عن {s}.")


def told(name: str) -> bool:
    """Whether the subject of this English name is told about in training."""
    return unit("tell", name) < 0.5


def subjects(trained: bool) -> list[list[Fact]]:
    """The bilingual facts of every subject that training tells about, or of every other one."""
    groups: dict[tuple[str, str], list[Fact]] = {}
    for fact in facts():
        if fact.weights[0] and told(fact.subject[0]) == trained:
            groups.setdefault((fact.relation.partition(".")[0], fact.subject[0]), []).append(fact)
    return list(groups.values())


def tell(rng: random.Random, group: list[Fact], language: str) -> tuple[str, str]:
    """A request to speak of a subject, and two or three statements about it (one if it has one fact)."""
    chosen = rng.sample(group, min(len(group), rng.choice((2, 3))))
    answer = " ".join(fact.text(rng.choice(templates(fact, language)), language) for fact in chosen)
    return ask(group[0], language), answer


def ask(fact: Fact, language: str) -> str:
    """The request to speak of a fact's subject."""
    side = LANGUAGES.index(language)
    the = "the " if side == 0 and fact.relation.startswith(("animal.", "event.")) else ""
    return TELL[side].format(s=the + fact.subject[side])


def turn(world: World, groups: list[list[Fact]], language: str) -> tuple[str, str]:
    """One instruction with its answer, of a kind drawn from the mixture."""
    rng, side = world.rng, LANGUAGES.index(language)
    kind = rng.choices(list(MIXTURE), weights=list(MIXTURE.values()))[0]
    if kind == "tell":
        return tell(rng, rng.choice(groups), language)
    if kind == "ask":
        fact = rng.choice(world.pools[language].asked)
        return rng.choice(questions(fact, language)), fact.value[side]
    if kind == "translate":
        english, arabic = world.pair()
        if side == 0:
            return f"Translate into Arabic: {english}", arabic
        return f"ترجم إلى الإنجليزية: {arabic}", english
    if kind == "dialect" and side == 1:
        msa, gulf, bahraini = passages.dialect(rng, "train")
        name, text = rng.choice((("الخليجية", gulf), ("البحرينية", bahraini)))
        return f"حول إلى اللهجة {name}: {msa}", text
    item = getattr(passages, "banking" if kind == "dialect" else kind)(rng, "train")
    return f"{item.context[side]} {item.question[side]}".strip(), item.answer[side]


def corpus(count: int, seed: int | str = 0) -> Iterator[str]:
    """`count` chat documents, 55 of 100 in English."""
    world, groups = World(f"instruct/{seed}"), subjects(True)
    for _ in range(count):
        yield chat(*turn(world, groups, world.language()))
