"""Pickled weights to safetensors, without running what a pickle may carry."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

from llmini import __version__, models, validate
from llmini.compress import folder
from llmini.settings import UserError


def convert(source: str | Path, output: str | Path, *, overwrite: bool = False,
            trust_remote_code: bool = False) -> Path:  # fmt: skip
    """Load ``pytorch_model*.bin`` of ``source`` with ``weights_only=True`` and write a safetensors checkpoint.

    Tensors are the only objects that a restricted load builds, so a pickle that carries code is refused, not run.
    Raises UserError for a folder without pickled weights, a damaged or hostile pickle, and weights that do not fit.
    """
    import torch
    import transformers

    source, output = Path(source).expanduser(), Path(output).expanduser().absolute()
    checkpoint = validate.check(source, trust_remote_code, weights=False)
    if checkpoint.kind == "adapter":
        raise UserError(f"{source} is an adapter: convert works on whole models")
    if not any((source / name).is_file() for name in validate.TOKENIZER_FILES):
        raise UserError(f"{source} has no tokenizer: copy the model's tokenizer.json and tokenizer_config.json there")
    files = pickles(source)
    folder.check_output(output, overwrite, source)
    with folder.whole(output, sum(path.stat().st_size for path in files), overwrite) as partial:
        weights: dict[str, Any] = {}
        for path in files:
            weights |= tensors(path)
        tokenizer = models.load_tokenizer(source, trust_remote_code)
        config = transformers.AutoConfig.from_pretrained(source, trust_remote_code=trust_remote_code)
        dtype = next((tensor.dtype for tensor in weights.values() if tensor.is_floating_point()), None)
        try:
            # Through the model class, which renames old keys, knows the ties and says what is missing.
            with torch.device("meta"):
                blank = transformers.AutoModelForCausalLM.from_config(config, trust_remote_code=trust_remote_code)
            model, report = type(blank).from_pretrained(
                None, config=config, state_dict=weights, dtype=dtype, output_loading_info=True
            )  # fmt: skip
        except (ValueError, KeyError, RuntimeError) as fault:
            reason = " ".join(str(fault).split())[:200]
            raise UserError(f"the weights of {source} do not fit its config: {reason}") from fault
        if report["missing_keys"]:
            raise UserError(f"{source} lacks the weights {sorted(report['missing_keys'])[0]}: download the model again")
        models.check_finite(model, source)
        model.save_pretrained(partial, safe_serialization=True)
        tokenizer.save_pretrained(partial)
        made = {"llmini": __version__, "source": str(source), "converted": [path.name for path in files]}
        (partial / "llmini.json").write_text(json.dumps(made, indent=2) + "\n", encoding="utf8")
        validate.check(partial, trust_remote_code)
    return output


def pickles(source: Path) -> list[Path]:
    """The pickled weight files: one, or the shards of the index. Raises UserError when there is none."""
    index = source / "pytorch_model.bin.index.json"
    shards = validate.read_json(index).get("weight_map", {}) if index.is_file() else {"all": "pytorch_model.bin"}
    files = [source / str(name) for name in sorted(set(shards.values()))]
    for path in files:
        if not path.is_file():
            raise UserError(f"{path} is missing: --convert needs a folder with pytorch_model.bin")
    return files


def tensors(path: Path) -> dict[str, Any]:
    """Name -> tensor of one pickle, loaded with ``weights_only=True``. Raises UserError for anything else in it."""
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, AttributeError) as fault:
        raise UserError(f"{path} holds more than tensors and is refused: get the model as safetensors") from fault
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as fault:
        raise UserError(f"cannot read {path}: {' '.join(str(fault).split())[:200]}") from fault
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise UserError(f"{path} is no dictionary of tensors: --convert needs a model's state")
    return content
