"""Eight and four bits for encoders: PyTorch's dynamic int8, kept as safetensors, and bitsandbytes' formats.

Dynamic quantization rounds weights once and activations at every call (Jacob et al., 2018, eq. 1). PyTorch 2.13 still
has it in ``torch.ao`` and points to torchao for the future; on a CPU torchao's eager kernels are the slower ones
(`benchmarks/encoders.py` measures them where torchao is installed).
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from llmini import encoders, models, validate
from llmini.settings import UserError

FORMATS = ("int8_dynamic", "bnb_8bit", "bnb_4bit")


def quantize(source: Path, output: Path, method: str, kind: str) -> Path:
    """Write ``source``, a tuned dense encoder, to the folder ``output`` in one of :data:`FORMATS`.

    Embeddings stay in fp32. Raises UserError for an unknown method and, of bitsandbytes, for rows that were removed.
    """
    if method not in FORMATS:
        raise UserError(f"unknown format {method!r} of an encoder: choose among {', '.join(FORMATS)}")
    output.mkdir(parents=True, exist_ok=True)
    if method == "int8_dynamic":
        model, tokenizer = encoders.load(source, kind)
        write_dynamic(model, output)
        model.config.save_pretrained(output)
    else:
        model, tokenizer = bitsandbytes(source, method, kind)
        model.save_pretrained(output, safe_serialization=True)
    tokenizer.save_pretrained(output)
    encoders.write_note(output, {"format": method, "kind": kind})
    return output


def write_dynamic(model: Any, output: Path) -> None:
    """Every Linear layer as an int8 matrix with its scale, the rest as it is, in one safetensors file."""
    import torch
    from safetensors.torch import save_file

    found: dict[str, Any] = {}
    small = dynamic(model)
    inside = dict(small.named_modules())
    packed = {name for name, module in inside.items() if _packed(module)}
    for name in packed:
        weight, bias = inside[name].weight(), inside[name].bias()
        found[f"{name}.int8"] = weight.int_repr().contiguous()
        found[f"{name}.scale"] = torch.as_tensor(weight.q_scale(), dtype=torch.float64).view(1)
        found[f"{name}.zero"] = torch.as_tensor(weight.q_zero_point(), dtype=torch.int64).view(1)
        if bias is not None:
            found[f"{name}.bias"] = bias.detach().contiguous()
    for name, tensor in small.state_dict().items():
        if isinstance(tensor, torch.Tensor) and not any(name.startswith(f"{one}.") for one in packed):
            found[name] = tensor.contiguous().clone()
    save_file(found, output / "model.safetensors", metadata={"format": "pt"})


def dynamic(model: Any) -> Any:
    """A copy of a model whose Linear layers are int8 with activations rounded at every call."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces the move to torchao
        return torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)


def read_dynamic(folder: Path, kind: str) -> Any:
    """The model of `write_dynamic`, built without ever holding its fp32 matrices."""
    import torch
    import transformers
    from accelerate import init_empty_weights
    from torch.ao.nn.quantized.dynamic import Linear

    config = encoders.configuration(folder)
    with init_empty_weights(include_buffers=False):
        model = getattr(transformers, encoders.CLASSES[kind]).from_config(config)
    found = encoders.tensors(folder)
    packed = [key.removesuffix(".int8") for key in found if key.endswith(".int8")]
    whole = {key: tensor for key, tensor in found.items() if not key.startswith(tuple(f"{name}." for name in packed))}
    model.load_state_dict(whole, strict=False, assign=True)  # first: torch's int8 layers would look for their own keys
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in packed:
            rows = found[f"{name}.int8"]
            scale, zero = float(found[f"{name}.scale"]), int(found[f"{name}.zero"])
            made = Linear(rows.shape[1], rows.shape[0], dtype=torch.qint8)
            made.set_weight_bias(
                torch._make_per_tensor_quantized_tensor(rows, scale, zero), found.get(f"{name}.bias")
            )
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, made)
    left = [name for name, tensor in model.named_parameters() if tensor.device.type == "meta"]
    if left:
        raise UserError(f"{folder} lacks the weights {left[0]}: quantize the model again")
    return model.eval()


def _packed(module: Any) -> bool:
    from torch.ao.nn.quantized.dynamic import Linear

    return isinstance(module, Linear)


def bitsandbytes(source: Path, method: str, kind: str) -> tuple[Any, Any]:
    """(model, tokenizer) with Linear layers in LLM.int8 (Dettmers et al., 2022) or NF4 with double quantization.

    The classification head stays as it is. Raises UserError for rows that were removed: transformers builds the layers
    from the configuration, which knows nothing of them.
    """
    import transformers

    config = encoders.configuration(source)
    shapes, _ = validate.read_weights(source, "model")
    _check_whole(config, shapes, source)
    model = getattr(transformers, encoders.CLASSES[kind]).from_pretrained(
        source, quantization_config=settings_of(method), device_map={"": _place()}, use_safetensors=True
    )
    return model.eval(), models.load_tokenizer(source)


def settings_of(method: str) -> Any:
    """bitsandbytes' configuration of a method."""
    import torch
    from transformers import BitsAndBytesConfig

    skip = ["classifier", "pre_classifier"]
    if method == "bnb_8bit":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=skip)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                              bnb_4bit_compute_dtype=torch.float32, llm_int8_skip_modules=skip)  # fmt: skip


def _place() -> Any:
    from llmini.settings import device

    return device()


def _check_whole(config: Any, shapes: dict[str, tuple[int, ...]], source: Path) -> None:
    width = config.hidden_size
    rows = [shape[0] for name, shape in shapes.items() if name.endswith((".query.weight", ".q_lin.weight"))]
    if any(count != width for count in rows):
        raise UserError(f"{source} has rows removed, which bitsandbytes' loader cannot build: quantize it to "
                        "int8_dynamic or ONNX")  # fmt: skip
