"""The weights of a checkpoint one tensor at a time: dense values of any format, and GPTQ's own 4-bit integers."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini.settings import UserError

if TYPE_CHECKING:
    import numpy

# Where a multimodal checkpoint keeps its language model; a plain one has neither prefix.
TOWERS = (re.compile(r"^model\.language_model\."), re.compile(r"^language_model\.model\."))


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
    """The tensors of a checkpoint folder by the names of its language model; none is read before it is asked for.

    Raises UserError for a folder without safetensors, or one that bitsandbytes quantized.
    """

    def __init__(self, folder: Path) -> None:
        from safetensors import safe_open

        self.places: dict[str, tuple[Any, str]] = {}
        self.stack = contextlib.ExitStack()
        for path in sorted(folder.glob("*.safetensors")):
            file = self.stack.enter_context(safe_open(path, "pt"))
            self.places |= {plain(name): (file, name) for name in file.keys()}  # noqa: SIM118
        if not self.places:
            raise UserError(f"{folder} holds no safetensors: give a checkpoint folder")
        if any(name.endswith((".SCB", ".quant_state.bitsandbytes__nf4", ".absmax")) for name in self.places):
            raise UserError(f"{folder} was quantized by bitsandbytes, whose formats no browser reads: export the dense "
                            "model, or one quantized to w4a16 or w8a16")  # fmt: skip
        config = json.loads((folder / "config.json").read_text(encoding="utf8"))
        self.groups = (config.get("quantization_config") or {}).get("config_groups", {})

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *fault: object) -> None:
        self.stack.close()

    def read(self, name: str) -> Any:
        """A stored tensor. Raises UserError when there is none."""
        if name not in self.places:
            raise UserError(f"the checkpoint lacks {name}: it is no whole model of its class")
        file, key = self.places[name]
        return file.get_tensor(key)

    def dense(self, name: str) -> numpy.ndarray:
        """A parameter in fp32, dequantized if it is stored so; tied output embeddings are the input's."""
        import torch

        stem = name.removesuffix(".weight")
        if name == "lm_head.weight" and name not in self.places and f"{stem}.weight_packed" not in self.places:
            return self.dense("model.embed_tokens.weight")
        scale = f"{stem}.weight_scale"
        packed = f"{stem}.weight_packed" in self.places
        values = (self.unpacked(stem) if packed else self.read(name)).float()
        if scale in self.places:
            scales = self.read(scale).float()
            zeros = self.zeros(stem, scales.shape)
            wide = values.shape[1] // scales.shape[1] if scales.ndim == 2 else 1
            values = (values - zeros.repeat_interleave(wide, 1)) * scales.repeat_interleave(wide, 1)
        return values.to(torch.float32).contiguous().numpy()

    def unpacked(self, stem: str) -> Any:
        """Signed integers (out, in) of a packed layer."""
        from compressed_tensors.compressors.pack_quantized import unpack_from_int32

        packed, shape = self.read(f"{stem}.weight_packed"), self.read(f"{stem}.weight_shape")
        bits = 32 * packed.shape[1] // int(shape[1])
        return unpack_from_int32(packed, bits, tuple(int(size) for size in shape))

    def zeros(self, stem: str, shape: Any) -> Any:
        """Zero points of a layer's groups; zero where its scheme is symmetric."""
        import torch

        if f"{stem}.weight_zero_point" not in self.places:
            return torch.zeros(tuple(shape))
        return self.read(f"{stem}.weight_zero_point").float().reshape(tuple(shape))

    def int8(self, name: str) -> tuple[numpy.ndarray, numpy.ndarray] | None:
        """A layer's 8-bit integers (out, in) and scales (out, 1) as stored, or None where it is stored otherwise."""
        import torch

        stem = name.removesuffix(".weight")
        if f"{stem}.weight_scale" not in self.places or f"{stem}.weight_zero_point" in self.places:
            return None
        stored = f"{stem}.weight_packed" not in self.places
        values = self.read(name) if stored else self.unpacked(stem)
        scales = self.read(f"{stem}.weight_scale").float()
        if (stored and values.dtype != torch.int8) or scales.shape != (values.shape[0], 1) or self.packed(name):
            return None
        return values.to(torch.int8).contiguous().numpy(), scales.numpy()

    def packed(self, name: str) -> Packed | None:
        """The 4-bit integers of a layer as GPTQ left them, or None where it is stored otherwise."""
        import torch

        stem = name.removesuffix(".weight")
        if f"{stem}.weight_packed" not in self.places or f"{stem}.weight_zero_point" in self.places:
            return None
        packed, shape = self.read(f"{stem}.weight_packed"), self.read(f"{stem}.weight_shape")
        if 32 * packed.shape[1] // int(shape[1]) != 4:
            return None
        nibbles = packed.contiguous().view(torch.uint8).numpy()[:, : int(shape[1]) // 2]
        return Packed(nibbles, self.read(f"{stem}.weight_scale").float().numpy())


def plain(name: str) -> str:
    """A tensor's name in the language model alone."""
    for tower in TOWERS:
        if tower.match(name):
            return tower.sub("model.", name)
    return "lm_head.weight" if name == "language_model.lm_head.weight" else name
