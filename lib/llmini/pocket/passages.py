"""Generated passages: word problems, pronouns, event chains, banking rules, dialect. Each returns English and Arabic sides.

Combinations (numbers, verb with reason, chain with object) belong to one split by hash, so a test problem was never seen.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache

from llmini.pocket.arabic import Noun, agree, counted, counted_english, how_many
from llmini.pocket.facts import combination_split, pairs, table

SPLITS = ("train", "distill", "dev", "test")


@dataclass(frozen=True)
class Passage:
    """A question with its answer in (English, Arabic); `options` are wrong answers; `key` names the combination."""

    kind: str
    key: str
    question: tuple[str, str]
    answer: tuple[str, str]
    options: tuple[tuple[str, str], ...] = ()
    context: tuple[str, str] = ("", "")


@lru_cache(maxsize=None)
def first_names() -> list[tuple[str, str, str]]:
    """(English, Arabic, gender) first names."""
    names = table("names")
    return [(*pair, gender) for gender, key in (("m", "men"), ("f", "women")) for pair in pairs(names[key])]


@lru_cache(maxsize=None)
def _nouns() -> list[Noun]:
    return [Noun.parse(text) for text in table("counting")["nouns"]]


@lru_cache(maxsize=None)
def _bag() -> Noun:
    return Noun("bag", "bags", "حقيبة", "حقائب", "f")


def _numbers(rng: random.Random, op: str) -> tuple[int, int, int]:
    """Operands from 3 up, answers from 3 to 99."""
    if op == "a+b":
        return rng.randint(3, 60), rng.randint(3, 30), 0
    if op == "a-b":
        b = rng.randint(3, 30)
        return b + rng.randint(3, 50), b, 0
    if op == "a*b":
        return rng.randint(3, 9), rng.randint(3, 10), 0
    a, b = rng.randint(3, 30), rng.randint(3, 20)
    return a, b, rng.randint(3, a + b - 3)


def _steps(op: str, a: int, b: int, c: int) -> tuple[str, int]:
    """The worked step (or two) and the answer."""
    if op == "a+b":
        return f"{a} + {b} = {a + b}", a + b
    if op == "a-b":
        return f"{a} - {b} = {a - b}", a - b
    if op == "a*b":
        return f"{a} * {b} = {a * b}", a * b
    return f"{a} + {b} = {a + b}\n{a + b} - {c} = {a + b - c}", a + b - c


def problem(rng: random.Random, split: str) -> Passage:
    """An arithmetic word problem; its numbers belong to `split`. A product also counts its noun as part of the combination."""
    while True:
        form = rng.choices(table("counting")["problems"], weights=(4, 4, 2, 2))[0]
        noun, op = rng.choice(_nouns()), form["op"]
        a, b, c = _numbers(rng, op)
        key = f"{op}:{a}:{b}:{c}" + (f":{noun.one}" if op == "a*b" else "")
        if combination_split("problem", key) == split:
            break
    variant = rng.randrange(len(form["en"]))
    name = rng.choice(first_names())
    steps, answer = _steps(op, a, b, c)
    sides = []
    for side, count in enumerate((counted_english, counted)):
        template = form["en" if side == 0 else "ar"][variant]
        how = f"How many {noun.many}" if side == 0 else how_many(noun)
        text = template.replace("{n}", name[side]).replace("{how}", how)
        for mark, number, what in (("{A}", a, noun), ("{B}", b, noun), ("{C}", c, noun), ("{K}", a, _bag())):
            if mark in text:
                text = text.replace(f"{{K}} bags", counted_english(a, _bag())) if mark == "{K}" and side == 0 else text.replace(mark, count(number, what))
        sides.append(agree(text, name[2]))
    worked = f"{steps}\n#### {answer}"
    return Passage("problem", key, (sides[0], sides[1]), (worked, worked))


def pronoun(rng: random.Random, split: str) -> Passage:
    """Who does the pronoun speak of? The verb with the reason belongs to `split`."""
    data = table("pronouns")
    while True:
        giving, needing = rng.random() < 0.5, rng.random() < 0.5
        verb = rng.choice(data["give" if giving else "take"]).split("|", 1)
        reason = rng.choice(data["need" if needing else "plenty"]).split("|", 1)
        key = f"{verb[0]}:{reason[0]}"
        if combination_split("pronoun", key) == split:
            break
    thing = rng.choice(data["objects"]).split("|")
    gender = rng.choice("mf")
    one, two = rng.sample([name for name in first_names() if name[2] == gender], 2)
    first = giving != needing  # a giver has plenty, a taker is in need
    he = "he" if gender == "m" else "she"
    sentence = (f"{verb[0]} because {he} {reason[0]}.", f"{verb[1]} [لأنه|لأنها] {reason[1]}.")
    asked = (f"Who {reason[0]}?", f"من الذي {reason[1]}؟" if gender == "m" else f"من التي {reason[1]}؟")
    context, question = [], []
    for side in (0, 1):
        fill = {"{a}": one[side], "{b}": two[side], "{x}": thing[side]}
        text, ask = sentence[side], asked[side]
        for mark, word in fill.items():
            text = text.replace(mark, word)
        context.append(agree(text, gender, thing[2]))
        question.append(agree(ask, gender, thing[2]))
    right, wrong = (one, two) if first else (two, one)
    return Passage("pronoun", key, (question[0], question[1]), right[:2], (wrong[:2],), (context[0], context[1]))


def chain(rng: random.Random, split: str, steps: int | None = None) -> Passage:
    """An event chain cut after `steps` events: the next event, and three wrong ones. Chain with object belongs to `split`."""
    data = table("chains")
    while True:
        number = rng.randrange(len(data["chains"]))
        form = data["chains"][number]
        things = pairs(data["objects"][form["objects"]])
        thing = rng.choice(things)
        key = f"{number}:{thing[0]}"
        if combination_split("chain", key) == split:
            break
    name = rng.choice(first_names())
    cut = steps or rng.choice((1, 2, 3))
    other = rng.choice([t for t in things if t != thing])
    another = rng.choice([t for t in things if t not in (thing, other)])
    late = rng.choice([i for i in range(1, 4) if i != cut])
    rival = rng.choice([f for f in data["chains"] if f["objects"] == form["objects"] and f is not form])
    said = [[_event(form, i, side, name, thing) for i in range(4)] for side in (0, 1)]
    wrong = [tuple(_event(form, cut, side, name, other) for side in (0, 1)),
             tuple(_event(form, late, side, name, thing) for side in (0, 1)),
             tuple(_event(rival, cut, side, name, another if rng.random() < 0.5 else thing) for side in (0, 1))]
    context = (" ".join(said[0][:cut]), " ".join(said[1][:cut]))
    return Passage("chain", key, context, (said[0][cut], said[1][cut]), tuple(wrong), (" ".join(said[0]), " ".join(said[1])))


def _event(form: dict, index: int, side: int, name: tuple[str, str, str], thing: tuple[str, ...]) -> str:
    text = form["en" if side == 0 else "ar"][index].replace("{n}", name[side]).replace("{x}", thing[side])
    return agree(text, name[2])


def banking(rng: random.Random, split: str) -> Passage:
    """A banking rule with a limit and an amount; limit with amount belongs to `split`."""
    data = table("banking")
    noun = Noun.parse(data["currency"])
    while True:
        rule = rng.randrange(len(data["rules"]))
        limit, amount = rng.randrange(20, 1000, 10), rng.randrange(20, 1000, 10)
        key = f"{rule}:{limit}:{amount}"
        if limit != amount and combination_split("banking", key) == split:
            break
    form = data["rules"][rule]
    english = form["en"].replace("{L}", counted_english(limit, noun)).replace("{M}", counted_english(amount, noun))
    arabic = form["ar"].replace("{L}", counted(limit, noun)).replace("{M}", counted(amount, noun))
    return Passage("banking", key, (english, arabic), ("yes", "نعم") if amount <= limit else ("no", "لا"))


def dialect(rng: random.Random, split: str) -> tuple[str, str, str]:
    """The same sentence in standard Arabic, Gulf and Bahraini; sentence with its noun belongs to `split`."""
    data = table("dialect")
    while True:
        number = rng.randrange(len(data["sentences"]))
        text = data["sentences"][number]
        place, thing = rng.choice(data["places"]), rng.choice(data["things"])
        noun = place if "{p}" in text else thing
        if combination_split("dialect", number, noun) == split:
            msa, gulf, bahraini = text.replace("{p}", place).replace("{t}", thing).split("|")
            return msa, gulf, bahraini
