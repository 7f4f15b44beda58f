"""Removing whole attention heads and neurons of an encoder, so that its matrices are really smaller.

What a head or neuron weighs is the L1 norm of all weights that belong to it (Li et al., 2017, section 3.1, for filters;
heads as Michel et al., 2019, without their gradient). ``remove`` cuts the rows and columns out; ``masks`` sets the same
ones to zero, which changes nothing but the values: both models compute the same function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llmini.encoder_layers import Layer, layers
from llmini.settings import UserError


@dataclass(frozen=True)
class Kept:
    """What stays of one layer: places of its heads and of its neurons, in order."""

    heads: list[int]
    neurons: list[int]
    width: int  # of a head


def choose(model: Any, share: float) -> list[Kept]:
    """The heaviest heads and neurons of every layer that stay when ``share`` of each kind is removed.

    At least one of each stays. Raises UserError for a share outside [0, 1).
    """
    if not 0 <= share < 1:
        raise UserError(f"a share of {share:g} cannot be removed: give one from 0 to below 1")
    found = []
    for layer in layers(model):
        width = layer.query.weight.shape[0] // head_count(model, layer)
        found.append(Kept(_heaviest(head_weights(layer, width), share), _heaviest(neuron_weights(layer), share), width))
    return found


def head_count(model: Any, layer: Layer) -> int:
    """Heads that a layer has left: its rows over the width of a head, which never changes."""
    config = model.config
    return layer.query.weight.shape[0] // (config.hidden_size // config.num_attention_heads)


def head_weights(layer: Layer, width: int) -> Any:
    """L1 norm of each head: its rows of query, key and value, and its columns of the output."""
    rows = sum(part.weight.detach().abs().sum(1) for part in (layer.query, layer.key, layer.value))
    return (rows + layer.output.weight.detach().abs().sum(0)).view(-1, width).sum(1)


def neuron_weights(layer: Layer) -> Any:
    """L1 norm of each neuron: its row of the widening matrix and its column of the narrowing one."""
    return layer.widen.weight.detach().abs().sum(1) + layer.narrow.weight.detach().abs().sum(0)


def _heaviest(weights: Any, share: float) -> list[int]:
    count = max(1, len(weights) - round(share * len(weights)))
    return sorted(weights.argsort(descending=True, stable=True)[:count].tolist())


def remove(model: Any, kept: list[Kept]) -> Any:
    """Cut everything else out of the layers, in place: (outputs, inputs) of the matrices shrink. Returns the model."""
    for layer, stays in zip(layers(model), kept, strict=True):
        inside = places(stays)
        for part in (layer.query, layer.key, layer.value):
            _rows(part, inside)
        _columns(layer.output, inside)
        _rows(layer.widen, stays.neurons)
        _columns(layer.narrow, stays.neurons)
    return model


def masks(model: Any, kept: list[Kept]) -> dict[str, Any]:
    """Parameter name -> 0/1 mask that silences everything else; biases of silenced rows are among them."""
    import torch

    found = {}
    for layer, stays in zip(layers(model), kept, strict=True):
        heads = torch.zeros(layer.query.weight.shape[0])
        heads[places(stays)] = 1
        neurons = torch.zeros(layer.widen.weight.shape[0])
        neurons[stays.neurons] = 1
        for part, keep in (("query", heads), ("key", heads), ("value", heads), ("widen", neurons)):
            weight = layer.parts()[part].weight
            found[f"{layer.names[part]}.weight"] = keep[:, None].expand_as(weight).clone()
            found[f"{layer.names[part]}.bias"] = keep.clone()
        for part, keep in (("output", heads), ("narrow", neurons)):
            weight = layer.parts()[part].weight
            found[f"{layer.names[part]}.weight"] = keep[None].expand_as(weight).clone()
    return found


def places(kept: Kept) -> list[int]:
    """Rows of query, key and value that belong to the heads that stay."""
    return [head * kept.width + at for head in kept.heads for at in range(kept.width)]


def _rows(linear: Any, keep: list[int]) -> None:
    import torch

    linear.weight = torch.nn.Parameter(linear.weight.detach()[keep].clone())
    linear.bias = torch.nn.Parameter(linear.bias.detach()[keep].clone())
    linear.out_features = len(keep)


def _columns(linear: Any, keep: list[int]) -> None:
    import torch

    linear.weight = torch.nn.Parameter(linear.weight.detach()[:, keep].clone())
    linear.in_features = len(keep)
