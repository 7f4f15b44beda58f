"""The pocket models: real architecture classes at 256 x 4 layers (the student 128 x 6), one for each of the study's."""

from __future__ import annotations

from typing import Any

MODELS = ("allam_7b", "qwen3_8b", "llama3_1_8b", "gemma3_12b", "allam_7b_control")
DISTILLATION = ("qwen2_5_32b_instruct", "qwen2_5_7b_instruct")  # teacher and student
CLASSES = {
    "allam_7b": "ALLaM-class",
    "qwen3_8b": "Qwen3-class",
    "llama3_1_8b": "Llama-3.1-class",
    "gemma3_12b": "Gemma-3-class",
    "allam_7b_control": "ALLaM-class control",
    "qwen2_5_32b_instruct": "Qwen2.5-32B-class",
    "qwen2_5_7b_instruct": "Qwen2.5-7B-class",
}
_COMMON = {
    "vocab_size": 2048,
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "head_dim": 64,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def config(name: str, **changes: Any) -> Any:
    """The transformers configuration of a pocket model; `changes` override single entries (tests make it smaller).

    Raises:
        UserError: for an unknown name.
    """
    from transformers import Gemma3TextConfig, LlamaConfig, Qwen2Config, Qwen3Config

    from llmini.settings import UserError

    if name in ("allam_7b", "allam_7b_control"):
        return LlamaConfig(**{**_COMMON, "num_key_value_heads": 4, **changes})
    if name == "llama3_1_8b":
        rope = {
            "rope_type": "llama3",
            "rope_theta": 500_000.0,
            "factor": 4.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 512,
        }
        return LlamaConfig(**{**_COMMON, "num_key_value_heads": 2, "rope_parameters": rope, **changes})
    if name == "qwen3_8b":
        return Qwen3Config(**{**_COMMON, "num_key_value_heads": 2, **changes})
    if name == "gemma3_12b":
        # three local layers and a global one; the real model repeats five to one
        kinds = ["sliding_attention"] * 3 + ["full_attention"]
        return Gemma3TextConfig(
            **{
                **_COMMON,
                "num_key_value_heads": 2,
                "sliding_window": 128,
                "layer_types": kinds,
                "query_pre_attn_scalar": 64,
                **changes,
            }
        )
    if name == "qwen2_5_32b_instruct":  # the real pair also pads its vocabulary differently: 152,064 and 151,936 rows
        return Qwen2Config(**{**_COMMON, "vocab_size": 2176, "num_key_value_heads": 2, **changes})
    if name == "qwen2_5_7b_instruct":
        small = {"vocab_size": 2112, "hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 6}
        return Qwen2Config(**{**_COMMON, **small, "head_dim": 32, "num_key_value_heads": 2, **changes})
    raise UserError(f"unknown pocket model {name!r}: choose one of {', '.join(CLASSES)}")


def build(name: str, seed: int = 0, **changes: Any) -> Any:
    """A freshly initialised model of the class that stands for `name`, in fp32."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(config(name, **changes), dtype=torch.float32)
