"""Where things are, which device runs them, and how faults reach the user."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

TIERS = ("pocket", "small", "full", "rehearsal")
BASES = {"pocket": "pocket", "rehearsal": "pocket", "small": "full", "full": "full"}
"""Tier -> the one whose recipes and corpora it trains by."""


class UserError(Exception):
    """A fault the user can mend: its text is one clear line that says what to do next."""


def root() -> Path:
    """The checkout's folder: ``$LLMINI_ROOT``, else the folder two above the package."""
    if "LLMINI_ROOT" in os.environ:
        return Path(os.environ["LLMINI_ROOT"]).resolve()
    return Path(__file__).resolve().parents[2]


def data(*parts: str) -> Path:
    """``data/PARTS`` in the checkout."""
    return root().joinpath("data", *parts)


def runs(tier: str, *parts: str) -> Path:
    """``runs/TIER/PARTS``: git-ignored results of this machine."""
    return root().joinpath("runs", check_tier(tier), *parts)


def check_tier(tier: str) -> str:
    """Return ``tier``, or raise UserError when it is none of :data:`TIERS`."""
    if tier not in TIERS:
        raise UserError(f"unknown tier {tier!r}: choose one of {', '.join(TIERS)}")
    return tier


def device() -> torch.device:
    """The first CUDA device, else the CPU; ``$LLMINI_DEVICE`` overrides."""
    import torch

    return torch.device(os.environ.get("LLMINI_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu"))


def default_dtype(device: torch.device | str, tier: str = "full") -> torch.dtype:
    """bf16 on an A100 or later, fp16 on older GPUs (T4); on a CPU fp32 for the pocket tier and bf16 for the others."""
    import torch

    device = torch.device(device)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device)[0] >= 8 else torch.float16
    return torch.float32 if tier == "pocket" else torch.bfloat16


def pin_threads(tier: str) -> None:
    """Pin torch to one thread in the pocket tier, where sums differ in the third digit with the number of threads."""
    import torch

    if check_tier(tier) == "pocket":
        torch.set_num_threads(1)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch."""
    import random

    import numpy
    import torch

    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def silent() -> bool:
    """Whether progress bars are off (``TQDM_DISABLE=1``): batch runs keep them out of committed outputs."""
    return os.environ.get("TQDM_DISABLE", "") not in ("", "0")


def progress(items: Iterable, **options: Any) -> Iterable:
    """A tqdm bar, unless :func:`silent`."""
    from tqdm.auto import tqdm

    return tqdm(items, **{"disable": silent(), **options})


def prepare(tier: str, seed: Any = 0) -> None:
    """Start of a notebook: check the tier, seed everything, take the libraries' chatter away, print their versions.

    In the pocket tier torch runs on one thread, so that a laptop and a server agree. ``seed`` may list several
    (``"0,1,2"``): the first one counts here.
    """
    import logging
    import warnings
    from importlib.metadata import version

    os.environ.setdefault("LLM_COMPRESSOR_LOG_LEVEL", "ERROR")
    warnings.filterwarnings("ignore")
    for name in ("bitsandbytes", "transformers", "torch.fx._symbolic_trace"):
        logging.getLogger(name).setLevel(logging.ERROR)
    import transformers

    transformers.utils.logging.set_verbosity_error()
    if silent():
        transformers.utils.logging.disable_progress_bar()
    pin_threads(tier)
    seed_everything(int(str(seed).split(",")[0]))
    names = ("torch", "transformers", "llmcompressor", "bitsandbytes", "lm-eval")
    print(", ".join(f"{name} {version(name).partition('+')[0]}" for name in names))
