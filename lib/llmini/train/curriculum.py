"""What each stage of fine-tuning learns: Arabic foundation, Gulf, Bahrain; documents alone or with instructions.

Source: the study's curriculum (data/reported/curriculum.csv). ``ft_v1`` learns its corpora as plain documents; in
``ft_v2`` instructions with answers are mixed in. The same seed gives the same examples in the same order.
"""

from __future__ import annotations

import functools
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini.settings import BASES, UserError, check_tier
from llmini.train.examples import Example, digest
from llmini.train.recipes import Recipe

if TYPE_CHECKING:
    from llmini.train.cache import Cache

STAGES = ("arabic", "gulf", "bahraini")
VARIANTS = ("ft_v1", "ft_v2")
ORDERS = {"": STAGES, "reversed": STAGES[::-1], "mixed": STAGES}
ADAPTERS = ("full", "lora", "qlora")
REPLAY = 0.1
"""Share of the first stage's examples that the last one sees again."""


@functools.cache
def settings(tier: str) -> dict[str, Any]:
    """The tier's part of curriculum.yaml."""
    import yaml

    text = Path(__file__).with_name("curriculum.yaml").read_text(encoding="utf8")
    return yaml.safe_load(text)[BASES[check_tier(tier)]]


def recipe(tier: str, corpus: str, seed: int = 0, adapter: str = "", **changes: Any) -> Recipe:
    """The recipe of a stage's ``corpus``.

    adapter: ``full`` trains every weight, ``lora`` adapters, ``qlora`` adapters on an NF4 base; default: the tier's.
    Raises UserError for another, and as `Recipe` does.
    """
    told = settings(tier)
    adapter = adapter or told["adapter"]
    if adapter not in ADAPTERS:
        raise UserError(f"unknown adapter {adapter!r}: choose {', '.join(ADAPTERS)}")
    options = {**told["recipe"], **told["stages"][corpus], "seed": seed}
    if adapter != "full":
        options |= told["lora"]
        options["learning_rate"] *= options.pop("rate", 1)
        options["base_bits"] = 4 if adapter == "qlora" else 16
    for name in ("examples", "sources"):
        options.pop(name, None)
    return Recipe("finetune", **{**options, **changes})


def learned(order: str, stage: int) -> tuple[str, ...]:
    """The corpora of a stage (1 to 3); a mixed curriculum has a single stage, 3, of all of them."""
    if order not in ORDERS:
        raise UserError(f"unknown order {order!r}: choose reversed, mixed or none")
    if stage not in (1, 2, 3):
        raise UserError(f"stage {stage} does not exist: choose 1, 2 or 3")
    return STAGES if order == "mixed" else (ORDERS[order][stage - 1],)


def examples(tier: str, variant: str, stage: int, *, seed: int = 0, replay: float = REPLAY, order: str = "",
             cache: Cache | None = None, counts: dict[str, int] | None = None) -> list[Example]:  # fmt: skip
    """The examples of a stage, shuffled.

    replay: share of the first stage's examples that stage 3 sees again, within its own number. cache: the teacher's
    answers, part of the Gulf stage. counts: examples of each corpus, instead of curriculum.yaml's.
    Raises UserError for an unknown variant, order or stage, a replay outside [0, 1], a source that is missing.
    """
    if variant not in VARIANTS:
        raise UserError(f"unknown variant {variant!r} of fine-tuning: choose {' or '.join(VARIANTS)}")
    if not 0 <= replay <= 1:
        raise UserError(f"replay is a share of stage 1, from 0 to 1: not {replay}")
    corpora = learned(order, stage)
    wanted = {name: (counts or {}).get(name, settings(tier)["stages"][name]["examples"]) for name in STAGES}
    found: list[Example] = []
    for name in corpora:
        number = wanted[name]
        if stage == 3 and order != "mixed" and replay:
            first = ORDERS[order][0]
            again = round(replay * wanted[first])
            if again >= number:
                raise UserError(f"a replay of {again} examples leaves no room in stage 3 of {number}: lower replay")
            seen = corpus(tier, first, variant, wanted[first], seed, cache)
            found += random.Random(f"replay/{seed}").sample(seen, again)
            number -= again
        found += corpus(tier, name, variant, number, seed, cache)
    random.Random(f"curriculum/{variant}/{stage}/{order}/{seed}").shuffle(found)
    return found


def corpus(tier: str, name: str, variant: str, number: int, seed: int, cache: Cache | None) -> list[Example]:
    """``number`` examples of one corpus in a variant: documents, and in ``ft_v2`` instructions."""
    if BASES[tier] == "pocket":
        from llmini.train import curriculum_pocket as source
    else:
        from llmini.train import curriculum_full as source
    asked = round(settings(tier)["instructions"] * number) if variant == "ft_v2" else 0
    return [*source.documents(name, number - asked, seed, cache), *source.instructions(name, asked, seed, cache)]


def manifest(found: list[Example]) -> dict[str, Any]:
    """Counts of examples by source, form and language, and the hash of them all in order, for the run's record."""
    from collections import Counter

    return {
        "examples": len(found), "sha256": digest(found),
        "sources": dict(sorted(Counter(example.id.partition("/")[0] for example in found).items())),
        "languages": dict(sorted(Counter(example.language for example in found).items())),
        "instructions": sum(example.prompt is not None for example in found),
    }  # fmt: skip
