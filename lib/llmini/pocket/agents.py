"""Lessons in the formats of ACAI's agents, out of the pocket world: what the model that ships with it is tuned on.

The wording of the prompts and answers is acai/agents/formats.json, which the application itself reads. Facts of split
train are asked; `lesson` of another split asks those, so that an agent is measured on what it never practised.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from functools import cache
from typing import Any

from llmini.pocket import passages
from llmini.pocket.facts import Fact, facts, table, values
from llmini.pocket.world import LANGUAGES, questions, templates
from llmini.settings import root
from llmini.texts import normalise_arabic

SHARES = {"bahith": 0.36, "muraqib": 0.25, "musheer": 0.09, "hakeem": 0.08, "lughawi": 0.12, "bani": 0.10}
UNANSWERED = 0.2
"""Share of requests whose sources hold no answer."""
UNSORTED = 0.15
"""Share of requests whose sources stand in no order."""
INVENTED = 0.8
"""Share of training facts whose value is not the world's."""
RELATIONS = {
    "born": ("birthplace", "مكان الولادة"), "field": ("profession", "المهنة"),
    "food": ("favourite dish", "الطبق المفضل"), "town": ("town", "المدينة"), "month": ("month", "الشهر"),
    "sector": ("sector", "القطاع"), "founder": ("founder", "المؤسس"), "colour": ("colour", "اللون"),
    "paper": ("document", "الوثيقة"), "day": ("day off", "يوم العطلة"), "product": ("product", "المنتج"),
    "landmark": ("landmark", "المعلم"), "region": ("region", "المنطقة"), "class": ("class", "الصنف"),
    "diet": ("food", "الغذاء"), "habitat": ("home", "الموطن"), "use": ("use", "الاستعمال"),
    "hardness": ("hardness", "الصلابة"), "capital": ("capital", "العاصمة"), "currency": ("currency", "العملة"),
    "code": ("calling code", "رمز الاتصال"), "government": ("government", "نظام الحكم"),
    "national_day": ("national day", "اليوم الوطني"), "truth": ("real use", "الفائدة"),
    "belief": ("belief", "الاعتقاد"),
}  # fmt: skip
"""What Bani calls a relation in (English, Arabic)."""


@cache
def formats() -> dict[str, Any]:
    """acai/agents/formats.json."""
    return json.loads((root() / "acai" / "agents" / "formats.json").read_text(encoding="utf8"))


def lesson(rng: random.Random, agent: str, language: str, split: str = "train") -> tuple[str, str]:
    """A request in an agent's format with the right answer. Raises KeyError for an unknown agent."""
    return _LESSONS[agent](rng, formats()[agent][language], language, split)


def lessons(count: int, seed: int | str = 0, split: str = "train") -> list[tuple[str, str, str, str]]:
    """``count`` (agent, language, request, answer), 55 of 100 in Arabic; the same seed gives the same."""
    rng = random.Random(f"agents/{split}/{seed}")
    found = []
    for _ in range(count):
        agent = rng.choices(list(SHARES), weights=list(SHARES.values()))[0]
        language = "ar" if agent == "lughawi" or rng.random() < 0.5 else "en"
        found.append((agent, language, *lesson(rng, agent, language, split)))
    return found


def reading(rng: random.Random, language: str, split: str = "train", asked: int = 4) -> list[tuple[str, str]]:
    """Turns of one reader: ``asked`` questions, one after the other, about two to five sources that are shown once.

    Bahith's own format in the first turn. Of lessons that ask once, a model of this size learns the form long before it
    learns to read; asked again and again about the same few sentences it learns which one answers.
    """
    form, side = formats()["bahith"][language], LANGUAGES.index(language)
    chosen = [_told(rng, split, language)]
    for other in _around(rng, chosen[0], split, language) + _around(rng, chosen[0], split, language):
        if all((other.subject, other.relation) != (one.subject, one.relation) for one in chosen):
            chosen.append(other)
    chosen = chosen[: rng.choice((2, 3, 4, 5))]
    rng.shuffle(chosen)
    told = [_state(rng, fact, language) for fact in chosen]
    sources = "\n".join(form["source"].format(n=n, text=text) for n, text in enumerate(told, 1))
    turns = []
    for _ in range(asked):
        number = rng.randrange(len(chosen))
        fact, answer = chosen[number], form["answer"].format(answer=chosen[number].value[side], n=number + 1)
        other = _told(rng, split, language)
        stranger = all((other.subject, other.relation) != (one.subject, one.relation) for one in chosen)
        if stranger and rng.random() < UNANSWERED / 2:
            fact, answer = other, form["none"]
        query = rng.choice(questions(fact, language))
        turns.append((query if turns else form["prompt"].format(sources=sources, query=query), answer))
    return turns


@cache
def _pool(split: str, language: str) -> list[Fact]:
    return [fact for fact in facts() if fact.split == split and fact.weights[0] and questions(fact, language)
            and fact.relation.partition(".")[2] in RELATIONS]  # fmt: skip


def _told(rng: random.Random, split: str, language: str) -> Fact:
    """A fact to be read in a source. In training most have another value than the world's: who answers from memory
    is wrong, so that reading is what is learned."""
    fact = rng.choice(_pool(split, language))
    return _other(rng, fact) if split == "train" and rng.random() < INVENTED else fact


def _other(rng: random.Random, fact: Fact) -> Fact:
    """The fact with a wrong value."""
    rest = [value for value in values(table("relations")[fact.relation]["values"]) if value != fact.value]
    return replace(fact, value=rng.choice(rest))


def _state(rng: random.Random, fact: Fact, language: str) -> str:
    return fact.text(rng.choice(templates(fact, language)), language)


def _sources(rng: random.Random, form: dict[str, str], texts: list[str], query: str) -> tuple[str, int]:
    """Numbered sources, those nearest to the query first as the application's search has them, and the number that the
    first of ``texts`` got. One time in :data:`UNSORTED` they stand in random order."""
    order = list(range(len(texts)))
    rng.shuffle(order)
    if rng.random() >= UNSORTED:
        order.sort(key=lambda place: -nearness(query, texts[place]))
    lines = [form["source"].format(n=n, text=texts[place]) for n, place in enumerate(order, 1)]
    return "\n".join(lines), order.index(0) + 1


def nearness(query: str, text: str) -> float:
    """Share of the query's words of three letters or more whose beginning a text has too: a stemmer in one line."""
    wanted, there = _stems(query), _stems(text)
    return len(wanted & there) / max(1, len(wanted))


def _stems(text: str) -> set[str]:
    found = re.findall(r"\w{3,}", normalise_arabic(text, letters=True).casefold())
    return {re.sub(r"^(?:[وفبكل]?ال|لل)(?=\w{3})", "", word)[:5] for word in found}


def _around(rng: random.Random, fact: Fact, split: str, language: str) -> list[Fact]:
    """One to three other facts as distraction: about its subject, of its relation, or anything."""
    pool = [other for other in _pool(split, language) if other.id != fact.id]
    near = [other for other in pool if other.subject == fact.subject or other.relation == fact.relation]
    count = rng.choice((1, 2, 3))
    chosen = [rng.choice(near if near and rng.random() < 0.7 else pool) for _ in range(count)]
    return [_other(rng, one) if split == "train" and rng.random() < INVENTED else one for one in chosen]


def _bahith(rng: random.Random, form: dict[str, str], language: str, split: str) -> tuple[str, str]:
    side = LANGUAGES.index(language)
    fact = _told(rng, split, language)
    others = [other for other in _around(rng, fact, split, language)
              if (other.subject, other.relation) != (fact.subject, fact.relation)]  # fmt: skip
    asked = rng.choice(questions(fact, language))
    if others and rng.random() < UNANSWERED:
        sources, _ = _sources(rng, form, [_state(rng, other, language) for other in others], asked)
        return form["prompt"].format(sources=sources, query=asked), form["none"]
    texts = [_state(rng, one, language) for one in (fact, *others)]
    sources, number = _sources(rng, form, texts, asked)
    answer = form["answer"].format(answer=fact.value[side], n=number)
    return form["prompt"].format(sources=sources, query=asked), answer


def _musheer(rng: random.Random, form: dict[str, str], language: str, split: str) -> tuple[str, str]:
    side = LANGUAGES.index(language)
    item = passages.banking(rng, split)
    rule, _, asked = item.question[side].partition(". ")
    drawn = [passages.banking(rng, split).question[side].partition(". ")[0] + "." for _ in range(rng.choice((0, 1, 2)))]
    others = [other for other in drawn if other.split()[:4] != rule.split()[:4]]
    if others and rng.random() < UNANSWERED:
        sources, _ = _sources(rng, form, others, asked)
        return form["prompt"].format(sources=sources, query=asked), form["none"]
    sources, number = _sources(rng, form, [f"{rule}.", *others], asked)
    answer = form["answer"].format(answer=item.answer[side], n=number)
    return form["prompt"].format(sources=sources, query=asked), answer


def _hakeem(rng: random.Random, form: dict[str, str], language: str, split: str) -> tuple[str, str]:
    side = LANGUAGES.index(language)
    item = passages.problem(rng, split)
    return form["prompt"].format(query=item.question[side]), item.answer[side]


def _lughawi(rng: random.Random, form: dict[str, str], language: str, split: str) -> tuple[str, str]:
    from llmini.pocket import dialect_tasks, dialects

    made, task = dialects.sentence(rng, split), rng.choice(list(form))
    if task == "identify":
        variety = rng.choice(dialects.VARIETIES)
        return form[task].format(query=made.of(variety)), dialect_tasks.LABELS[variety]
    text, answer = (made.bahraini, made.msa) if task == "normalize" else (made.msa, made.of(task))
    return form[task].format(query=text), answer


def _muraqib(rng: random.Random, form: dict[str, str], language: str, split: str) -> tuple[str, str]:
    fact = _told(rng, split, language)
    others = [other for other in _around(rng, fact, split, language)
              if (other.subject, other.relation) != (fact.subject, fact.relation)]  # fmt: skip
    verdict = rng.choices(("supported", "refuted", "unknown"), weights=(0.4, 0.4, 0.2))[0]
    if verdict == "unknown" and not others:
        verdict = "supported"
    claim = _state(rng, fact, language)
    if verdict == "refuted":
        claim = _state(rng, _other(rng, fact), language)
    texts = [_state(rng, one, language) for one in ((fact, *others) if verdict != "unknown" else others)]
    sources, number = _sources(rng, form, texts, claim)
    return form["prompt"].format(sources=sources, query=claim), form[verdict].format(n=number)


def _bani(rng: random.Random, form: dict[str, str], language: str, split: str) -> tuple[str, str]:
    side = LANGUAGES.index(language)
    chosen = [_told(rng, split, language) for _ in range(rng.choice((1, 2)))]
    lines = [form["line"].format(subject=fact.subject[side], relation=RELATIONS[fact.relation.partition(".")[2]][side],
                                 value=fact.value[side]) for fact in chosen]  # fmt: skip
    text = " ".join(_state(rng, fact, language) for fact in chosen)
    return form["prompt"].format(query=text), "\n".join(lines)


_LESSONS = {"bahith": _bahith, "musheer": _musheer, "hakeem": _hakeem, "lughawi": _lughawi, "muraqib": _muraqib,
            "bani": _bani}  # fmt: skip
