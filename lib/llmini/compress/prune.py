"""Three ways to set weights of a causal language model to zero, each one call.

Only Linear layers of the decoder are pruned. "N:M" cuts N of every M consecutive inputs of a row, as llmcompressor and
the Wanda and SparseGPT papers' code read it.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

from llmini import settings
from llmini.compress import layers, owl
from llmini.settings import UserError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

METHODS = {
    "sparsegpt": "cut by weight² over the inverse Hessian, and repair the other weights (arXiv:2301.00774)",
    "wanda": "cut by |weight| times the norm of its input, row by row (arXiv:2306.11695)",
    "magnitude": "cut the smallest weights of each matrix: the baseline without calibration",
}
PROFILES = {"owl": "fewer cuts in layers with more outliers (OWL, arXiv:2310.05175)"}


def needs_calibration(method: str, sparsity_profile: str | None = None) -> bool:
    """Whether ``method`` or the profile reads calibration text. Raises UserError for an unknown name."""
    if method not in METHODS:
        raise UserError(f"unknown pruning method {method!r}: choose one of {', '.join(METHODS)}")
    if sparsity_profile is not None and sparsity_profile not in PROFILES:
        raise UserError(f"unknown sparsity profile {sparsity_profile!r}: choose {', '.join(PROFILES)} or leave it out")
    return method != "magnitude" or sparsity_profile is not None


def parse_mask(mask_structure: str | None) -> tuple[int, int]:
    """``"2:4"`` as (2, 4), ``"0:0"`` or None as (0, 0). Raises UserError for anything else."""
    found = re.fullmatch(r"(\d+):(\d+)", mask_structure or "0:0")
    n, m = (int(found[1]), int(found[2])) if found else (-1, -1)
    if (n, m) != (0, 0) and not 0 < n < m:
        raise UserError(f"mask structure {mask_structure!r} is not N:M with 0 < N < M, such as 2:4")
    return n, m


def effective_sparsity(sparsity: float, mask_structure: str | None = None) -> float:
    """The share of weights that will be zero: ``sparsity``, or N/M where a mask structure fixes it."""
    n, m = parse_mask(mask_structure)
    return n / m if m else sparsity


def prune(
    model: PreTrainedModel, method: str, calibration: Any = None, *, sparsity: float = 0.5, mask_structure: str = "0:0",
    sparsity_profile: str | None = None, block_size: int = 128, damping: float = 0.01,
) -> PreTrainedModel:  # fmt: skip
    """Prune ``model`` in place and return it.

    calibration: an `llmini.texts.Calibration` (magnitude needs it for the OWL profile only). sparsity: share of zeros
    in each matrix, inside (0, 1); a mask structure N:M fixes it at N/M. sparsity_profile: "owl" spreads the same mean
    over the layers unevenly. block_size, damping: SparseGPT's columns a block and share of the mean diagonal added to
    the Hessian. The sparsity asked of each layer is kept as ``model.llmini_pruned``.
    Raises UserError for bad arguments, a quantized model, or a silent fallback.
    """
    if needs_calibration(method, sparsity_profile):
        layers.needs(calibration, f"{method} with {sparsity_profile}" if method == "magnitude" else method)
    n, m = check_arguments(model, sparsity, mask_structure, block_size)
    layers.silence()
    count = len(layers.decoder_layers(model))
    if m:
        if sparsity_profile or (sparsity not in (0.5, n / m)):
            warnings.warn(f"mask {n}:{m} fixes every layer at {n / m:.4g}: sparsity and profile ignored", stacklevel=2)
        sparsities = [n / m] * count
    elif sparsity_profile:
        sparsities = owl.sparsities(model, calibration, sparsity)
    else:
        sparsities = [sparsity] * count
    if method == "magnitude":
        magnitude(model, sparsities, n, m)
    elif method == "wanda":
        layers.oneshot(model, [wanda(model, sparsities, n, m)], calibration)
    else:
        layers.oneshot(model, [sparsegpt(model, sparsities, n, m, block_size, damping)], calibration)
    model.llmini_pruned = sparsities
    return model


def check_arguments(model: PreTrainedModel, sparsity: float, mask_structure: str, block_size: int) -> tuple[int, int]:
    """N and M. Raises UserError for a sparsity outside (0, 1), a mask that fits no width, or a quantized model."""
    if layers.is_quantized(model):
        raise UserError("the model is quantized: prune its dense checkpoint, then quantize")
    if not 0 < sparsity < 1:
        raise UserError(f"sparsity must lie between 0 and 1, both excluded, not {sparsity}")
    n, m = parse_mask(mask_structure)
    if m and block_size % m:
        raise UserError(f"mask {n}:{m} does not fit the block size {block_size}: choose a multiple of {m}")
    for name, module in layers.decoder_linears(model).items():
        if m and module.in_features % m:
            raise UserError(f"mask {n}:{m} does not fit {name}: its {module.in_features} inputs are no multiple of {m}")
    return n, m


def lowest(scores: torch.Tensor, sparsity: float, n: int = 0, m: int = 0) -> torch.Tensor:
    """Mask of the lowest scores of each row: N of every M columns, or the share ``sparsity`` of them.

    scores: (rows, columns). Of equal scores the leftmost goes first, so the mask is that of a stable sort; for a share
    of a row a k-th value finds it in a third of the time. Returns booleans of the same shape, True where to cut.
    """
    import torch

    if m:
        groups = scores.reshape(-1, m)
        first = groups.argsort(dim=1, stable=True)[:, :n]
        return torch.zeros_like(groups, dtype=torch.bool).scatter_(1, first, True).reshape(scores.shape)
    count = int(scores.shape[1] * sparsity)
    if count == 0:
        return torch.zeros_like(scores, dtype=torch.bool)
    edge = scores.kthvalue(count, dim=1, keepdim=True).values
    mask = scores <= edge
    tied = mask.sum(1) > count
    if tied.any():
        below, equal = scores[tied] < edge[tied], scores[tied] == edge[tied]
        mask[tied] = below | (equal & (equal.cumsum(1) <= count - below.sum(1, keepdim=True)))
    return mask


def magnitude(model: PreTrainedModel, sparsities: list[float], n: int, m: int) -> None:
    """Cut the smallest |W| of each matrix as a whole (the baseline of the Wanda paper), or N of every M in a row.

    llmcompressor's own MagnitudePruningModifier waits for training steps, so through oneshot it cuts nothing.
    """
    import torch

    for block, sparsity in zip(layers.decoder_layers(model).values(), sparsities, strict=True):
        for module in block.modules():
            if isinstance(module, torch.nn.Linear):
                scores = module.weight.detach().to(settings.device()).abs()
                mask = lowest(scores if m else scores.reshape(1, -1), sparsity, n, m).reshape(scores.shape)
                module.weight.data.masked_fill_(mask.to(module.weight.device), 0)


def wanda(model: PreTrainedModel, sparsities: list[float], n: int, m: int) -> Any:
    """llmcompressor's Wanda with the mask found by a k-th value: its own sorts every row in full."""
    import torch
    from compressed_tensors.utils import align_module_device, update_offload_parameter
    from llmcompressor.modifiers.pruning import WandaPruningModifier

    class Wanda(WandaPruningModifier):
        def compress_modules(self) -> None:
            for module in list(self._num_samples):
                with torch.no_grad(), align_module_device(module):
                    squares = self._row_scalars.pop(module)  # mean of x² per input, so the root is ‖x‖ up to a factor
                    scores = module.weight.float().abs() * squares.sqrt()
                    mask = lowest(scores, self._module_sparsities[module], n, m)
                    update_offload_parameter(module, "weight", module.weight.masked_fill(mask, 0))
                del self._num_samples[module]

    Wanda.__name__ = "WandaPruningModifier"  # the recipe saved beside the model names the method
    return Wanda(sparsity=sparsities, mask_structure=f"{n}:{m}", **where(model))


def sparsegpt(
    model: PreTrainedModel, sparsities: list[float], n: int, m: int, block_size: int, damping: float
) -> Any:
    """llmcompressor's SparseGPT, on the decoder layers."""
    from llmcompressor.modifiers.pruning import SparseGPTModifier

    return SparseGPTModifier(
        sparsity=sparsities, mask_structure=f"{n}:{m}", block_size=block_size, dampening_frac=damping, **where(model)
    )


def where(model: PreTrainedModel) -> dict[str, list[str]]:
    """Targets: the decoder layers by name, so that lm_head and tied embeddings are out of reach."""
    return {"targets": list(layers.decoder_layers(model)), "ignore": layers.IGNORE}
