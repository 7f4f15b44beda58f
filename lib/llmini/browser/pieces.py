"""Data files beside a graph, in pieces that a browser can fetch, and the values that go into them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy

PIECE = 240 * 2**20
"""Bytes of a data file at most, under 256 MB by either count: browsers cache and check it as a whole."""
BLOCK = 64 * 2**20  # bytes of a tensor that are computed with at once
ALIGN = 4096  # what the runtime maps by
HALF = 2**-25  # rounding of fp16 below its normal numbers


class Pieces:
    """Data files ``NAME_data``, ``NAME_data_1``, …, each at most ``limit`` bytes; tensors are appended."""

    def __init__(self, path: Path, limit: int = PIECE) -> None:
        self.path, self.limit, self.files, self.size = path, limit, [], 0

    def add(self, name: str, values: numpy.ndarray, dtype: Any, shape: tuple[int, ...]) -> Any:
        """An `onnx_ir.ExternalTensor` over the bytes of ``values``, which are written at once."""
        import onnx_ir

        content = memoryview(values).cast("B")
        start = -(-self.size // ALIGN) * ALIGN
        if not self.files or start + len(content) > self.limit:
            number = len(self.files)
            self.files.append(self.path.with_name(f"{self.path.name}_data" + (f"_{number}" if number else "")))
            self.files[-1].write_bytes(b"")
            start = self.size = 0
        with self.files[-1].open("r+b") as file:
            file.seek(start)
            file.write(content)
        self.size = start + len(content)
        return onnx_ir.ExternalTensor(self.files[-1].name, start, len(content), dtype, shape=onnx_ir.Shape(shape),
                                      name=name, base_dir=self.path.parent)  # fmt: skip

    def rows(self, nbytes: int, count: int, together: int = 1) -> list[slice]:
        """``count`` rows of ``nbytes`` each, in spans that fit a data file; ``together``: rows that no span parts."""
        span = max(1, self.limit // max(1, nbytes * together)) * together
        return [slice(start, min(start + span, count)) for start in range(0, count, span)]


def fits_half(values: numpy.ndarray) -> bool:
    """Whether fp16 holds the values as exactly as it holds what was bf16: rounded by 3e-8 where they are below 6e-5."""
    import numpy

    def off(rows: numpy.ndarray) -> float:
        with numpy.errstate(over="ignore"):
            return float(numpy.abs(rows.astype(numpy.float16) - rows).max())

    return all(off(rows) <= HALF for rows in blocks(values))


def blocks(values: numpy.ndarray) -> Iterator[numpy.ndarray]:
    """A matrix by rows, :data:`BLOCK` bytes at a time."""
    span = max(1, BLOCK // values[0].nbytes)
    return (values[start : start + span] for start in range(0, len(values), span))


def rounded(values: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Symmetric int8 of each row by rounding to nearest: integers (out, in), scales (out, 1)."""
    import numpy

    parts = []
    for rows in blocks(values):
        scales = numpy.maximum(numpy.abs(rows).max(1, keepdims=True) / 127, numpy.finfo(numpy.float32).tiny)
        parts.append((numpy.clip(numpy.rint(rows / scales), -127, 127).astype(numpy.int8), scales))
    return numpy.concatenate([part[0] for part in parts]), numpy.concatenate([part[1] for part in parts])
