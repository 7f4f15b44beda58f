"""An encoder opened in the runtime that really runs its format: token ids in, logits out, both as numpy arrays."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini.settings import UserError

if TYPE_CHECKING:
    import numpy

FORMATS = ("dense", "int8_dynamic", "bnb_8bit", "bnb_4bit", "onnx_fp32", "onnx_int8")


@dataclass(frozen=True)
class Runtime:
    """``run(input_ids, attention_mask)``: int64 arrays (batch, length) to fp32 logits; ``name``: what runs them."""

    name: str
    threads: int
    device: str
    run: Callable[[numpy.ndarray, numpy.ndarray], numpy.ndarray]
    wait: Callable[[], None]


def load(folder: Path, kind: str, threads: int = 0) -> Runtime:
    """Open a folder of `compress.encoders_*` or a dense checkpoint; ``threads`` are pinned (0: $OMP_NUM_THREADS, or 1).

    Raises UserError for a format that is none of :data:`FORMATS`.
    """
    from llmini import encoders

    form = encoders.note(folder)["format"]
    threads = threads or int(os.environ.get("OMP_NUM_THREADS") or 1)
    if form not in FORMATS:
        raise UserError(f"{folder} is in the format {form!r}: no runtime here runs it")
    return onnx(folder, threads) if form.startswith("onnx") else torch(folder, kind, form, threads)


def onnx(folder: Path, threads: int) -> Runtime:
    """ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])

    def run(ids: Any, mask: Any) -> Any:
        return session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]

    return Runtime(f"ONNX Runtime {onnxruntime.__version__}, {session.get_providers()[0]}", threads, "cpu", run,
                   lambda: None)  # fmt: skip


def torch(folder: Path, kind: str, form: str, threads: int) -> Runtime:
    """PyTorch: plain, with its int8 kernels, or with bitsandbytes'; on the GPU where there is one and the format
    can.
    """
    import torch as pytorch

    from llmini import encoders
    from llmini.settings import device

    pytorch.set_num_threads(threads)
    place = device() if form != "int8_dynamic" else pytorch.device("cpu")
    name = f"PyTorch {pytorch.__version__.partition('+')[0]}"
    if form == "dense":
        model = encoders.read(folder, kind).to(place)
        name += ", fp32"
    elif form == "int8_dynamic":
        from llmini.compress.encoders_quantize import read_dynamic

        model = read_dynamic(folder, kind)
        name += f", int8 by {pytorch.backends.quantized.engine}"
    else:
        model = packed(folder, kind, place)
        name += f", bitsandbytes {_version('bitsandbytes')}"

    def run(ids: Any, mask: Any) -> Any:
        with pytorch.inference_mode():
            out = model(input_ids=pytorch.from_numpy(ids).to(place), attention_mask=pytorch.from_numpy(mask).to(place))
        return out.logits.float().cpu().numpy()

    def wait() -> None:
        if place.type == "cuda":
            pytorch.cuda.synchronize()

    return Runtime(name, threads, place.type, run, wait)


def packed(folder: Path, kind: str, place: Any) -> Any:
    """A bitsandbytes checkpoint as it was saved."""
    import transformers

    from llmini import encoders

    transformers.utils.logging.set_verbosity_error()
    return getattr(transformers, encoders.CLASSES[kind]).from_pretrained(folder, device_map={"": place}).eval()


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)
