"""Which hub ids a rehearsal needs, and their real configuration classes, narrow and with two layers."""

from __future__ import annotations

from typing import Any, NamedTuple

WIDTH, INNER, ENCODER_HEADS, LAYERS, POSITIONS = 128, 256, 4, 2, 8192
GATED = ("meta-llama/Llama-3.1-8B-Instruct", "google/gemma-3-12b-it", "google/gemma-3-270m-it", "google/gemma-3-1b-it")
"""Ids whose licence has to be accepted on the hub."""


class Made(NamedTuple):
    """One repository: kind of model, of tokenizer, embedding rows beyond the tokenizer's, and whether tied."""

    kind: str
    tokenizer: str
    spare: int = 0
    tied: bool = False


MODELS: dict[str, Made] = {
    "humain-ai/ALLaM-7B-Instruct-preview": Made("llama2", "llama2", 1),
    "Qwen/Qwen3-8B": Made("qwen3", "qwen", 14),
    "meta-llama/Llama-3.1-8B-Instruct": Made("llama3", "llama3"),
    "google/gemma-3-12b-it": Made("gemma3", "gemma", 3, tied=True),
    "Qwen/Qwen2.5-32B-Instruct": Made("qwen2", "qwen", 46),  # 152,064 rows from 7B up, 151,936 below: more than tokens
    "Qwen/Qwen2.5-7B-Instruct": Made("qwen2", "qwen", 46),
    "QCRI/Fanar-1-9B-Instruct": Made("gemma2", "gemma", 3, tied=True),
    "LiquidAI/LFM2-350M": Made("lfm2", "lfm2", 4, tied=True),
    "LiquidAI/LFM2-700M": Made("lfm2", "lfm2", 4, tied=True),
    "LiquidAI/LFM2-1.2B": Made("lfm2", "lfm2", 4, tied=True),
    "Qwen/Qwen3-0.6B": Made("qwen3", "qwen", 14, tied=True),
    "Qwen/Qwen3-1.7B": Made("qwen3", "qwen", 14, tied=True),
    "google/gemma-3-270m-it": Made("gemma3_text", "gemma", 3, tied=True),
    "google/gemma-3-1b-it": Made("gemma3_text", "gemma", 3, tied=True),
    "Qwen/Qwen2.5-1.5B-Instruct": Made("qwen2", "qwen", 14, tied=True),
    "Qwen/Qwen2.5-0.5B-Instruct": Made("qwen2", "qwen", 14, tied=True),
    "castorini/afriberta_small": Made("xlmr", "xlmr", tied=True),
    "castorini/afriberta_base": Made("xlmr", "xlmr", tied=True),
    "castorini/afriberta_large": Made("xlmr", "xlmr", tied=True),
    "FacebookAI/xlm-roberta-base": Made("xlmr", "xlmr", tied=True),
    "google-bert/bert-base-uncased": Made("bert", "bert", tied=True),
    "distilbert/distilbert-base-uncased": Made("distilbert", "distilbert", tied=True),
    "distilbert/distilbert-base-uncased-finetuned-sst-2-english": Made("distilbert_sst2", "distilbert"),
}
"""Every id of models.yaml and train/translate.yaml that a grid entry reads. Adding one is one line."""
ENCODERS = ("xlmr", "bert", "distilbert", "distilbert_sst2")


def config(repository: str, vocabulary: int, tokens: dict[str, int | None]) -> Any:
    """The configuration of a repository's class. vocabulary: rows; tokens: ``bos``, ``eos`` and ``pad`` ids."""
    import transformers

    made = MODELS[repository]
    if made.kind in ENCODERS:
        return _encoder(made.kind, vocabulary, tokens)
    # Few heads: calibration over 128 windows of 2,048 tokens attends without a fused kernel, and on a CPU takes as long
    # as there are heads. The sweep of sparsities is ALLaM's: a tenth of a row of 128 is too far from a tenth.
    allam = made.kind == "llama2"
    common = {
        "vocab_size": vocabulary, "hidden_size": 2 * WIDTH if allam else WIDTH,
        "intermediate_size": 2 * INNER if allam else INNER, "num_hidden_layers": LAYERS,
        "num_attention_heads": 1 if allam else 2, "num_key_value_heads": 1,
        "max_position_embeddings": POSITIONS, "tie_word_embeddings": made.tied,
        "bos_token_id": tokens["bos"], "eos_token_id": tokens["eos"], "pad_token_id": tokens["pad"],
    }  # fmt: skip
    wide = {"head_dim": 64}  # Gemma and Qwen3 have heads wider than their share
    if allam:
        return transformers.LlamaConfig(**common, rope_parameters={"rope_type": "default", "rope_theta": 10_000.0})
    if made.kind == "llama3":
        rope = {"rope_type": "llama3", "rope_theta": 500_000.0, "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 1024}  # fmt: skip
        return transformers.LlamaConfig(**common, rope_parameters=rope)
    if made.kind == "qwen2":
        return transformers.Qwen2Config(**common, use_sliding_window=False)
    if made.kind == "qwen3":
        return transformers.Qwen3Config(**common, **wide)
    local = {"sliding_window": 1024, "layer_types": ["sliding_attention", "full_attention"]}
    if made.kind == "gemma2":
        return transformers.Gemma2Config(**common, **wide, **local, query_pre_attn_scalar=64,
                                         attn_logit_softcapping=50.0, final_logit_softcapping=30.0)  # fmt: skip
    if made.kind == "lfm2":
        return transformers.Lfm2Config(
            **common, layer_types=["conv", "full_attention"], conv_L_cache=3, block_ff_dim=384,
            block_auto_adjust_ff_dim=True, block_multiple_of=128,
        )  # fmt: skip
    text = transformers.Gemma3TextConfig(**common, **wide, **local, query_pre_attn_scalar=64)
    if made.kind == "gemma3_text":
        return text
    vision = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 2,
              "image_size": 56, "patch_size": 14}  # fmt: skip
    return transformers.Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=4, tie_word_embeddings=made.tied,
        boi_token_index=tokens["start_of_image"], eoi_token_index=tokens["end_of_image"],
        image_token_index=vocabulary - 1, bos_token_id=tokens["bos"], eos_token_id=tokens["eos"],
        pad_token_id=tokens["pad"],
    )  # fmt: skip


def _encoder(kind: str, vocabulary: int, tokens: dict[str, int | None]) -> Any:
    import transformers

    if kind.startswith("distilbert"):
        labels = {"num_labels": 2, "id2label": {0: "NEGATIVE", 1: "POSITIVE"},
                  "label2id": {"NEGATIVE": 0, "POSITIVE": 1}} if kind == "distilbert_sst2" else {}  # fmt: skip
        return transformers.DistilBertConfig(
            vocab_size=vocabulary, dim=WIDTH, hidden_dim=INNER, n_layers=LAYERS, n_heads=ENCODER_HEADS,
            max_position_embeddings=512, pad_token_id=tokens["pad"], **labels,
        )  # fmt: skip
    name, positions = ("XLMRoberta", 514) if kind == "xlmr" else ("Bert", 512)
    ends = {"bos_token_id": tokens["bos"], "eos_token_id": tokens["eos"]} if kind == "xlmr" else {}
    return getattr(transformers, f"{name}Config")(
        vocab_size=vocabulary, hidden_size=WIDTH, intermediate_size=INNER,
        num_hidden_layers=8 if kind == "xlmr" else LAYERS,  # AfriBERTa-base's eight: the grid has students of six
        num_attention_heads=ENCODER_HEADS, max_position_embeddings=positions, pad_token_id=tokens["pad"],
        type_vocab_size=1 if kind == "xlmr" else 2, **ends,
    )  # fmt: skip


def head(kind: str) -> str:
    """The automatic class of transformers that a repository's published weights are of."""
    if kind == "distilbert_sst2":
        return "AutoModelForSequenceClassification"
    return "AutoModelForMaskedLM" if kind in ENCODERS else "AutoModelForCausalLM"
