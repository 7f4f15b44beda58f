"""Prompts for distillation in three disjoint splits: gold-labelled training, distillation (no gold), evaluation."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from typing import TYPE_CHECKING

from llmini.settings import UserError, check_tier, data
from llmini.train.contamination import NGRAM, Report, contamination, evaluation_texts, words

if TYPE_CHECKING:
    from llmini.pocket.facts import Fact

__all__ = ["LANGUAGES", "NGRAM", "SPLITS", "Prompt", "Report", "contamination", "evaluation_texts", "full", "load",
           "pocket"]  # fmt: skip
SPLITS = ("gold", "distill", "evaluation")
LANGUAGES = ("en", "ar")
PER_LANGUAGE = 2000
QUOTAS = {
    "en": {"fact": 280, "subject": 280, "problem": 560, "pronoun": 300, "translation": 260},
    "ar": {"fact": 330, "subject": 280, "problem": 500, "pronoun": 280, "translation": 240, "dialect": 80},
}
"""Pocket prompts of each kind, the same in both training splits, or as many as a split has. Banking questions fill up
to :data:`PER_LANGUAGE`."""
WORLD = {"gold": "train", "distill": "distill"}
"""Whose facts each training split asks for, in the world's terms."""
TRIES = 40  # draws in a row that bring nothing new before a kind counts as exhausted


@dataclass(frozen=True)
class Prompt:
    """One user turn. ``reference`` is the gold answer: None in the distillation split, whose answers are the teacher's.

    ``source``: the kind in the pocket tier, the data set in the full tier, the benchmark in the evaluation split.
    """

    id: str
    language: str
    source: str
    prompt: str
    reference: str | None = None


def load(tier: str, split: str, seed: int = 0) -> list[Prompt]:
    """The prompts of a split: :func:`pocket` for the pocket and rehearsal tiers, :func:`full` for small and full."""
    return (full if check_tier(tier) in ("full", "small") else pocket)(split, seed=seed)


def pocket(split: str, count: int | None = None, seed: int = 0) -> list[Prompt]:
    """Prompts from the pocket world, English and Arabic in turn, all different; the same seed gives the same list.

    ``gold``: questions about facts that training may ask, requests to tell about a subject (``pocket/instruct.py``
    settles which; the reference states facts of split train alone), word problems, pronouns, translation, conversion to
    dialect and banking rules. ``distill``: the same kinds about facts that nobody asks in training, other subjects and
    other combinations, without references. ``evaluation``: the test items of the pocket benchmarks. ``count`` takes the
    first so many.
    Raises UserError for an unknown split or a count that is not there.
    """
    check(split)
    if split == "evaluation":
        sides = [[prompt for prompt in _items() if prompt.language == language] for language in LANGUAGES]
    else:
        sides = [_language(split, language, seed) for language in LANGUAGES]
    found = [prompt for prompt in chain.from_iterable(zip_longest(*sides)) if prompt]
    if count is not None and not 0 < count <= len(found):
        raise UserError(f"the {split} split has {len(found)} prompts, not {count}: ask for 1 to {len(found)}")
    return found[:count]


def full(split: str, seed: int = 0, evaluation: Mapping[str, Iterable[str]] | None = None) -> list[Prompt]:
    """Prompts of the full tier; counts as in ``data/reported/table_04_kd_corpus.csv``, filters in ``sources.FILTERS``.

    ``gold`` and ``distill`` are disjoint draws of 2,428 sentence pairs of opus-100 ar-en as translation requests, 2,499
    instructions of alpaca and 10,000 of the banking corpus. Candidates that overlap a text of ``evaluation`` (by
    benchmark name; default :func:`evaluation_texts`) by the 13-gram rule are passed over, so that the check before
    training finds none. The split ``evaluation`` is every evaluation text.
    Raises UserError for an unknown split, or a data set that cannot be loaded or is too small.
    """
    from llmini.train import sources

    if check(split) == "evaluation":
        texts = evaluation_texts("full")
        return [Prompt(f"evaluation/{name}/{i}", language_of(text), name, text)
                for name, part in texts.items() for i, text in enumerate(part)]  # fmt: skip
    return sources.selection(split, seed, evaluation_texts("full") if evaluation is None else evaluation)[0]


def check(split: str) -> str:
    """Return ``split``, or raise UserError when it is none of :data:`SPLITS`."""
    if split not in SPLITS:
        raise UserError(f"unknown split {split!r} of the prompts: choose one of {', '.join(SPLITS)}")
    return split


def language_of(text: str) -> str:
    """``ar`` for a text with more Arabic letters than others, else ``en``."""
    letters = [letter for letter in text if letter.isalpha()]
    return "ar" if 2 * sum("\u0600" <= letter <= "\u06ff" for letter in letters) > len(letters) else "en"


def _items() -> list[Prompt]:
    from llmini.pocket.tasks import ARABIC, ENGLISH

    found = []
    for task in (*ENGLISH, *ARABIC):
        for line in data("pocket", "tasks", f"{task}.jsonl").read_text(encoding="utf8").splitlines():
            row = json.loads(line)
            answer = row["choices"][row["gold"]] if "choices" in row else row["answer"]
            language = "ar" if task in ARABIC else "en"
            found.append(Prompt(f"evaluation/{row['id']}", language, task, row["query"], answer))
    return found


def _language(split: str, language: str, seed: int) -> list[Prompt]:
    """A language's prompts of a training split, shuffled."""
    seen: set[tuple[str, ...]] = set()
    found: list[Prompt] = []
    for kind, quota in {**QUOTAS[language], "banking": PER_LANGUAGE}.items():
        rng = random.Random(f"prompts/{split}/{language}/{kind}/{seed}")
        drawn = _KINDS[kind](rng, WORLD[split], language)
        for key, text, answer in islice(_new(drawn, seen), min(quota, PER_LANGUAGE - len(found))):
            name = f"{split}/{kind}/{language}/{key}/{len(found)}"
            found.append(Prompt(name, language, kind, text, answer if split == "gold" else None))
    random.Random(f"prompts/{split}/{language}/{seed}").shuffle(found)
    return found


def _new(drawn: Iterator[tuple[str, str, str]], seen: set) -> Iterator[tuple[str, str, str]]:
    """Draws whose text is new to ``seen``, until they end or :data:`TRIES` in a row bring nothing."""
    vain = 0
    for draw in drawn:
        key = tuple(words(draw[1]))
        vain = vain + 1 if key in seen else 0
        if vain > TRIES:
            return
        if not vain:
            seen.add(key)
            yield draw


def _own(split: str, *key: str) -> bool:
    """Whether a combination of the world's split train belongs to this side: each side has half of them, by hash.

    The world's own split distill holds a twentieth of the combinations: a student fed on those alone learns them by
    heart and gets worse on all others.
    """
    from llmini.pocket.facts import unit

    return (unit("prompts", *key) < 0.5) == (split == "train")


# Each kind yields (key, question, answer) of a world split in one language; generated kinds never end.
def _facts(rng: random.Random, split: str, language: str) -> Iterator[tuple[str, str, str]]:
    from llmini.pocket.facts import facts
    from llmini.pocket.world import questions

    side = LANGUAGES.index(language)
    asked = [(fact, text) for fact in facts() if fact.split == split for text in questions(fact, language)]
    rng.shuffle(asked)
    for fact, text in asked:
        yield fact.id, text, fact.value[side]


def _subjects(rng: random.Random, split: str, language: str) -> Iterator[tuple[str, str, str]]:
    from llmini.pocket.instruct import ask, subjects
    from llmini.pocket.world import templates

    groups = subjects(split == "train")
    rng.shuffle(groups)
    for group in groups:
        answer = ""
        if split == "train":  # two or three statements, one fact in two wordings if there is no other
            known: list[Fact] = [fact for fact in group if fact.split == "train"]
            if not known:
                continue
            chosen = rng.sample(known, min(len(known), rng.choice((2, 3))))
            wordings = rng.sample(templates(chosen[0], language), 2 if len(chosen) == 1 else 1)
            said = [chosen[0].text(wording, language) for wording in wordings]
            said += [fact.text(rng.choice(templates(fact, language)), language) for fact in chosen[1:]]
            answer = " ".join(said)
        yield group[0].id, ask(group[0], language), answer


def _translations(rng: random.Random, split: str, language: str) -> Iterator[tuple[str, str, str]]:
    from llmini.pocket.facts import facts
    from llmini.pocket.world import templates

    said = [
        (fact, english, arabic)
        for fact in facts() if fact.weights[0] and (fact.split == split or fact.split == "train")
        if fact.split == "distill" or _own(split, fact.id)
        for english, arabic in zip(templates(fact, "en"), templates(fact, "ar"), strict=True)
    ]  # fmt: skip
    rng.shuffle(said)
    for fact, *pair in said:
        english, arabic = fact.text(pair[0], "en"), fact.text(pair[1], "ar")
        yield (fact.id, f"Translate into Arabic: {english}", arabic) if language == "en" else (
            fact.id, f"ترجم إلى الإنجليزية: {arabic}", english)  # fmt: skip


def _dialect(rng: random.Random, split: str, language: str) -> Iterator[tuple[str, str, str]]:
    from llmini.pocket.passages import dialect

    while True:
        msa, *others = dialect(rng, "train")
        if not _own(split, msa):
            continue
        number = rng.randrange(2)
        yield msa, f"حول إلى اللهجة {('الخليجية', 'البحرينية')[number]}: {msa}", others[number]


def _passages(kind: str) -> Callable[[random.Random, str, str], Iterator[tuple[str, str, str]]]:
    def drawn(rng: random.Random, split: str, language: str) -> Iterator[tuple[str, str, str]]:
        from llmini.pocket import passages

        side = LANGUAGES.index(language)
        while True:
            item = getattr(passages, kind)(rng, "train")
            if not _own(split, item.key):
                continue
            yield item.key, f"{item.context[side]} {item.question[side]}".strip(), item.answer[side]

    return drawn


_KINDS = {"fact": _facts, "subject": _subjects, "translation": _translations, "dialect": _dialect} | {
    kind: _passages(kind) for kind in ("problem", "pronoun", "banking")
}
