"""Tiny checkpoints of the real classes in folders, ways to damage them, and a stand-in for the model hub."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conftest import build, sentences


def write_model(folder: Path, tokenizer: Any, kind: str = "llama", dtype: str = "bfloat16", **changes: Any) -> Path:
    """A random dense checkpoint with tokenizer; returns ``folder``."""
    build(kind, dtype=dtype, **changes).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_text(path: Path, count: int = 400) -> Path:
    """``count`` sentences of calibration text."""
    path.write_text("\n\n".join(sentences(count)), encoding="utf8")
    return path


def edit_config(folder: Path, **changes: Any) -> Path:
    """Change fields of config.json; None removes one."""
    path = folder / "config.json"
    fields = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: value for name, value in fields.items() if value is not None}))
    return folder


REMOTE = """\
import pathlib
from transformers import LlamaConfig, LlamaForCausalLM
pathlib.Path(__file__).with_name("it_ran").write_text("")
class MysteryConfig(LlamaConfig):
    model_type = "mystery"
class MysteryForCausalLM(LlamaForCausalLM):
    config_class = MysteryConfig
"""


def make_remote(folder: Path) -> Path:
    """Turn a Llama checkpoint into one whose classes are Python code in its own folder."""
    (folder / "modeling_mystery.py").write_text(REMOTE)
    return edit_config(folder, model_type="mystery", architectures=["MysteryForCausalLM"], auto_map={
        "AutoConfig": "modeling_mystery.MysteryConfig", "AutoModelForCausalLM": "modeling_mystery.MysteryForCausalLM",
    })  # fmt: skip


def to_pickle(folder: Path) -> Path:
    """Replace model.safetensors by pytorch_model.bin."""
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


@contextlib.contextmanager
def hub(models: dict[str, Path]) -> Iterator[tuple[str, list[str]]]:
    """A model hub on this machine: serves folders by id; ids that hold "gated" are refused as gated, others as missing.

    Gives its address and the list of paths asked for.
    """
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self, code: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(code)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            asked.append(path)
            found = next((name for name in models if f"/{name}/" in path + "/"), None)
            if found is None:
                gated = "gated" in path
                return self.answer(403 if gated else 404, X_Error_Code="GatedRepo" if gated else "RepoNotFound")
            files = sorted(file.name for file in models[found].iterdir())
            if "/tree/" in path:
                tree = [{"type": "file", "path": name, "size": (models[found] / name).stat().st_size, "oid": "0" * 40}
                        for name in files]  # fmt: skip
                return self.answer(200, json.dumps(tree).encode(), Content_Type="application/json")
            if path.startswith("/api/"):
                info = {"id": found, "sha": "0" * 40, "siblings": [{"rfilename": name} for name in files]}
                return self.answer(200, json.dumps(info).encode(), Content_Type="application/json")
            name = path.rpartition("/")[2]
            if name not in files:
                return self.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit="0" * 40)
            body = (models[found] / name).read_bytes()
            return self.answer(200, body, ETag=f'"{hash(body):x}"', X_Repo_Commit="0" * 40)

        do_HEAD = do_GET

        def log_message(self, *_: Any) -> None:
            """Stay silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
