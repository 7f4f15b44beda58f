"""Writing a compressed model as a plain checkpoint."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from llmini import validate
from llmini.compress import layers

# What a multimodal model keeps beside its tokenizer; the compressed checkpoint keeps it too.
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")


def save(model: Any, tokenizer: Any, home: Path, partial: Path, trust_remote_code: bool) -> None:
    """Weights, tokenizer and processor files; what was written must itself pass for a checkpoint."""
    model.save_pretrained(partial, safe_serialization=True)
    tokenizer.save_pretrained(partial)
    keep_ignored(partial / "config.json")
    kept = [home / name for name in PROCESSOR_FILES] + (list(home.glob("*.py")) if trust_remote_code else [])
    for path in kept:
        if path.is_file():
            shutil.copyfile(path, partial / path.name)
    validate.check(partial, trust_remote_code)


def store_as(partial: Path, dtype: Any) -> None:
    """Rewrite a saved checkpoint's fp32 tensors (weights, norms, scales) as ``dtype``."""
    import torch
    from safetensors.torch import load_file, save_file

    for path in partial.glob("*.safetensors"):
        tensors = {name: tensor.to(dtype) if tensor.dtype == torch.float32 else tensor
                   for name, tensor in load_file(path).items()}  # fmt: skip
        save_file(tensors, path.with_suffix(".new"), metadata={"format": "pt"})
        path.with_suffix(".new").replace(path)
    config = validate.read_json(partial / "config.json")
    config["dtype"] = str(dtype).removeprefix("torch.")
    (partial / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf8")


def keep_ignored(path: Path) -> None:
    """Name what is not quantized by pattern too: a module of a vision tower bears another name once it is loaded."""
    config = validate.read_json(path)
    stated = config.get("quantization_config", {})
    if stated.get("quant_method") == "compressed-tensors":
        stated["ignore"] = [*layers.IGNORE, *(name for name in stated.get("ignore", []) if name not in layers.IGNORE)]
        path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf8")
