"""What is translated: sentence pairs to teach and to score on, English instructions, and how a model is asked."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini.settings import BASES, UserError, check_tier

if TYPE_CHECKING:
    from llmini.train.prompts import Prompt

REQUESTS = {"ar": "Translate into Arabic: {}", "en": "ترجم إلى الإنجليزية: {}"}
"""A request by the language to translate into; it is put in the sentence's own language, as the pocket world does."""
OTHER = {"ar": "en", "en": "ar"}
TRIES = 200  # draws in a row that bring nothing new before a kind counts as exhausted
OPUS = "Helsinki-NLP/opus-100"


@dataclass(frozen=True)
class Pair:
    """A sentence in both languages; ``id`` begins with its kind."""

    id: str
    en: str
    ar: str

    def side(self, language: str) -> str:
        """The sentence in ``en`` or ``ar``."""
        return self.en if language == "en" else self.ar


@functools.cache
def settings(tier: str) -> dict[str, Any]:
    """The tier's part of translate.yaml."""
    import yaml

    text = Path(__file__).with_name("translate.yaml").read_text(encoding="utf8")
    return yaml.safe_load(text)[BASES[check_tier(tier)]]


def request(sentence: str, target: str) -> str:
    """What a model is asked in order to translate ``sentence`` into ``target``."""
    return REQUESTS[target].format(sentence)


def instructions(tier: str, count: int | None = None) -> list[Prompt]:
    """English instructions with reference answers: the first ``count`` (default: translate.yaml's) gold prompts of
    distillation from its ``sources``. Tasks of translation are none of them: translated they are no task.
    """
    from llmini.train import prompts

    told = settings(tier)
    found = [prompt for prompt in prompts.load(tier, "gold")
             if prompt.language == "en" and prompt.reference and prompt.source in told["sources"]]  # fmt: skip
    return found[: told["instructions"] if count is None else count]


def number(tier: str, count: str, share: float = 1) -> int:
    """``share`` of a count in translate.yaml: ``teach``, ``supervise`` or ``instructions``."""
    return round(share * settings(tier)[count])


def taught(tier: str, share: float = 1) -> list[Pair]:
    """The pairs that the teacher is tuned on, or the first ``share`` of them; none where it translates as it is."""
    return drawn(tier, 0, number(tier, "teach", share))


def supervised(tier: str, share: float = 1) -> list[Pair]:
    """Pairs whose English side the teacher translates for the small translator, or the first ``share`` of them: none
    that the teacher is tuned on with a share of 1."""
    return drawn(tier, number(tier, "teach"), number(tier, "supervise", share))


def drawn(tier: str, start: int, count: int) -> list[Pair]:
    """Training pairs from place ``start`` on, in seeded order; no English side is one of :func:`instructions`."""
    if not count:
        return []
    told = settings(tier)
    if BASES[tier] == "full":
        return opus("train", start, count)
    left = {prompt.prompt for prompt in instructions(tier)}
    total = told["teach"] + told["supervise"]
    counts = {kind: round(share * total) for kind, share in told["kinds"].items()}
    found = world("train", counts, left)
    random.Random("translate/train").shuffle(found)
    return found[start : start + count]


def tested(tier: str) -> list[Pair]:
    """The pairs that translators are scored on, the same for each.

    Pocket: statements and questions about facts of split test, problems, pronouns and banking rules of that split, none
    of which any training pair holds, and ``wording``: statements in a wording that no training text has. Their names
    and words occur in training. Full: the test split of OPUS-100.
    """
    counts = settings(tier)["test"]
    return opus("test", 0, sum(counts.values())) if BASES[tier] == "full" else world("test", counts)


def world(split: str, counts: Mapping[str, int], without: set[str] | frozenset[str] = frozenset()) -> list[Pair]:
    """Pairs of the pocket world: ``counts`` of each kind, or as many as there are; ``without`` are English sides."""
    found: list[Pair] = []
    seen = set(without)
    for kind, count in counts.items():
        rng = random.Random(f"translate/{split}/{kind}")
        number = vain = 0
        draw = {"word": _words, "reply": _replies}.get(kind, _fact_pairs if kind in FACTS else _passages)
        for english, arabic in draw(rng, split, kind):
            vain = vain + 1 if english in seen and kind != "reply" else 0
            if number == count or vain > TRIES:
                break
            if not vain:
                seen.add(english)
                found.append(Pair(f"{kind}/{number}", english, arabic))
                number += 1
    return found


FACTS = ("statement", "wording", "question", "term")


def _fact_pairs(rng: random.Random, split: str, kind: str) -> Iterator[tuple[str, str]]:
    """Statements, questions and bare terms of facts of split test, or of train and distill."""
    from llmini.pocket.facts import facts
    from llmini.pocket.world import LANGUAGES, questions, templates

    splits = ("train", "distill") if split == "train" else (split,)
    known = [fact for fact in facts() if fact.weights[0] and fact.split in splits]
    while True:
        fact = rng.choice(known)
        if kind == "term":
            yield rng.choice((fact.subject, fact.value))
        elif kind == "question":
            yield rng.choice(list(zip(*(questions(fact, language) for language in LANGUAGES), strict=True)))
        else:
            lines = (templates(fact, language, "unseen" if kind == "wording" else "train") for language in LANGUAGES)
            english, arabic = rng.choice(list(zip(*lines, strict=True)))
            yield fact.text(english, "en"), fact.text(arabic, "ar")


def _words(rng: random.Random, split: str, kind: str) -> Iterator[tuple[str, str]]:
    """First names, and nouns of problems; each once."""
    from llmini.pocket import passages
    from llmini.pocket.arabic import Noun
    from llmini.pocket.facts import table

    found = [name[:2] for name in passages.first_names()]
    for noun in map(Noun.parse, table("counting")["nouns"]):
        found += [(noun.one, noun.singular), (noun.many, noun.plural)]
    rng.shuffle(found)
    yield from found


def _replies(rng: random.Random, split: str, kind: str) -> Iterator[tuple[str, str]]:
    """Yes and no, again and again: as answers they are common, as sentences to learn from they would be two."""
    while True:
        yield rng.choice((("yes", "نعم"), ("no", "لا")))


def _passages(rng: random.Random, split: str, kind: str) -> Iterator[tuple[str, str]]:
    from llmini.pocket import passages

    if kind not in ("problem", "pronoun", "banking"):
        raise UserError(f"translate.yaml names no kind {kind!r} of pairs: choose {', '.join(FACTS)}, word, reply, "
                        "problem, pronoun or banking")  # fmt: skip
    while True:
        item = getattr(passages, kind)(rng, split)
        english, arabic = (f"{item.context[side]} {item.question[side]}".strip() for side in (0, 1))
        yield english, arabic


def opus(split: str, start: int, count: int) -> list[Pair]:
    """Sentence pairs of OPUS-100 in seeded order that pass the filters of `sources.FILTERS`.

    Raises UserError when they are too few or cannot be loaded.
    """
    from llmini import texts
    from llmini.train import sources

    rows = texts.hub_rows(OPUS, name="ar-en", split=split)
    order = list(range(len(rows)))
    random.Random(f"translate/{split}").shuffle(order)
    found: list[Pair] = []
    seen: set[str] = set()
    for number in order:
        row = rows[number]
        fault = sources.translation(row, number)[-1]
        pair = Pair(f"opus-100/{number}", *(row["translation"][side].strip() for side in ("en", "ar")))
        if not fault and pair.en not in seen:
            seen.add(pair.en)
            found.append(pair)
        if len(found) == start + count:
            return found[start:]
    raise UserError(f"{OPUS} has {len(found)} {split} pairs that pass the filters, {start + count} are needed: "
                    "lower the counts in train/translate.yaml")  # fmt: skip
