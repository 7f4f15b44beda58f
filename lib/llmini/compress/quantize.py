"""Nine ways to quantize a causal language model, each one call.

Only Linear layers of the decoder are quantized: embeddings, lm_head, norms and any vision tower stay as they are.
The schemes are spelled out instead of named by preset, because presets drift between releases (compressed-tensors
0.19 made W8A16 group-wise; the study's size is the channel-wise one).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmini.compress import invariants, layers
from llmini.settings import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

METHODS = {
    "int8": "LLM.int8: 8-bit rows and columns, outlier features above 6.0 in 16 bits (arXiv:2208.07339)",
    "int4": "NF4 with double quantization, bf16 compute (QLoRA, arXiv:2305.14314)",
    "int4_fp4": "FP4, fp32 compute, no double quantization: what the study's code ran as int4",
    "w8a8": "SmoothQuant, then GPTQ: 8-bit weights per channel, 8-bit activations per token (arXiv:2211.10438)",
    "w8a16": "GPTQ: 8-bit weights per channel (arXiv:2210.17323)",
    "w4a16": "GPTQ: 4-bit weights in groups (arXiv:2210.17323)",
    "w4a16_rtn": "4-bit weights in groups, rounded to nearest: the baseline without calibration",
    "w4a16_awq": "activation-aware scaling, then 4-bit weights in groups (AWQ, arXiv:2306.00978)",
    "fp8": "FP8 E4M3 weights per channel, activations per token at run time",
}
CALIBRATED = ("w8a8", "w8a16", "w4a16", "w4a16_awq")
BITSANDBYTES = ("int8", "int4", "int4_fp4")
BLOCK_4BIT = 64  # bitsandbytes' block; a width it does not divide is dequantized wrongly on the CPU

# Which Linear layers read a norm's output, and nothing else does. Gemma's post_attention_layernorm feeds the residual,
# so smoothing it (llmcompressor's default) changes the model; its MLP reads pre_feedforward_layernorm.
ATTENTION = (r"\.input_layernorm$", tuple(rf"\.self_attn\.{name}_proj$" for name in "qkv"))
MLP = (r"\.mlp\.gate_proj$", r"\.mlp\.up_proj$")
SMOOTHED = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3"), (ATTENTION, (r"\.post_attention_layernorm$", MLP))),
    **dict.fromkeys(("gemma2", "gemma3", "gemma3_text"), (ATTENTION, (r"\.pre_feedforward_layernorm$", MLP))),
}


def needs_calibration(method: str) -> bool:
    """Whether ``method`` reads calibration text. Raises UserError for an unknown method."""
    if method not in METHODS:
        raise UserError(f"unknown quantization method {method!r}: choose one of {', '.join(METHODS)}")
    return method in CALIBRATED


def quantize(
    model: PreTrainedModel, method: str, calibration: Any = None, *, group_size: int = 128, block_size: int = 128,
    damping: float = 0.01, smoothing_strength: float = 0.5,
) -> PreTrainedModel:  # fmt: skip
    """Quantize ``model`` and return it: in place for compressed-tensors methods, a new object for bitsandbytes ones.

    calibration: an `llmini.texts.Calibration`, for the methods in CALIBRATED. group_size: input columns that share a
    scale (w4a16 and its kin). block_size, damping: GPTQ's columns a block and share of the mean diagonal added to the
    Hessian. smoothing_strength: SmoothQuant's alpha. Zeros of a pruned model stay zero.
    The result runs, and `save_pretrained` writes a checkpoint that `AutoModelForCausalLM.from_pretrained` reads.
    Raises UserError for bad arguments, a model that is quantized already, or a silent fallback, and InvariantError
    when smoothing changed what the model computes.
    """
    if needs_calibration(method):
        layers.needs(calibration, method)
    layers.silence()
    check_shapes(model, method, group_size)
    if method in BITSANDBYTES:
        return bitsandbytes(model, method)
    if method == "w8a8":
        recipe = [*smoothquant(model, calibration, smoothing_strength), gptq(8, None, block_size, damping, inputs=8)]
    elif method == "w8a16":
        recipe = [gptq(8, None, block_size, damping)]
    elif method == "w4a16":
        recipe = [gptq(4, group_size, block_size, damping)]
    elif method == "w4a16_awq":
        recipe = [*awq(model, calibration), round_to_nearest(scheme(4, group_size))]
    elif method == "w4a16_rtn":
        recipe = [round_to_nearest(scheme(4, group_size))]
    else:
        recipe = [round_to_nearest(scheme(8, None, inputs=8, kind="float"))]
    layers.oneshot(model, recipe, calibration if needs_calibration(method) else None)
    return model


def check_shapes(model: PreTrainedModel, method: str, group_size: int) -> None:
    """Raise UserError for a quantized model, or a width that the group or block does not divide."""
    if layers.is_quantized(model):
        raise UserError("the model is quantized already: start from its dense checkpoint")
    width = {"int4": BLOCK_4BIT, "int4_fp4": BLOCK_4BIT}.get(method, group_size if method.startswith("w4a16") else 1)
    if width < 1:
        raise UserError(f"group size must be at least 1, not {width}")
    for name, module in layers.decoder_linears(model).items():
        if module.in_features % width:
            raise UserError(
                f"{method} needs widths divisible by {width}, but {name} has {module.in_features} inputs: "
                + ("choose another method" if method in BITSANDBYTES else "choose a group size that divides it")
            )


def bitsandbytes(model: PreTrainedModel, method: str) -> PreTrainedModel:
    """A bitsandbytes copy of a model in memory: its weights are quantized as they are loaded, without a file."""
    import copy

    import torch
    from transformers import BitsAndBytesConfig

    options: dict[str, Any] = {
        "int8": {"load_in_8bit": True, "llm_int8_threshold": 6.0},
        "int4": {
            "load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True,
            "bnb_4bit_compute_dtype": torch.bfloat16,
        },
        "int4_fp4": {"load_in_4bit": True},
    }[method]  # fmt: skip
    outside = ("lm_head", "vision_tower", "multi_modal_projector")  # bitsandbytes wants their full names
    skip = [name for name, _ in model.named_modules() if name.rpartition(".")[2] in outside]
    pruned = getattr(model, "llmini_pruned", None)
    quantized = type(model).from_pretrained(
        None,
        config=copy.deepcopy(model.config),
        state_dict=model.state_dict(),
        quantization_config=BitsAndBytesConfig(**options, llm_int8_skip_modules=skip),
        dtype=model.dtype,
        device_map={"": model.device},
    ).eval()
    quantized.config._name_or_path = model.config._name_or_path
    quantized.generation_config = copy.deepcopy(model.generation_config)
    if pruned is not None:
        quantized.llmini_pruned = pruned
    return quantized


def scheme(bits: int, group_size: int | None, inputs: int | None = None, kind: str = "int") -> dict[str, Any]:
    """A symmetric weight scheme per channel or group, with dynamic per-token activations where ``inputs`` is given."""
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

    span = {"strategy": "group", "group_size": group_size} if group_size else {"strategy": "channel"}
    weights = QuantizationArgs(num_bits=bits, type=kind, symmetric=True, dynamic=False, **span)
    tokens = inputs and QuantizationArgs(num_bits=inputs, type=kind, symmetric=True, dynamic=True, strategy="token")
    return {"group_0": QuantizationScheme(targets=["Linear"], weights=weights, input_activations=tokens)}


def gptq(bits: int, group_size: int | None, block_size: int, damping: float, inputs: int | None = None) -> Any:
    """GPTQ that puts the zeros of a pruned weight back before the layer's outputs reach the next one.

    Its error feedback moves every later column, zeros included, so a mask would be lost.
    """
    from compressed_tensors.utils import update_offload_parameter
    from llmcompressor.modifiers.gptq import GPTQModifier

    class MaskedGPTQ(GPTQModifier):
        def compress_module_list(self, module_list: list) -> None:
            masks = [(module, module.weight == 0) for module in module_list]
            super().compress_module_list(module_list)
            for module, mask in masks:
                if invariants.is_mask(mask):
                    update_offload_parameter(module, "weight", module.weight.masked_fill(mask, 0))

    MaskedGPTQ.__name__ = "GPTQModifier"  # the recipe saved beside the model names the method
    return MaskedGPTQ(
        config_groups=scheme(bits, group_size, inputs), ignore=layers.IGNORE, block_size=block_size,
        dampening_frac=damping, actorder="static",
    )  # fmt: skip


def round_to_nearest(groups: dict[str, Any]) -> Any:
    """Quantization by rounding alone."""
    from llmcompressor.modifiers.quantization import QuantizationModifier

    return QuantizationModifier(config_groups=groups, ignore=layers.IGNORE)


def smoothing_map(model: PreTrainedModel) -> list[tuple[str, list[str]]]:
    """(norm, Linear layers reading it) as name patterns of this model. Raises UserError for an unknown architecture."""
    kind = model.config.get_text_config().model_type
    if kind not in SMOOTHED:
        raise UserError(f"no smoothing map for model type {kind!r} ({', '.join(SMOOTHED)}): choose w8a16 or w4a16")
    stem = layers.prefix(model)
    return [(stem + norm, [stem + name for name in readers]) for norm, readers in SMOOTHED[kind]]


def smoothquant(model: PreTrainedModel, calibration: Any, strength: float) -> list:
    """SmoothQuant's modifier followed by the check that it changed nothing the model computes."""
    from llmcompressor.modifiers.transform.smoothquant import SmoothQuantModifier

    mappings = [[readers, norm] for norm, readers in smoothing_map(model)]
    return [SmoothQuantModifier(smoothing_strength=strength, mappings=mappings),
            invariants.identity_modifier(model, calibration)]  # fmt: skip


def awq(model: PreTrainedModel, calibration: Any) -> list:
    """AWQ's scaling, without the quantization that follows it, and the same check.

    With q_norm and k_norm behind the projections (Gemma 3), scaling their inputs is worse than rounding to nearest
    (llm-compressor issue 2522), so there the attention norm is left out, as llmcompressor does.
    """
    from llmcompressor.modifiers.transform.awq import AWQModifier
    from llmcompressor.modifiers.transform.awq.mappings import AWQMapping

    stem = layers.prefix(model)
    pairs = smoothing_map(model)
    if model.config.get_text_config().model_type.startswith("gemma3"):
        pairs = pairs[1:]
    pairs += [(stem + r"\.self_attn\.v_proj$", [stem + r"\.self_attn\.o_proj$"]),
              (stem + r"\.mlp\.up_proj$", [stem + r"\.mlp\.down_proj$"])]  # fmt: skip
    mappings = [AWQMapping(source, readers) for source, readers in pairs]
    return [AWQModifier(mappings=mappings), invariants.identity_modifier(model, calibration)]
