"""Cross-entropy and distillation loss over hidden states, its gradient computed in the forward pass.

Logits exist for one chunk of tokens at a time and are turned into their own gradient a few rows at once, while these
are in the cache; the products with the head follow chunk by chunk. So nothing is computed twice, and no tensor of the
shape (tokens, vocabulary) is ever made.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from llmini.settings import UserError
from llmini.train import chunks

if TYPE_CHECKING:
    import torch

    from llmini.train.selection import Rule

IGNORED = -100  # label of a token that is not trained on
DIRECTIONS = ("student_teacher", "teacher_student")


class Terms(NamedTuple):
    """A batch's loss and its parts.

    ``loss``: scalar, with its gradient. ``ce``, ``kl``: nats, means over the kept tokens without alpha and T²,
    detached; 0 where nothing was kept (kl also without a teacher). ``kept``: boolean (tokens,), in the labelled tokens'
    order. ``tokens``: how many labels are not -100.
    """

    loss: torch.Tensor
    ce: torch.Tensor
    kl: torch.Tensor
    kept: torch.Tensor
    tokens: int


def distillation_loss(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    labels: torch.Tensor,
    *,
    teacher: tuple[torch.Tensor, torch.Tensor] | None = None,
    alpha: float = 0.5,
    temperature: float = 2.0,
    direction: str = "student_teacher",
    rule: Rule | None = None,
    chunk: int = 256,
    count: float | None = None,
) -> Terms:
    """Sum over the kept tokens of alpha CE + (1 - alpha) T² KL at temperature T, divided by ``count``.

    ``hidden`` (…, d): the student's last hidden states, where hidden[i] predicts labels[i] (the caller shifts);
    ``weight`` (V, d): its head, without bias or rescaling of logits; ``labels`` (…): -100 where nothing is predicted.
    ``teacher``: its hidden states of the same tokens (…, dt), on any device, and its head (Vt, dt); without one the
    loss is CE alone. ``direction``: student_teacher is KL(student ‖ teacher), teacher_student KL(teacher ‖ student).
    Vocabularies of different padding are compared over their first min(V, Vt) tokens; the CE keeps all V.
    ``rule``: see :mod:`llmini.train.selection`; rejected tokens have neither CE nor KL. ``chunk``: tokens whose logits
    exist at once. ``count``: the denominator, by default the number of kept tokens, at least 1.

    Products are taken in the weights' dtype, or in autocast's; all between them in fp32 (fp64 for fp64 weights).
    Gradients reach ``hidden`` and, where it requires one, ``weight``; never the teacher. First derivatives only.
    Sources: Hinton et al. (2015), arXiv 1503.02531, for the loss; the study's table 3 for its weights. Raises UserError
    for an option out of range, a rule without the teacher that it reads and labels outside the vocabulary, ValueError
    for shapes that do not belong together.
    """
    import torch

    check(hidden, weight, labels, teacher, alpha, temperature, direction, rule, chunk, count)
    labels = labels.reshape(-1).to(hidden.device, torch.long)
    rows = (labels != IGNORED).nonzero().squeeze(1)
    labels = labels[rows]
    strange = labels[(labels < 0) | (labels >= len(weight))]
    if len(strange):
        raise UserError(f"label {int(strange[0])} is outside the student's {len(weight)} tokens: check the tokenizer")
    wanted = [torch.is_grad_enabled() and tensor.requires_grad for tensor in (hidden, weight)]
    place = hidden.device.type
    low = torch.get_autocast_dtype(place) if torch.is_autocast_enabled(place) else None
    with torch.no_grad(), torch.autocast(place, enabled=False):
        chunk = max(1, min(chunk, len(rows)))
        student = chunks.Side(hidden, weight, low, chunk)
        other = None if teacher is None else chunks.Side(teacher[0], teacher[1][: len(weight)], low, chunk)
        ce, kl, kept, *gradients = walk(student, other, rows, labels, rule, wanted, (
            1.0 if teacher is None else alpha, temperature, direction == DIRECTIONS[0]))  # fmt: skip
        number = max(1, int(kept.sum()))
        total = ce.sum() if teacher is None else alpha * ce.sum() + (1 - alpha) * temperature**2 * kl.sum()
        scale = 1 / (float(number if count is None else count) or 1.0)
    loss = node().apply(hidden, weight, total * scale, *gradients, scale)
    return Terms(loss, ce.sum() / number, kl.sum() / number, kept, len(rows))


def walk(
    student: chunks.Side, other: chunks.Side | None, rows: Any, labels: Any, rule: Rule | None, wanted: list[bool],
    options: tuple[float, float, bool],
) -> tuple[Any, ...]:  # fmt: skip
    """The labelled ``rows``, chunk by chunk: CE and KL of each kept one, the kept mask, sums of the gradients."""
    import torch

    kept = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
    if rule is not None and not (rule.needs_student or rule.needs_teacher):
        kept, rule = rule.keep(None, None, labels).to(rows.device), None
    elif rule is not None and rule.needs_batch:  # a pass without gradients
        scores = [chunks.score(rule, student, other, rows[span], labels[span])[0]
                  for span in chunks.spans(len(rows), student.chunk)]  # fmt: skip
        kept, rule = rule.choose(torch.cat(scores or [rows.float()])).to(rows.device), None
    dh = torch.zeros_like(student.hidden, memory_format=torch.contiguous_format) if wanted[0] else None
    dw = torch.zeros_like(student.weight, dtype=student.work) if wanted[1] else None
    terms = torch.zeros(2, len(rows), dtype=student.work, device=rows.device)
    step = student.step if other is None else min(student.step, other.step)
    spare = torch.empty(3, step * len(student.weight), dtype=student.work, device=rows.device)
    everything = kept.nonzero().squeeze(1)
    for part in everything.split(student.chunk):
        if not len(part):
            break
        read, pick = [], None  # the sides whose logits the rule has read, and which of the chunk it kept
        if rule is not None:
            scores, read = chunks.score(rule, student, other, rows[part], labels[part])
            kept[part] = rule.choose(scores).to(rows.device)
            pick = kept[part].nonzero().squeeze(1)
            part = part[pick]
        for side in (student, other):
            if side is not None and side in read:
                side.narrow(pick)
            elif side is not None:
                side.load(rows[part])
        for span in chunks.spans(len(part), step):
            z = student.logits(span)
            y = None if other is None else other.logits(span).to(z)
            terms[:, part[span]] = chunks.turn(z, y, labels[part[span]], *options, spare, any(wanted))
            student.put(span, z)
        g = student.buffer[: len(part)]  # now the gradient
        if dh is not None:
            dh.index_copy_(0, rows[part], (g @ student.weight).to(dh.dtype))
        if dw is not None:
            chunks.add_product(dw, g, student.taken)
    return *terms[:, kept], kept, dh, dw


@functools.cache
def node() -> Any:
    """The autograd function that hands out gradients which are known already."""
    import torch
    from torch.autograd.function import once_differentiable

    class Known(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, hidden: Any, weight: Any, loss: Any, dh: Any, dw: Any, scale: float) -> Any:
            ctx.save_for_backward(dh, dw)
            ctx.scale, ctx.like = scale, (hidden.shape, weight.dtype)
            return loss.clone()

        @staticmethod
        @once_differentiable
        def backward(ctx: Any, grad: Any) -> Any:
            # scaled here and not before: in fp16 a loss scale then reaches them before 1 / count makes them vanish
            (dh, dw), (shape, dtype), grad = ctx.saved_tensors, ctx.like, grad * ctx.scale
            return (None if dh is None else (dh * grad).view(shape),
                    None if dw is None else chunks.scaled(dw, grad, dtype), None, None, None, None)  # fmt: skip

    return Known


def check(
    hidden: Any, weight: Any, labels: Any, teacher: Any, alpha: float, temperature: float, direction: str, rule: Any,
    chunk: int, count: Any,
) -> None:  # fmt: skip
    """Raise UserError for options out of range, ValueError for shapes that do not belong together."""
    if not 0 <= alpha <= 1:
        raise UserError(f"alpha is the weight of the cross-entropy, from 0 to 1, not {alpha}")
    if not (temperature > 0 and math.isfinite(temperature)):
        raise UserError(f"the temperature is a number above 0, not {temperature}")
    if direction not in DIRECTIONS:
        raise UserError(f"unknown direction of the KL {direction!r}: choose one of {', '.join(DIRECTIONS)}")
    if chunk < 1:
        raise UserError(f"a chunk has at least 1 token, not {chunk}")
    if count is not None and not count >= 0:
        raise UserError(f"the loss is divided by a count of tokens, not by {count}")
    if rule is not None and rule.needs_teacher and teacher is None:
        name = type(rule).__name__.lower()
        raise UserError(f"the selection rule {name} reads the teacher: give a teacher, or no rule")
    for who, states, head in (("student", hidden, weight), *([("teacher", *teacher)] if teacher is not None else [])):
        if states.shape[:-1].numel() != labels.numel():
            raise ValueError(f"{states.shape[:-1].numel()} hidden states of the {who} for {labels.numel()} labels")
        if head.dim() != 2 or head.shape[1] != states.shape[-1]:
            raise ValueError(f"the {who}'s head {tuple(head.shape)} does not fit states of width {states.shape[-1]}")
