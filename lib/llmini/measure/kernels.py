"""Which attention kernels ran, phase by phase, and how much memory was held: both as torch's profiler saw them."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

PHASE, INSIDE = "llmini phase: ", "llmini attention"
# Operators that compute attention; a wrapper such as aten::softmax only calls one of them.
FUSED = r"aten::_(scaled_dot_product|flash|efficient|cudnn|fused_sdp)\w*attention\w*|flash_attn::\w+|FlashAttn\w+"
KERNEL = re.compile(rf"{FUSED}|aten::(_softmax|bmm|baddbmm)|aten::_softmax_backward_data")
DEVICE_KERNEL = re.compile(r"\w*(fmha|flash|attention)\w*", re.IGNORECASE)  # of a GPU, whatever launched it
MATH, EFFICIENT = "_scaled_dot_product_attention_math", "_scaled_dot_product_efficient_attention"


def phase(name: str, action: Callable[..., Any], *args: Any) -> Any:
    """``action(*args)`` under a name that :func:`kernels` reports its operators by."""
    from torch.profiler import record_function

    with record_function(PHASE + name):
        return action(*args)


def kernels(model: Any, action: Callable[[], Any]) -> tuple[dict[str, list[str]], int]:
    """Run ``action`` once under torch's profiler.

    Returns the attention operators by phase, in order of first use, and the highest sum in bytes that its allocations
    on the CPU reached. In a backward phase every batched product counts: a decoder has none outside attention. On a GPU
    the phase ``device`` names the fused kernels that were launched there.
    """
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (model.device.type == "cuda")
    with silent(), marked(model), profile(activities=activities, profile_memory=True) as profiler:
        action()
    events = sorted(profiler.profiler.kineto_results.events(), key=lambda event: event.start_ns())
    spans: dict[str, list[tuple[int, int]]] = {}
    for event in events:
        if event.name().startswith((PHASE, INSIDE)) and "CPU" in str(event.device_type()):
            spans.setdefault(event.name(), []).append((event.start_ns(), event.start_ns() + event.duration_ns()))
    found: dict[str, list[str]] = {}
    for event in events:
        if "CUDA" in str(event.device_type()):
            match = DEVICE_KERNEL.search(event.name())
            if match and not event.name().startswith((PHASE, INSIDE)):
                found.setdefault("device", []).append(match.group())
        elif KERNEL.fullmatch(event.name()):
            where = [name for name, parts in spans.items() if any(a <= event.start_ns() <= b for a, b in parts)]
            for name in where:
                if name != INSIDE and (INSIDE in where or name == f"{PHASE}backward"):
                    found.setdefault(name.removeprefix(PHASE), []).append(event.name())
    return {name: list(dict.fromkeys(names)) for name, names in found.items()}, highest(events)


def highest(events: list[Any]) -> int:
    """The highest running sum of the CPU allocations (positive) and releases (negative) among ordered events, bytes."""
    held = top = 0
    for event in events:
        if event.name() == "[memory]" and "CPU" in str(event.device_type()):
            held += event.nbytes()
            top = max(top, held)
    return top


@contextmanager
def marked(model: Any) -> Iterator[None]:
    """Mark the forward of every attention module in the profile, so that a product elsewhere is not counted."""
    from torch.profiler import record_function

    opened, hooks = [], []

    def enter(*_: Any) -> None:
        opened.append(record_function(INSIDE))
        opened[-1].__enter__()

    def leave(*_: Any) -> None:
        opened.pop().__exit__(None, None, None)

    for module in model.modules():
        if type(module).__name__.endswith("Attention"):
            hooks += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave, always_call=True)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def silent() -> Iterator[None]:
    """Keep what the profiler's native code writes to the standard error stream out of a notebook."""
    kept, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(sink)


def fallback(ran: dict[str, list[str]], action: Callable[[], Any]) -> str:
    """Where SDPA fell back from a flash kernel, and torch's own reasons if it gives any; empty where it did not.

    The reasons come from the arguments of the first call that runs no flash kernel: torch, asked for a fused kernel and
    nothing else, refuses them and says why. ``action`` must run the same calls again.
    """
    import torch

    slow = {name: "math" if MATH in " ".join(ops) else "efficient" for name, ops in ran.items()
            if any(word in " ".join(ops) for word in (MATH, EFFICIENT)) and name != "backward"}  # fmt: skip
    if not slow:
        return ""
    attend, reasons = torch.nn.functional.scaled_dot_product_attention, []

    def asked(*args: Any, **options: Any) -> Any:
        if not reasons:
            reasons.extend(refusals(lambda: attend(*args, **options), args[0].device.type))
        return attend(*args, **options)

    torch.nn.functional.scaled_dot_product_attention = asked
    try:
        with silent():
            action()
    finally:
        torch.nn.functional.scaled_dot_product_attention = attend
    where = ", ".join(f"{kernel} kernel in {name}" for name, kernel in slow.items())
    return f"fell back: {where}; {'; '.join(reasons) or 'torch tells no reason'}"


def refusals(call: Callable[[], Any], device: str) -> list[str]:
    """What torch says against each fused kernel that it has on a device, for one call of SDPA."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    said = []
    for backend in (SDPBackend.FLASH_ATTENTION, *((SDPBackend.EFFICIENT_ATTENTION,) if device == "cuda" else ())):
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            try:
                with sdpa_kernel(backend):
                    call()
            except RuntimeError:
                words = [str(warning.message).split(" (Triggered")[0].strip() for warning in heard]
                said += [word.rstrip(".") for word in words if not word.endswith("because:")]
    return list(dict.fromkeys(said))
