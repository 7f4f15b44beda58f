"""Logits of a chunk of tokens, and what a distillation loss makes of a few rows of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmini.train.selection import Rule

BLOCK = {"cpu": 2**20, "other": 2**24}  # logits worked on at once: on a CPU a handful of such buffers fit its cache
TILE = 2**13  # rows of a head's gradient that are added at once where that takes a copy


class Side:
    """One model's hidden states (n, d) and head (V, d), with one buffer for the logits of a chunk of tokens."""

    def __init__(self, hidden: Any, weight: Any, low: Any, chunk: int) -> None:
        """``low``: the dtype of the products, by default the weight's."""
        import torch

        self.hidden = hidden.detach().reshape(-1, hidden.shape[-1])
        self.weight = weight.detach().to(low or weight.dtype)
        self.work = torch.float64 if self.weight.dtype == torch.float64 else torch.float32
        self.chunk = chunk
        self.step = max(1, min(chunk, BLOCK.get(weight.device.type, BLOCK["other"]) // len(weight)))
        self.buffer = self.weight.new_empty(chunk, len(weight))
        self.taken: Any = None  # the hidden states whose logits the buffer holds
        self.pick: Any = None  # which rows of the buffer are meant, all if None

    def load(self, rows: Any) -> None:
        """Logits of these tokens."""
        import torch

        taken = self.hidden.index_select(0, rows.to(self.hidden.device))
        self.taken, self.pick = taken.to(self.weight.device, self.weight.dtype), None
        torch.mm(self.taken, self.weight.T, out=self.buffer[: len(rows)])

    def narrow(self, pick: Any) -> None:
        """Of the tokens loaded, mean only those at ``pick``, in ascending order."""
        self.pick = pick.to(self.weight.device)
        self.taken = self.taken[self.pick]

    def logits(self, span: slice) -> Any:
        """Logits in the dtype to work in, to be overwritten: rows of the buffer themselves where that is possible."""
        rows = self.buffer[span] if self.pick is None else self.buffer[self.pick[span]]
        return rows.to(self.work)

    def put(self, span: slice, values: Any) -> None:
        """Store what a span's logits were turned into at the span's place among the tokens meant.

        Row i of those meant never lies before row i of the buffer, so nothing is overwritten that is still to be read.
        """
        target = self.buffer[span]
        if target.data_ptr() != values.data_ptr():
            target.copy_(values)


def score(rule: Rule, student: Side, other: Side | None, rows: Any, labels: Any) -> tuple[Any, list[Side]]:
    """A rule's scores of at most a chunk of tokens, and the sides whose logits it read."""
    import torch

    read = [side if needed else None for side, needed in ((student, rule.needs_student), (other, rule.needs_teacher))]
    for side in filter(None, read):
        side.load(rows)
    step = min(side.step for side in filter(None, read))
    found = [rule.score(*(side and side.logits(span) for side in read), labels[span])
             for span in spans(len(rows), step)]  # fmt: skip
    return torch.cat(found), [side for side in read if side]


def turn(
    z: Any, y: Any, labels: Any, alpha: float, temperature: float, reverse: bool, spare: Any, gradient: bool = True
) -> Any:
    """CE and KL, shape (2, r), of student logits ``z`` (r, V) against labels and teacher logits ``y`` (r, Vt <= V).

    Overwrites ``z`` with d(alpha CE + (1 - alpha) T² KL)/dz unless no ``gradient`` is wanted, and ``y`` and ``spare``
    (3, r V) with anything. ``reverse``: KL(student ‖ teacher), else KL(teacher ‖ student). With p and q the softmax of
    z/T and y/T, dKL(p‖q)/dz = p (log p/q - KL(p‖q))/T and dKL(q‖p)/dz = (p - q)/T.
    """
    import torch

    index, factor = labels[:, None], (1 - alpha) * temperature
    gold, top = z.gather(1, index), z.amax(1, keepdim=True)
    if y is None:
        ordinary, kl = torch.softmax(z, 1, out=rows_of(spare[0], z)), torch.zeros_like(gold)
    else:
        shared = z[:, : y.shape[1]]
        a, p, q = (rows_of(part, y) for part in spare)
        b = y.mul_(1 / temperature)
        torch.mul(shared, 1 / temperature, out=a)
        torch.softmax(a, 1, out=p)
        torch.softmax(b, 1, out=q)
        apart = mass(b, q) - mass(a, p)  # log p/q = a - b + apart
        weighted = a.sub_(b).mul_(p if reverse else q)
        mean = weighted.sum(1, keepdim=True)
        kl = mean + apart if reverse else -mean - apart
        ordinary = torch.softmax(z, 1, out=rows_of(spare[2 if reverse else 0], z))
    ce = top - ordinary.amax(1, keepdim=True).log() - gold
    terms = torch.cat((ce, kl), 1).T
    if not gradient:
        return terms
    torch.mul(ordinary, alpha, out=z)
    z.scatter_add_(1, index, torch.full_like(gold, -alpha))
    if y is not None and reverse:
        shared.add_(weighted, alpha=factor).addcmul_(p, mean, value=-factor)
    elif y is not None:
        shared.add_(p, alpha=factor).sub_(q, alpha=factor)
    return terms


def mass(logits: Any, probabilities: Any) -> Any:
    """log Σ exp of rows (r, 1) from their softmax: cheaper than a second exponential of every logit."""
    return logits.amax(1, keepdim=True) - probabilities.amax(1, keepdim=True).log()


def rows_of(flat: Any, like: Any) -> Any:
    """The start of a flat buffer in the shape of ``like``, contiguous."""
    return flat[: like.numel()].view(like.shape)


def add_product(total: Any, gradient: Any, hidden: Any) -> None:
    """``total`` (V, d) += gradientᵀ (V, k) hidden (k, d), the sum over chunks in the dtype of ``total``."""
    if total.dtype == gradient.dtype:
        total.addmm_(gradient.T, hidden)
        return
    for span in spans(len(total), TILE):
        total[span] += gradient[:, span].T @ hidden


def scaled(total: Any, factor: Any, dtype: Any) -> Any:
    """``total`` (V, d) times a number, in ``dtype``, without a second tensor of the dtype of ``total``."""
    import torch

    result = torch.empty_like(total, dtype=dtype)
    for span in spans(len(total), TILE):
        result[span] = total[span] * factor
    return result


def spans(count: int, size: int) -> list[slice]:
    """Slices of at most ``size`` that cover ``count``."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]
