"""The fresh process of `measure.encoders_cost`: load one variant, run its batches, write what it took.

    python -m llmini.measure.encoders_worker FOLDER KIND PLACE

PLACE holds batches.npz and receives told.json. Nothing is imported that the variant's own runtime does not need.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from llmini.measure.cost import status


def main(folder: str, kind: str, place: str) -> None:
    """Measure one variant."""
    import numpy

    from llmini import encoders
    from llmini.measure import encoders_runtime

    with numpy.load(Path(place, "batches.npz")) as found:
        batches = {name: found[name] for name in found.files}
    preload(encoders.note(Path(folder))["format"])
    before = status("VmRSS")
    runtime = encoders_runtime.load(Path(folder), kind)
    reset_gpu(runtime.device)
    told: dict[str, Any] = {"runtime": runtime.name, "threads": runtime.threads, "device": runtime.device,
                            "before": before, "seconds": timed(runtime, batches)}  # fmt: skip
    told |= {"resident": status("VmRSS"), "peak": status("VmHWM"), "gpu": gpu_peak(runtime.device)}
    Path(place, "told.json").write_text(json.dumps(told), encoding="utf8")


def preload(form: str) -> None:
    """Import what the runtime of a format imports, so that ``before`` holds code and no weight."""
    import importlib

    names = ["onnxruntime"] if form.startswith("onnx") else ["torch", "transformers", "safetensors.torch"]
    names += ["transformers.models.auto.modeling_auto"] if "torch" in names else []
    names += ["accelerate", "torch.ao.nn.quantized.dynamic"] if form == "int8_dynamic" else []
    names += ["bitsandbytes", "accelerate"] if form.startswith("bnb") else []
    for name in names:
        importlib.import_module(name)


def timed(runtime: Any, batches: dict[str, Any]) -> dict[str, list[float]]:
    """``SIZE/LANGUAGE`` -> seconds of each call after the warm-up."""
    from llmini.measure.encoders_cost import WARM_UP

    seconds: dict[str, list[float]] = {}
    for name in batches:
        head, number, part = name.rsplit("/", 2)
        if part != "ids":
            continue
        ids, mask = batches[name], batches[f"{head}/{number}/mask"]
        runtime.wait()
        began = time.perf_counter()
        runtime.run(ids, mask)
        runtime.wait()
        if int(number) >= WARM_UP:
            seconds.setdefault(head, []).append(time.perf_counter() - began)
    return seconds


def reset_gpu(device: str) -> None:
    """Begin the allocator's count anew, weights included."""
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()


def gpu_peak(device: str) -> int | None:
    """Peak bytes of the CUDA allocator; None where no GPU ran."""
    if device != "cuda":
        return None
    import torch

    return torch.cuda.max_memory_allocated()


if __name__ == "__main__":
    main(*sys.argv[1:])
