"""Helpers of the exporter's tests: tiny checkpoints of its five classes, and one trace for all that share a shape."""

from __future__ import annotations

import json

from llmini.browser import graph, parity

CLASSES = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3", "gemma2": "Gemma2", "gemma3": "Gemma3Text"}
WINDOW = 24
SHAPE = {"vocab_size": 512, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 1,
         "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 64, "max_position_embeddings": 512,
         "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}  # fmt: skip
GEMMA = {"num_hidden_layers": 2, "sliding_window": WINDOW, "query_pre_attn_scalar": 48,
         "layer_types": ["sliding_attention", "full_attention"]}  # fmt: skip
TRACE, TRACES = graph.trace, {}
CAPPED = {"attn_logit_softcapping": 5.0, "final_logit_softcapping": 8.0}  # low, so that they bend what is there


def build(kind, dtype="bfloat16", seed=0, **changes):
    """A random model of a class in eval mode, whose logits are far enough apart to choose by."""
    import torch
    import transformers

    shape = {**SHAPE, **(GEMMA if kind.startswith("gemma") else {}), **(CAPPED if kind == "gemma2" else {}), **changes}
    torch.manual_seed(seed)
    config = getattr(transformers, f"{CLASSES[kind]}Config")(**shape)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    for name, parameter in model.named_parameters():
        parameter.data = torch.randn_like(parameter) * (0.3 if "norm" in name or "bias" in name else 0.1)
        if "norm" in name and not kind.startswith("gemma"):
            parameter.data += 1
    return model.to(getattr(torch, dtype))


def write(folder, tokenizer, model):
    """A checkpoint folder of a model."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def cached(monkeypatch):
    """Trace a configuration once in the session: tracing is most of an export's time, and knows no weights."""

    def once(config):
        key = json.dumps(graph.text_config(config).to_dict(), default=str, sort_keys=True)
        if key not in TRACES:
            TRACES[key] = TRACE(config)
        return TRACES[key].clone()

    monkeypatch.setattr(graph, "trace", once)


def told(place):
    """The manifest of an exported folder."""
    return json.loads((place / "manifest.json").read_text(encoding="utf8"))


def onnx_logits(path, ids, split=None):
    """Logits (tokens, vocabulary) of a graph: at once, or with the tokens after ``split`` one by one."""
    import numpy

    session = parity.Session(path)
    if split is None:
        return session.step(ids)
    return numpy.concatenate([session.step(ids[:split]), *(session.step([token]) for token in ids[split:])])


def weights(path):
    """name -> array of a graph's initializers; a file's parts under their own names."""
    import onnx_ir

    return {name: value.const_value.numpy() for name, value in onnx_ir.load(path).graph.initializers.items()
            if value.const_value is not None}  # fmt: skip


def layer(arrays, name, part):
    """Integers or scales of a layer (out, in) in a q4dq graph, where layers that read the same values stand side by
    side, turned."""
    import numpy

    whole = next(key.removesuffix(f".{part}") for key in arrays
                 if key.endswith(f".{part}") and name in key.removesuffix(f".{part}").split("+"))  # fmt: skip
    names, found = whole.split("+"), numpy.asarray(arrays[f"{whole}.{part}"]).T
    if len(names) == 1:
        return found
    start = arrays[f"{whole}.rows"][: names.index(name)].sum()
    return found[start : start + arrays[f"{whole}.rows"][names.index(name)]]
