"""Data of the full tier: MasakhaNER 2.0 from its CoNLL files, SST-2 from GLUE."""

from __future__ import annotations

import os
from pathlib import Path

from llmini.schema import AFRICAN
from llmini.settings import UserError, data

LANGUAGES = AFRICAN
"""ISO 639-3 codes of MasakhaNER 2.0 (Adelani et al., 2022, table 1)."""
LABELS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-DATE", "I-DATE")
PLACE = "LLMINI_MASAKHANER"
SPLITS = {"train": "train", "dev": "validation", "test": "validation"}
"""GLUE hides the labels of SST-2's test set: its validation set is the test set here, as in the study."""
HELD = 1000
"""Sentences at the end of SST-2's training set that serve as its dev set."""


def conll(path: Path) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """(words, labels) of a CoNLL file: a word and its label a line, between them one space, blank lines between
    sentences. A ``-DOCSTART-`` line and what precedes the last column of a longer line are left out.

    Raises UserError naming the line that has no label, or the file that is missing or is not UTF-8.
    """
    try:
        lines = path.read_text(encoding="utf8").splitlines()
    except FileNotFoundError as fault:
        raise UserError(f"{path} is missing: clone github.com/masakhane-io/masakhane-ner and let ${PLACE} name its "
                        "MasakhaNER2.0/data") from fault  # fmt: skip
    except (OSError, UnicodeDecodeError) as fault:
        raise UserError(f"cannot read {path} as UTF-8 text: {fault}") from fault
    found, words, labels = [], [], []
    for number, line in enumerate([*lines, ""], 1):
        parts = line.split()
        if not parts or parts[0] == "-DOCSTART-":
            if words:
                found.append((tuple(words), tuple(labels)))
            words, labels = [], []
            continue
        if len(parts) == 1:
            raise UserError(f"line {number} of {path} has no label: {line!r}")
        words.append(parts[0])
        labels.append(parts[-1])
    if not found:
        raise UserError(f"{path} holds no sentence")
    return found


def masakhaner(language: str, split: str) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """MasakhaNER 2.0 in one language: ``LANGUAGE/SPLIT.txt`` below ``$LLMINI_MASAKHANER`` or
    data/corpora/masakhaner2.
    """
    home = Path(os.environ.get(PLACE) or data("corpora", "masakhaner2"))
    return conll(home / language / f"{split}.txt")


def sst2(split: str) -> list[tuple[str, int]]:
    """(sentence, 0 negative or 1 positive) of SST-2."""
    from llmini.texts import hub_rows

    rows = hub_rows("nyu-mll/glue", name="sst2", split="train" if split == "dev" else SPLITS[split])
    pairs = list(zip(rows["sentence"], rows["label"], strict=True))
    return pairs[-HELD:] if split == "dev" else pairs[:-HELD] if split == "train" else pairs
