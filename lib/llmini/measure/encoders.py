"""How good an encoder is: entity F1 as seqeval counts it, accuracy, and how often it answers otherwise than dense."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmini.settings import UserError

if TYPE_CHECKING:
    import numpy

    from llmini.measure.encoders_runtime import Runtime
    from llmini.train.encoders_data import Example

BATCH = 64
RESAMPLES = 1000


@dataclass(frozen=True)
class Answers:
    """What a model says: ``logits`` (positions, classes) of every labelled position, and ``labels``, a name or a list
    of names for each example.
    """

    logits: numpy.ndarray
    labels: list[Any]


def answers(runtime: Runtime, rows: Sequence[dict[str, Any]], labels: Sequence[str], pad: int) -> Answers:
    """Run rows of `encoders_data.rows`, in batches of like length, and name the likeliest label of each position."""
    import numpy

    from llmini.train.encoders_data import IGNORED

    order = sorted(range(len(rows)), key=lambda place: len(rows[place]["input_ids"]))
    logits: list[Any] = [None] * len(rows)
    for start in range(0, len(order), BATCH):
        part = order[start : start + BATCH]
        ids, mask = arrays([rows[place] for place in part], pad)
        out = runtime.run(ids, mask)
        for at, place in enumerate(part):
            wanted = rows[place]["labels"]
            if isinstance(wanted, int):
                logits[place] = out[at][None]
            else:
                logits[place] = out[at, [spot for spot, label in enumerate(wanted) if label != IGNORED]]
    named = [[labels[best] for best in part.argmax(-1)] for part in logits]
    whole = bool(rows) and isinstance(rows[0]["labels"], int)
    return Answers(numpy.concatenate(logits), [one[0] for one in named] if whole else named)


def arrays(rows: Sequence[dict[str, Any]], pad: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """(input_ids, attention_mask) of rows, int64 (batch, longest)."""
    import numpy

    longest = max(len(row["input_ids"]) for row in rows)
    ids = numpy.full((len(rows), longest), pad, dtype=numpy.int64)
    mask = numpy.zeros_like(ids)
    for at, row in enumerate(rows):
        ids[at, : len(row["input_ids"])] = row["input_ids"]
        mask[at, : len(row["attention_mask"])] = row["attention_mask"]
    return ids, mask


def gold(found: Sequence[Example], said: Sequence[Any]) -> list[Any]:
    """The right labels, as far as the model was asked: what was cut off at its longest input counts for nothing."""
    return [one.label if isinstance(one.label, str) else list(one.label[: len(other)])
            for one, other in zip(found, said, strict=True)]  # fmt: skip


def accuracy(right: Sequence[str], said: Sequence[str]) -> dict[str, float]:
    """Share of right answers with its standard error. Raises UserError when nothing was asked."""
    if not right:
        raise UserError("accuracy needs at least one answer")
    value = sum(a == b for a, b in zip(right, said, strict=True)) / len(right)
    return {"value": value, "stderr": (value * (1 - value) / len(right)) ** 0.5, "n": len(right)}


def entity_f1(right: Sequence[Sequence[str]], said: Sequence[Sequence[str]], seed: int = 0) -> dict[str, Any]:
    """Micro F1 over entities in conlleval's lenient reading, which is seqeval's default, and F1 of each kind.

    Returns ``value``, ``stderr`` (bootstrap over sentences), ``n`` (entities in ``right``) and ``kinds``: kind -> (F1,
    its entities). Without any entity on either side F1 is 0, as seqeval has it. Raises UserError for sentences of
    unequal length.
    """
    import numpy

    for place, (a, b) in enumerate(zip(right, said, strict=True)):
        if len(a) != len(b):
            raise UserError(f"sentence {place} has {len(a)} labels and {len(b)} answers")
    kinds = sorted({kind for labels in (*right, *said) for kind, _, _ in spans(labels)})
    counts = numpy.array([[counted(a, b, kind) for kind in kinds] or [(0, 0, 0)]
                          for a, b in zip(right, said, strict=True)])  # fmt: skip
    total = counts.sum((0, 1))
    draws = numpy.random.default_rng(seed).integers(len(counts), size=(RESAMPLES, len(counts)))
    resampled = counts.sum(1)[draws].sum(1)
    return {
        "value": f1(*total),
        "stderr": float(numpy.std([f1(*one) for one in resampled], ddof=1)),
        "n": int(total[0] + total[2]),
        "kinds": {kind: (f1(*one), int(one[0] + one[2])) for kind, one in zip(kinds, counts.sum(0), strict=False)},
    }


def spans(labels: Sequence[str]) -> list[tuple[str, int, int]]:
    """(kind, first, last) of the entities of a sentence, as seqeval reads them."""
    from seqeval.metrics.sequence_labeling import get_entities

    return get_entities(list(labels))


def counted(right: Sequence[str], said: Sequence[str], kind: str) -> tuple[int, int, int]:
    """Entities of a kind that were found, invented and missed in one sentence."""
    a = {span for span in spans(right) if span[0] == kind}
    b = {span for span in spans(said) if span[0] == kind}
    return len(a & b), len(b - a), len(a - b)


def f1(found: float, invented: float, missed: float) -> float:
    """2 TP / (2 TP + FP + FN); 0 where there is nothing at all."""
    total = 2 * found + invented + missed
    return float(2 * found / total) if total else 0.0


def flips(mine: numpy.ndarray, dense: numpy.ndarray) -> dict[str, float]:
    """Share of positions whose likeliest label is not the dense model's, from logits (positions, classes)."""
    differ = mine.argmax(-1) != dense.argmax(-1)
    share = float(differ.mean())
    return {"value": share, "stderr": (share * (1 - share) / len(differ)) ** 0.5, "n": len(differ)}


def divergence(mine: numpy.ndarray, dense: numpy.ndarray) -> dict[str, float]:
    """Mean KL(dense ‖ model) over positions, in nats, from logits (positions, classes)."""
    import numpy

    def logs(logits: Any) -> Any:
        shifted = logits.astype(float) - logits.max(-1, keepdims=True)
        return shifted - numpy.log(numpy.exp(shifted).sum(-1, keepdims=True))

    theirs = logs(dense)
    each = (numpy.exp(theirs) * (theirs - logs(mine))).sum(-1)
    return {"value": float(each.mean()), "stderr": float(each.std(ddof=1) / len(each) ** 0.5), "n": len(each)}
