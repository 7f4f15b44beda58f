"""Seconds of each step and the peak memory of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class Times:
    """Seconds of each step; announces it through ``say``."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.seconds: dict[str, float] = {}
        self.say = say

    @contextmanager
    def __call__(self, step: str, line: str) -> Iterator[None]:
        self.say(line)
        start = time.perf_counter()
        yield
        self.seconds[step] = round(time.perf_counter() - start, 3)


def clear_peak() -> None:
    """Start a new peak: of the GPU's allocator where there is one, and of this process's resident memory (Linux)."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak() -> dict[str, int]:
    """Peak bytes since `clear_peak`: ``host`` (resident set, libraries included) and, with a GPU, ``gpu``."""
    import resource

    import torch

    try:
        status = Path("/proc/self/status").read_text()
        host = int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"host": host, **({"gpu": torch.cuda.max_memory_allocated()} if torch.cuda.is_available() else {})}
