"""Tiny models of the real classes with a byte-level tokenizer, for the tests of llmini.measure."""

from __future__ import annotations

KINDS = ("llama", "llama3", "qwen3", "gemma3")
VOCABULARY = 320


def make_tokenizer(bos: bool = True):
    """Bytes plus a few merges; with ``bos``, a text starts with <s>."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=["<s>", "</s>", "<pad>"],
                                  initial_alphabet=alphabet, show_progress=False)  # fmt: skip
    texts = ["the capital of the town is", "Question: Answer:", "السؤال الجواب ما هي عاصمة"] * 3
    core.train_from_iterator(texts, trainer)
    if bos:
        core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>" if bos else None, eos_token="</s>",
                                   pad_token="<pad>")  # fmt: skip


def make_model(kind: str = "llama", seed: int = 0, scale: float = 6.0, **overrides):
    """A random model in fp32. ``scale`` widens the initial weights so that predictions are far from uniform."""
    import torch
    from transformers import (
        Gemma3ForCausalLM,
        Gemma3TextConfig,
        LlamaConfig,
        LlamaForCausalLM,
        Qwen3Config,
        Qwen3ForCausalLM,
    )

    options = {"vocab_size": VOCABULARY, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4,
               "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 2048,
               "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2, "tie_word_embeddings": True,
               "initializer_range": 0.02 * scale}  # fmt: skip
    rope = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 256}  # fmt: skip
    kinds = {
        "llama": (LlamaConfig, LlamaForCausalLM, {"num_key_value_heads": 4}),
        "llama3": (LlamaConfig, LlamaForCausalLM, {"rope_parameters": rope}),
        "qwen3": (Qwen3Config, Qwen3ForCausalLM, {}),
        "gemma3": (Gemma3TextConfig, Gemma3ForCausalLM,
                   {"sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"] * 2,
                    "query_pre_attn_scalar": 16}),
    }  # fmt: skip
    config, model, extra = kinds[kind]
    torch.manual_seed(seed)
    return model(config(**{**options, **extra, **overrides})).eval()
