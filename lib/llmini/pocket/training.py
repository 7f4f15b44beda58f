"""The training loop of the pocket models: packed windows, bf16 products over fp32 master weights, one epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """What `train` needs to know. Lengths are window lengths in tokens with their shares of the steps."""

    documents: int = 140_000
    review_documents: int = 36_000
    review_rate: float = 0.5
    batch_tokens: int = 4096
    lengths: tuple[tuple[int, float], ...] = ((256, 0.8), (512, 0.2))
    learning_rate: float = 5e-3
    warmup: float = 0.03
    decay: float = 0.5
    floor: float = 0.02
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0
    optimiser: str = "muon"
    muon_rate: float = 0.02
    seed: int = 0
    bf16: bool = True

    def stage(self, name: str) -> Recipe:
        """The recipe of a stage: a review starts at a part of the learning rates and decays almost at once."""
        if name in ("main", "again"):
            return self
        part = self.review_rate
        return replace(self, learning_rate=part * self.learning_rate, muon_rate=part * self.muon_rate, decay=0.9)

    def as_dict(self) -> dict[str, Any]:
        """The recipe for training.json."""
        return asdict(self)


def schedule(recipe: Recipe, progress: float) -> float:
    """Learning-rate factor at `progress` in [0, 1]: linear warm-up, flat, cosine decay to the floor (WSD)."""
    if progress < recipe.warmup:
        return progress / recipe.warmup
    start = 1.0 - recipe.decay
    if progress < start:
        return 1.0
    return recipe.floor + (1 - recipe.floor) * 0.5 * (1 + math.cos(math.pi * (progress - start) / recipe.decay))


def pack(texts: list[str], tokenizer: Any, seed: int) -> Any:
    """One long tensor of token ids: every document ends in `</s>`, three of five begin with `<s>`."""
    import random

    import torch

    rng = random.Random(f"pack/{seed}")
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    ids: list[int] = []
    for start in range(0, len(texts), 5000):
        for row in tokenizer(texts[start : start + 5000], add_special_tokens=False)["input_ids"]:
            ids += [bos, *row, eos] if rng.random() < 0.6 else [*row, eos]
    return torch.tensor(ids, dtype=torch.int32)


def head_loss(hidden: Any, weight: Any, targets: Any) -> Any:
    """Mean cross-entropy of `hidden` (n, d) against `weight` (v, d), gradient computed in the forward pass.

    The softmax is touched once instead of three times, which saves a fifth of a training step at this size.
    """
    import torch

    class HeadLoss(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, h: Any, w: Any, y: Any) -> Any:
            low = torch.bfloat16 if torch.is_autocast_enabled("cpu") else h.dtype
            hl, wl, count = h.to(low), w.to(low), len(y)
            dh, dw, total = torch.empty_like(hl), torch.zeros_like(w), 0.0
            for start in range(0, count, 1024):
                part = slice(start, start + 1024)
                z = (hl[part] @ wl.T).float()
                z -= z.amax(1, keepdim=True)
                gold = z.gather(1, y[part, None])
                z.exp_()
                mass = z.sum(1, keepdim=True)
                total = total + (mass.log() - gold).sum()
                z.div_(mass * count)
                z.scatter_add_(1, y[part, None], torch.full_like(gold, -1.0 / count))
                g = z.to(low)
                dh[part] = g @ wl
                dw += (g.T @ hl[part]).to(dw.dtype)
            ctx.save_for_backward(dh.to(h.dtype), dw)
            return total / count

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            dh, dw = ctx.saved_tensors
            return dh * grad, dw * grad, None

    return HeadLoss.apply(hidden, weight, targets)


def _optimisers(model: Any, recipe: Recipe) -> list[Any]:
    import torch

    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    embeddings = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" in n]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": embeddings, "weight_decay": 0.0}, {"params": vectors, "weight_decay": 0.0}]
    if recipe.optimiser == "adamw":
        groups.append({"params": matrices, "weight_decay": recipe.weight_decay})
    found = [torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=recipe.betas, eps=1e-9, fused=True)]
    if recipe.optimiser == "muon":
        found.append(torch.optim.Muon(matrices, lr=recipe.muon_rate, weight_decay=recipe.weight_decay, ns_steps=4))
    for optimiser in found:
        for group in optimiser.param_groups:
            group["initial_lr"] = group["lr"]
    return found


def windows(ids: Any, recipe: Recipe) -> list[Any]:
    """Batches (rows, length + 1) that pass over the ids once, with the recipe's mix of lengths in a seeded order."""
    import random

    rng = random.Random(f"windows/{recipe.seed}")
    batches, at = [], 0
    lengths, shares = zip(*recipe.lengths, strict=True)
    while True:
        length = rng.choices(lengths, weights=shares)[0]
        rows = recipe.batch_tokens // length
        if at + rows * length + 1 > len(ids):
            return batches
        # every window overlaps the next by one token: its last target is the next window's first input
        batches.append(ids[at : at + rows * length + 1].unfold(0, length + 1, length))
        at += rows * length


def train(
    model: Any, ids: Any, recipe: Recipe, report: Callable[[int, int, float], None] | None = None
) -> dict[str, Any]:
    """Train `model` on the packed `ids` once over. Returns loss curve (step, tokens, loss), tokens and seconds."""

    def loss_of(batch: Any) -> tuple[Any, int]:
        # on a CPU plain attention is the faster one up to 256 tokens
        model.set_attn_implementation("eager" if batch.shape[1] <= 257 else "sdpa")
        batch = batch.long()
        hidden = model.model(batch[:, :-1].contiguous(), use_cache=False).last_hidden_state
        loss = head_loss(hidden.reshape(-1, hidden.shape[-1]), model.lm_head.weight, batch[:, 1:].reshape(-1))
        return loss, batch[:, 1:].numel()

    return fit(model, windows(ids, recipe), loss_of, recipe, report)


def fit(model: Any, batches: list[Any], loss_of: Callable[[Any], tuple[Any, int]], recipe: Recipe,
        report: Callable[[int, int, float], None] | None = None) -> dict[str, Any]:  # fmt: skip
    """The loop itself: a step a batch, ``loss_of`` gives its loss and how many tokens it saw. Returns as `train`."""
    import torch

    optimisers = _optimisers(model, recipe)
    parameters = list(model.parameters())
    curve, recent, seen, began = [], [], 0, time.monotonic()
    model.train()
    for step, batch in enumerate(batches):
        factor = schedule(recipe, (step + 1) / len(batches))
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["initial_lr"] * factor
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.bf16):
            loss, tokens = loss_of(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, recipe.clip, foreach=True)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        seen += tokens
        recent.append(loss.item())
        if (step + 1) % 25 == 0 or step + 1 == len(batches):
            curve.append([step + 1, seen, round(sum(recent) / len(recent), 4)])
            recent = []
        if report:
            report(step + 1, len(batches), recent[-1] if recent else curve[-1][2])
    model.set_attn_implementation("sdpa")
    model.eval()
    return {"loss_curve": curve, "tokens": seen, "seconds": round(time.monotonic() - began, 1), "steps": len(batches)}
