"""How large a model is, in four senses, measured or expected from its shapes.

size_disk: bytes of the safetensors files. size_resident: bytes of all tensors after the first forward pass, which is
where plain transformers unpacks a compressed-tensors checkpoint. size_packed: the smallest honest storage, each matrix
either in full or as a 1-bit mask with its nonzero values, at its bits a weight plus scales, all else in 16 bits.
size_nonzero: the original study's count, nonzero weights times their bytes, with the scales of 4-bit formats and
without those of 8-bit ones; the study's "GB" are GiB of this.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llmini.compress import invariants, layers
from llmini.grid import PRUNE_METHODS
from llmini.settings import UserError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedModel

KEYS = ("size_disk", "size_resident", "size_packed", "size_nonzero")
FLOAT = 2  # bytes of an uncompressed weight: every studied checkpoint ships in 16 bits, whatever dtype runs it


class Matrix(NamedTuple):
    """One decoder Linear layer: weights, those not zero, bits of each, and bytes of scales (real, and as the study)."""

    weights: int
    nonzero: int
    bits: int
    scales: int
    study_scales: int

    def packed(self) -> float:
        """Bytes in full, or as mask and nonzero values where that is less."""
        return min(self.weights * self.bits, self.weights + self.nonzero * self.bits) / 8 + self.scales

    def study(self) -> float:
        """Bytes of the nonzero weights as the study counts them."""
        return self.nonzero * self.bits / 8 + self.study_scales


def sizes(model: PreTrainedModel, folder: str | Path) -> dict[str, int]:
    """The four sizes, in bytes, of a model and of the folder it was saved to; runs one forward pass of two tokens.

    Zeros of a quantized matrix count in size_nonzero only where the model was pruned before: rounding makes zeros too.
    Raises UserError when the folder holds no safetensors file.
    """
    import torch

    files = list(Path(folder).glob("*.safetensors"))
    if not files:
        raise UserError(f"{folder} holds no safetensors file: save the model there first")
    with torch.no_grad():
        model(input_ids=torch.zeros(1, 2, dtype=torch.long, device=model.device))
    linears = layers.decoder_linears(model)
    # From the config, since bitsandbytes unpacks the second quantization at the first forward pass on a CPU.
    nested = getattr(getattr(model.config, "quantization_config", None), "bnb_4bit_use_double_quant", False)
    matrices = [measure(module, hasattr(model, "llmini_pruned"), nested) for module in linears.values()]
    inside = {id(p) for module in linears.values() for p in module.parameters(recurse=False)}
    others = [p for p in model.parameters() if id(p) not in inside]  # parameters() gives tied ones once
    others += [module.bias for module in linears.values() if module.bias is not None]
    return whole({
        "size_disk": sum(file.stat().st_size for file in files),
        "size_resident": resident(model),
        "size_packed": sum(m.packed() for m in matrices) + FLOAT * sum(p.numel() for p in others),
        "size_nonzero": sum(m.study() for m in matrices) + FLOAT * sum(int(p.count_nonzero()) for p in others),
    })  # fmt: skip


def expected(
    config: PretrainedConfig, method: str = "dense", *, prune: str | None = None, sparsity: float = 0.5,
    group_size: int = 128,
) -> dict[str, int]:  # fmt: skip
    """The four sizes, in bytes, from the shapes of a config; no weights are made.

    method: "dense", a quantization method, or a pruning method; prune: a pruning method that ran before quantization.
    Raises UserError for an unknown method or a config that no causal language model has.
    """
    import torch
    from transformers import AutoModelForCausalLM

    if method in PRUNE_METHODS:
        method, prune = "dense", method
    if prune is not None and prune not in PRUNE_METHODS:
        raise UserError(f"unknown pruning method {prune!r}: choose one of {', '.join(PRUNE_METHODS)}")
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except ValueError as fault:
        raise UserError(f"{type(config).__name__} belongs to no causal language model") from fault
    keep = 1 - sparsity if prune else 1
    linears = layers.decoder_linears(model)
    matrices = [expect(m.out_features, m.in_features, method, keep, group_size) for m in linears.values()]
    everything = sum(p.numel() for p in model.parameters())
    rest = FLOAT * (everything - sum(m.weights for m in matrices))
    on_disk = sum(m.weights * m.bits / 8 + m.scales for m in matrices) + rest
    unpacked = FLOAT * everything + sum(m.scales for m in matrices)
    return whole({
        "size_disk": on_disk,  # no format in use here stores zeros more briefly
        "size_resident": on_disk if method in ("dense", "int8", "int4", "int4_fp4") else unpacked,
        "size_packed": sum(m.packed() for m in matrices) + rest,
        "size_nonzero": sum(m.study() for m in matrices) + rest,
    })  # fmt: skip


def expect(rows: int, columns: int, method: str, keep: float, group_size: int) -> Matrix:
    """A matrix of this shape in the format of ``method``, with the share ``keep`` of its weights not zero."""
    weights = rows * columns
    bits, scales, study = {
        "dense": lambda: (16, 0, 0),
        "int8": lambda: (8, 4 * rows, 0),
        "w8a8": lambda: (8, FLOAT * rows, 0),
        "w8a16": lambda: (8, FLOAT * rows, 0),
        "fp8": lambda: (8, FLOAT * rows, 0),
        **dict.fromkeys(("w4a16", "w4a16_rtn", "w4a16_awq"), lambda: grouped(weights, group_size)),
        "int4": lambda: blocked(weights, nested=True),
        "int4_fp4": lambda: blocked(weights, nested=False),
    }.get(method, lambda: (0, 0, 0))()
    if not bits:
        raise UserError(f"unknown method {method!r}: no size is known for it")
    return Matrix(weights, round(weights * keep), bits, scales, study)


def grouped(weights: int, group_size: int) -> tuple[int, int, int]:
    """Bits, bytes of scales, and the study's, of 4-bit weights with a 16-bit scale a group."""
    return 4, FLOAT * weights // group_size, FLOAT * weights // group_size


def blocked(weights: int, nested: bool) -> tuple[int, int, int]:
    """The same of bitsandbytes' 4 bits: an fp32 maximum per 64 weights, or a byte each and an fp32 per 256 of those."""
    blocks = -(-weights // 64)
    scales = blocks + 4 * -(-blocks // 256) if nested else 4 * blocks
    return 4, scales, scales


def measure(module: nn.Module, pruned: bool, nested: bool) -> Matrix:
    """A decoder Linear layer as it is in memory."""
    rows, weights = module.out_features, module.out_features * module.in_features
    bits = layers.bits(module)
    nonzero = int(invariants.dequantized(module).count_nonzero()) if pruned or bits is None else weights
    if bits is None:
        return Matrix(weights, nonzero, 16, 0, 0)
    kind = type(module).__name__
    if kind == "Linear4bit":
        return Matrix(weights, nonzero, *blocked(weights, nested))
    if kind == "Linear8bitLt":
        return Matrix(weights, nonzero, 8, 4 * rows, 0)
    group = module.quantization_scheme.weights.group_size
    bytes_ = FLOAT * weights // group if group else FLOAT * rows
    return Matrix(weights, nonzero, bits, bytes_, bytes_ if bits < 8 else 0)


def resident(model: nn.Module) -> int:
    """Bytes of every tensor the model holds, shared storage once, with the scales that bitsandbytes keeps aside."""
    import torch

    storages: dict[int, int] = {}

    def add(thing: Any, depth: int = 0) -> None:
        if isinstance(thing, torch.Tensor):
            storage = thing.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
        if depth < 4 and type(thing).__module__.startswith("bitsandbytes"):
            for value in vars(thing).values():
                add(value, depth + 1)

    for tensor in (*model.parameters(), *model.buffers()):
        add(tensor)
    for module in model.modules():
        if type(module).__name__ == "Linear8bitLt":
            add(module.state)
    return sum(storages.values())


def whole(values: dict[str, float]) -> dict[str, int]:
    """Bytes as integers."""
    return {key: round(value) for key, value in values.items()}
