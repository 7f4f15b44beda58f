"""The weights of a checkpoint one tensor at a time: dense values of any format, and GPTQ's own integers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini import validate
from llmini.settings import UserError

if TYPE_CHECKING:
    import numpy

# Where a multimodal checkpoint keeps its language model; a plain one has neither prefix.
TOWERS = (re.compile(r"^model\.language_model\."), re.compile(r"^language_model\.model\."))
# What belongs to no weight of the language model: a vision tower, and rotary frequencies that older files store.
APART = re.compile(r"vision|visual|multi_modal_projector|rotary_emb\.inv_freq$")
PARTS = ("weight_packed", "weight_shape", "weight_scale", "weight_zero_point")
"""What stands in a checkpoint for a quantized ``weight``."""
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
BLOCKS = tuple(2**power for power in range(4, 13))
"""Inputs that may share a scale in MatMulNBits."""


@dataclass(frozen=True)
class Packed:
    """A linear layer's symmetric 4-bit integers as stored: ``nibbles`` (out, in / 2) bytes, the lower half first, each
    an integer plus 8; ``scales`` (out, in / group)."""

    nibbles: numpy.ndarray
    scales: numpy.ndarray

    @property
    def group(self) -> int:
        """Inputs that share a scale."""
        return 2 * self.nibbles.shape[1] // self.scales.shape[1]


class Source:
    """The tensors of a checkpoint folder by the names of its language model; none is in memory before it is asked for.

    Raises UserError for formats that carry more than a browser computes (bitsandbytes, quantized activations), and
    unless the folder holds just the parameters ``names``, in whatever format: what is left over would be left out of
    the export unseen.
    """

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        self.folder, self.names = folder, frozenset(names)
        check_format(folder)
        index = folder / "model.safetensors.index.json"
        files = set(validate.read_json(index)["weight_map"].values()) if index.is_file() else {"model.safetensors"}
        self.places: dict[str, tuple[Path, str]] = {}
        for path in sorted(folder / file for file in files):
            self.places |= {plain(name): (path, name) for name in validate.read_header(path)}
        known = self.names | {f"{name.removesuffix('weight')}{part}" for name in self.names for part in PARTS}
        left = sorted(name for name in self.places if name not in known and not APART.search(name))
        if left and not (left == [HEAD] and self.same(HEAD, EMBEDDING)):
            raise UserError(f"{folder} holds {left[0]}, which its class does not read: save the model again with "
                            "save_pretrained")  # fmt: skip
        if lost := sorted(name for name in self.names if not {name, f"{name}_packed"} & self.places.keys()):
            raise UserError(f"{folder} lacks {lost[0]}: it is no whole model of its class")

    def stored(self, name: str) -> str:
        """The name under which a parameter is stored: tied output embeddings are the input's."""
        return EMBEDDING if name == HEAD and HEAD not in self.names else name

    def has(self, name: str) -> bool:
        """Whether a tensor of the graph is a parameter of the checkpoint."""
        return self.stored(name) in self.names

    def same(self, first: str, second: str) -> bool:
        """Whether two stored tensors are equal."""
        return second in self.places and self.read(first).equal(self.read(second))

    def read(self, name: str) -> Any:
        """A stored tensor. The file is opened for it alone: one left open stays mapped, and counts as memory."""
        from safetensors import safe_open

        path, key = self.places[name]
        with safe_open(path, "pt") as file:
            return file.get_tensor(key)

    def dense(self, name: str) -> numpy.ndarray:
        """A parameter in fp32, dequantized in fp32 if stored in integers. Raises UserError where it is not finite.

        compressed-tensors computes (q - z) s in the type of the scales, which may be bf16; here it is fp32.
        """
        import torch

        name = self.stored(name)
        stem = name.removesuffix(".weight")
        packed = f"{stem}.weight_packed" in self.places
        values = (self.unpacked(stem) if packed else self.read(name)).to(torch.float32, copy=True).contiguous()
        if f"{stem}.weight_scale" in self.places:
            scales = self.read(f"{stem}.weight_scale").float().reshape(-1, 1, 1)
            if scales.numel() > 1:
                scales = self.per_group(stem, scales, values)
            grouped = values.view(scales.shape[0], scales.shape[1], -1)
            grouped.sub_(self.zeros(stem, scales)).mul_(scales)
        if not torch.isfinite(values).all():
            raise UserError(f"{self.folder} holds NaN or infinite weights in {name}: download or train the model again")
        return values.numpy()

    def per_group(self, stem: str, scales: Any, values: Any) -> Any:
        """Scales (out, groups, 1). Raises UserError for blocks that span rows or do not divide a row."""
        groups = scales.numel() // values.shape[0]
        if scales.numel() != groups * values.shape[0] or not groups or values.shape[1] % groups:
            raise UserError(f"{self.folder} quantizes {stem} in blocks that no form here carries: use w4a16 or w8a16")
        return scales.view(values.shape[0], groups, 1)

    def unpacked(self, stem: str) -> Any:
        """Signed integers (out, in) of a packed layer."""
        from compressed_tensors.compressors.pack_quantized import unpack_from_int32

        packed, shape = self.read(f"{stem}.weight_packed"), self.shape(stem)
        return unpack_from_int32(packed, self.bits(stem), shape)

    def shape(self, stem: str) -> tuple[int, int]:
        """(out, in) of a packed layer."""
        out, wide = (int(size) for size in self.read(f"{stem}.weight_shape"))
        return out, wide

    def bits(self, stem: str) -> int:
        """Bits of each integer of a packed layer, 32 of which share as many words as each has bits."""
        packed = self.read(f"{stem}.weight_packed").shape[1]
        return 32 * packed // self.shape(stem)[1]

    def zeros(self, stem: str, scales: Any) -> Any:
        """Zero points in the shape of the scales; 0 where the scheme is symmetric. Packed ones are packed by column."""
        from compressed_tensors.compressors.pack_quantized import unpack_from_int32

        if f"{stem}.weight_zero_point" not in self.places:
            return 0
        zeros = self.read(f"{stem}.weight_zero_point")
        if f"{stem}.weight_packed" in self.places:
            zeros = unpack_from_int32(zeros, self.bits(stem), tuple(scales.shape[:2]), packed_dim=0)
        return zeros.float().reshape(scales.shape)

    def int8(self, name: str) -> tuple[numpy.ndarray, numpy.ndarray] | None:
        """A layer's 8-bit integers (out, in) and scales (out, 1) as stored, or None where it is stored otherwise."""
        import torch

        stem = name.removesuffix(".weight")
        if f"{stem}.weight_scale" not in self.places or f"{stem}.weight_zero_point" in self.places:
            return None
        stored = f"{stem}.weight_packed" not in self.places
        if not stored and self.bits(stem) != 8:
            return None
        values = self.read(name) if stored else self.unpacked(stem)
        scales = self.read(f"{stem}.weight_scale").float()
        if values.dtype != torch.int8 or scales.shape != (values.shape[0], 1):
            return None
        return values.contiguous().numpy(), scales.numpy()

    def packed(self, name: str) -> Packed | None:
        """The 4-bit integers of a layer as GPTQ left them, or None where it is stored otherwise."""
        import torch

        stem = name.removesuffix(".weight")
        if f"{stem}.weight_packed" not in self.places or f"{stem}.weight_zero_point" in self.places:
            return None
        _, wide = self.shape(stem)
        scales = self.read(f"{stem}.weight_scale").float().numpy()
        if self.bits(stem) != 4 or wide / scales.shape[1] not in BLOCKS:
            return None
        nibbles = self.read(f"{stem}.weight_packed").contiguous().view(torch.uint8).numpy()[:, : wide // 2]
        return Packed(nibbles, scales)

    def carries(self) -> int | None:
        """4 or 8 where a layer is stored in integers of so many bits that a form carries as they are, else None."""
        scaled = [name.replace("weight_scale", "weight") for name in self.places if name.endswith(".weight_scale")]
        if any(self.packed(name) is not None for name in scaled):
            return 4
        return 8 if any(self.int8(name) is not None for name in scaled) else None


def plain(name: str) -> str:
    """A tensor's name in the language model alone."""
    for tower in TOWERS:
        if tower.match(name):
            return tower.sub("model.", name)
    return HEAD if name == "language_model.lm_head.weight" else name


def check_format(folder: Path) -> None:
    """Raise UserError for a quantization whose result no form has."""
    config = validate.read_json(folder / "config.json")
    stated = config.get("quantization_config") or config.get("text_config", {}).get("quantization_config") or {}
    method = stated.get("quant_method", "compressed-tensors")
    if method != "compressed-tensors":
        raise UserError(f"{folder} is quantized by {method}, whose formats no browser reads: export the dense model, "
                        "or one quantized to w4a16 or w8a16")  # fmt: skip
    if any(group.get("input_activations") for group in stated.get("config_groups", {}).values()):
        raise UserError(f"{folder} quantizes activations too (w8a8, fp8), which no form here does: export one "
                        "quantized to w4a16 or w8a16")  # fmt: skip
