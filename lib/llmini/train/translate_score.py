"""How good translations are: chrF with its interval and by sentence, and the texts that translators see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy
    import pandas
    import torch

    from llmini.records import Record
    from llmini.train.translate_text import Pair

BENCHMARK = "translation"
DIRECTIONS = {"en-ar": "ar", "ar-en": "en"}  # with the language of the translation
ORDER, BETA = 6, 2  # chrF2: letters up to 6, recall weighs twice: sacrebleu's defaults
DRAWS = 2000
WINDOW = 256  # tokens of a window over which predictions are compared


def chrf(translations: Sequence[str], references: Sequence[str], *, seed: int = 0,
         draws: int = DRAWS) -> dict[str, Any]:  # fmt: skip
    """Corpus chrF2 (0 to 100) by sacrebleu, one reference each, with a 95 % interval.

    The interval resamples sentences (percentile bootstrap over the sums of their n-gram counts). Returns value, low,
    high, stderr, n, signature (sacrebleu's), and sentences, the chrF of each.
    Source: Popović (2015); Efron and Tibshirani (1993), ch. 13. Raises ValueError for unpaired or no sentences.
    """
    import numpy
    from sacrebleu.metrics import CHRF

    if len(translations) != len(references) or not references:
        raise ValueError(f"{len(translations)} translations and {len(references)} references are not paired")
    metric = CHRF(char_order=ORDER, beta=BETA)
    value = metric.corpus_score(list(translations), [list(references)]).score
    counts = numpy.array([ngrams(*pair) for pair in zip(translations, references, strict=True)], dtype=float)
    weights = numpy.random.default_rng(seed).multinomial(len(counts), [1 / len(counts)] * len(counts), size=draws)
    drawn = f_score(weights @ counts)
    low, high = numpy.quantile(drawn, (0.025, 0.975))
    return {"value": float(value), "low": float(low), "high": float(high), "stderr": float(drawn.std(ddof=1)),
            "n": len(counts), "signature": str(metric.get_signature()),
            "sentences": f_score(counts).tolist()}  # fmt: skip


def ngrams(translation: str, reference: str) -> list[int]:
    """Per order 1 to 6: letter n-grams of the translation, of the reference, and in both; white space left out.

    A reference too short for an order takes that order out of the score, as in sacrebleu.
    """
    found = []
    one, two = ("".join(text.split()) for text in (translation, reference))
    for size in range(1, ORDER + 1):
        ours, theirs = (Counter(text[i : i + size] for i in range(len(text) - size + 1)) for text in (one, two))
        found += [ours.total() if theirs else 0, theirs.total(), (ours & theirs).total()]
    return found


def f_score(counts: numpy.ndarray) -> numpy.ndarray:
    """chrF (…,) of n-gram counts (…, 3 x orders): F-beta of precision and recall, each a mean over the orders."""
    import numpy

    ours, theirs, both = (counts[..., place::3] for place in range(3))
    used = (ours > 0) & (theirs > 0)
    orders = numpy.maximum(1, used.sum(-1))
    precision, recall = ((numpy.where(used, both, 0) / numpy.where(used, total, 1)).sum(-1) / orders
                         for total in (ours, theirs))  # fmt: skip
    below = BETA**2 * precision + recall
    return 100 * (1 + BETA**2) * precision * recall / numpy.where(below > 0, below, 1)


def add(record: Record, pairs: Sequence[Pair], translations: dict[str, Sequence[str]]) -> None:
    """Rows and items of the translations of ``pairs`` in both directions: chrf, exact_match, and chrF by sentence.

    Items: columns of `measure.outcomes`, ``correct`` where the translation is the reference, and ``chrf``.
    """
    for direction, target in DIRECTIONS.items():
        references = [pair.side(target) for pair in pairs]
        found = chrf(translations[direction], references)
        where = {"benchmark": BENCHMARK, "task": direction, "language": target, "n": found["n"]}
        record.add("chrf", found["value"], stderr=found["stderr"], **where)
        exact = [one == two for one, two in zip(translations[direction], references, strict=True)]
        record.add("exact_match", sum(exact) / len(exact), **where)
        record.provenance["signature"] = found["signature"]
        record.add_items(frame(pairs, direction, target, exact, found["sentences"]))


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
