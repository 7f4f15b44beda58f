"""What must be true of a checkpoint folder before its weights are loaded.

Only headers and JSON are read, with the standard library alone, so that a fault is reported within milliseconds and
before anything heavy is imported. Every fault is a UserError of one line.
"""

from __future__ import annotations

import json
import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from llmini.settings import UserError

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json")
PICKLES = ("pytorch_model*.bin", "adapter_model.bin", "*.pt", "*.pth", "*.ckpt", "model*.bin")
# Model types whose published checkpoints are encoders, although some own a causal class as well (BertLMHeadModel).
ENCODERS = {
    "albert", "bert", "big_bird", "camembert", "convbert", "data2vec-text", "deberta", "deberta-v2", "distilbert",
    "electra", "ernie", "esm", "eurobert", "flaubert", "funnel", "ibert", "layoutlm", "longformer", "luke",
    "megatron-bert", "mobilebert", "modernbert", "mpnet", "mra", "nomic_bert", "nystromformer", "rembert", "roberta",
    "roberta-prelayernorm", "roformer", "squeezebert", "tapas", "xlm-roberta", "xlm-roberta-xl", "xmod",
}  # fmt: skip
CAUSAL = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
WANTED = "give a causal (decoder-only) language model"
DTYPE_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
               "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1}  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """What the files of a folder say about it.

    kind: ``dense``, ``adapter`` (LoRA), or the quantization method of its config (``compressed-tensors``,
    ``bitsandbytes``, …). shapes: tensor name -> shape, as stored. nbytes: bytes of all tensors.
    """

    folder: Path
    kind: str
    config: dict
    shapes: dict[str, tuple[int, ...]]
    nbytes: int

    @property
    def parameters(self) -> int:
        """Stored elements: a tied embedding counts once."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def linears(self) -> dict[str, tuple[int, int]]:
        """Module name -> (outputs, inputs) of every matrix inside the language model's decoder layers."""
        return {name.removesuffix(".weight"): shape for name, shape in self.shapes.items()
                if len(shape) == 2 and name.endswith(".weight") and in_decoder(name)}  # fmt: skip


def in_decoder(name: str) -> bool:
    """Whether a tensor lies in a decoder layer of the language model (not in a vision tower or its projector)."""
    return bool(re.search(r"(^|\.)(layers|h|blocks)\.\d+\.", name)) and not re.search(
        r"vision|visual|multi_modal|audio", name
    )


def check(folder: Path, trust_remote_code: bool = False, weights: bool = True) -> Checkpoint:
    """Inspect ``folder``; ``weights=False`` looks at the configuration only.

    Raises UserError for a path that is missing or no folder, no config, no tokenizer, an encoder or another model that
    is no causal language model, remote code that was not asked for, pickled weights, and safetensors that are
    missing, truncated or not safetensors.
    """
    if not folder.exists():
        raise UserError(f"no such folder: {folder}")
    if not folder.is_dir():
        raise UserError(f"{folder} is a file: give the folder of a checkpoint (config.json, *.safetensors, tokenizer)")
    if (folder / "adapter_config.json").is_file():
        config = read_json(folder / "adapter_config.json")
        if not config.get("base_model_name_or_path"):
            raise UserError(f"{folder}/adapter_config.json names no base_model_name_or_path: add the base model's id")
        shapes, nbytes = read_weights(folder, "adapter_model") if weights else ({}, 0)
        return Checkpoint(folder, "adapter", config, shapes, nbytes)
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} has no config.json: it is not a checkpoint folder")
    config = read_json(folder / "config.json")
    check_architecture(folder, config)
    check_remote_code(folder, config, trust_remote_code)
    if weights:
        if not any((folder / name).is_file() for name in TOKENIZER_FILES):
            raise UserError(f"{folder} has no tokenizer: copy the model's tokenizer.json and tokenizer_config.json")
        shapes, nbytes = read_weights(folder, "model")
    else:
        shapes, nbytes = {}, 0
    quantized = config.get("quantization_config") or config.get("text_config", {}).get("quantization_config")
    kind = quantized.get("quant_method", "quantized") if quantized else "dense"
    return Checkpoint(folder, kind, config, shapes, nbytes)


def check_architecture(folder: Path, config: dict) -> None:
    """Raise UserError unless the config is of a causal language model."""
    kind, names = config.get("model_type"), config.get("architectures") or []
    if not kind and not names:
        raise UserError(f"{folder}/config.json names no model_type: it is not a language model's configuration")
    if config.get("is_encoder_decoder"):
        raise UserError(f"{folder} is an encoder-decoder ({kind}): {WANTED}")
    causal = not names or any(name.endswith(CAUSAL) for name in names)
    if (kind in ENCODERS and not config.get("is_decoder")) or any("MaskedLM" in name for name in names):
        raise UserError(f"{folder} is an encoder ({kind}): {WANTED}")
    if not causal:
        raise UserError(f"{folder} holds a {names[0]}: {WANTED}")


def check_remote_code(folder: Path, config: dict, trusted: bool) -> None:
    """Raise UserError when the checkpoint needs Python files of its own and nobody asked for them to run."""
    if trusted:
        return
    own = config.get("auto_map") or {}
    if own and not known_type(config.get("model_type", "")):
        raise UserError(
            f"{folder} runs its own Python code ({next(iter(own.values()))}): read it, then pass --trust-remote-code"
        )


def known_type(kind: str) -> bool:
    """Whether transformers itself has the model type; then the remote code is not needed and never run."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    return kind in CONFIG_MAPPING_NAMES


def read_json(path: Path) -> dict:
    """A JSON object. Raises UserError when it is unreadable or no object."""
    try:
        content = json.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError) as fault:
        raise UserError(f"cannot read {path}: {str(fault).splitlines()[0]}") from fault
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no JSON object: it is not a checkpoint's configuration")
    return content


def read_weights(folder: Path, stem: str) -> tuple[dict[str, tuple[int, ...]], int]:
    """Shapes and bytes of ``stem.safetensors`` or of the shards its index names; raises UserError (see `check`)."""
    index = folder / f"{stem}.safetensors.index.json"
    if index.is_file():
        shards = read_json(index).get("weight_map", {})
        if not isinstance(shards, dict) or not shards:
            raise UserError(f"{index} has no weight_map: download the model again")
        files = sorted({folder / str(name) for name in shards.values()})
    else:
        files = [folder / f"{stem}.safetensors"]
    missing = [path.name for path in files if not path.is_file()]
    if missing and any(found for pattern in PICKLES for found in folder.glob(pattern)):
        raise UserError(
            f"{folder} holds pickled weights, which can run code when opened: "
            f"write safetensors first with `llmini --convert {folder} --output NEW_FOLDER`"
        )
    if missing:
        raise UserError(f"{folder} lacks its weights {missing[0]}: download the model again")
    shapes: dict[str, tuple[int, ...]] = {}
    nbytes = 0
    for path in files:
        for name, entry in read_header(path).items():
            shapes[name] = tuple(entry["shape"])
            start, end = entry["data_offsets"]
            nbytes += end - start
    if index.is_file() and (lost := sorted(set(shards) - set(shapes))):
        raise UserError(f"{folder} lacks the tensor {lost[0]} that its index names: download the model again")
    return shapes, nbytes


def read_header(path: Path) -> dict[str, dict]:
    """Tensor name -> {dtype, shape, data_offsets} of one safetensors file.

    Format: 8 bytes little-endian header length, a JSON header, then the tensors' bytes; so the header tells the
    file's exact size. Raises UserError when the file is shorter, longer or not safetensors at all.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        if not prefix or 8 + length > size:
            raise UserError(f"{path} is truncated or not safetensors ({size} bytes): download it again")
        try:
            header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
            for entry in header.values():
                start, stop = entry["data_offsets"]
                width = DTYPE_BYTES.get(entry["dtype"])
                if width and stop - start != math.prod(entry["shape"]) * width:
                    raise ValueError("offsets do not fit the shape")
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as fault:
            raise UserError(f"{path} is not a safetensors file: download it again") from fault
    if size != 8 + length + end:
        raise UserError(f"{path} is truncated: {size} bytes of {8 + length + end}; download it again")
    return header
