"""Pair questions of the pocket world: one question in English and in Arabic, with the same four options in both.

`python -m llmini.pocket.pairs` writes data/pairs/pocket_pairs.jsonl again, in the row format of its ar_en_pairs.jsonl.
Everything asked is of split `test`: no training text and no distillation prompt asks it. No question stands in
data/pocket/tasks, though most of the facts do, in other words.
"""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

from llmini import settings
from llmini.pocket import passages, tasks
from llmini.pocket.facts import Fact, facts, ordered, unit
from llmini.pocket.world import questions
from llmini.records import write_atomic

FACTS = {"humanities": 64, "social_science": 52, "stem": 52, "other": 54, "misconception": 16, "belief": 24}
"""Questions about facts, by the group of their relation."""
PROBLEMS, PRONOUNS = 36, 36
Sides = tuple[str, str]
"""The same text in (English, Arabic)."""


def rows() -> list[dict[str, Any]]:
    """The pairs: `id`, `category`, `en` and `ar` with `question` and `options`, `answer` (0-3). Same rows every time.

    In each category the right answer stands equally often in each place; option i is the same thing in both languages.
    """
    found = [row for group, count in FACTS.items() for row in _knowledge(group, count)]
    return found + _problems() + _pronouns()


def text() -> str:
    """The rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows())


def write(path: Path | None = None) -> Path:
    """Write the file, whole or not at all."""
    path = path or settings.data("pairs", "pocket_pairs.jsonl")
    write_atomic(path, lambda temporary: temporary.write_text(text(), encoding="utf8"))
    return path


@cache
def taken() -> frozenset[str]:
    """Every question of the pocket benchmarks, both splits."""
    names = (*tasks.ARABIC, *tasks.ENGLISH)
    return frozenset(item["query"] for split in tasks.SPLITS for name in names for item in tasks.items(name, split))


def _knowledge(group: str, count: int) -> list[dict[str, Any]]:
    """Facts of a group, each in the first wording that no benchmark uses in either language."""
    chosen = [fact for fact in facts() if fact.split == "test" and fact.group == group and fact.weights[0]]
    found: list[dict[str, Any]] = []
    for fact in sorted(chosen, key=lambda fact: unit("pair", fact.id)):
        others = tasks.wrong(fact)
        free = _wordings(fact)
        if len(found) < count and free and len(others) == 3 and fact.subject[1] != fact.value[1]:
            category = "misconception" if group == "belief" else group
            found.append(_row(f"{category}/{fact.id}", category, free[0], fact.value, others, len(found)))
    return found


def _wordings(fact: Fact) -> list[Sides]:
    """Questions about a fact in both languages, those left out that a benchmark asks."""
    both = zip(questions(fact, "en"), questions(fact, "ar"), strict=True)
    return [sides for sides in both if not taken() & set(sides)]


def _problems() -> list[dict[str, Any]]:
    """Word problems; the options are worked steps: the right one, another operation and two slips of the result."""
    rng, found = random.Random("pairs/problem"), {}
    while len(found) < PROBLEMS:
        item = passages.problem(rng, "test")
        if item.key not in found and not taken() & set(item.question):
            right = item.answer[0].rsplit("\n", 1)[0]
            name, others = f"arithmetic/{item.key}", [(steps, steps) for steps in _slips(right)]
            found[item.key] = _row(name, "arithmetic", item.question, (right, right), others, len(found))
    return list(found.values())


def _slips(steps: str) -> list[str]:
    """Three wrong workings of a problem, as long as the right one."""
    head, last = steps.rsplit("\n", 1) if "\n" in steps else ("", steps)
    left, op, right, _, result = last.split()
    a, b, result = int(left), int(right), int(result)
    other = {"+": f"{max(a, b)} - {min(a, b)} = {abs(a - b)}", "-": f"{a} + {b} = {a + b}", "*": f"{a} + {b} = {a + b}"}
    sign = {size: 1 if result <= size or unit("slip", steps, size) < 0.5 else -1 for size in (1, 10)}
    slips = [other[op], *(f"{a} {op} {b} = {result + size * sign[size]}" for size in (1, 10))]
    return [f"{head}\n{slip}" if head else slip for slip in slips]


def _pronouns() -> list[dict[str, Any]]:
    """Who a pronoun speaks of: the two people of the sentence, and a man and a woman who are not in it."""
    rng, found = random.Random("pairs/pronoun"), {}
    while len(found) < PRONOUNS:
        item = passages.pronoun(rng, "test")
        asked = (f"{item.context[0]} {item.question[0]}", f"{item.context[1]} {item.question[1]}")
        absent = [name for name in passages.first_names() if name[:2] not in (item.answer, *item.options)]
        others = [*item.options, *(rng.choice([name for name in absent if name[2] == sex])[:2] for sex in "mf")]
        if asked[0] not in found and not taken() & set(asked):
            name = f"pronoun/{len(found):02d}"
            found[asked[0]] = _row(name, "pronoun", asked, item.answer, others, len(found))
    return list(found.values())


def _row(name: str, category: str, asked: Sides, right: Sides, others: list[Sides], number: int) -> dict[str, Any]:
    """A pair whose right answer stands in place `number` modulo four, the wrong ones around it in hash order."""
    options = ordered(others, "pair", name)
    options.insert(number % 4, right)
    sides = {
        language: {"question": asked[side], "options": [option[side] for option in options]}
        for side, language in enumerate(("en", "ar"))
    }
    return {"id": name, "category": category, **sides, "answer": number % 4}


if __name__ == "__main__":
    print(f"wrote {write()}")
