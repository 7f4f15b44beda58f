"""Encoders (XLM-R, BERT, DistilBERT): loading with or without a classification head, in whatever format they are kept.

A folder is a transformers checkpoint. ``encoder.json`` beside it says what plain transformers could not know: a format
other than dense (`compress.encoders_quantize`, `compress.encoders_onnx`), and rows that were removed are seen in the
shapes of the weights themselves.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmini import models, settings, validate
from llmini.settings import UserError

CLASSES = {"masked": "AutoModelForMaskedLM", "token": "AutoModelForTokenClassification",
           "sequence": "AutoModelForSequenceClassification"}  # fmt: skip
HEADS = {"masked": "ForMaskedLM", "token": "ForTokenClassification", "sequence": "ForSequenceClassification"}
TYPES = ("bert", "distilbert", "roberta", "xlm-roberta")
"""Model types whose layers this project knows by name."""
NOTE = "encoder.json"


def locate(name: str | Path, tier: str = "pocket") -> Path:
    """The folder of a registry name, a path or a hub id with safetensors in it.

    A repository that offers pickles alone is converted, tensors only, into ``runs/TIER/converted``. Raises UserError
    when there is no such model, and as `compress.convert.tensors` does for a pickle that holds more than tensors.
    """
    text = str(name)
    source = models.spec(text, tier).source if text in models.names(tier) else text
    if Path(source).is_dir() or not models.is_hub_id(source):
        return models.locate(name, tier)
    kept = settings.runs(tier, "converted", source.replace("/", "--"))
    if kept.is_dir():
        return kept
    try:
        return models.download(source, True)
    except UserError as fault:
        if "no safetensors" not in str(fault):
            raise
    return converted(source, kept)


def converted(repository: str, kept: Path) -> Path:
    """Pickled weights of a hub repository, kept as safetensors under ``kept`` with its configuration and tokenizer."""
    import shutil
    import tempfile

    from huggingface_hub import snapshot_download
    from safetensors.torch import save_file

    from llmini.compress.convert import pickles, tensors

    source = Path(snapshot_download(repository, allow_patterns=[*models.WANTED, "pytorch_model*.bin*"]))
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{kept.name}-", dir=kept.parent))
    try:
        found = {
            name: tensor.contiguous().clone() for path in pickles(source) for name, tensor in tensors(path).items()
        }
        save_file(found, partial / "model.safetensors", metadata={"format": "pt"})
        for path in source.iterdir():
            if path.is_file() and not path.name.startswith("pytorch_model"):
                shutil.copyfile(path, partial / path.name)
        partial.rename(kept)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return kept


def load(folder: Path, kind: str, labels: Sequence[str] = (), seed: int = 0) -> tuple[Any, Any]:
    """(model, tokenizer) of a dense checkpoint, as `read` has it."""
    return read(folder, kind, labels, seed), models.load_tokenizer(folder)


def read(folder: Path, kind: str, labels: Sequence[str] = (), seed: int = 0) -> Any:
    """The model of a dense checkpoint, rows removed or not: in fp32 on the CPU, in eval mode.

    kind: ``masked``, ``token`` or ``sequence``. Where the checkpoint has no head of that kind, a fresh one for
    ``labels`` is drawn from ``seed``. Raises UserError for a model that is no encoder of :data:`TYPES`, for missing or
    damaged weights, and for a label scheme that is not the checkpoint's.
    """
    import torch
    import transformers

    config = configuration(folder)
    headed = has_head(config, kind)
    if kind != "masked":
        config = labelled(config, labels, folder, headed)
    shapes, _ = validate.read_weights(folder, "model")
    torch.manual_seed(seed)
    model = getattr(transformers, CLASSES[kind]).from_config(config, dtype=torch.float32)
    fit(model, shapes)
    found = tensors(folder).items()
    _fill(
        model,
        {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in found},
        folder,
        kind,
        headed,
    )
    return model.eval()


def has_head(config: Any, kind: str) -> bool:
    """Whether a configuration is of a checkpoint with a head of that kind."""
    return any(name.endswith(HEADS[kind]) for name in config.architectures or [])


def _fill(model: Any, weights: dict[str, Any], folder: Path, kind: str, headed: bool) -> None:
    """Put a file's tensors into the model. Raises UserError for those that are missing, a fresh head's own excepted."""
    own = set(model.state_dict())
    prefix = f"{model.base_model_prefix}."
    if not any(name.startswith(prefix) for name in weights):  # saved without a head: the bare encoder's names
        weights = {prefix + name: tensor for name, tensor in weights.items()}
    missing = own - set(weights) - tied(model)
    fresh = set() if headed else {name for name in missing if not name.startswith(prefix)}
    # a pooler that a masked model never had is drawn with the head
    fresh |= {name for name in missing if kind != "masked" and ".pooler." in name}
    if missing - fresh:
        raise UserError(f"{folder} lacks the weights {sorted(missing - fresh)[0]}: download the model again")
    model.load_state_dict({name: tensor for name, tensor in weights.items() if name in own}, strict=False)
    model.tie_weights()
    models.check_finite(model, folder)


def tied(model: Any) -> set[str]:
    """Names of parameters that share the storage of the word embeddings, which files hold once."""
    shared = model.get_input_embeddings().weight
    inside = {name for name, tensor in model.state_dict(keep_vars=True).items() if tensor is shared}
    twins = {name for name in model.state_dict() if name.endswith("decoder.bias")}
    return {name for name in inside if not name.startswith(model.base_model_prefix)} | twins


def configuration(folder: Path) -> Any:
    """The configuration of an encoder. Raises UserError for a folder without one, or of another type."""
    import transformers

    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} has no config.json: it is not a checkpoint folder")
    kind = validate.read_json(folder / "config.json").get("model_type")
    if kind not in TYPES:
        raise UserError(f"{folder} is of the type {kind!r}: give an encoder, one of {', '.join(TYPES)}")
    return transformers.AutoConfig.from_pretrained(folder)


def labelled(config: Any, labels: Sequence[str], folder: Path, headed: bool) -> Any:
    """The configuration with ``labels``; a checkpoint with a head of its own must have the same ones.

    Their order may differ only where the data follows the checkpoint's (`order`). Raises UserError naming both schemes.
    """
    if headed:
        own = [config.id2label[place] for place in sorted(config.id2label)]
        if labels and [name.lower() for name in own] != [name.lower() for name in labels]:
            raise UserError(f"{folder} was trained for the labels {', '.join(own)}; the data has {', '.join(labels)}: "
                            "give a checkpoint of the same labels, or one without a head")  # fmt: skip
        return config
    config.id2label = dict(enumerate(labels))
    config.label2id = {name: place for place, name in config.id2label.items()}
    return config


def fit(model: Any, shapes: dict[str, tuple[int, ...]]) -> None:
    """Give every Linear layer the shape that its weights have in the file: rows may have been removed there."""
    import torch

    for name, module in list(model.named_modules()):
        shape = shapes.get(f"{name}.weight", ())
        if isinstance(module, torch.nn.Linear) and len(shape) == 2 and tuple(module.weight.shape) != shape:
            parent, _, last = name.rpartition(".")
            fresh = torch.nn.Linear(shape[1], shape[0], bias=module.bias is not None)
            setattr(model.get_submodule(parent), last, fresh)


def tensors(folder: Path) -> dict[str, Any]:
    """Name -> tensor of a folder's safetensors."""
    from safetensors.torch import load_file

    found: dict[str, Any] = {}
    for path in sorted(folder.glob("*.safetensors")):
        found |= load_file(path)
    return found


def save(model: Any, tokenizer: Any, folder: Path, **facts: Any) -> Path:
    """Write a dense checkpoint (safetensors, fp32 as it is) with its tokenizer; ``facts`` go into encoder.json."""
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    write_note(folder, {"format": "dense", **facts})
    return folder


def note(folder: Path) -> dict[str, Any]:
    """What encoder.json says; of a folder without one, that it is dense."""
    try:
        return json.loads((folder / NOTE).read_text(encoding="utf8"))
    except FileNotFoundError:
        return {"format": "dense"}


def write_note(folder: Path, facts: dict[str, Any]) -> None:
    """Write encoder.json."""
    (folder / NOTE).write_text(json.dumps(facts, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf8")
