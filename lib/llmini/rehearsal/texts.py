"""Raw material of the made-up data sets: sentences, questions and problems of the pocket world, without end."""

from __future__ import annotations

import functools
import json
import random
from typing import Any

from llmini.settings import data

TASKS = ("arc", "hellaswag", "mmlu", "truthfulqa", "gsm8k", "humanities", "language", "other", "social_science", "stem")


@functools.cache
def pairs() -> tuple[tuple[str, str], ...]:
    """Statements (English, Arabic) of facts that training may state, in every wording that both languages share."""
    from llmini.pocket.facts import facts
    from llmini.pocket.world import templates

    found = []
    for fact in facts():
        if fact.weights[0] and fact.split in ("train", "distill"):
            for english, arabic in zip(templates(fact, "en"), templates(fact, "ar"), strict=False):
                found.append((fact.text(english, "en"), fact.text(arabic, "ar")))
    random.Random(0).shuffle(found)
    return tuple(dict.fromkeys(found))


def parallel(count: int, seed: str) -> list[tuple[str, str]]:
    """``count`` different pairs of two or three statements, such as a sentence of a corpus has."""
    draw, found = random.Random(seed), {}
    while len(found) < count:
        chosen = draw.sample(pairs(), draw.choice((2, 2, 3)))
        found[" ".join(one for one, _ in chosen)] = " ".join(two for _, two in chosen)
    return list(found.items())


def documents(language: str, letters: int, seed: str) -> list[str]:
    """Documents of several statements, ``letters`` in all."""
    draw, found, side = random.Random(seed), [], ("en", "ar").index(language)
    while letters > 0:
        found.append(" ".join(pair[side] for pair in draw.sample(pairs(), draw.randint(4, 30))))
        letters -= len(found[-1])
    return found


def problems(count: int, seed: str, language: str = "en") -> list[tuple[str, str]]:
    """Different word problems with worked answers, of those that the pocket benchmarks do not ask."""
    from llmini.pocket import passages

    draw, found, side = random.Random(seed), {}, ("en", "ar").index(language)
    while len(found) < count:
        item = passages.problem(draw, "train")
        found[f"{item.context[side]} {item.question[side]}".strip()] = item.answer[side]
    return list(found.items())


@functools.cache
def items(task: str) -> tuple[dict[str, Any], ...]:
    """The questions of a pocket benchmark of :data:`TASKS`, in a seeded order."""
    lines = data("pocket", "tasks", f"{task}.jsonl").read_text(encoding="utf8").splitlines()
    found = [json.loads(line) for line in lines if line.strip()]
    random.Random(task).shuffle(found)
    return tuple(found)
