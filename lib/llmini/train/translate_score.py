"""How good translations are: rows and items of their chrF, and the texts that translators see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas
    import torch

    from llmini.records import Record
    from llmini.train.translate_text import Pair

BENCHMARK = "translation"
DIRECTIONS = {"en-ar": "ar", "ar-en": "en"}  # with the language of the translation
WINDOW = 256  # tokens of a window over which predictions are compared


def add(record: Record, pairs: Sequence[Pair], translations: dict[str, Sequence[str]]) -> None:
    """Rows and items of the translations of ``pairs`` in both directions: chrf, exact_match, and chrF by sentence.

    Items: columns of `measure.outcomes`, ``correct`` where the translation is the reference, and ``chrf``.
    """
    from llmini.measure.chrf import chrf

    for direction, target in DIRECTIONS.items():
        references = [pair.side(target) for pair in pairs]
        found = chrf(translations[direction], references)
        where = {"benchmark": BENCHMARK, "task": direction, "language": target, "n": found.n}
        record.add("chrf", found.value, stderr=found.stderr, **where)
        exact = [one == two for one, two in zip(translations[direction], references, strict=True)]
        record.add("exact_match", sum(exact) / len(exact), **where)
        record.provenance["signature"] = found.signature
        record.add_items(frame(pairs, direction, target, exact, found.sentences))


def frame(pairs: Sequence[Pair], direction: str, target: str, exact: list[bool],
          values: list[float]) -> pandas.DataFrame:  # fmt: skip
    """One row a sentence."""
    import pandas

    from llmini.measure.outcomes import COLUMNS

    rows = [{"benchmark": BENCHMARK, "task": direction, "language": target, "item_id": pair.id, "cluster": pair.id,
             "correct": right, "correct_norm": None, "choice": None, "gold_nll": float("nan"), "chrf": value}
            for pair, right, value in zip(pairs, exact, values, strict=True)]  # fmt: skip
    return pandas.DataFrame(rows, columns=[*COLUMNS, "chrf"]).astype({"correct_norm": "boolean", "choice": "Int64"})


def texts(pairs: Sequence[Pair], tokenizer: Any) -> dict[str, torch.Tensor]:
    """Direction -> token ids (windows, :data:`WINDOW`) of its requests with their references, as a chat has them."""
    import torch

    from llmini.train.teacher import prompt_ids, reply_ids
    from llmini.train.translate_text import OTHER, request

    found = {}
    for direction, target in DIRECTIONS.items():
        turns = ((prompt_ids(tokenizer, request(pair.side(OTHER[target]), target)),
                  reply_ids(tokenizer, pair.side(target))) for pair in pairs)  # fmt: skip
        ids = torch.tensor([token for turn in turns for part in turn for token in part])
        width = min(WINDOW, len(ids))
        found[direction] = ids[: len(ids) // width * width].view(-1, width)
    return found
