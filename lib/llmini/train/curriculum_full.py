"""The full tier's corpora of fine-tuning: those of data/corpora/registry.yaml, and the teacher's answers."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from llmini.settings import UserError
from llmini.train.examples import Example

if TYPE_CHECKING:
    from llmini.train.cache import Cache


def documents(corpus: str, number: int, seed: int, cache: Cache | None = None) -> list[Example]:
    """``number`` documents of a stage's sources, in the shares of curriculum.yaml.

    Raises UserError when a source is missing (it says where to ask) or holds too little.
    """
    found: list[Example] = []
    for source, count in counts(_shares(corpus), number).items():
        if source == "teacher":
            found += taught(count, seed, cache, documents=True)
        else:
            found += registered(source, count, seed, documents=True)
    return found


def instructions(corpus: str, number: int, seed: int, cache: Cache | None = None) -> list[Example]:
    """``number`` instructions with answers: half of the stage's own sources that have them, half general."""
    from llmini.train import corpora

    shares = _shares(corpus)
    own = {name: share for name, share in shares.items() if name == "teacher" or corpora.registry()[name].instructions}
    half = number // 2 if own else 0
    found: list[Example] = []
    for source, count in counts(own, half).items():
        found += (taught(count, seed, cache) if source == "teacher" else registered(source, count, seed))
    return [*found, *general(number - half, seed)]


def counts(shares: dict[str, float], number: int) -> dict[str, int]:
    """``number`` shared out in proportion; the first source takes what rounding leaves."""
    total = sum(shares.values())
    found = {name: int(share / total * number) for name, share in shares.items()}
    for name in list(found)[:1]:
        found[name] += number - sum(found.values())
    return found


def registered(source: str, count: int, seed: int, documents: bool = False) -> list[Example]:
    """``count`` texts of a registered corpus, as documents or as instructions."""
    from llmini.train import corpora

    form = "documents" if documents else "instructions"
    texts = getattr(corpora, form)(source, limit=count, seed=seed) if count else []
    if len(texts) < count:
        raise UserError(f"{source} holds {len(texts)} {form}, {count} are needed: give more of it, or lower its share "
                        "in lib/llmini/train/curriculum.yaml")  # fmt: skip
    return [Example(f"{source}/{text.id}", text.language, text.prompt, text.text) for text in texts]


def taught(count: int, seed: int, cache: Cache | None, documents: bool = False) -> list[Example]:
    """The teacher's answers to distillation prompts; as documents, without what it was asked."""
    from llmini.train import prompts

    if cache is None:
        raise UserError("the Gulf stage learns from the teacher's answers: run notebooks/03_kd/01_teacher.ipynb first")
    asked = {prompt.id: prompt for prompt in prompts.load("full", "distill")}
    answers = [answer for answer in cache.responses if answer.id in asked]
    if len(answers) < count:
        raise UserError(f"the teacher answered {len(answers)} prompts, {count} are needed: let it answer more")
    chosen = random.Random(f"taught/{documents}/{seed}").sample(answers, count)
    return [Example(f"teacher/{answer.id}", asked[answer.id].language, None if documents else asked[answer.id].prompt,
                    answer.text.strip() if documents else tuple(answer.ids)) for answer in chosen]  # fmt: skip


def general(number: int, seed: int) -> list[Example]:
    """General instructions with their references: alpaca, opus-100 and the banking corpus, gold prompts alone."""
    from llmini.train import prompts

    found: list[Example] = []
    asked: dict[str, list[Any]] = {}
    for prompt in prompts.load("full", "gold"):
        asked.setdefault(prompt.source, []).append(prompt)
    for source, count in counts(_settings()["general"], number).items():
        pool = asked.get(source, [])
        if not pool:
            raise UserError(f"no gold prompts of {source}: check lib/llmini/train/curriculum.yaml")
        draw = random.Random(f"general/{source}/{seed}")
        chosen = [prompt for _ in range(-(-count // len(pool))) for prompt in draw.sample(pool, len(pool))][:count]
        found += [Example(f"{source}/{place}/{prompt.id}", prompt.language, prompt.prompt, prompt.reference)
                  for place, prompt in enumerate(chosen)]  # fmt: skip
    return found


def _settings() -> dict[str, Any]:
    from llmini.train import curriculum

    return curriculum.settings("full")


def _shares(corpus: str) -> dict[str, float]:
    return _settings()["stages"][corpus]["sources"]
