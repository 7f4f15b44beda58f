"""Instruction pairs on GCC banking, English and Arabic: rules, computed operations, customers with Bahraini dialect.

Sources are tables in data/banking. Every pair has a key, the same in both languages: a kind of fact, a rule, a term, a
wording of a case or of an operation, a customer's sentence. :func:`split` holds out whole keys.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from llmini.pocket.facts import unit
from llmini.settings import UserError
from llmini.train import banking_lessons as lessons
from llmini.train import banking_talk as talk
from llmini.train.banking_text import LANGUAGES, shingles, similarity, words

NEAR = 0.8
"""Pairs whose word triples (prompt and response) have this Jaccard index or more are near copies: one is left out."""
SHARES = {
    "operation": (0.260, 0.180), "rule": (0.068, 0.068), "fact": (0.046, 0.046),
    "term": (0.032, 0.032), "case": (0.024, 0.024), "dialect": (0.070, 0.150),
}  # fmt: skip
"""Each source's share of the corpus in (English, Arabic); both sum to one half."""
SALT = 3301
"""Chosen so that the usual 5 % of the keys hold about 5 % of the pairs of every source."""


@dataclass(frozen=True)
class Pair:
    """A prompt and its response. ``id`` is `kind/source/key/language/number`, ``kind`` rule, operation or dialect."""

    id: str
    language: str
    kind: str
    topic: str
    prompt: str
    response: str

    @property
    def key(self) -> str:
        """What the pair is about, in both languages alike: `rule/fact/length`."""
        return self.id.rsplit("/", 2)[0]


class _Corpus:
    """Pairs taken so far; refuses equal prompts and near copies of the same key."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.pairs: list[Pair] = []
        self._prompts: set[tuple[str, ...]] = set()
        self._taken: dict[tuple[str, str], list[frozenset]] = defaultdict(list)

    def draw(self, source: str, language: str, count: int) -> int:
        """Add ``count`` pairs of a source; returns how many are missing when a whole pass over its cards adds none."""
        cards, make = _sources()[source]
        rng = random.Random(f"banking/{self.seed}/{source}/{language}")
        kind = source if source in ("operation", "dialect") else "rule"
        number, idle, deck = 0, 0, []
        while number < count and idle <= len(cards):
            deck = deck or rng.sample(cards, len(cards))
            idle += 1
            lesson = make(rng, deck.pop(), language)
            if lesson and self._new(f"{source}/{lesson[0]}/{language}", lesson):
                key, topic, prompt, response = lesson
                name = f"{kind}/{source}/{key}/{language}/{number}"
                self.pairs.append(Pair(name, language, kind, topic, prompt, response))
                number, idle = number + 1, 0
        return count - number

    def _new(self, place: str, lesson: tuple[str, str, str, str]) -> bool:
        prompt = words(lesson[2])
        triples = shingles(prompt + words(lesson[3]))
        if tuple(prompt) in self._prompts or any(similarity(triples, other) >= NEAR for other in self._taken[place]):
            return False
        self._prompts.add(tuple(prompt))
        self._taken[place].append(triples)
        return True


def _sources() -> dict[str, tuple[list[tuple], Callable]]:
    """The cards and the maker of each source."""
    return {
        name: (getattr(module, f"{name}_cards")(), getattr(module, name))
        for name in SHARES
        for module in (talk if name in ("operation", "dialect") else lessons,)
    }


def corpus(seed: int = 0, size: int = 10_000) -> list[Pair]:
    """``size`` pairs, half English and half Arabic, in an order drawn by the seed; the same seed gives the same list.

    No two prompts are equal and no two pairs of a key near copies (:data:`NEAR`), both after Arabic normalisation with
    letters folded. What a finite source cannot give, operations replace. Raises UserError for a size below 1, or above
    what the sources give.
    """
    if size < 1:
        raise UserError(f"a corpus of {size} pairs is none: ask for at least 1")
    found, missing = _Corpus(seed), dict.fromkeys(LANGUAGES, 0)
    quotas = _quotas(size)
    for (source, language), count in sorted(quotas.items(), key=lambda item: item[0][0] == "operation"):
        left = found.draw(source, language, count + (missing[language] if source == "operation" else 0))
        missing[language] += left
        if left and source == "operation":
            raise UserError(f"the banking sources give no {size} different pairs: ask for at most {size - left}")
    random.Random(f"banking/{seed}").shuffle(found.pairs)
    return found.pairs


def _quotas(size: int) -> dict[tuple[str, str], int]:
    """Pairs per (source, language) by largest remainder."""
    exact = {(name, language): size * share for name, both in SHARES.items()
             for language, share in zip(LANGUAGES, both, strict=True)}  # fmt: skip
    quotas = {place: int(share + 1e-9) for place, share in exact.items()}
    for place in sorted(exact, key=lambda place: quotas[place] - exact[place])[: size - sum(quotas.values())]:
        quotas[place] += 1
    return quotas


def split(pairs: Iterable[Pair], held_out: float = 0.05) -> tuple[list[Pair], list[Pair]]:
    """Training and held-out pairs: a key is held out when its hash lies below ``held_out``, whatever the seed and size.

    Both languages and all forms of a key go together, so a held-out prompt is no rewording of a training prompt.
    Raises UserError for a share outside [0, 1).
    """
    if not 0 <= held_out < 1:
        raise UserError(f"a held-out share of {held_out} is no share: give one from 0 to below 1")
    parts: tuple[list[Pair], list[Pair]] = ([], [])
    for pair in pairs:
        parts[unit("banking", SALT, pair.key) < held_out].append(pair)
    return parts
