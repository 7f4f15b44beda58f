"""What is merged: tensors read one at a time, adapters merged into their base, and pairs that do not fit refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini import models, validate
from llmini.settings import UserError
from llmini.train.cache import file_hash
from llmini.train.teacher import PROBES

if TYPE_CHECKING:
    import torch

KINDS = ("model_type", "tie_word_embeddings")
HEADS = ("num_attention_heads", "num_key_value_heads", "head_dim")
"""Fields of a configuration by which tensors of the same names, or of the same shapes, are read otherwise."""
HEAD = "lm_head.weight"
LABEL = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclass(frozen=True)
class Input:
    """One of two models: the folder of its plain weights, and the SHA-256 of the files that it was given as.

    ``headers``: tensor name -> (file, dtype as safetensors names it, shape, bytes), in the files' order.
    """

    folder: Path
    config: dict[str, Any]
    hashes: dict[str, Any]
    headers: dict[str, tuple[Path, str, tuple[int, ...], int]] = field(repr=False)

    @classmethod
    def open(cls, home: Path, folder: Path) -> Input:
        """``home`` is what was given; ``folder`` holds plain weights, other than ``home`` for an adapter.

        Raises UserError when these are quantized or incomplete.
        """
        found = validate.check(folder)
        if found.kind != "dense":
            raise UserError(f"{folder} is quantized ({found.kind}): merge dense models, then compress the result")
        headers = {}
        for path in sorted(folder.glob("*.safetensors")):
            for name, entry in validate.read_header(path).items():
                start, end = entry["data_offsets"]
                headers[name] = (path, entry["dtype"], tuple(entry["shape"]), end - start)
        headers = {name: headers[name] for name in found.shapes}  # those of the index alone
        hashes = {"files": {path.name: file_hash(path) for path in sorted(home.glob("*.safetensors"))}}
        if home != folder:
            hashes["adapter_of"] = validate.read_json(home / "adapter_config.json")["base_model_name_or_path"]
        config = {**found.config, **found.config.get("text_config", {})}
        if config.get("tie_word_embeddings"):
            untie(headers, folder)
        return cls(folder, config, hashes, headers)

    @property
    def names(self) -> list[str]:
        """Every tensor, in the files' order."""
        return list(self.headers)

    def nbytes(self, name: str) -> int:
        """Bytes of a tensor."""
        return self.headers[name][3]

    def tensor(self, name: str) -> torch.Tensor:
        """A tensor, read from its file now."""
        return read(self.headers[name][0], name)


def read(path: Path, name: str) -> torch.Tensor:
    """One tensor of a safetensors file."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return file.get_tensor(name)


def untie(headers: dict[str, Any], folder: Path) -> None:
    """Leave out the second copy of a tied embedding. Raises UserError when it is no copy."""
    embedding = next((name for name in headers if name.endswith("embed_tokens.weight")), None)
    if HEAD not in headers or embedding is None:
        return
    if not read(headers[embedding][0], embedding).equal(read(headers[HEAD][0], HEAD)):
        raise UserError(f"{folder} says that its embeddings are tied, but {HEAD} is another tensor: "
                        "set tie_word_embeddings to false in its config.json")  # fmt: skip
    del headers[HEAD]


def merged_adapter(home: Path, target: Path, tier: str) -> Path:
    """Merge a LoRA adapter into its base, in the base's own type, and save that as ``target``.

    Raises UserError when the base is quantized.
    """
    base = validate.read_json(home / "adapter_config.json")["base_model_name_or_path"]
    place = home / base if (home / base).is_dir() else models.locate(base, tier)
    if (kind := validate.check(place).kind) != "dense":
        raise UserError(f"{home} adapts a quantized base ({kind}): train or convert it on a dense one")
    model, tokenizer = models.load(home, tier, "cpu", "auto")
    model.merge_and_unload().save_pretrained(target)
    tokenizer.save_pretrained(target)
    return target


def check_pair(first: Input, second: Input) -> None:
    """Raise UserError naming the first thing in which two inputs cannot be merged."""
    check_fields(first, second, KINDS)
    check_tensors(first, second)
    check_fields(first, second, HEADS)
    check_tokens(*(models.load_tokenizer(one.folder) for one in (first, second)))


def check_fields(first: Input, second: Input, names: Sequence[str]) -> None:
    """Raise UserError when a field of the configurations differs."""
    for name in names:
        one, two = first.config.get(name), second.config.get(name)
        if one != two:
            raise UserError(f"the models differ in {name} ({one} and {two}): merge models of one architecture")


def check_tensors(first: Input, second: Input) -> None:
    """Same names, shapes and types; the order of the first's files decides which is named."""
    for one, two, which in ((first, second, "second"), (second, first, "first")):
        missing = next((name for name in one.names if name not in two.headers), None)
        if missing:
            raise UserError(f"the {which} model has no tensor {missing}: merge models of one architecture")
    for name in first.names:
        (_, kind, shape, _), (_, other_kind, other_shape, _) = first.headers[name], second.headers[name]
        if shape != other_shape:
            raise UserError(f"{name} has the shape {list(shape)} in the first model and {list(other_shape)} in the "
                            "second: merge models of one shape")  # fmt: skip
        if kind != other_kind:
            one, two = (LABEL.get(each, each) for each in (kind, other_kind))
            raise UserError(f"{name} is {one} in the first model and {two} in the second: store both in one type")


def check_tokens(first: Any, second: Any) -> None:
    """The same strings under the same ids, and the same splits of a few sentences."""
    ours, theirs = ({number: token for token, number in each.get_vocab().items()} for each in (first, second))
    for number in range(max([*ours, *theirs], default=-1) + 1):
        if ours.get(number) != theirs.get(number):
            names = ["no token" if each is None else repr(each) for each in (ours.get(number), theirs.get(number))]
            raise UserError(f"the models have different tokenizers: id {number} is {names[0]} in the first and "
                            f"{names[1]} in the second; merge models that share one")  # fmt: skip
    for probe in PROBES:
        one, two = (split(each, probe) for each in (first, second))
        if one != two:
            raise UserError(f"the models' tokenizers split {probe!r} differently: merge models that share one")


def split(tokenizer: Any, text: str) -> Sequence[int]:
    """Token ids of a text alone."""
    return tokenizer(text, add_special_tokens=False)["input_ids"]
