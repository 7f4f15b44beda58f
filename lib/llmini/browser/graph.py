"""The ONNX graph of a causal language model with a key-value cache, traced without touching its weights."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

from llmini.settings import UserError

OPSET = 21
PAST, STEP = 5, 7  # lengths of the example that is traced: different, so that no dimension is taken for another
GROWING = ("dynamic", "longrope")  # kinds of rotary frequencies that depend on the length of the text
ATTENTION = "grouped"
CLASSES = ("LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM", "Gemma2ForCausalLM", "Gemma3ForCausalLM",
           "Gemma3ForConditionalGeneration")  # fmt: skip


def trace(config: Any) -> Any:
    """The graph of a model's class as an `onnx_ir.Model` with the inputs and outputs that transformers.js names.

    Inputs ``input_ids, attention_mask, position_ids`` (batch_size, length) and ``past_key_values.N.key/value``
    (batch_size, heads, past length, head width); outputs ``logits`` and ``present.N.key/value``. Initializers bear the
    names of the parameters and hold no values yet: memory for them is reserved and never written.
    Raises UserError for a class that has not been proven.
    """
    import torch
    from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache
    from transformers.masking_utils import eager_mask

    config = text_config(config)
    model = skeleton(config)
    AttentionInterface.register(ATTENTION, grouped)
    AttentionMaskInterface.register(ATTENTION, eager_mask)
    model.set_attn_implementation(ATTENTION)
    layers, heads, width = shape(config)

    class Decoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = model

        def forward(self, input_ids: Any, attention_mask: Any, position_ids: Any, past: Any) -> Any:
            cache = DynamicCache()  # whole, also for sliding windows: the mask of such a layer knows its window
            for layer, (key, value) in enumerate(past):
                cache.update(key, value, layer)
            out = self.decoder(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids,
                               past_key_values=cache, use_cache=True)  # fmt: skip
            return out.logits, [(layer.keys, layer.values) for layer in out.past_key_values.layers]

    free = torch.export.Dim.DYNAMIC
    past = [(torch.zeros(1, heads, PAST, width), torch.zeros(1, heads, PAST, width)) for _ in range(layers)]
    example = {
        "input_ids": torch.ones(1, STEP, dtype=torch.long),
        "attention_mask": torch.ones(1, PAST + STEP, dtype=torch.long),
        "position_ids": torch.arange(PAST, PAST + STEP)[None], "past": past,
    }  # fmt: skip
    two = {0: free, 1: free}
    dynamic = {"input_ids": two, "attention_mask": two, "position_ids": two,
               "past": [({0: free, 2: free}, {0: free, 2: free})] * layers}  # fmt: skip
    with quiet(), torch.no_grad():
        program = torch.onnx.export(Decoder().eval(), (), kwargs=example, dynamo=True, opset_version=OPSET,
                                    dynamic_shapes=dynamic, optimize=False, verbose=False)  # fmt: skip
    divide(program.model.graph)
    return named(program.model, layers)


def grouped(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, scaling: float,
            softcap: float | None = None, **rest: Any) -> tuple[Any, None]:  # fmt: skip
    """Grouped-query attention (Ainslie et al. 2023) that reads keys and values where they are: the queries that share a
    head lie below one another, where transformers' eager attention copies the whole cache for each of them.

    query (batch, heads, length, width); key and value (batch, key-value heads, total, width); attention_mask
    (batch, 1, length, total), added. Returns (batch, length, heads, width).
    """
    import torch

    batch, heads, length, width = query.shape
    shared = key.shape[1]
    query = query.reshape(batch, shared, -1, width)
    scores = torch.matmul(query, key.transpose(2, 3)) * scaling
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    scores = scores.reshape(batch, heads, length, -1) + attention_mask
    weights = torch.softmax(scores, dim=-1).reshape(batch, shared, heads // shared * length, -1)
    return torch.matmul(weights, value).reshape(batch, heads, length, width).transpose(1, 2), None


def divide(graph: Any) -> None:
    """x · 1/√v as x / √v: the form of a root-mean-square norm that ONNX Runtime computes in one step."""
    for node in list(graph):
        if node.op_type != "Reciprocal":
            continue
        root, whole = node.inputs[0], node.outputs[0]
        for use in list(whole.uses()):
            other = next((value for value in use.node.inputs if value is not whole), None)
            if use.node.op_type == "Mul" and other is not None:
                use.node.op_type = "Div"
                use.node.replace_input_with(0, other)
                use.node.replace_input_with(1, root)
        if not whole.uses():
            graph.remove(node, safe=True)


def text_config(config: Any) -> Any:
    """The configuration of the language model, without a vision tower, computing in fp32."""
    name = (getattr(config, "architectures", None) or [""])[0]
    if name not in CLASSES:
        raise UserError(f"{name or 'this model'} has no browser export: give one of {', '.join(CLASSES)}")
    config = copy.deepcopy(getattr(config, "text_config", config))
    check_rope(config)
    config.architectures = [name.replace("ForConditionalGeneration", "ForCausalLM")]
    config._attn_implementation = "eager"
    config.dtype = "float32"
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    return config


def check_rope(config: Any) -> None:
    """Raise UserError where the rotary frequencies depend on how long the text is: a graph has them once for all."""
    stated = getattr(config, "rope_parameters", None) or {}
    for rope in (stated, *(inner for inner in stated.values() if isinstance(inner, dict))):
        if (kind := rope.get("rope_type")) in GROWING:
            raise UserError(f"its rotary frequencies grow with the text (rope_type {kind}), which no graph does: "
                            "set rope_type to default in its config.json to export what short texts see")  # fmt: skip


def shape(config: Any) -> tuple[int, int, int]:
    """Layers, key-value heads and head width."""
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return config.num_hidden_layers, config.num_key_value_heads, width


def empty(config: Any) -> Any:
    """The model in fp32 without weights; its buffers (rotary frequencies) are the real ones."""
    import torch
    from accelerate import init_empty_weights
    from transformers import AutoModelForCausalLM

    with init_empty_weights(include_buffers=False):
        model = AutoModelForCausalLM.from_config(text_config(config), dtype=torch.float32).eval()
    model.tie_weights()
    return model


def parameters(config: Any) -> list[str]:
    """Names of the parameters of a model's class; tied output embeddings are the input's and have none."""
    return [name for name, _ in empty(config).named_parameters()]


def skeleton(config: Any) -> Any:
    """The model in fp32 with reserved, unwritten weights, which take no memory."""
    import torch

    model = empty(config)
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, torch.nn.Parameter(torch.empty(parameter.shape), requires_grad=False))
    model.tie_weights()
    return model


def named(model: Any, layers: int) -> Any:
    """Inputs, outputs, dimensions and initializers under the names that a browser asks for."""
    import onnx_ir

    ends = [f"{layer}.{part}" for layer in range(layers) for part in ("key", "value")]
    inputs = ["input_ids", "attention_mask", "position_ids", *(f"past_key_values.{end}" for end in ends)]
    outputs = ["logits", *(f"present.{end}" for end in ends)]
    total = "past_sequence_length + sequence_length"
    first = {"attention_mask": ["batch_size", total]}
    for value, name in zip(model.graph.inputs, inputs, strict=True):
        value.name = name
        if name.startswith("past"):
            value.shape = onnx_ir.Shape(["batch_size", value.shape[1], "past_sequence_length", value.shape[3]])
        else:
            value.shape = onnx_ir.Shape(first.get(name, ["batch_size", "sequence_length"]))
    for value, name in zip(model.graph.outputs, outputs, strict=True):
        value.name = name
        if name == "logits":
            value.shape = onnx_ir.Shape(["batch_size", "sequence_length", value.shape[2]])
        else:
            value.shape = onnx_ir.Shape(["batch_size", value.shape[1], total, value.shape[3]])
    for name in list(model.graph.initializers):
        value = model.graph.initializers.pop(name)
        value.name = name.removeprefix("decoder.")
        model.graph.initializers[value.name] = value
    return model


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """torch's exporter without its running commentary."""
    level = logging.getLogger("torch.onnx").level
    for name in ("torch.onnx", "torch.export"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
    logging.getLogger("torch.onnx").setLevel(level)
