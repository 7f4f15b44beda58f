"""Merging two models of one architecture tensor by tensor: spherical or straight interpolation, streamed from disk."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini import __version__, models, validate
from llmini.compress import folder
from llmini.settings import UserError, check_tier
from llmini.train.cache import file_hash
from llmini.train.merge_inputs import Input, check_pair, merged_adapter

if TYPE_CHECKING:
    import torch

METHODS = ("slerp", "lerp")
PARALLEL = 0.9995  # |cos| from which the arc is a straight line to within rounding, and sin of its angle divides by ~0
CHUNK = 1 << 22  # elements computed at once in float64: 32 MB a copy
SHARD = 2 << 30  # bytes of one output file, and of what is held in memory
FILE, MARK, CARD = "merge.json", "llmini.json", "README.md"
KEPT = (*validate.TOKENIZER_FILES, "config.json", "generation_config.json", "tokenizer_config.json",
        "special_tokens_map.json", "added_tokens.json", "merges.txt", "chat_template.jinja", "chat_template.json",
        "preprocessor_config.json", "processor_config.json")  # fmt: skip
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")
PerLayer = Callable[[int], float] | Mapping[int, float] | Sequence[float]


def merge(first: str | Path, second: str | Path, output: str | Path, *, t: float = 0.5, method: str = "slerp",
          per_layer: PerLayer | None = None, tier: str = "pocket", overwrite: bool = False) -> Path:  # fmt: skip
    """Write the checkpoint that lies ``t`` of the way from ``first`` to ``second`` (0 to 1); returns ``output``.

    first, second: registry names, folders or hub ids of dense models, or LoRA adapters, which are merged into their
    base first. method: ``slerp`` (:func:`blend`) or ``lerp``. per_layer: t of each decoder layer, as a function or
    mapping of its number (a layer left out takes ``t``), or as a list spread evenly over the layers and interpolated;
    what lies outside the layers takes ``t``. At t = 0 and t = 1 a tensor is the input's, bit for bit.
    Configuration and tokenizer are the first's, and so are ties: a tied output embedding is not stored. Tensors are
    read one at a time and written in shards of :data:`SHARD` bytes, so neither model is ever whole in memory. The
    folder appears whole or not at all, with merge.json (inputs with the SHA-256 of their files, method, t, counts).
    Raises UserError for another method or t, a quantized input, and inputs whose architectures, tensors, shapes, types
    or tokens differ, naming the first that does.
    """
    output = Path(output).expanduser().absolute()
    check_tier(tier)
    if method not in METHODS:
        raise UserError(f"unknown merge method {method!r}: choose {' or '.join(METHODS)}")
    check_share(t, "t")
    folder.check_output(output, overwrite)
    homes = [models.locate(name, tier) for name in (first, second)]
    for home in homes:
        folder.check_output(output, overwrite, home)
    found = [validate.check(home) for home in homes]
    with folder.whole(output, 2 * max(one.nbytes for one in found), overwrite) as partial:
        inputs = [Input.open(home, merged_adapter(home, partial / f".{place}", tier) if one.kind == "adapter" else home)
                  for place, (home, one) in enumerate(zip(homes, found, strict=True))]  # fmt: skip
        check_pair(*inputs)
        names = inputs[0].names
        shares = schedule(names, t, per_layer)
        counts = write(inputs, names, shares, method, partial)
        copy(inputs[0].folder, partial)
        for place in range(2):
            shutil.rmtree(partial / f".{place}", ignore_errors=True)
        layers = {layer(name): shares[name] for name in names if layer(name) is not None}
        made = {
            "llmini": __version__, "method": method, "t": t,
            "per_layer": None if per_layer is None else [layers[number] for number in sorted(layers)],
            "arithmetic": "float64", "parallel": PARALLEL, "tensors": counts,
            "inputs": [{"source": str(name), **one.hashes} for name, one in zip((first, second), inputs, strict=True)],
        }  # fmt: skip
        note(partial, output.name, made)
        validate.check(partial)
    return output


def blend(first: torch.Tensor, second: torch.Tensor, t: float, method: str = "slerp") -> tuple[torch.Tensor, str]:
    """The tensor ``t`` of the way between two of one shape and type, and how it was made.

    ``copy``: an end (t = 0 or 1), or two equal tensors. ``slerp``: w = (sin((1-t)Ω) a + sin(tΩ) b) / sin Ω over the
    flattened tensors, Ω the angle between them. ``lerp``: (1-t) a + t b, also in the place of slerp where
    |cos Ω| > :data:`PARALLEL` or a norm is zero. Sums and products in float64, rounded once to the tensors' type.
    Source: Shoemake (1985), "Animating Rotation with Quaternion Curves", section 3.3; norms are left as they are.
    Raises UserError for NaN or infinity.
    """
    import torch

    if t in (0, 1):
        return (first if t == 0 else second), "copy"
    if torch.equal(first, second):
        return first, "copy"
    if not first.is_floating_point():
        raise UserError(f"tensors of type {first.dtype} cannot be interpolated, and these differ: merge with t 0 or 1")
    a, b = first.flatten(), second.flatten()
    one, two, weights = 1 - t, t, "lerp"
    aa, bb, ab = sums(a, b)
    if not math.isfinite(aa + bb):
        raise UserError("a tensor holds NaN or infinity: train or download the model again")
    if method == "slerp" and aa > 0 and bb > 0:
        cosine = ab / math.sqrt(aa) / math.sqrt(bb)
        if abs(cosine) <= PARALLEL:
            angle = math.acos(cosine)
            one, two = (math.sin(share * angle) / math.sin(angle) for share in (1 - t, t))
            weights = "slerp"
    out = torch.empty_like(a)
    for start in range(0, a.numel(), CHUNK):
        part = slice(start, start + CHUNK)
        out[part] = (one * a[part].double() + two * b[part].double()).to(a.dtype)
    return out.view(first.shape), weights


def sums(a: torch.Tensor, b: torch.Tensor) -> tuple[float, float, float]:
    """a·a, b·b and a·b of two flat tensors in float64."""
    found = [0.0, 0.0, 0.0]
    for start in range(0, a.numel(), CHUNK):
        x, y = (tensor[start : start + CHUNK].double() for tensor in (a, b))
        for place, value in enumerate((x.dot(x), y.dot(y), x.dot(y))):
            found[place] += value.item()
    return found[0], found[1], found[2]


def layer(name: str) -> int | None:
    """The decoder layer that a tensor belongs to, None outside of them."""
    found = _LAYER.search(name) if validate.in_decoder(name) else None
    return int(found[1]) if found else None


def schedule(names: Iterable[str], t: float, per_layer: PerLayer | None) -> dict[str, float]:
    """t of each tensor. Raises UserError for values outside [0, 1], layers that the model lacks and an empty list."""
    places = {name: layer(name) for name in names}
    count = max((place for place in places.values() if place is not None), default=-1) + 1
    if per_layer is None:
        values = {}
    elif callable(per_layer):
        values = {place: per_layer(place) for place in range(count)}
    elif isinstance(per_layer, Mapping):
        values = dict(per_layer)
        if strangers := sorted(set(values) - set(range(count))):
            raise UserError(f"per_layer names layer {strangers[0]}: the model has layers 0 to {count - 1}")
    else:
        values = dict(enumerate(spread(list(per_layer), count)))
    for place, value in values.items():
        check_share(value, f"t of layer {place}")
    return {name: float(values.get(place, t)) for name, place in places.items()}


def spread(anchors: list[float], count: int) -> list[float]:
    """``count`` values on the broken line through ``anchors``, which stand evenly from the first layer to the last."""
    if not anchors:
        raise UserError("per_layer is an empty list: give the t of the first and of the last layer")
    found = []
    for place in range(count):
        at = place / max(1, count - 1) * (len(anchors) - 1)
        low = min(int(at), len(anchors) - 1)
        high = min(low + 1, len(anchors) - 1)
        found.append(anchors[low] + (at - low) * (anchors[high] - anchors[low]))
    return found


def check_share(value: Any, what: str) -> None:
    """Raise UserError unless ``value`` is a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise UserError(f"{what} is {value}: give a number from 0 (the first model) to 1 (the second)")


def write(inputs: Sequence[Input], names: list[str], shares: Mapping[str, float], method: str,
          partial: Path) -> dict[str, int]:  # fmt: skip
    """Write the tensors in shards under ``partial``; returns how many were copied, slerped and lerped."""
    from safetensors.torch import save_file

    parts = shards(names, inputs[0])
    counts = {"copy": 0, "slerp": 0, "lerp": 0}
    index: dict[str, str] = {}
    for number, part in enumerate(parts, 1):
        file = "model.safetensors" if len(parts) == 1 else f"model-{number:05d}-of-{len(parts):05d}.safetensors"
        tensors = {}
        for name in part:
            try:
                tensors[name], how = blend(*(one.tensor(name) for one in inputs), shares[name], method)
            except UserError as fault:
                raise UserError(f"{name}: {fault}") from fault
            counts[how] += 1
            index[name] = file
        save_file(tensors, partial / file, metadata={"format": "pt"})
    if len(parts) > 1:
        content = {"metadata": {"total_size": sum(map(inputs[0].nbytes, names))}, "weight_map": index}
        (partial / "model.safetensors.index.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf8")
    return counts


def shards(names: list[str], source: Input) -> list[list[str]]:
    """Names in successive files of at most :data:`SHARD` bytes, one tensor at least."""
    parts: list[list[str]] = [[]]
    size = 0
    for name in names:
        if parts[-1] and size + source.nbytes(name) > SHARD:
            parts.append([])
            size = 0
        parts[-1].append(name)
        size += source.nbytes(name)
    return parts


def copy(home: Path, partial: Path) -> None:
    """Configuration and tokenizer as they are: saving what transformers makes of them could change them."""
    for name in KEPT:
        if (home / name).is_file():
            shutil.copyfile(home / name, partial / name)


def note(partial: Path, name: str, made: dict[str, Any]) -> None:
    """merge.json, the mark by which the folder may be overwritten, and the card."""
    first, second = (Path(one["source"]).name for one in made["inputs"])
    counts = made["tensors"]
    at = f"t = {made['t']:g}" if made["per_layer"] is None else f"t by layer ({made['t']:g} outside the layers)"
    line = (f"{made['method'].capitalize()} merge of `{first}` (t = 0) and `{second}` (t = 1) at {at}: "
            f"{counts['slerp']} tensors on the arc, {counts['lerp']} on the straight line, "
            f"{counts['copy']} copied.")  # fmt: skip
    mark = {"llmini": __version__, "variant": f"{made['method']}-t{made['t']:g}", "merge": FILE}
    text = {FILE: json.dumps(made, ensure_ascii=False, indent=1) + "\n", MARK: json.dumps(mark) + "\n",
            CARD: f"# {name}\n\n{line} Inputs and their hashes: `{FILE}`. The licences of both apply.\n"}  # fmt: skip
    for file, content in text.items():
        (partial / file).write_text(content, encoding="utf8")


def same(output: str | Path, first: str | Path, second: str | Path, *, t: float, method: str = "slerp",
         tier: str = "pocket") -> bool:  # fmt: skip
    """Whether ``output`` is already the merge of these very inputs at ``t`` (the same for every layer)."""
    path = Path(output) / FILE
    if not path.is_file():
        return False
    made = validate.read_json(path)
    hashes = [{file: file_hash(home / file) for file in one["files"]}
              for one, home in zip(made["inputs"], (models.locate(name, tier) for name in (first, second)), strict=True)
              if all((home / file).is_file() for file in one["files"])]  # fmt: skip
    told = (made["method"], made["t"], made["per_layer"], [one["files"] for one in made["inputs"]])
    return told == (method, t, None, hashes)
