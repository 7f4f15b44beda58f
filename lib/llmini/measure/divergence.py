"""How far a compressed model has moved from its dense self: KL of its predictions, flipped answers, gold NLL."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini.settings import UserError

if TYPE_CHECKING:
    import pandas
    import torch

BATCH_TOKENS = 4096  # tokens forwarded at once


@dataclass(frozen=True)
class Reference:
    """A dense model's predictions over token ids, small enough to keep while the compressed model is in memory.

    ``ids`` (windows, length); ``hidden`` (windows, length, width), the last hidden states in the model's own dtype (its
    logits where it cannot be taken apart); ``head`` (vocabulary, width) and ``bias`` turn them into logits, exactly.
    """

    ids: torch.Tensor
    hidden: torch.Tensor
    head: torch.Tensor | None = None
    bias: torch.Tensor | None = None

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """fp32 logits of rows of ``hidden``."""
        import torch.nn.functional as F

        if self.head is None:
            return hidden.float()
        bias = None if self.bias is None else self.bias.to(hidden.device)
        return F.linear(hidden, self.head.to(hidden.device), bias).float()


def reference(dense: Any, ids: torch.Tensor) -> Reference:
    """Run the dense model over ``ids`` (windows, length) and keep its predictions on the CPU."""
    import torch

    from llmini.measure.logits import Split

    ids = check_ids(ids)
    split = Split(dense)
    with torch.no_grad():
        hidden = torch.cat([split.hidden(part).cpu() for part in batches(ids)])
    if split.whole:
        return Reference(ids, hidden)
    bias = getattr(split.head, "bias", None)  # copies: the model may be compressed in place afterwards
    head, bias = (None if part is None else part.detach().cpu().clone() for part in (split.head.weight, bias))
    return Reference(ids, hidden, head, bias)


def kl_to_dense(dense: Any, model: Any, ids: torch.Tensor | None = None) -> dict[str, Any]:
    """KL(dense ‖ model) of next-token distributions in nats, averaged over every position of every window.

    ``dense``: a :class:`Reference`, which brings its own ids, or a model, with ``ids`` (windows, length). Softmax and
    sum are in fp32. Returns mean, stderr (over windows, whose tokens are correlated; None for one window), n (tokens)
    and top1, the share of positions where both rank the same token first. Raises UserError when vocabularies differ.
    """
    import torch

    from llmini.measure.logits import Split

    known = dense if isinstance(dense, Reference) else reference(dense, ids)
    if ids is not None and not torch.equal(check_ids(ids), known.ids):
        raise UserError("the reference was taken over other token ids: take it again over these")
    split = Split(model)
    size = known.hidden.shape[-1] if known.head is None else known.head.shape[0]
    if size != split.vocabulary:
        raise UserError(f"vocabularies of {size} and {split.vocabulary} tokens have no KL: compare within one model")
    means, agree, start = [], 0, 0
    head = known.head if known.head is None else known.head.to(split.device)
    known = Reference(known.ids, known.hidden, head, known.bias)
    with torch.no_grad():
        for part in batches(known.ids):
            ours = split.hidden(part).flatten(0, 1)
            theirs = known.hidden[start : start + len(part)].flatten(0, 1).to(ours.device)
            kl = torch.empty(len(ours), dtype=torch.float64)
            for row in range(0, len(ours), split.rows):
                rows = slice(row, row + split.rows)
                p, q = known.logits(theirs[rows]), split.logits(ours[rows])
                agree += int((p.argmax(1) == q.argmax(1)).sum())
                p, q = p.log_softmax(1), q.log_softmax(1)
                kl[rows] = (p.exp() * (p - q)).sum(1).double().cpu()
            means += kl.view(len(part), -1).mean(1).tolist()
            start += len(part)
    mean, spread = spread_of(means)
    return {"mean": mean, "stderr": spread, "n": known.ids.numel(), "top1": agree / known.ids.numel()}


def save(references: dict[str, Reference], path: str | Path) -> None:
    """Write references, by text name, to one safetensors file; output embeddings that they share are written once."""
    from safetensors.torch import save_file

    tensors, heads = {}, {}
    for name, known in references.items():
        tensors |= {f"{name}.ids": known.ids, f"{name}.hidden": known.hidden}
        for part in ("head", "bias"):
            tensor = getattr(known, part)
            if tensor is not None and heads.setdefault(part, tensor) is not tensor and not tensor.equal(heads[part]):
                raise ValueError("references of different models do not belong in one file")
    tensors |= heads
    save_file({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, path)


def load(path: str | Path) -> dict[str, Reference]:
    """References written by :func:`save`. Raises UserError when the file is not one."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
        names = [name.removesuffix(".ids") for name in tensors if name.endswith(".ids")]
        head, bias = tensors.get("head"), tensors.get("bias")
        return {name: Reference(tensors[f"{name}.ids"], tensors[f"{name}.hidden"], head, bias) for name in names}
    except (SafetensorError, KeyError, OSError) as fault:
        raise UserError(f"{path} holds no reference predictions ({fault}): delete it and run again") from fault


def flip_rate(dense_items: pandas.DataFrame, items: pandas.DataFrame) -> dict[str, Any]:
    """Share of questions whose chosen option changed, right or wrong alike (generative tasks, without options, apart).

    Returns flip_rate, its stderr, n, and the shares correct_to_wrong and wrong_to_correct: accuracy changes by their
    difference, so many flips can hide behind an equal score. Source: Dutta et al. (2024), "Accuracy is Not All You
    Need". Raises UserError when the two tables do not hold the same questions.
    """
    keys = ["benchmark", "task", "item_id"]
    both = dense_items.merge(items, on=keys, how="outer", suffixes=("_dense", ""), indicator=True, validate="1:1")
    strangers = both[both["_merge"] != "both"]
    if len(strangers):
        name = "/".join(map(str, strangers.iloc[0][keys]))
        raise UserError(f"question {name} was put to one of the two models only: evaluate both on the same items")
    both = both[both["choice"].notna() & both["choice_dense"].notna()]
    if both.empty:
        raise UserError("no question with options to choose from: flips are undefined")
    flips = (both["choice"] != both["choice_dense"]).astype(float)
    mean, spread = spread_of(flips)
    was, now = both["correct_dense"].astype(bool), both["correct"].astype(bool)
    return {"flip_rate": mean, "stderr": spread, "n": len(both), "correct_to_wrong": float((was & ~now).mean()),
            "wrong_to_correct": float((~was & now).mean())}  # fmt: skip


def gold_nll(items: pandas.DataFrame) -> dict[str, Any]:
    """Mean -log p(right option) in nats over the questions that have one: mean, stderr, n."""
    values = items["gold_nll"].dropna()
    if values.empty:
        raise UserError("no question with a scored right option: gold NLL is undefined")
    mean, spread = spread_of(values)
    return {"mean": mean, "stderr": spread, "n": len(values)}


def spread_of(values: Iterable[float]) -> tuple[float, float | None]:
    """Mean and its standard error (None for a single value)."""
    values = [float(value) for value in values]
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, None
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))


def check_ids(ids: torch.Tensor | None) -> torch.Tensor:
    """Token ids as (windows, length) on the CPU; raises ValueError for another shape."""
    if ids is None or ids.dim() != 2 or not ids.numel():
        raise ValueError("token ids have the shape (windows, length)")
    return ids.cpu()


def batches(ids: torch.Tensor) -> Iterable[torch.Tensor]:
    """Windows in groups of at most :data:`BATCH_TOKENS` tokens."""
    return ids.split(max(1, BATCH_TOKENS // ids.shape[1]))
