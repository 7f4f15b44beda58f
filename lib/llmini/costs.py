"""What a run costs a device: the arithmetic of its parts divided by what the device does in a second.

    seconds = fixed + flops16 / (share · peak16) + flops32 / (share · peak32) + moved / (share₂ · bandwidth)
              + stored / disk

flops16: matrix products in 16 bits. A forward pass takes 2 per weight and token, training 4 more (LoRA: 2 more, for its
frozen weights need no gradient), recomputing activations 2 more. flops32: Hessians (2 n² per matrix of n inputs and
token) and solvers (2 n³ + r n², r outputs). moved: weights read once a cached decoding step. stored: bytes of
checkpoints read and written. fixed: imports, tracing, harness. Constants: devices.yaml, workloads.yaml, and below.

Nothing of this is exact. `llmini.calibration` holds it against the measured pocket grid.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmini.settings import UserError

DISK = 500e6  # bytes a second, assumed for reading and writing checkpoints
STREAM = 0.6  # share of the bandwidth that decoding reaches
GIB = 2**30


@dataclass(frozen=True)
class Device:
    """``memory`` (None: it computes in ``host``) and ``host`` in bytes; ``flops16``, ``flops32`` and ``bandwidth`` as
    reached, a second."""

    name: str
    memory: float | None
    host: float
    flops16: float
    flops32: float
    bandwidth: float
    fp8: bool = True


@dataclass(frozen=True)
class Work:
    """What is to be done; works add up."""

    fixed: float = 0.0
    flops16: float = 0.0
    flops32: float = 0.0
    moved: float = 0.0
    stored: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    def times(self, factor: float) -> Work:
        """The same arithmetic and traffic ``factor`` times; fixed and stored parts once."""
        return replace(self, flops16=factor * self.flops16, flops32=factor * self.flops32, moved=factor * self.moved)


def seconds(work: Work, device: Device) -> float:
    """The formula of this module."""
    return (work.fixed + work.flops16 / device.flops16 + work.flops32 / device.flops32
            + work.moved / device.bandwidth + work.stored / DISK)  # fmt: skip


@functools.cache
def table(name: str) -> dict[str, Any]:
    """devices.yaml or workloads.yaml."""
    import yaml

    return yaml.safe_load(Path(__file__).with_name(f"{name}.yaml").read_text(encoding="utf8"))


def workload(tier: str) -> dict[str, Any]:
    """The tier's part of workloads.yaml."""
    return table("workloads")["pocket" if tier == "pocket" else "full"]


def device(name: str) -> Device:
    """A device of devices.yaml, or ``here``: this machine's, its speed measured in a moment.

    Raises UserError for another name.
    """
    if name == "here":
        return here()
    known = table("devices")
    if name not in known:
        raise UserError(f"unknown device {name!r}: choose here or one of {', '.join(known)}")
    told = known[name]
    return Device(told["name"], told["memory"] * GIB, told["host"] * GIB, told["share"] * told["peak16"] * 1e12,
                  told["share"] * told["peak32"] * 1e12, STREAM * told["bandwidth"] * 1e9, told["fp8"])  # fmt: skip


@functools.cache
def here() -> Device:
    """This machine: memory as free now, matrix products and memory traffic as measured in a moment."""
    import time

    import torch

    from llmini import settings
    from llmini.compress import plan

    place = settings.device()
    cuda = place.type == "cuda"
    side = 2**27 if cuda else 2**24
    block = torch.ones(side, device=place)
    block.clone()
    start = time.perf_counter()
    for _ in range(5):
        block.clone()[0].item()
    bandwidth = 5 * 2 * 4 * side / (time.perf_counter() - start)
    memory = float(torch.cuda.mem_get_info(place)[0]) if cuda else None
    fp8 = not cuda or torch.cuda.get_device_capability(place) >= (8, 9)
    rates = [0.6 * plan.matmul_rate(place, kind) for kind in (settings.default_dtype(place), torch.float32)]
    return Device(plan.device_name(place), memory, float(plan.host_memory()), *rates, STREAM * bandwidth, fp8)


def forward(shape: Any, tokens: float) -> Work:
    """A forward pass over ``tokens``: every matrix of the decoder, and the head at one position in four."""
    return Work(flops16=2 * tokens * (linear(shape) + shape.hidden * shape.vocabulary / 4))


def decode(shape: Any, steps: float, rows: float) -> Work:
    """``steps`` cached decoding steps of ``rows`` sequences at once."""
    return Work(flops16=2 * steps * rows * (linear(shape) + shape.hidden * shape.vocabulary),
                moved=steps * shape.nbytes)  # fmt: skip


def training(shape: Any, tokens: float, adapter: bool) -> Work:
    """Forward, backward and recomputed activations over ``tokens``; ``adapter``: LoRA on frozen weights."""
    return forward(shape, tokens).times((2 + 2 + 2) / 2 if adapter else (2 + 4) / 2)


def hessians(shape: Any, tokens: float) -> Work:
    """X'X of every matrix over the calibration tokens, and its solver, in fp32."""
    sums = sum(2 * tokens * columns**2 for _, columns in shape.linears.values())
    return Work(flops32=sums + sum(2 * columns**3 + rows * columns**2 for rows, columns in shape.linears.values()))


def linear(shape: Any) -> int:
    """Weights of the decoder's matrices."""
    return sum(rows * columns for rows, columns in shape.linears.values())
