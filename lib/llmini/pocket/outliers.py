"""Activation outliers put into a model without changing what it computes.

Large models carry a few channels with activations far above the rest; models trained for minutes do not, and pruning
and quantization methods that look at activations then have nothing to see. This rescale multiplies a few norm channels
by powers of two and divides the matching input columns of the linears that read them. (The same equivalence as
SmoothQuant, Xiao et al. 2023, eq. 3, used the other way round.)
"""

from __future__ import annotations

from typing import Any


def add_outlier_channels(
    model: Any, seed: int = 0, channels: int = 4, exponents: tuple[int, int] = (3, 5)
) -> list[int]:
    """Scale `channels` hidden channels by 2^k, k from `exponents`, before attention and feed-forward of every layer.

    The channels are the same in all layers, as in large models. Works in place on Llama, Qwen3 and Gemma3 (whose norms
    multiply by 1 + w). Returns the channels. In fp32 logits move by rounding alone.

    Raises:
        UserError: for a model without such norms.
    """
    import torch

    from llmini.settings import UserError

    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(model.config.hidden_size, generator=generator)[:channels]
    powers = torch.randint(exponents[0], exponents[1] + 1, (channels,), generator=generator)
    scale = torch.exp2(powers.float())
    layers = getattr(getattr(model, "model", None), "layers", None)
    if layers is None or not hasattr(layers[0], "input_layernorm"):
        raise UserError(
            f"{type(model).__name__} has no layer norms to rescale: outliers need a Llama, Qwen3 or Gemma3 model"
        )
    with torch.no_grad():
        for layer in layers:
            before_mlp = getattr(layer, "pre_feedforward_layernorm", None)
            one_plus = before_mlp is not None  # Gemma3
            before_mlp = before_mlp if one_plus else layer.post_attention_layernorm
            attention, mlp = layer.self_attn, layer.mlp
            for norm, linears in (
                (layer.input_layernorm, (attention.q_proj, attention.k_proj, attention.v_proj)),
                (before_mlp, (mlp.gate_proj, mlp.up_proj)),
            ):
                factor, where = scale.to(norm.weight.device, norm.weight.dtype), chosen.to(norm.weight.device)
                norm.weight[where] = (1 + norm.weight[where]) * factor - 1 if one_plus else norm.weight[where] * factor
                for linear in linears:
                    linear.weight[:, where] /= factor.to(linear.weight.dtype)
    return chosen.tolist()
