"""A teacher's responses and last hidden states on disk: safetensors shards under a manifest that vouches for each."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llmini.records import write_atomic
from llmini.settings import UserError

if TYPE_CHECKING:
    import torch

MANIFEST, HEAD, VERSION = "manifest.json", "head.safetensors", 1
HINT = "run the teacher again over the same prompts: it makes good what is missing"


class Response(NamedTuple):
    """A prompt's response: token ids, the one that ends the turn included (unless it was cut), and their text."""

    id: str
    ids: list[int]
    text: str


class Shard(NamedTuple):
    """The answers to some prompts: ``hidden`` (tokens of all responses, width)."""

    names: list[str]
    responses: list[list[int]]
    texts: list[str]
    hidden: torch.Tensor


def digest(value: Any) -> str:
    """sha256 of a value's JSON."""
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def tokenizer_hash(tokenizer: Any) -> str:
    """sha256 of a tokenizer's tokens with their ids."""
    return digest(sorted(tokenizer.get_vocab().items(), key=lambda item: item[1]))


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Writer:
    """Writes shards, each whole, and the manifest after each, so that a run may be killed anywhere and run again.

    ``header`` and ``prompts`` (id, hash of its token ids) identify the run. Raises UserError when ``folder`` belongs to
    another run or its manifest cannot be read, and when two prompts bear one id.
    """

    def __init__(self, folder: Path, header: dict[str, Any], prompts: list[tuple[str, str]],
                 head: torch.Tensor) -> None:  # fmt: skip
        names = [name for name, _ in prompts]
        if not names:
            raise UserError("there is no prompt to answer: give at least one")
        if len(set(names)) < len(names):
            twin = next(name for i, name in enumerate(names) if name in names[:i])
            raise UserError(f"two prompts bear the id {twin!r}: make the ids differ")
        self.folder, self.size = folder, header["shard"]
        wanted = {"version": VERSION, **header, "prompts": [list(prompt) for prompt in prompts]}
        if (folder / MANIFEST).exists():
            self.manifest = read_manifest(folder)
            changed = [key for key, value in wanted.items() if self.manifest.get(key) != value]
            if changed:
                raise UserError(
                    f"{folder} was made with another {', '.join(changed)}: delete it or name another folder"
                )
        else:
            self.manifest = {**wanted, "shards": {}}
        if not _whole(folder / HEAD, self.manifest.get("head")):
            weight = head.detach().cpu().clone().contiguous()
            self.manifest["head"] = _save(folder / HEAD, {"weight": weight}, {})
        self._write_manifest()

    def missing(self) -> list[int]:
        """Numbers of the shards that are not there, or not as the manifest has them."""
        count = -(-len(self.manifest["prompts"]) // self.size)
        return [number for number in range(count)
                if not _whole(self.folder / shard_file(number), self.manifest["shards"].get(str(number)))]  # fmt: skip

    def write(self, number: int, shard: Shard, agree: int) -> None:
        """Write one shard; ``agree``: how many of its tokens are the teacher's first choice."""
        import torch

        lengths = [len(ids) for ids in shard.responses]
        tensors = {"hidden": shard.hidden.contiguous(), "lengths": torch.tensor(lengths),
                   "tokens": torch.tensor([i for ids in shard.responses for i in ids], dtype=torch.int32)}  # fmt: skip
        # one note: safetensors writes several in any order, and then the same answers would have other bytes
        notes = {"answers": json.dumps(list(zip(shard.names, shard.texts, strict=True)), ensure_ascii=False)}
        entry = _save(self.folder / shard_file(number), tensors, notes)
        entry |= {"prompts": len(lengths), "tokens": sum(lengths), "agree": agree}
        self.manifest["shards"][str(number)] = entry
        self._write_manifest()

    def _write_manifest(self) -> None:
        body = {key: value for key, value in self.manifest.items() if key != "sha256"}
        body["sha256"] = digest(body)
        text = json.dumps(body, ensure_ascii=False, indent=1)
        write_atomic(self.folder / MANIFEST, lambda path: path.write_text(text + "\n", encoding="utf8"))


class Cache:
    """A finished cache. ``manifest``: how it was made; :meth:`open` reads it."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder, self.manifest = folder, manifest
        self._files: dict[int, Any] = {}

    @classmethod
    def open(cls, folder: str | Path, verify: bool = True) -> Cache:
        """Open a cache. With ``verify`` every file is held against its hash, which reads them all.

        Raises UserError that names the manifest or shard that is missing, unfinished or not as it was written.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        size, total = manifest["shard"], len(manifest["prompts"])
        for number in range(-(-total // size)):
            path, entry = folder / shard_file(number), manifest["shards"].get(str(number))
            if entry is None:
                done = f"{len(manifest['shards'])} of {-(-total // size)} shards"
                raise UserError(f"{folder} is unfinished ({done}, no {path.name}): {HINT}")
            _check(path, entry, verify)
        _check(folder / HEAD, manifest["head"], verify)
        return cls(folder, manifest)

    @cached_property
    def responses(self) -> list[Response]:
        """Every response, in the order of the prompts."""
        found = []
        for number in range(len(self.manifest["shards"])):
            file = self._file(number)
            answers, tokens = json.loads(file.metadata()["answers"]), file.get_tensor("tokens").tolist()
            start = 0
            for (name, text), length in zip(answers, file.get_tensor("lengths").tolist(), strict=True):
                found.append(Response(name, tokens[start : start + length], text))
                start += length
        return found

    def hidden(self, prompt_id: str) -> torch.Tensor:
        """The states (length, width) that predict each token of the prompt's response, read from disk at each call.

        Raises UserError when the cache holds no such prompt.
        """
        if prompt_id not in self._places:
            raise UserError(f"{self.folder} holds no answer to prompt {prompt_id}: run the teacher over these prompts")
        number, start, length = self._places[prompt_id]
        return self._file(number).get_slice("hidden")[start : start + length]

    @cached_property
    def head(self) -> torch.Tensor:
        """The teacher's output embedding (vocabulary, width) in its own dtype: ``hidden @ head.T`` are its logits."""
        from safetensors.torch import load_file

        return load_file(self.folder / HEAD)["weight"]

    @property
    def tokenizer_hash(self) -> str:
        """:func:`tokenizer_hash` of the teacher's tokenizer."""
        return self.manifest["tokenizer"]

    @property
    def ends(self) -> list[int]:
        """Token ids that end an answer; a response that ends otherwise was cut."""
        return self.manifest["ends"]

    @property
    def tokens(self) -> int:
        """Response tokens, each with its hidden state."""
        return sum(entry["tokens"] for entry in self.manifest["shards"].values())

    @property
    def bytes_per_token(self) -> int:
        """Bytes of hidden state stored for a response token."""
        import torch

        return self.manifest["width"] * getattr(torch, self.manifest["dtype"]).itemsize

    @property
    def agreement(self) -> float:
        """Share of response tokens that are the teacher's first choice: 1 for greedy answers, but for near ties."""
        return sum(entry["agree"] for entry in self.manifest["shards"].values()) / self.tokens

    @cached_property
    def _places(self) -> dict[str, tuple[int, int, int]]:
        """Shard, first row and row count of every prompt."""
        places, row = {}, 0
        for i, response in enumerate(self.responses):
            row = 0 if i % self.manifest["shard"] == 0 else row
            places[response.id] = (i // self.manifest["shard"], row, len(response.ids))
            row += len(response.ids)
        return places

    def _file(self, number: int) -> Any:
        from safetensors import safe_open

        if number not in self._files:
            self._files[number] = safe_open(self.folder / shard_file(number), framework="pt")
        return self._files[number]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": {}}  # open files do not travel to worker processes


def shard_file(number: int) -> str:
    """The name of a shard's file."""
    return f"shard-{number:05d}.safetensors"


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a cache. Raises UserError when it is missing, cut short or altered."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf8"))
        if manifest["version"] != VERSION:
            raise UserError(f"{path} is of version {manifest['version']}, not {VERSION}: delete {folder} and run again")
        sound = manifest.pop("sha256") == digest(manifest)
    except FileNotFoundError as fault:
        raise UserError(f"{path} is missing: run the teacher over the prompts first") from fault
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise UserError(f"{path} is damaged ({fault}): delete {folder} and run again") from fault
    if not sound:
        raise UserError(f"{path} is not as it was written (its hash differs): delete {folder} and run again")
    return manifest


def _save(path: Path, tensors: dict[str, torch.Tensor], notes: dict[str, str]) -> dict[str, Any]:
    """Write a safetensors file whole; returns its name, hash and size for the manifest."""
    from safetensors.torch import save_file

    write_atomic(path, lambda temporary: save_file(tensors, temporary, metadata=notes))
    return {"file": path.name, "sha256": file_hash(path), "bytes": path.stat().st_size}


def _whole(path: Path, entry: dict[str, Any] | None) -> bool:
    return entry is not None and path.is_file() and file_hash(path) == entry["sha256"]


def _check(path: Path, entry: dict[str, Any], verify: bool) -> None:
    if not path.is_file():
        raise UserError(f"{path} is missing: {HINT}")
    if path.stat().st_size != entry["bytes"] or (verify and file_hash(path) != entry["sha256"]):
        raise UserError(f"{path} is corrupt (its size or hash is not the manifest's): {HINT}")
