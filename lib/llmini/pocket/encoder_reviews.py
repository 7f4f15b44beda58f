"""Generated reviews in English and standard Arabic, positive or negative; the same scene in both languages.

Frames and closings are disjoint between training and evaluation, and so are the pairs of a subject and a judgement; a
part of the judgements is labelled in evaluation alone (the encoder met them in the unlabelled text of its
pretraining). Negated and contrasted reviews take the polarity of what is meant, in the last clause. Tables:
data/pocket/encoders/reviews.yaml.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

from llmini.pocket.encoder_names import table
from llmini.pocket.facts import ordered, unit
from llmini.settings import UserError

LANGUAGES = ("en", "ar")
LABELS = ("negative", "positive")
COUNTS = {"train": 2000, "dev": 300, "test": 600}
"""Reviews of a split in each language."""
CLOSED = 0.25
"""Share of reviews with a closing."""
KNOWN = 0.7
"""Share of the judgements that labelled training text holds."""
PAIRS = 0.75
"""Share of the pairs of subject and known judgement that are labelled in training."""


@dataclass(frozen=True)
class Review:
    """A review and its polarity; ``scene`` is its number, the same in both languages."""

    text: str
    label: str
    scene: int


@dataclass(frozen=True)
class _Word:
    english: str
    masculine: str
    feminine: str
    tags: frozenset[str]

    def form(self, language: str, gender: str) -> str:
        return self.english if language == "en" else self.masculine if gender == "m" else self.feminine


@cache
def subjects() -> list[tuple[str, str, str, frozenset[str]]]:
    """(English, Arabic, gender, tags) of everything that is judged."""
    lines = [line.split("|") for line in table("reviews")["subjects"]]
    return [(english, arabic, gender, frozenset(tags.split())) for english, arabic, gender, tags in lines]


@cache
def judgements(polarity: str) -> list[_Word]:
    """Adjectives of a polarity."""
    lines = [line.split("|") for line in table("reviews")[polarity]]
    return [_Word(english, his, hers, frozenset(tags.split())) for english, his, hers, tags in lines]


@cache
def labelled(polarity: str) -> frozenset[str]:
    """The judgements (English) that labelled training text holds; the others are new in evaluation."""
    names = ordered([word.english for word in judgements(polarity)], "encoder", "judgement")
    return frozenset(names[: round(KNOWN * len(names))])


def allowed(split: str, subject: str, word: _Word, polarity: str) -> bool:
    """Whether a split may say this of that: evaluation only pairs that labelled training text does not hold."""
    if split == "pretraining":
        return True
    train = word.english in labelled(polarity) and unit("encoder", "pair", subject, word.english) < PAIRS
    return train == (split == "train")


@cache
def reviews(split: str, language: str, seed: int = 0) -> list[Review]:
    """The reviews of a split in a language, in seeded order; ``dev`` has the frames of training.

    Raises:
        UserError: for an unknown split or language.
    """
    if split not in COUNTS or language not in LANGUAGES:
        raise UserError(f"no reviews of split {split!r} in {language!r}: splits {', '.join(COUNTS)}; "
                        f"languages {', '.join(LANGUAGES)}")  # fmt: skip
    rng = random.Random(f"reviews/{seed}/{split}")
    made = [review(rng, split) for _ in range(COUNTS[split])]
    return [Review(texts[language], label, number) for number, (texts, label) in enumerate(made)]


def review(rng: random.Random, split: str, polarity: str = "") -> tuple[dict[str, str], str]:
    """One review in both languages and its polarity (drawn unless given)."""
    polarity = polarity or rng.choice(LABELS)
    other = LABELS[1 - LABELS.index(polarity)]
    chosen = table("reviews")["test" if split == "test" else "train"]
    frame = rng.choice(chosen["frames"])
    a, adj = judged(rng, split, polarity)
    b, also = judged(rng, split, polarity)
    while b == a:
        b, also = judged(rng, split, polarity)
    wrong = fitting(rng, split, a, other)
    but = fitting(rng, split, b, other)
    closing = rng.choice(chosen["closings"][polarity]) if rng.random() < CLOSED else ""
    texts = {}
    for side, language in enumerate(LANGUAGES):
        text = frame.split(" | ")[side].strip()
        for slot, word, of in (("adj", adj, a), ("wrong", wrong, a), ("also", also, b), ("but", but, b)):
            text = text.replace(f"{{{slot}}}", word.form(language, of[2]))
        text = text.replace("{a}", a[side]).replace("{b}", b[side])
        end = f" . {closing.split(' | ')[side].strip()} ." if closing else " ."
        texts[language] = text[0].upper() + text[1:] + end
    return texts, polarity


def judged(rng: random.Random, split: str, polarity: str) -> tuple[tuple, _Word]:
    """A subject and a judgement that fits it and belongs to the split."""
    while True:
        subject = rng.choice(subjects())
        word = rng.choice(judgements(polarity))
        if fits(subject, word) and allowed(split, subject[0], word, polarity):
            return subject, word


def fitting(rng: random.Random, split: str, subject: tuple, polarity: str) -> _Word:
    """A judgement of ``polarity`` for a given subject, of the split if it has one for it."""
    words = [word for word in judgements(polarity) if fits(subject, word)]
    own = [word for word in words if allowed(split, subject[0], word, polarity)]
    return rng.choice(own or [word for word in words if (word.english in labelled(polarity)) or split != "train"])


def fits(subject: tuple, word: _Word) -> bool:
    """Whether a judgement can be said of a subject."""
    return "*" in word.tags or bool(word.tags & subject[3])


def opinion(rng: random.Random, language: str) -> str:
    """Unlabelled pretraining text: two to four clauses of one polarity, in the frames of training."""
    polarity = rng.choice(LABELS)
    return " ".join(review(rng, "pretraining", polarity)[0][language] for _ in range(rng.randint(2, 4)))
