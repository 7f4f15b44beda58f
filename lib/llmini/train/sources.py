"""The full tier's prompts: opus-100 and alpaca by hub id, the banking corpus, and the filters that chose them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from llmini import texts
from llmini.settings import UserError
from llmini.train.contamination import NGRAM, Index, words
from llmini.train.prompts import Prompt, language_of

COUNTS = {"opus-100": 2428, "alpaca": 2499, "banking": 10_000}
"""Prompts of each source in a training split: `data/reported/table_04_kd_corpus.csv`."""
SPARE = 1.125
"""Banking pairs generated per pair taken: a twentieth is held out, some may overlap an evaluation text."""
HUB = {
    "opus-100": ("Helsinki-NLP/opus-100", {"name": "ar-en", "split": "train"}),
    "alpaca": ("tatsu-lab/alpaca", {"split": "train"}),
}
FILTERS = {
    "opus-100": {
        "length": "both sentences have 5 to 60 words",
        "ratio": "neither has more than twice the words of the other",
        "script": "nine in ten letters of the Arabic side are Arabic, and none of the English side",
        "markup": "no link, tag, bracket, note sign, bullet or line break, and an end of sentence on both sides",
        "duplicate": "the normalised request is new",
        "evaluation": "no overlap with an evaluation text, where these are given",
    },
    "alpaca": {
        "length": "instruction and input have 3 to 150 words, the output 1 to 200",
        "script": "no Arabic letter: the Arabic part of the corpus is not translated English",
        "markup": "no link and no mark for a missing input or output",
        "duplicate": "the normalised request is new",
        "evaluation": "no overlap with an evaluation text, where these are given",
    },
}
"""What a row has to be, in the order of the checks. The published corpus put raw lines of opus-100 to the teacher as if
they were instructions (code_audit.csv, a13); here they are translation requests, whose reference is the other side."""
REQUESTS = {
    "ar": ("ترجم الجملة التالية إلى الإنجليزية: {}", "ما ترجمة هذه الجملة إلى الإنجليزية؟ {}"),
    "en": ("ترجم الجملة التالية إلى العربية: {}", "ما ترجمة هذه الجملة إلى العربية؟ {}"),
}
"""Arabic requests by the language of the sentence to translate."""
_MARKUP = re.compile(r"https?:|www\.|[<>{}\[\]|\\♪#*_=\n]|^\s*[-–•]")
_LINK = re.compile(r"https?:|www\.|<\s*no\s*(in|out)put\s*>", re.IGNORECASE)
_END = re.compile(r"[.!?؟…]['\"»”)]?\s*$")


def selection(split: str, seed: int = 0,
              evaluation: Mapping[str, Iterable[str]] | None = None) -> tuple[list[Prompt], dict[str, dict[str, int]]]:
    """The prompts of ``gold`` or ``distill``, shuffled, and what each filter did.

    Rows are taken in seeded order: the first that pass all filters are ``distill``, the next as many ``gold``. The
    record counts per source: rows, seen, kept (both splits, as far as drawn) and how many each filter of
    :data:`FILTERS` turned away first. Raises UserError when a source cannot be loaded or has too few rows that pass.
    """
    index = Index(evaluation, NGRAM["full"]) if evaluation else None
    found, record = [], {}
    for source in ("opus-100", "alpaca"):
        name, options = HUB[source]
        rows = texts.hub_rows(name, **options)
        wanted = COUNTS[source] * (2 if split == "gold" else 1)
        drawn, record[source] = _draw(source, rows, wanted, seed, index)
        found += [Prompt(f"{split}/{source}/{key}", language, source, text, answer if split == "gold" else None)
                  for key, language, text, answer in drawn[wanted - COUNTS[source] :]]  # fmt: skip
    part, record["banking"] = _banking(split, seed, index)
    found += part
    random.Random(f"full/{split}/{seed}").shuffle(found)
    return found, record


def _draw(source: str, rows: Any, wanted: int, seed: int, index: Index | None) -> tuple[list[tuple], dict[str, int]]:
    """The first ``wanted`` rows in seeded order that pass, as (row number, language, request, reference)."""
    make = {"opus-100": translation, "alpaca": instruction}[source]
    counts = {"rows": len(rows), "seen": 0, "kept": 0, **dict.fromkeys(FILTERS[source], 0)}
    seen: set[tuple[str, ...]] = set()
    found: list[tuple] = []
    for number, row in _shuffled(rows, seed):
        counts["seen"] += 1
        language, text, answer, fault = make(row, number)
        key = tuple(words(text))
        fault = fault or ("duplicate" if key in seen else "")
        fault = fault or ("evaluation" if index and index.overlap(text) else "")
        if fault:
            counts[fault] += 1
            continue
        seen.add(key)
        found.append((number, language, text, answer))
        if len(found) == wanted:
            break
    counts["kept"] = len(found)
    if len(found) < wanted:
        raise UserError(f"{HUB[source][0]} has {len(found)} rows that pass the filters, {wanted} are needed: "
                        "check that the whole data set was downloaded")  # fmt: skip
    return found, counts


def _shuffled(rows: Any, seed: int, block: int = 1000) -> Iterator[tuple[int, dict[str, Any]]]:
    """Row numbers with their rows in seeded order, read in blocks."""
    order = list(range(len(rows)))
    random.Random(f"rows/{seed}").shuffle(order)
    for start in range(0, len(order), block):
        numbers = order[start : start + block]
        columns = rows[numbers]
        for place, number in enumerate(numbers):
            yield number, {name: values[place] for name, values in columns.items()}


def translation(row: dict[str, Any], number: int) -> tuple[str, str, str, str]:
    """(language, request, reference, the filter that turns it away) of a sentence pair; directions take turns."""
    pair = {side: row["translation"][side].strip() for side in ("ar", "en")}
    side, other = ("ar", "en") if number % 2 else ("en", "ar")
    request = REQUESTS[side][number // 2 % 2].format(pair[side])
    lengths = sorted(len(text.split()) for text in pair.values())
    arabic = {name: [language_of(letter) == "ar" for letter in text if letter.isalpha()] for name, text in pair.items()}
    checks: dict[str, Callable[[], bool]] = {
        "length": lambda: lengths[0] >= 5 and lengths[1] <= 60,
        "ratio": lambda: lengths[1] <= 2 * lengths[0],
        "script": lambda: sum(arabic["ar"]) >= 0.9 * len(arabic["ar"]) > 0 and not any(arabic["en"]),
        "markup": lambda: all(not _MARKUP.search(text) and _END.search(text) for text in pair.values()),
    }
    return "ar", request, pair[other], _fault(checks)


def instruction(row: dict[str, Any], number: int) -> tuple[str, str, str, str]:
    """(language, request, reference, the filter that turns it away) of an instruction with its input."""
    text = "\n\n".join(part.strip() for part in (row["instruction"], row["input"]) if part.strip())
    answer = row["output"].strip()
    checks: dict[str, Callable[[], bool]] = {
        "length": lambda: 3 <= len(text.split()) <= 150 and 1 <= len(answer.split()) <= 200,
        "script": lambda: not any("\u0600" <= letter <= "\u06ff" for letter in text + answer),
        "markup": lambda: not _LINK.search(text + answer),
    }
    return "en", text, answer, _fault(checks)


def _fault(checks: dict[str, Callable[[], bool]]) -> str:
    return next((name for name, passes in checks.items() if not passes()), "")


def _banking(split: str, seed: int, index: Index | None) -> tuple[list[Prompt], dict[str, int]]:
    """Training pairs of one banking corpus, whose held-out keys neither split sees: the first are ``distill``."""
    from llmini.train import banking

    count = COUNTS["banking"]
    pairs = banking.corpus(seed, int(SPARE * 2 * count))  # it has no two near copies, so neither have the splits
    train, held_out = banking.split(pairs)
    clean = [pair for pair in train if not (index and index.overlap(pair.prompt))]
    if len(clean) < 2 * count:
        raise UserError(f"the banking corpus has {len(clean)} pairs that no evaluation asks, {2 * count} are needed: "
                        "take an evaluation set out")  # fmt: skip
    chosen = clean[count : 2 * count] if split == "gold" else clean[:count]
    record = {"rows": len(pairs), "kept": 2 * count, "held_out": len(held_out), "evaluation": len(train) - len(clean)}
    return [Prompt(f"{split}/banking/{pair.id}", pair.language, "banking", pair.prompt,
                   pair.response if split == "gold" else None) for pair in chosen], record  # fmt: skip
