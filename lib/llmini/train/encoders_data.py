"""What encoders are tuned on and asked: entity recognition and sentiment, by tier and language, as rows of token
ids.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmini.settings import UserError

IGNORED = -100
"""The label of a position that counts in no loss and no score."""


@dataclass(frozen=True)
class Task:
    """kind: ``token`` or ``sequence``; metric: what is reported of it, over ``benchmark``."""

    name: str
    kind: str
    labels: tuple[str, ...]
    languages: tuple[str, ...]
    benchmark: str
    metric: str


@dataclass(frozen=True)
class Example:
    """A sentence of words with a label each, or a text with one label."""

    text: tuple[str, ...] | str
    label: tuple[str, ...] | str


def task(tier: str, name: str) -> Task:
    """``ner`` or ``sentiment`` of a tier. Raises UserError for another name."""
    from llmini.pocket import encoder_reviews, encoder_sentences
    from llmini.train import encoders_readers as readers

    pocket = tier in ("pocket", "rehearsal")
    known = {
        "ner": Task("ner", "token", encoder_sentences.LABELS, ("ar", "gulf", "en"), "pocket_ner", "f1") if pocket else
        Task("ner", "token", readers.LABELS, readers.LANGUAGES, "masakhaner2", "f1"),
        "sentiment": Task("sentiment", "sequence", encoder_reviews.LABELS, ("ar", "en"), "pocket_reviews", "acc")
        if pocket else Task("sentiment", "sequence", encoder_reviews.LABELS, ("en",), "sst2", "acc"),
    }  # fmt: skip
    if name not in known:
        raise UserError(f"unknown task {name!r}: choose {' or '.join(known)}")
    return known[name]


def examples(tier: str, name: str, language: str, split: str) -> list[Example]:
    """The examples of a task in one language. Raises UserError for a language that the task does not have."""
    from llmini.pocket.encoder_reviews import reviews
    from llmini.pocket.encoder_sentences import sentences
    from llmini.train import encoders_readers as readers

    known = task(tier, name)
    if language not in known.languages:
        raise UserError(f"{known.benchmark} has no {language!r}: choose among {', '.join(known.languages)}")
    if known.benchmark == "pocket_ner":
        return [Example(one.words, one.labels) for one in sentences(split, language)]
    if known.benchmark == "pocket_reviews":
        return [Example(one.text, one.label) for one in reviews(split, language)]
    if name == "ner":
        return [Example(words, labels) for words, labels in readers.masakhaner(language, split)]
    return [Example(text, known.labels[label]) for text, label in readers.sst2(split)]


def spoken(known: Task, trained: str) -> list[str]:
    """The languages that ``"ar"``, ``"ar+en"`` or ``all`` names. Raises UserError for one that the task does not
    have.
    """
    names = list(known.languages) if trained == "all" else trained.split("+")
    if strangers := [name for name in names if name not in known.languages]:
        raise UserError(f"{known.benchmark} has no {strangers[0]!r}: choose among {', '.join(known.languages)}, join "
                        "them with +, or write all")  # fmt: skip
    return names


def training(tier: str, name: str, trained: str, share: float = 1.0, seed: int = 0) -> list[Example]:
    """Training examples of one or several languages (`spoken`); of each language a share drawn by ``seed``.

    Raises UserError for a share that leaves nothing.
    """
    found = []
    for language in spoken(task(tier, name), trained):
        own = examples(tier, name, language, "train")
        count = round(share * len(own))
        if not count:
            raise UserError(f"a share of {share:g} leaves none of the {len(own)} sentences in {language!r}: raise it")
        order = list(range(len(own)))
        if share < 1:
            random.Random(f"share/{seed}").shuffle(order)
        found += [own[place] for place in order[:count]]
    return found


def rows(found: Sequence[Example], tokenizer: Any, labels: Sequence[str], length: int = 128) -> list[dict[str, Any]]:
    """``input_ids``, ``attention_mask`` and ``labels`` of each example, cut to ``length`` tokens.

    A word's first piece bears its label, its other pieces :data:`IGNORED`. Raises UserError for a label that is not
    among ``labels``, naming both.
    """
    number = {name: place for place, name in enumerate(labels)}
    strangers = sorted({name for one in found for name in ([one.label] if isinstance(one.label, str) else one.label)}
                       - set(number))  # fmt: skip
    if strangers:
        raise UserError(f"the data has the label {strangers[0]!r}, the model has {', '.join(labels)}: "
                        "give a checkpoint of the same labels, or one without a head")  # fmt: skip
    words = bool(found) and not isinstance(found[0].text, str)
    texts = [list(one.text) if words else one.text for one in found]
    coded = tokenizer(texts, is_split_into_words=words, truncation=True, max_length=length) if texts else {}
    out = []
    for place, one in enumerate(found):
        row = {"input_ids": coded["input_ids"][place], "attention_mask": coded["attention_mask"][place]}
        if words:
            row["labels"], last = [], None
            for word in coded.word_ids(place):
                fresh = word is not None and word != last
                row["labels"].append(number[one.label[word]] if fresh else IGNORED)
                last = word
        else:
            row["labels"] = number[one.label]
        out.append(row)
    return out


def collate(batch: Sequence[dict[str, Any]], pad: int) -> dict[str, Any]:
    """Tensors (batch, longest) of rows: padded, masked, and unlabelled where padded."""
    import torch

    longest = max(len(row["input_ids"]) for row in batch)
    filler = {"input_ids": pad, "attention_mask": 0, "labels": IGNORED}
    out = {}
    for name, fill in filler.items():
        if isinstance(batch[0][name], int):
            out[name] = torch.tensor([row[name] for row in batch])
        else:
            out[name] = torch.tensor([[*row[name], *[fill] * (longest - len(row[name]))] for row in batch])
    return out
