"""Whether a training prompt holds a question that an evaluation asks: checked before every training run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llmini.settings import UserError, check_tier, data
from llmini.texts import normalise_arabic

if TYPE_CHECKING:
    from llmini.train.prompts import Prompt

NGRAM = {"pocket": None, "rehearsal": None, "small": 13, "full": 13}
"""``n`` by tier. 13 words is the rule of Brown et al. (2020), "Language Models are Few-Shot Learners", appendix C. The
pocket world is written from templates, whose frames alone are longer than that ("… has … How many … are left?"), so
there two questions are one when they are equal word by word, and combinations are kept apart by hash beforehand."""
WHOLE = 5  # an evaluation text of at least so many words is also found inside a longer prompt
FIELDS = ("query", "question", "en", "ar", "prompt", "text", "bahraini")  # where a row of ours holds its question
STATED = ("punctuation", "gec")  # pocket tasks whose texts are statements
_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """The words and numbers of a text without case, marks, punctuation and spelling variants of Arabic letters."""
    return _WORD.findall(normalise_arabic(text, letters=True).casefold())


@dataclass(frozen=True)
class Overlap:
    """A prompt that shares text with an evaluation set: both texts and the words they share."""

    prompt: str
    benchmark: str
    text: str
    shared: str


@dataclass(frozen=True)
class Report:
    """A check that passed: how many prompts were held against how many texts of which sets, and by which rule."""

    prompts: int
    texts: dict[str, int]
    n: int | None


class Index:
    """Evaluation texts, indexed once, asked for many prompts.

    ``evaluation``: texts by benchmark name. A prompt overlaps a text when it (1) equals it after :func:`words`, (2)
    holds it whole, if it has at least :data:`WHOLE` words, or (3) shares ``n`` words in a row with it (not if ``n`` is
    None). Raises ValueError for ``n`` below :data:`WHOLE`.
    """

    def __init__(self, evaluation: Mapping[str, Iterable[str]], n: int | None = 13) -> None:
        if n is not None and n < WHOLE:
            raise ValueError(f"n-grams of {n} words are too common: take {WHOLE} or more")
        self.n, self.texts = n, []
        self.sizes: dict[str, int] = {}
        self.exact: dict[str, int] = {}
        self.starts: dict[int, list[int]] = {}  # hash of a text's first WHOLE words -> texts
        self.grams: dict[int, int] = {}  # hash of n words -> text
        for name, texts in evaluation.items():
            for text in texts:
                self._add(name, text)

    def _add(self, name: str, text: str) -> None:
        parts, number = words(text), len(self.texts)
        self.sizes[name] = self.sizes.get(name, 0) + 1
        if not parts:
            return
        self.texts.append((name, text, f" {' '.join(parts)} "))
        self.exact.setdefault(self.texts[-1][2], number)
        if self.n is not None and len(parts) >= self.n:  # holding it whole is then sharing its n-grams
            for start in range(len(parts) - self.n + 1):
                self.grams.setdefault(hash(tuple(parts[start : start + self.n])), number)
        elif len(parts) >= WHOLE:
            self.starts.setdefault(hash(tuple(parts[:WHOLE])), []).append(number)

    def overlap(self, prompt: str) -> Overlap | None:
        """The first evaluation text that ``prompt`` overlaps, or None."""
        parts = words(prompt)
        line = f" {' '.join(parts)} "
        if line in self.exact:
            return self._found(self.exact[line], prompt, line)
        for start in range(len(parts) - WHOLE + 1):
            for number in self.starts.get(hash(tuple(parts[start : start + WHOLE])), ()):
                if self.texts[number][2] in line:
                    return self._found(number, prompt, self.texts[number][2])
        for start in range(len(parts) - self.n + 1 if self.n else 0):
            gram = parts[start : start + self.n]
            number = self.grams.get(hash(tuple(gram)))
            if number is not None and f" {' '.join(gram)} " in self.texts[number][2]:  # hashes may collide
                return self._found(number, prompt, " ".join(gram))
        return None

    def _found(self, number: int, prompt: str, shared: str) -> Overlap:
        name, text, _ = self.texts[number]
        return Overlap(prompt, name, text, shared.strip())


def contamination(prompts: Iterable[Prompt | str], evaluation: Mapping[str, Iterable[str]] | Iterable[str],
                  n: int | None = 13) -> Report:  # fmt: skip
    """Hold training prompts against evaluation texts by the rule of :class:`Index`.

    ``evaluation``: texts by benchmark name (:func:`evaluation_texts`), or plain texts. ``n``: see :data:`NGRAM`.
    Raises UserError that names the first overlapping prompt, what it shares and its evaluation set.
    """
    if not isinstance(evaluation, Mapping):
        evaluation = {"evaluation": evaluation}
    index, count = Index(evaluation, n), 0
    for count, prompt in enumerate(prompts, 1):
        name, text = (f"prompt {count}", prompt) if isinstance(prompt, str) else (prompt.id, prompt.prompt)
        found = index.overlap(text)
        if found:
            raise UserError(
                f"training prompt {name} overlaps the evaluation set {found.benchmark}: both hold "
                f"{_short(found.shared)!r}; leave the prompt out, or do not evaluate on that set"
            )
    return Report(count, index.sizes, n)


def evaluation_texts(tier: str) -> dict[str, list[str]]:
    """Every question that a tier's evaluations ask, by benchmark name.

    Pocket: ``data/pocket/tasks`` (test and development items). Full: the benchmarks of ``measure/full_tasks.py``, which
    come from the hub. Both: the Arabic-English pairs of ``data/pairs``, and the dialect and culture tasks of
    ``data/dialect``. Perplexity texts of the pocket world state the facts as its training does, by design, and are no
    questions: they are not among them, nor are the sentences of punctuation and gec, which ask for marks or spelling.
    Raises UserError for an unknown tier, an unreadable file, or a data set that cannot be loaded.
    """
    if check_tier(tier) in ("full", "small"):
        from llmini.measure import full_tasks

        found = {name: full_tasks.questions(name) for name in full_tasks.public()}
    else:
        found = {path.stem: questions(path) for path in sorted(data("pocket", "tasks").glob("**/*.jsonl"))
                 if path.stem.partition("_")[0] not in STATED}  # fmt: skip
    dialect = data("dialect") if check_tier(tier) in ("full", "small") else data("dialect", "tasks", "pocket")
    for path in [*sorted(data("pairs").glob("**/*.jsonl")), *sorted(dialect.glob("*.jsonl"))]:
        found[path.stem] = questions(path)
    return found


def questions(path: Path) -> list[str]:
    """The questions of a .jsonl file: the texts under :data:`FIELDS`, at any depth. Raises UserError if it has none."""
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf8").splitlines() if line.strip()]
    except (OSError, ValueError) as fault:
        raise UserError(f"{path} is not a file of JSON lines ({fault}): restore it") from fault
    found = [text for row in rows for text in _asked(row)]
    if not found:
        raise UserError(f"{path} holds no question under {', '.join(FIELDS)}: restore it")
    return found


def _asked(row: object) -> list[str]:
    if not isinstance(row, dict):
        return []
    found = []
    for key, value in row.items():
        if isinstance(value, str) and key.removesuffix("_en").removesuffix("_ar") in FIELDS:
            found.append(value)
        found += _asked(value)
    return found


def _short(text: str, limit: int = 120) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"
