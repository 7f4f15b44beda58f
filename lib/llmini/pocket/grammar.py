"""Exercises in written Arabic for the first stage of fine-tuning: forms of words, and sentences with one error.

Everything is made by rule from the tables of data/pocket/grammar. A form of a word, and a sentence by its pattern and
words, belongs to one split by hash: what a test asks for is neither asked nor stated in training, though a training
sentence may use the form. Where a sentence could be mended in two places, its nouns are what stays.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llmini.pocket.facts import combination_split
from llmini.pocket.grammar_errors import SPELLING, corrupt
from llmini.pocket.grammar_forms import form
from llmini.pocket.grammar_lines import line
from llmini.pocket.grammar_sentences import sentence
from llmini.pocket.passages import SPLITS

__all__ = ["Exercise", "correction", "corrupt", "morphology", "text"]
ASK = ("صحّح الجملة: {wrong}", "في هذه الجملة خطأ، اكتبها صحيحة: {wrong}")
"""How a correction is asked; the benchmark takes the first."""
SENTENCES, LINES = 0.4, 0.2
"""Shares of sentences and of punctuated lines in the plain text; the rest says what a form of a word is."""


@dataclass(frozen=True)
class Exercise:
    """A question with its answer and three wrong answers (`options`). `key` names what decides the split."""

    kind: str
    key: str
    prompt: str
    answer: str
    options: tuple[str, ...]


def morphology(rng: random.Random, split: str) -> Exercise:
    """A form of a word: plural, dual, feminine, a verb's person and tense, noun of action, participle, root, count.

    Raises:
        ValueError: for an unknown split.
    """
    made = _draw(rng, split, form)
    return Exercise(made.kind, made.key, rng.choice(made.prompts), made.answer, _three(rng, made.answer, made.wrong))


def correction(rng: random.Random, split: str) -> Exercise:
    """A sentence with one error, to be written right. `kind` names the error, the options are other wrong sentences.

    Raises:
        ValueError: for an unknown split.
    """
    while True:
        made = _draw(rng, split, sentence)
        wrong = dict.fromkeys(made.wrong)
        kind, given = rng.choice(list(wrong))
        spelling = [pair for pair in corrupt(rng, made.right) if pair[0] in SPELLING]
        if spelling and rng.random() < 0.2:
            kind, given = rng.choice(spelling)
        others = dict.fromkeys(text for _, text in (*wrong, *spelling) if text not in (given, made.right))
        if len(others) >= 3:
            prompt = rng.choice(ASK).format(wrong=given)
            return Exercise(kind, made.key, prompt, made.right, tuple(rng.sample(list(others), 3)))


def text(rng: random.Random, split: str) -> str:
    """The same knowledge as a line of plain text: a right sentence, a punctuated line, or what a form of a word is.

    Raises:
        ValueError: for an unknown split.
    """
    point = rng.random()
    if point < SENTENCES + LINES:
        return _draw(rng, split, sentence if point < SENTENCES else line).right
    return rng.choice(_draw(rng, split, form).lines)


def _draw(rng: random.Random, split: str, make: Callable[[random.Random], Any]) -> Any:
    """The first one made that belongs to the split."""
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}: choose one of {', '.join(SPLITS)}")
    while True:
        made = make(rng)
        if combination_split("grammar", made.key) == split:
            return made


def _three(rng: random.Random, answer: str, wrong: tuple[str, ...]) -> tuple[str, ...]:
    """Three of the wrong answers, all different and none the right one."""
    return tuple(rng.sample([text for text in dict.fromkeys(wrong) if text != answer], 3))
