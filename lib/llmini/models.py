"""The studied models per tier, and loading of any checkpoint: dense, quantized or a LoRA adapter."""

from __future__ import annotations

import difflib
import functools
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini import settings, validate
from llmini.settings import UserError

if TYPE_CHECKING:
    import torch

# What a checkpoint needs; a repository's pickles, onnx exports and duplicates in other formats stay on the hub.
WANTED = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
UNWANTED = ["original/*", "onnx/*", "consolidated*", "*/*.safetensors"]


@dataclass(frozen=True)
class ModelSpec:
    """A studied model. label: what captions say ("ALLaM-class, 3.9 M"); source: a folder or a hub id."""

    id: str
    label: str
    source: str
    tier: str


@functools.cache
def registry() -> dict[str, dict[str, dict[str, str]]]:
    """tier -> id -> {name, source}, as in models.yaml."""
    import yaml

    return yaml.safe_load(Path(__file__).with_name("models.yaml").read_text(encoding="utf8"))


def names(tier: str) -> list[str]:
    """Ids of the models of a tier."""
    return list(registry()[settings.check_tier(tier)])


def spec(name: str, tier: str = "pocket") -> ModelSpec:
    """The registry's entry. Raises UserError for an unknown tier or name."""
    if name not in names(tier):
        other = [other for other in registry() if name in registry()[other]]
        near = difflib.get_close_matches(name, names(tier), 1)
        hint = (f"it belongs to the tier {other[0]}" if other else f"did you mean {near[0]}?" if near
                else f"choose one of {', '.join(names(tier))}")  # fmt: skip
        raise UserError(f"no model or folder {name!r} in the tier {tier}: {hint} (a hub id reads organisation/model)")
    entry = registry()[tier][name]
    folder = settings.root() / entry["source"]
    if not entry["source"].startswith("data/"):
        return ModelSpec(name, entry["name"], entry["source"], tier)
    label = entry["name"]
    if (folder / "model.safetensors").is_file():
        shapes, _ = validate.read_weights(folder, "model")
        label += f", {sum(map(math.prod, shapes.values())) / 1e6:.1f} M"
    return ModelSpec(name, label, str(folder), tier)


def is_hub_id(name: str) -> bool:
    """Whether a name has the form of a hub id: ``organisation/model``."""
    return bool(re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", name)) and ".." not in name


def locate(name: str | Path, tier: str = "pocket", weights: bool = True, trust_remote_code: bool = False) -> Path:
    """The local folder of a registry name, a path or a hub id, downloaded if need be.

    A registry name wins over a folder of the same name (``./allam_7b`` means the folder). ``weights=False`` fetches
    only the configuration of a hub id. Raises UserError when there is no such model or it cannot be reached.
    """
    text = str(name)
    if text in names(tier):
        text = spec(text, tier).source
        if text.startswith(str(settings.root())) and not Path(text).is_dir():
            raise UserError(f"the {tier} weights of {name} are not in {text}: run `make pocket-models`")
    path = Path(text).expanduser()
    if path.exists() or not is_hub_id(text):
        if not path.exists() and "/" not in text:
            spec(text, tier)  # tells which names there are
        return path
    return download(text, weights, trust_remote_code)


def download(repository: str, weights: bool, trust_remote_code: bool = False) -> Path:
    """Folder of a hub id in the local cache. Raises UserError with what to do for every way in which it can fail."""
    from huggingface_hub import HfApi, errors, hf_hub_download, snapshot_download

    try:
        if not weights:
            return Path(hf_hub_download(repository, "config.json")).parent
        try:
            files = HfApi().list_repo_files(repository)
        except (errors.OfflineModeIsEnabled, errors.HfHubHTTPError, OSError) as fault:
            if isinstance(fault, errors.RepositoryNotFoundError):
                raise
            files = None  # perhaps the cache has it
        if files is not None and not any(file.endswith(".safetensors") for file in files):
            raise UserError(
                f"{repository} offers no safetensors: download it, then run `llmini --convert FOLDER --output NEW`"
            )
        wanted = [*WANTED, "*.py"] if trust_remote_code else WANTED
        return Path(snapshot_download(repository, allow_patterns=wanted, ignore_patterns=UNWANTED))
    except errors.GatedRepoError as fault:
        raise UserError(
            f"{repository} is gated: accept its licence at huggingface.co/{repository}, then run `hf auth login`"
        ) from fault
    except errors.RepositoryNotFoundError as fault:
        raise UserError(
            f"no model {repository!r}: no such folder here, and the hub has none of that name "
            "(a private one needs `hf auth login`)"
        ) from fault
    except errors.EntryNotFoundError as fault:
        if isinstance(fault, errors.LocalEntryNotFoundError):
            raise UserError(f"cannot reach the hub for {repository}, and it is not in the local cache: connect, "
                            "or give the folder of a downloaded copy") from fault  # fmt: skip
        raise UserError(f"{repository} has no config.json: it is not a model that transformers loads") from fault
    except (errors.HfHubHTTPError, OSError, RuntimeError) as fault:
        reason = (str(fault).splitlines() or [type(fault).__name__])[0]
        raise UserError(f"cannot download {repository}: {reason}; try again, or give a downloaded folder") from fault


def load(name: str | Path, tier: str = "pocket", device: Any = None, dtype: torch.dtype | str | None = None,
         trust_remote_code: bool = False) -> tuple[Any, Any]:  # fmt: skip
    """Load (model, tokenizer), the model in eval mode on ``device`` (default `settings.device()`).

    Takes a registry name, a folder or a hub id; dense, compressed-tensors and bitsandbytes checkpoints, and LoRA
    adapter folders, which return the base model with the adapter on it. ``dtype="auto"`` keeps the checkpoint's own,
    None is `settings.default_dtype`. Raises UserError for everything `validate.check` refuses, for weights that the
    files lack, and for NaN or infinity among them.
    """
    import torch
    import transformers

    device = torch.device(device) if device is not None else settings.device()
    dtype = settings.default_dtype(device, tier) if dtype is None else dtype
    folder = locate(name, tier, trust_remote_code=trust_remote_code)
    checkpoint = validate.check(folder, trust_remote_code)
    if checkpoint.kind == "adapter":
        return load_adapter(checkpoint, tier, device, dtype, trust_remote_code)
    tokenizer = load_tokenizer(folder, trust_remote_code)
    try:
        model, report = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, trust_remote_code=trust_remote_code, output_loading_info=True,
            device_map={"": device} if device.type != "cpu" or checkpoint.kind == "bitsandbytes" else None,
        )  # fmt: skip
    except UserError:
        raise
    except (ValueError, KeyError, OSError, RuntimeError, AttributeError, TypeError, ImportError) as fault:
        reason = " ".join(str(fault).split())[:200] or type(fault).__name__
        raise UserError(f"transformers cannot load {folder}: {reason}") from fault
    if report["missing_keys"]:
        raise UserError(f"{folder} lacks the weights {sorted(report['missing_keys'])[0]}: download the model again")
    check_finite(model, folder)
    if (folder / "llmini.json").is_file() and (pruned := validate.read_json(folder / "llmini.json").get("pruned")):
        model.llmini_pruned = pruned  # tells zeros that pruning made from those of rounding, for `sizes`
    return model.eval(), tokenizer


def load_tokenizer(folder: Path, trust_remote_code: bool = False) -> Any:
    """The folder's tokenizer. Raises UserError when transformers cannot read it."""
    import transformers

    try:
        return transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except Exception as fault:  # tokenizers raises bare Exception for a broken tokenizer.json
        reason = " ".join(str(fault).split())[:200] or type(fault).__name__
        raise UserError(f"cannot read the tokenizer of {folder}: {reason}") from fault


def load_adapter(checkpoint: validate.Checkpoint, tier: str, device: Any, dtype: Any, trusted: bool) -> tuple[Any, Any]:
    """Base model with a LoRA adapter on it. The base is looked up like any name, else beside the adapter."""
    import peft

    base = checkpoint.config["base_model_name_or_path"]
    if (checkpoint.folder / base).is_dir():
        base = checkpoint.folder / base
    model, tokenizer = load(base, tier, device, dtype, trusted)
    try:
        model = peft.PeftModel.from_pretrained(model, checkpoint.folder)
    except (ValueError, KeyError, OSError, RuntimeError) as fault:
        reason = " ".join(str(fault).split())[:200]
        raise UserError(f"the adapter {checkpoint.folder} does not fit its base {base}: {reason}") from fault
    if any((checkpoint.folder / file).is_file() for file in validate.TOKENIZER_FILES):
        tokenizer = load_tokenizer(checkpoint.folder, trusted)
    check_finite(model, checkpoint.folder)
    return model.eval(), tokenizer


def check_finite(model: Any, folder: Path) -> None:
    """Raise UserError naming the first floating-point tensor that holds NaN or infinity."""
    import torch

    for name, tensor in model.state_dict().items():
        # One-byte floats (fp8) have no isfinite kernel; their scales are checked as any other tensor.
        if tensor.is_floating_point() and tensor.element_size() > 1 and not torch.isfinite(tensor).all():
            raise UserError(f"{folder} holds NaN or infinite weights in {name}: download or train the model again")
