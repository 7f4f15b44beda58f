"""Which modules are compressed: the Linear layers of the decoder, and nothing else."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from llmini.settings import UserError

if TYPE_CHECKING:
    from torch import nn

# "lm_head" alone is matched as a full name and misses nested heads; the vision half of Gemma 3 is never compressed.
IGNORE = ["re:.*lm_head", "re:.*vision_tower.*", "re:.*multi_modal_projector.*"]
# What llmcompressor only logs when a Hessian cannot be inverted (GPTQ becomes round-to-nearest, SparseGPT loses H).
FALLBACKS = ("Hessian inversion failed", "Failed to invert hessian")


def decoder_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The decoder blocks by full name, in order, e.g. ``model.layers.0``.

    Raises UserError when the model has no decoder of that kind (an encoder, say).
    """
    blocks = getattr(model.get_decoder(), "layers", None) if hasattr(model, "get_decoder") else None
    if blocks is None:
        raise UserError(f"{type(model).__name__} has no decoder layers: give a causal language model")
    names = {module: name for name, module in model.named_modules()}
    return {names[block]: block for block in blocks}


def decoder_linears(model: nn.Module) -> dict[str, nn.Module]:
    """Every Linear layer inside the decoder blocks by full name; quantized ones included."""
    from torch import nn

    return {
        f"{name}.{inner}": module
        for name, block in decoder_layers(model).items()
        for inner, module in block.named_modules()
        if isinstance(module, nn.Linear)
    }


def bits(module: nn.Module) -> int | None:
    """Bits of a quantized module's weight: from compressed-tensors' scheme or bitsandbytes' class; None when dense."""
    weights = getattr(getattr(module, "quantization_scheme", None), "weights", None)
    if weights is not None:
        return weights.num_bits
    return {"Linear8bitLt": 8, "Linear4bit": 4}.get(type(module).__name__)


def is_quantized(model: nn.Module) -> bool:
    """Whether any decoder Linear layer is quantized, in memory or as loaded from a checkpoint."""
    return any(bits(module) is not None for module in decoder_linears(model).values())


def prefix(model: nn.Module) -> str:
    """Regular expression for the names of the decoder blocks: ``re:model\\.layers\\.\\d+``."""
    first = next(iter(decoder_layers(model)))
    return "re:" + re.escape(first.rpartition(".")[0]) + r"\.\d+"


def needs(calibration: Any, method: str) -> Any:
    """``calibration``, or UserError when a method that needs it got none."""
    if calibration is None or len(calibration.ids) == 0:
        raise UserError(f"{method} needs calibration text: pass a calibration (llmini.texts.calibration)")
    return calibration


@functools.cache
def silence() -> None:
    """Take the libraries' line-per-module logs off the screen, once, before they are imported.

    ``LLM_COMPRESSOR_LOG_LEVEL=INFO`` brings llmcompressor's back.
    """
    os.environ.setdefault("LLM_COMPRESSOR_LOG_LEVEL", "ERROR")
    for name in ("bitsandbytes", "torch.fx._symbolic_trace"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # Said of every model that llmcompressor has touched, whether or not it was offloaded.
    warnings.filterwarnings("ignore", message="Attempting to save a model with offloaded modules")
    if "llmcompressor" in sys.modules:
        from llmcompressor.logger import configure_logger

        configure_logger()


@functools.cache
def no_bars() -> None:
    """Under ``TQDM_DISABLE=1`` also hide the two bars of compressed-tensors that ask for themselves, once."""
    from compressed_tensors.offload import dispatch
    from compressed_tensors.quantization.lifecycle import apply
    from tqdm import tqdm

    if os.environ.get("TQDM_DISABLE") == "1":
        dispatch.tqdm = apply.tqdm = lambda *values, **options: tqdm(*values, **{**options, "disable": True})


@contextlib.contextmanager
def watched() -> Iterator[list[str]]:
    """Collect what llmcompressor warns about while the block runs, and the module it was working on."""
    silence()
    import llmcompressor  # noqa: F401  (its import resets the log, so it comes first)
    from loguru import logger

    logger.enable("llmcompressor")  # a disabled log would hide the fallbacks
    lines: list[str] = []
    current = ""

    def sink(message: Any) -> None:
        nonlocal current
        record = message.record
        if found := re.match(r"Sparsifying (\S+) using", record["message"]):
            current = found[1]
        if record["level"].no >= 30 and record["level"].name != "METRIC":
            lines.append(f"{record['message']} [{current}]" if current else record["message"])

    handle = logger.add(sink, level="INFO", format="{message}", catch=False)
    try:
        yield lines
    finally:
        logger.remove(handle)


def oneshot(model: nn.Module, recipe: list, calibration: Any = None) -> None:
    """Run llmcompressor's modifiers on a model in memory, in place.

    The same work as ``llmcompressor.oneshot(model=…, recipe=…, dataset=loader)``, except that neither a tokenizer nor
    the config is read from the model's path again (a model just pruned has no such path, and a hub id would be asked
    for over the network). Raises UserError for a silent fallback, naming the module.
    """
    silence()
    no_bars()
    from llmcompressor.core import active_session
    from llmcompressor.entrypoints.oneshot import Oneshot

    class InMemory(Oneshot):
        def validate_model(self, model: Any) -> None:
            """The config in memory is the truth here."""

    with watched() as lines, unpinned():
        loader = None if calibration is None else calibration.loader()
        InMemory(model=model, recipe=recipe, dataset=loader, processor=NO_PROCESSOR)()
    saved = active_session().lifecycle.recipe  # save_pretrained writes it: leave out the steps that only look
    saved.modifiers = [step for step in saved.modifiers if type(step).__name__.endswith("Modifier")]
    for line in lines:
        if line.startswith(FALLBACKS):
            raise UserError(f"not the method asked for: {line}; give more calibration text or a larger damping")


@contextlib.contextmanager
def unpinned() -> Iterator[None]:
    """Without an accelerator, skip the pinning of memory that AWQ asks for: torch refuses it there."""
    import torch
    from llmcompressor.pipelines.cache import IntermediatesCache

    pin = IntermediatesCache.pin_memory
    if not torch.accelerator.is_available():
        IntermediatesCache.pin_memory = lambda *_arguments, **_options: None
    try:
        yield
    finally:
        IntermediatesCache.pin_memory = pin


class _NoProcessor:
    """Stands where llmcompressor wants a tokenizer; the calibration is tokenised already."""


NO_PROCESSOR = _NoProcessor()
