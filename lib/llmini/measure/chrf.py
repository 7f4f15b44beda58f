"""chrF with its interval: sacrebleu gives the score, the sums of its n-gram counts are resampled for the interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmini.settings import UserError

if TYPE_CHECKING:
    import numpy

ORDER, BETA = 6, 2  # chrF2: letters up to 6, recall weighs twice: sacrebleu's defaults
DRAWS = 2000


@dataclass(frozen=True)
class Chrf:
    """chrF of answers, 0 to 100: of the corpus with its 95 % interval and standard error, and of each sentence.

    ``signature``: sacrebleu's, of how it was computed.
    """

    value: float
    low: float
    high: float
    stderr: float
    sentences: list[float]
    signature: str

    @property
    def n(self) -> int:
        """Sentences."""
        return len(self.sentences)


def chrf(answers: Sequence[str], references: Sequence[str], *, seed: int = 0, draws: int = DRAWS) -> Chrf:
    """Corpus chrF2 of answers against one reference each, (items,) both, by sacrebleu.

    The interval resamples sentences: percentile bootstrap over the sums of their n-gram counts, ``draws`` times.
    Source: Popović (2015), "chrF", eq. 1; Koehn (2004), "Statistical significance tests for machine translation
    evaluation". Raises UserError for no items, or unpaired ones.
    """
    import numpy
    from sacrebleu.metrics import CHRF

    if not answers or len(answers) != len(references):
        raise UserError(f"chrF needs one reference an answer: {len(answers)} answers, {len(references)} references")
    metric = CHRF(char_order=ORDER, beta=BETA)
    value = metric.corpus_score(list(answers), [list(references)]).score
    counts = numpy.array([ngrams(*pair) for pair in zip(answers, references, strict=True)], dtype=float)
    weights = numpy.random.default_rng(seed).multinomial(len(counts), [1 / len(counts)] * len(counts), size=draws)
    drawn = f_score(weights @ counts)
    low, high = numpy.quantile(drawn, (0.025, 0.975))
    return Chrf(float(value), float(low), float(high), float(drawn.std(ddof=1)), f_score(counts).tolist(),
                str(metric.get_signature()))  # fmt: skip


def ngrams(answer: str, reference: str) -> list[int]:
    """Per order 1 to 6: letter n-grams of the answer, of the reference, and in both; white space left out.

    A reference too short for an order takes that order out of the score, as in sacrebleu.
    """
    found = []
    one, two = ("".join(text.split()) for text in (answer, reference))
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
