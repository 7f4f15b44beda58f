"""Removing the smallest weights of an encoder, one by one: masks for its layers' matrices.

Source: magnitude pruning over all matrices together (Han et al., 2015; for encoders Gordon et al., 2020, section 3). A
zero is stored and multiplied like any weight: neither file nor latency gain by it.
"""

from __future__ import annotations

from typing import Any

from llmini.encoder_layers import layers
from llmini.settings import UserError

MATRICES = ("query", "key", "value", "output", "widen", "narrow")


def matrices(model: Any) -> dict[str, Any]:
    """Parameter name -> weight (outputs, inputs) of every matrix of the layers; embeddings and heads are not pruned."""
    found = {}
    for layer in layers(model):
        for part in MATRICES:
            found[f"{layer.names[part]}.weight"] = layer.parts()[part].weight
    return found


def magnitude(model: Any, sparsity: float) -> dict[str, Any]:
    """Masks (1 keeps, 0 removes) that take the ``sparsity`` share of smallest weights over all matrices together.

    Exactly round(sparsity · weights) are removed; of equal ones the earlier. The model is not changed. Raises UserError
    for a share outside [0, 1).
    """
    import torch

    if not 0 <= sparsity < 1:
        raise UserError(f"a sparsity of {sparsity:g} is no share: give one from 0 to below 1")
    found = matrices(model)
    sizes = torch.cat([weight.detach().abs().flatten() for weight in found.values()])
    keep = torch.ones_like(sizes)
    keep[sizes.argsort(stable=True)[: round(sparsity * len(sizes))]] = 0
    parts = keep.split([weight.numel() for weight in found.values()])
    return {name: part.view_as(weight) for (name, weight), part in zip(found.items(), parts, strict=True)}


def share(model: Any) -> float:
    """Share of exact zeros in the matrices of the layers."""
    found = matrices(model).values()
    return sum(int((weight == 0).sum()) for weight in found) / sum(weight.numel() for weight in found)
