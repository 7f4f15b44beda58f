"""What benchmarks/browser.py measures: the peer, and each model as ONNX and as GGUF out of one checkpoint."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).with_name("peers")
KEPT = ROOT / "runs" / "bench"
"""What is fetched and made once; git-ignored."""
WLLAMA = KEPT / "peers/node_modules/@wllama/wllama/esm"
LLAMA_135M = {"hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
              "intermediate_size": 1536, "vocab_size": 49152, "max_position_embeddings": 2048, "rope_theta": 1e4,
              "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2}  # fmt: skip


def peers() -> None:
    """wllama by its lock file and gguf by its pin, into runs/bench: neither enters the project's environment."""
    packages = KEPT / "gguf"
    if not (packages / "gguf").is_dir():
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", packages, "-r",
                        HERE / "requirements.txt"], check=True)  # fmt: skip
    sys.path.insert(0, str(packages))
    if not WLLAMA.is_dir():
        shutil.copytree(HERE, KEPT / "peers", dirs_exist_ok=True)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], check=True,
                       cwd=KEPT / "peers", stdout=subprocess.DEVNULL)  # fmt: skip


def shape(folder: Path) -> Path:
    """A Llama of SmolLM-135M's shape with random weights and the pocket tokenizer, filled up to its vocabulary."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**LLAMA_135M)).to(torch.bfloat16).save_pretrained(folder)
    for path in (ROOT / "data/pocket/tokenizer").iterdir():
        shutil.copyfile(path, folder / path.name)
    told = json.loads((folder / "tokenizer.json").read_text(encoding="utf8"))
    words = told["model"]["vocab"]
    words |= {f"w{place}": place for place in range(max(words.values()) + 1, LLAMA_135M["vocab_size"])}
    (folder / "tokenizer.json").write_text(json.dumps(told, ensure_ascii=False), encoding="utf8")
    return folder


def prepare(case: str) -> Path:
    """runs/bench/CASE: the 4-bit checkpoint, its ONNX folder without an end of answers, its GGUF files; made once."""
    from gguf_file import write as gguf

    from llmini.browser.export import export
    from llmini.compress.checkpoint import compress

    home = KEPT / case
    if (home / "done").is_file():
        return home
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    shipped = ROOT / "data/pocket/models/acai"
    if case == "135m":
        with tempfile.TemporaryDirectory() as scratch:
            made = shape(Path(scratch) / "dense")
            compress(made, home / "checkpoint", quant="w4a16_rtn", quant_config={"group_size": 64})
    elif shipped.is_dir():
        shutil.copytree(shipped, home / "checkpoint")
    else:
        compress("allam_7b", home / "checkpoint", quant="w4a16")
    export(home / "checkpoint", home / "onnx", forms=("q4dq",), tokens=8)
    endless(home / "onnx")
    (home / "gguf").mkdir()
    for kind in ("Q4_0", "Q8_0"):
        gguf(home / "checkpoint", home / f"gguf/{kind}.gguf", kind)
    (home / "done").touch()
    return home


def endless(folder: Path) -> None:
    """Take the tokens that end an answer away: both engines write as many as they are asked for."""
    told = json.loads((folder / "manifest.json").read_text(encoding="utf8"))
    for name, none in (("generation_config.json", []), ("config.json", None)):
        fields = json.loads((folder / name).read_text(encoding="utf8")) | {"eos_token_id": none}
        content = json.dumps(fields).encode()
        (folder / name).write_bytes(content)
        told["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(told), encoding="utf8")
