"""What compression must leave alone, checked after every run; a breach stops it and names the module."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmini.compress import layers
from llmini.settings import UserError

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedModel

PROBE = 128  # tokens of the first calibration window on which smoothing is checked
MASK = 0.002  # a share of zeros above this is a pruning mask; trained dense weights hold next to none
# Wanda and N:M cut whole numbers per row or group; SparseGPT adds one weight a block and every dead column.
TOLERANCE = 0.005


class InvariantError(UserError):
    """Compression broke something that it must leave alone; the text names the module."""


@dataclass(frozen=True)
class Snapshot:
    """Taken before compression: hashes of the embeddings, whether they are tied, and the zeros of pruned weights."""

    hashes: dict[str, str]
    tied: bool
    masks: dict[str, torch.Tensor] = field(repr=False)  # module name -> packed bits of its zeros, on the CPU


def is_mask(zeros: torch.Tensor) -> bool:
    """Whether a boolean tensor of zeros is dense enough to be a pruning mask."""
    return bool(zeros.float().mean() > MASK)


def snapshot(model: PreTrainedModel, calibration: Any = None) -> Snapshot:
    """Remember what must not change. ``calibration`` is accepted for symmetry and not read.

    Raises InvariantError when the model holds NaN or infinite weights to begin with.
    """
    finite(model)
    masks = {}
    for name, module in layers.decoder_linears(model).items():
        if module.weight.is_floating_point() and is_mask(zeros := module.weight == 0):
            masks[name] = packed(zeros)
    return Snapshot(hashes(model), tied(model), masks)


def check(
    before: Snapshot, model: PreTrainedModel, *, quant: str | None = None, prune: str | None = None,
    sparsity: float | list[float] | None = None, mask_structure: str | None = None,
) -> None:  # fmt: skip
    """Check a compressed model against its snapshot.

    quant, prune: the methods that ran. sparsity: the share of zeros asked for, one for all or one per decoder layer;
    mask_structure: ``N:M`` as asked (N zeros in every M consecutive inputs), ``0:0`` or None for unstructured.
    Raises InvariantError for: changed embeddings or lm_head, a broken tie, NaN or infinity, a module that should have
    been quantized or pruned and was not (or the reverse), a sparsity off by more than 0.005, a broken N:M group, zeros
    of an earlier mask that came back.
    """
    for name, digest in hashes(model).items():
        if before.hashes.get(name) != digest:
            raise InvariantError(f"{name} changed: compression must leave embeddings and lm_head alone")
    if tied(model) != before.tied:
        raise InvariantError("lm_head is no longer tied to the embeddings" if before.tied else "lm_head became tied")
    finite(model)
    if quant:
        everything_quantized(model)
    if prune:
        right_sparsity(model, sparsity, mask_structure)
    for name, bits in before.masks.items():
        weight = dequantized(model.get_submodule(name))
        if (lost := unpacked(bits, weight.shape) & (weight != 0)).any():
            raise InvariantError(f"{name} lost {int(lost.sum())} of its zeros: the pruning mask was not kept")


def finite(model: nn.Module) -> None:
    """Raise InvariantError for the first parameter with a NaN or an infinity, by name."""
    import torch

    for name, parameter in model.named_parameters():
        # A sum needs no second tensor of the weight's size, and is finite unless an element is not.
        if parameter.is_floating_point() and not parameter.detach().sum(dtype=torch.float32).isfinite():
            raise InvariantError(f"{name} holds NaN or infinite values")


def everything_quantized(model: nn.Module) -> None:
    """Raise InvariantError for a decoder Linear layer that is not quantized, or another module that is."""
    inside = set(layers.decoder_linears(model))
    for name, module in model.named_modules():
        if layers.bits(module) is None and name in inside:
            raise InvariantError(f"{name} was not quantized")
        if layers.bits(module) is not None and name not in inside:
            raise InvariantError(f"{name} was quantized, but is no Linear layer of the decoder")


def right_sparsity(model: nn.Module, sparsity: float | list[float] | None, mask_structure: str | None) -> None:
    """Check every decoder Linear layer's share of zeros, or its N:M groups."""
    zeros_a_group, group = map(int, (mask_structure or "0:0").split(":"))
    blocks = list(layers.decoder_layers(model))
    profile = getattr(model, "llmini_pruned", None)  # OWL asks each layer for its own share around the mean
    if isinstance(sparsity, float) and profile and abs(sum(profile) / len(profile) - sparsity) < 1e-6:
        sparsity = profile
    for name, module in layers.decoder_linears(model).items():
        zeros = dequantized(module) == 0
        if group:
            least = zeros.reshape(zeros.shape[0], -1, group).sum(-1).min()
            if least < zeros_a_group:
                raise InvariantError(f"{name} has a group of {group} with {int(least)} zeros, not {zeros_a_group}")
            continue
        if sparsity is None:
            continue
        block = next(i for i, stem in enumerate(blocks) if name.startswith(stem + "."))
        asked = sparsity[block] if isinstance(sparsity, (list, tuple)) else sparsity
        share = zeros.float().mean().item()
        # Quantization rounds small weights to zero as well, so there the share may only be larger.
        if share < asked - TOLERANCE or (layers.bits(module) is None and share > asked + TOLERANCE):
            raise InvariantError(f"{name} has {share:.4f} zeros where {asked:.4f} was asked for")


def identity_modifier(model: PreTrainedModel, calibration: Any) -> Any:
    """An llmcompressor step that compares the model with its outputs of now: put it behind a smoothing step.

    Tolerances on the logits of the first calibration tokens: 1e-4 in fp32 (absolute, or relative to their largest
    magnitude when that is above 1); in 16 bits, where dividing and multiplying a weight rounds it twice, 0.2 of
    their root mean square. Raises InvariantError naming the first decoder layer whose output changed.
    """
    from llmcompressor.modifiers import Modifier
    from llmcompressor.utils.helpers import DisableQuantization

    ids = calibration.ids[:1, :PROBE]
    before = outputs(model, ids)

    class CheckIdentity(Modifier):
        def on_initialize(self, state: Any, **options: Any) -> bool:
            return True

        def on_calibration_start(self, state: Any, event: Any, **options: Any) -> None:
            with DisableQuantization(state.model):
                same_outputs(before, outputs(state.model, ids))

    return CheckIdentity()


def outputs(model: PreTrainedModel, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """Output of every decoder layer, (tokens, d), then the logits, (tokens, vocabulary), in fp32 on the CPU."""
    import torch
    from compressed_tensors.utils import get_execution_device

    found: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            found[name] = (output[0] if isinstance(output, tuple) else output).detach().float().cpu()

        return hook

    handles = [block.register_forward_hook(keep(name)) for name, block in layers.decoder_layers(model).items()]
    # Where the embeddings compute, not where they rest: llmcompressor keeps large models in main memory.
    device = get_execution_device(model.get_input_embeddings())
    try:
        with torch.no_grad():
            logits = model(input_ids=ids.to(device), use_cache=False).logits
    finally:
        for handle in handles:
            handle.remove()
    return {**found, "logits": logits.float().cpu(), "dtype": torch.tensor([], dtype=model.dtype)}


def same_outputs(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> None:
    """Raise InvariantError naming the first output that differs by more than the tolerance of `identity_modifier`."""
    import torch

    single = before["dtype"].dtype == torch.float32

    def excess(name: str) -> float:
        a, b = before[name], after[name]
        if single:
            return ((a - b).abs().max() / a.abs().max().clamp_min(1.0) / 1e-4).item()
        return ((a - b).square().mean().sqrt() / a.square().mean().sqrt() / 0.2).item()

    if not excess("logits") <= 1:  # a NaN fails too
        first = next((name for name in before if name not in ("logits", "dtype") and not excess(name) <= 1), "lm_head")
        change = (before["logits"] - after["logits"]).abs().max().item()
        raise InvariantError(f"{first}: smoothing alone changed the logits by {change:.2g}; it must be an identity")


def hashes(model: PreTrainedModel) -> dict[str, str]:
    """SHA-256 of the embeddings and of lm_head (when it is a tensor of its own), by name."""
    parts = {"embeddings": model.get_input_embeddings()}
    if model.get_output_embeddings() is not None and not tied(model):
        parts["lm_head"] = model.get_output_embeddings()
    return {name: digest(module.weight) for name, module in parts.items()}


def digest(tensor: torch.Tensor) -> str:
    """SHA-256 of a tensor's bytes."""
    import torch

    return hashlib.sha256(tensor.detach().cpu().contiguous().view(torch.uint8).numpy()).hexdigest()


def tied(model: PreTrainedModel) -> bool:
    """Whether lm_head and the embeddings are one tensor."""
    head = model.get_output_embeddings()
    return head is not None and head.weight.data_ptr() == model.get_input_embeddings().weight.data_ptr()


def dequantized(module: nn.Module) -> torch.Tensor:
    """The weight (out, in) as numbers, on the CPU, whatever the module's format."""
    import torch

    weight = module.weight.detach()
    if type(module).__name__ == "Linear4bit":
        import bitsandbytes.functional

        module.state_dict()  # undoes the layout that the CPU's first forward pass leaves
        weight = bitsandbytes.functional.dequantize_4bit(module.weight.data, module.weight.quant_state)
    fp8 = weight.is_floating_point() and weight.dtype.itemsize == 1  # torch compares no fp8 numbers
    return weight.to("cpu", torch.float32 if fp8 else weight.dtype)


def packed(mask: torch.Tensor) -> torch.Tensor:
    """A boolean tensor as bits, eight to a byte, on the CPU."""
    import numpy
    import torch

    return torch.from_numpy(numpy.packbits(mask.cpu().numpy()))


def unpacked(bits: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """The inverse of `packed`."""
    import numpy
    import torch

    return torch.from_numpy(numpy.unpackbits(bits.numpy(), count=numpy.prod(shape)).astype(bool).reshape(shape))
