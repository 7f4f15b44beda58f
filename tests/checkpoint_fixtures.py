"""Tiny random checkpoints of the real classes, written to a folder, and ways to damage them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WORDS = "the cat sat on a mat and saw one bird two fish near old town bank with red boat".split()


def tokenizer() -> Any:
    """A whitespace tokenizer of a few dozen words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(["<unk>", "<s>", "</s>", *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )


def config(kind: str = "llama", hidden: int = 128, **changes: Any) -> Any:
    """Configuration of a two-layer model of ``kind``: llama, qwen3 or gemma3_text."""
    import transformers

    shape: dict[str, Any] = {
        "vocab_size": 64, "hidden_size": hidden, "intermediate_size": 2 * hidden, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": hidden // 2, "max_position_embeddings": 256,
        "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2, "dtype": "bfloat16",
    }  # fmt: skip
    kinds = {"llama": "LlamaConfig", "qwen3": "Qwen3Config", "gemma3_text": "Gemma3TextConfig"}
    return getattr(transformers, kinds[kind])(**{**shape, **changes})


def write_model(folder: Path, kind: str = "llama", **changes: Any) -> Path:
    """A random dense checkpoint with tokenizer; returns ``folder``."""
    import torch
    import transformers

    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config(kind, **changes), dtype=torch.bfloat16)
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def write_text(path: Path, words: int = 6000) -> Path:
    """Calibration text of that many words."""
    import random

    draw = random.Random(0)
    path.write_text("\n\n".join(" ".join(draw.choices(WORDS, k=20)) for _ in range(words // 20)), encoding="utf8")
    return path


def edit_config(folder: Path, **changes: Any) -> Path:
    """Change fields of config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder
