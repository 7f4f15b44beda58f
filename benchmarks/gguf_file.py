"""A checkpoint as a GGUF file: the same weights, dequantized, and rounded again to llama.cpp's own blocks of 32.

Layout of GGUF and of Q4_0 and Q8_0: ggml's documentation; the reordering of query and key rows of a Llama model follows
from its rotary embedding, which pairs neighbours where transformers pairs halves.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ARCHITECTURES = {"LlamaForCausalLM": "llama", "Qwen2ForCausalLM": "qwen2"}
NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}  # fmt: skip
BYTE_LEVEL = "qwen2"  # the rule by which the pocket tokenizer splits text, under llama.cpp's name for it


def write(checkpoint: Path, target: Path, kind: str = "Q4_0", embeddings: str = "Q8_0") -> Path:
    """Write ``checkpoint`` (any format that the library loads) as ``target``: matrices as ``kind``, embeddings, which
    are the output matrix too, as ``embeddings``, vectors in fp32."""
    import gguf
    import torch

    from llmini import models

    model, _ = models.load(checkpoint, "pocket", "cpu", torch.float32)
    with torch.no_grad():
        model(torch.tensor([[1]]))  # integers are widened at the first forward
    config = model.config
    name = ARCHITECTURES[config.architectures[0]]
    writer = gguf.GGUFWriter(str(target), name)
    describe(writer, config, checkpoint)
    for key, tensor in model.state_dict().items():
        stem, _, what = key.rpartition(".")
        if what not in ("weight", "bias") or stem == "lm_head":
            continue
        values = tensor.float().numpy()
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(stem.split(".")[-1])
        if name == "llama" and heads:
            values = pairs(values, heads)
        stored = gguf.GGMLQuantizationType.F32
        if values.ndim == 2:
            stored = gguf.GGMLQuantizationType[embeddings if "embed_tokens" in stem else kind]
        packed = values if stored is gguf.GGMLQuantizationType.F32 else gguf.quants.quantize(values, stored)
        writer.add_tensor(f"{place(stem)}.{what}", packed, raw_dtype=stored)
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    return target


def place(stem: str) -> str:
    """A module's name in GGUF."""
    fixed = {"model.embed_tokens": "token_embd", "model.norm": "output_norm"}
    if stem in fixed:
        return fixed[stem]
    _, _, layer, inner = stem.split(".", 3)
    return f"blk.{layer}.{NAMES[inner]}"


def pairs(values: Any, heads: int) -> Any:
    """Rows of a query or key matrix (or bias), halves of each head laced into neighbours."""
    shape = values.shape
    return values.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def describe(writer: Any, config: Any, checkpoint: Path) -> None:
    """Shape and tokenizer."""
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    rope = config.rope_parameters["rope_theta"]
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(rope)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    told = json.loads((checkpoint / "tokenizer.json").read_text(encoding="utf8"))
    words = {place: word for word, place in told["model"]["vocab"].items()}
    special = {entry["id"]: entry["content"] for entry in told["added_tokens"]}
    ids = range(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(BYTE_LEVEL)
    writer.add_token_list([special.get(place) or words.get(place) or f"<unused {place}>" for place in ids])
    normal, control, unused = 1, 3, 5
    writer.add_token_types([control if place in special else normal if place in words else unused for place in ids])
    merges = told["model"]["merges"]
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in merges])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
