"""OWL: a sparsity for each layer, lower where its weights times inputs have more outliers (arXiv:2310.05175).

llmcompressor's own ``sparsity_profile="owl"`` fails in the pinned release, so the ratios are computed here and handed
over as one sparsity per layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmini.compress import layers

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


def sparsities(
    model: PreTrainedModel, calibration: Any, sparsity: float, *, multiple: float = 5.0, spread: float = 0.08
) -> list[float]:
    """One sparsity per decoder layer; their mean is ``sparsity``.

    multiple: M of the paper, a score above M times the layer's mean is an outlier. spread: λ, the layers differ by at
    most 2λ (narrowed near 0 and 1, so that every value stays inside). With D the outlier ratios mapped to [0, 2λ],
    layer l gets 1 - (D_l - mean(D) + 1 - sparsity).
    """
    ratios = outlier_ratios(model, calibration, multiple)
    low, high = min(ratios), max(ratios)
    spread = min(spread, 0.49 * sparsity, 0.49 * (1 - sparsity))
    scaled = [2 * spread * (ratio - low) / (high - low) if high > low else 0.0 for ratio in ratios]
    mean = sum(scaled) / len(scaled)
    return [sparsity - (value - mean) for value in scaled]


def outlier_ratios(model: PreTrainedModel, calibration: Any, multiple: float) -> list[float]:
    """Per decoder layer, the share of Wanda scores |W|·‖x‖₂ (eq. 1) above ``multiple`` times the layer's mean."""
    norms = input_norms(model, calibration)
    linears = layers.decoder_linears(model)
    ratios = []
    for stem in layers.decoder_layers(model):
        inside = {name: module for name, module in linears.items() if name.startswith(stem + ".")}
        # Two passes instead of one joined copy of the layer's scores: a 7B layer has 0.2 billion.
        weights = sum(module.weight.numel() for module in inside.values())
        mean = sum(scores(module, norms[name]).sum().item() for name, module in inside.items()) / weights
        above = sum((scores(module, norms[name]) > multiple * mean).sum().item() for name, module in inside.items())
        ratios.append(above / weights)
    return ratios


def scores(module: torch.nn.Linear, norm: torch.Tensor) -> torch.Tensor:
    """Wanda's score of every weight, (out, in), in fp32."""
    return module.weight.detach().float().abs() * norm


def input_norms(model: PreTrainedModel, calibration: Any) -> dict[str, torch.Tensor]:
    """‖x_j‖₂ of every input j of every decoder Linear layer over all calibration tokens, on the dense model.

    Runs as a step of llmcompressor that compresses nothing, so that large models pass through the GPU layer by layer.
    """
    from llmcompressor.modifiers import Modifier

    linears = layers.decoder_linears(model)
    squares: dict[str, torch.Tensor] = {}

    def add(name: str) -> Any:
        def hook(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            x = inputs[0].detach().reshape(-1, inputs[0].shape[-1]).float()
            squares[name] = squares.get(name, 0) + x.square().sum(0)

        return hook

    class InputNorms(Modifier):
        requires_calibration_data: bool = True

        def on_initialize(self, state: Any, **options: Any) -> bool:
            return True

        def on_calibration_start(self, state: Any, event: Any, **options: Any) -> None:
            for name, module in linears.items():
                self.register_hook(module, add(name), "forward_pre")

        def on_calibration_end(self, state: Any, event: Any, **options: Any) -> None:
            self.remove_hooks()

    layers.oneshot(model, [InputNorms()], calibration)
    return {name: value.sqrt().to(linears[name].weight.device) for name, value in squares.items()}
