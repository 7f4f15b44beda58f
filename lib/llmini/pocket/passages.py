"""Generated passages: word problems, pronouns, event chains, banking rules, dialect, in English and Arabic.

Combinations (numbers, verb with reason, chain with object) belong to one split by hash: a test problem was never seen.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

from llmini.pocket.arabic import Noun, agree, counted, counted_english, how_many
from llmini.pocket.facts import combination_split, pairs, table

GIVING = 0.8
"""Share of giving verbs; with a taking verb the same reasons speak of the other person."""
MIXED = 0.6
"""Share of pairs of a man and a woman, where the gender of the pronoun alone settles who is meant."""
SPLITS = ("train", "distill", "dev", "test")


@dataclass(frozen=True)
class Passage:
    """A question with its answer in (English, Arabic); `options` are wrong answers.

    `key` names the combination, `cluster` what it shares with other items (empty: the combination itself).
    """

    kind: str
    key: str
    question: tuple[str, str]
    answer: tuple[str, str]
    options: tuple[tuple[str, str], ...] = ()
    context: tuple[str, str] = ("", "")
    cluster: str = ""


@cache
def first_names() -> list[tuple[str, str, str]]:
    """(English, Arabic, gender) first names."""
    names = table("names")
    return [(*pair, gender) for gender, key in (("m", "men"), ("f", "women")) for pair in pairs(names[key])]


@cache
def _nouns() -> list[Noun]:
    return [Noun.parse(text) for text in table("counting")["nouns"]]


@cache
def _bag() -> Noun:
    return Noun("bag", "bags", "حقيبة", "حقائب", "f")


def _numbers(rng: random.Random, op: str) -> tuple[int, int, int]:
    """Operands from 3 up, answers from 3 to 99."""
    if op == "a+b":
        return rng.randint(3, 50), rng.randint(3, 25), 0
    if op == "a-b":
        b = rng.randint(3, 25)
        return b + rng.randint(3, 45), b, 0
    if op == "a*b":
        return rng.randint(3, 9), rng.randint(3, 10), 0
    a, b = rng.randint(3, 25), rng.randint(3, 15)
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
    """An arithmetic word problem; its numbers (and for a product its noun) belong to `split`."""
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
                text = (
                    text.replace("{K} bags", counted_english(a, _bag()))
                    if mark == "{K}" and side == 0
                    else text.replace(mark, count(number, what))
                )
        sides.append(agree(text, name[2], noun.gender))
    worked = f"{steps}\n#### {answer}"
    return Passage("problem", key, (sides[0], sides[1]), (worked, worked))


def drill(rng: random.Random, split: str) -> str:
    """Four bare calculations whose numbers belong to `split`, without words."""
    lines: list[str] = []
    while len(lines) < 4:
        op = rng.choices(("a+b", "a-b", "a*b"), weights=(4, 4, 1))[0]
        a, b, c = _numbers(rng, op)
        if combination_split("problem", f"{op}:{a}:{b}:{c}") == split:
            lines.append(_steps(op, a, b, c)[0])
    return "\n".join(lines)


def pronoun(rng: random.Random, split: str) -> Passage:
    """Who does the pronoun speak of? The verb with the reason belongs to `split`."""
    data = table("pronouns")
    while True:
        giving, needing = rng.random() < GIVING, rng.random() < 0.5
        verb = rng.choice(data["give" if giving else "take"]).split("|", 1)
        reason = rng.choice(data["need" if needing else "plenty"]).split("|", 1)
        key = f"{verb[0]}:{reason[0]}"
        if combination_split("pronoun", key) == split:
            break
    thing = rng.choice(data["objects"]).split("|")
    one = rng.choice(first_names())
    mixed = rng.random() < MIXED
    two = rng.choice([name for name in first_names() if name != one and (name[2] != one[2]) == mixed])
    # a giver has plenty and a taker is in need; the pronoun takes the gender of the one it speaks of
    right, wrong = (one, two) if giving != needing else (two, one)
    gender = right[2]
    because = (f"because {'he' if gender == 'm' else 'she'} {reason[0]}.", f"[لأنه|لأنها] {reason[1]}.")
    asked = (f"Who {reason[0]}?", f"من [الذي|التي] {reason[1]}؟")
    context, question = [], []
    for side in (0, 1):
        text = verb[side].replace("{a}", one[side]).replace("{b}", two[side]).replace("{x}", thing[side])
        context.append(f"{agree(text, one[2], thing[2])} {agree(because[side], gender, thing[2])}")
        question.append(agree(asked[side], gender, thing[2]))
    return Passage("pronoun", key, (question[0], question[1]), right[:2], (wrong[:2],), (context[0], context[1]))


def chain(rng: random.Random, split: str, steps: int | None = None) -> Passage:
    """An event chain cut after `steps` events, the next and three wrong ones. Chain, object, name of `split`."""
    data = table("chains")
    while True:
        count = len(data["chains"])
        # training meets some chains often and some hardly ever; the benchmark asks them evenly
        weights = [0.5**place if split == "train" else 1.0 for place in range(count)]
        number = rng.choices(range(count), weights=weights)[0]
        form = data["chains"][number]
        things = pairs(data["objects"][form["objects"]])
        thing = rng.choice(things)
        name = rng.choice(first_names())
        key = f"{number}:{thing[0]}:{name[0]}"
        if combination_split("chain", f"{number}:{thing[0]}", name[0]) == split:
            break
    cut = steps or rng.choice((1, 2, 3))
    other = rng.choice([t for t in things if t != thing])
    another = rng.choice([t for t in things if t not in (thing, other)])
    late = rng.choice([i for i in range(1, 4) if i != cut])
    rival = rng.choice([f for f in data["chains"] if f["objects"] == form["objects"] and f is not form])
    said = [[_event(form, i, side, name, thing) for i in range(4)] for side in (0, 1)]
    wrong = [
        tuple(_event(form, cut, side, name, other) for side in (0, 1)),
        tuple(_event(form, late, side, name, thing) for side in (0, 1)),
        tuple(_event(rival, cut, side, name, another if rng.random() < 0.5 else thing) for side in (0, 1)),
    ]
    context = (" ".join(said[0][:cut]), " ".join(said[1][:cut]))
    whole = (" ".join(said[0]), " ".join(said[1]))
    return Passage("chain", key, context, (said[0][cut], said[1][cut]), tuple(wrong), whole, f"{number}:{cut}")


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
