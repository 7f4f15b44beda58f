"""Reading a checkpoint's weights, held against compressed-tensors, and the data files they go into."""

import json

import numpy
import pytest
import torch
from safetensors.torch import load_file, save_file

from exporting import build, write
from llmini.browser import graph, pieces
from llmini.browser.weights import Source
from llmini.settings import UserError

LAYER = "model.layers.0.mlp.up_proj"


@pytest.fixture
def checkpoint(tmp_path, tiny_tokenizer):
    return write(tmp_path / "model", tiny_tokenizer, build("llama"))


def source(folder):
    from transformers import AutoConfig

    return Source(folder, graph.parameters(AutoConfig.from_pretrained(folder)))


def edit(folder, change, **config):
    """Change the stored tensors of a checkpoint, and fields of its config."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    told = {**json.loads((folder / "config.json").read_text()), **config}
    (folder / "config.json").write_text(json.dumps(told))
    return folder


@pytest.mark.parametrize("bits, symmetric, group, kind", [
    (4, True, 32, "pack-quantized"), (4, False, 32, "pack-quantized"), (4, True, None, "pack-quantized"),
    (8, True, None, "pack-quantized"), (8, True, 64, "pack-quantized"), (8, False, None, "int-quantized"),
    (8, True, None, "int-quantized"),
])  # fmt: skip
def test_dequantized_as_compressed_tensors_does(checkpoint, bits, symmetric, group, kind):
    """Scheme by scheme: (q - z) s in fp32 from the bytes that its own compressor wrote, scales in bf16."""
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

    span = {"strategy": "group", "group_size": group} if group else {"strategy": "channel"}
    args = QuantizationArgs(num_bits=bits, type="int", symmetric=symmetric, **span)
    scheme = QuantizationScheme(targets=["Linear"], weights=args)
    draw = torch.Generator().manual_seed(0)
    weight = torch.randn(256, 128, generator=draw).bfloat16()
    groups = 128 // group if group else 1
    scale = (torch.rand(256, groups, generator=draw) * 0.2 + 0.1).bfloat16()
    half = 2 ** (bits - 1)
    zero = torch.randint(-half, half, (256, groups), generator=draw).to(torch.int8)
    given = {"weight": weight, "weight_scale": scale, "weight_zero_point": zero * (not symmetric)}
    compressor = BaseCompressor.get_value_from_registry(kind)
    stored = compressor.compress(given, scheme)
    wanted = compressor.decompress({**stored, "weight_scale": scale.float()}, scheme)["weight"]
    assert wanted.dtype == torch.float32 and (wanted - wanted.bfloat16().float()).abs().max() > 0

    def change(tensors):
        del tensors[f"{LAYER}.weight"]
        tensors.update({f"{LAYER}.{name}": tensor for name, tensor in stored.items() if tensor is not None})
        if symmetric:
            tensors.pop(f"{LAYER}.weight_zero_point", None)

    found = source(edit(checkpoint, change))
    assert numpy.array_equal(found.dense(f"{LAYER}.weight"), wanted.numpy())
    packed, int8 = found.packed(f"{LAYER}.weight"), found.int8(f"{LAYER}.weight")
    assert (packed is not None) == (bits == 4 and symmetric)
    assert (int8 is not None) == (bits == 8 and symmetric and not group)
    assert found.carries() == (4 if packed else 8 if int8 else None)
    if packed:
        assert packed.group == (group or 128)
        nibbles = numpy.stack([packed.nibbles & 15, packed.nibbles >> 4], -1).reshape(256, 128).astype(numpy.float32)
        again = (nibbles - 8) * numpy.repeat(packed.scales, packed.group, 1)
        assert numpy.array_equal(again, wanted.numpy())
    if int8:
        assert numpy.array_equal(int8[0] * int8[1], wanted.numpy())


def drop(name):
    return lambda tensors: tensors.pop(name)


def put(name, value):
    return lambda tensors: tensors.update({name: value})


ACTIVATIONS = {"quant_method": "compressed-tensors",
               "config_groups": {"group_0": {"input_activations": {"num_bits": 8}}}}  # fmt: skip
BLOCKS = torch.ones(2, 1)


@pytest.mark.parametrize("change, config, message", [
    (drop(f"{LAYER}.weight"), {}, "lacks model.layers.0.mlp.up_proj.weight"),
    (put(f"{LAYER}.weight_g_idx", torch.arange(128)), {}, "weight_g_idx, which its class does not read"),
    (put("model.layers.1.mlp.up_proj.weight", torch.ones(2, 2)), {}, "layers.1.mlp.up_proj.weight, which"),
    (put("lm_head.weight", torch.ones(512, 128)), {}, "lm_head.weight, which its class does not read"),
    (put("model.norm.weight", torch.full((128,), torch.nan)), {}, "NaN or infinite weights in model.norm.weight"),
    (put(f"{LAYER}.weight_scale", BLOCKS), {}, "in blocks that no form here carries"),
    (lambda _: None, {"quantization_config": ACTIVATIONS}, "quantizes activations too"),
    (lambda _: None, {"quantization_config": {"quant_method": "gptq"}}, "quantized by gptq"),
    (lambda _: None, {"quantization_config": {"quant_method": "bitsandbytes"}}, "quantized by bitsandbytes"),
])  # fmt: skip
def test_what_would_be_misread_is_refused(checkpoint, change, config, message):
    with pytest.raises(UserError, match=message) as fault:
        found = source(edit(checkpoint, change, **config))
        for name in found.names:
            found.dense(name)
    assert "\n" not in str(fault.value)


def test_a_copy_of_tied_embeddings_is_welcome(checkpoint):
    """As some files have it; the output embeddings are the input's."""
    found = source(edit(checkpoint, lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"].clone()})))
    assert numpy.array_equal(found.dense("lm_head.weight"), found.dense("model.embed_tokens.weight"))


@pytest.mark.parametrize("rope", [
    {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4},
    {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 32, "long_factor": [2.0] * 32, "factor": 4.0},
])
def test_frequencies_that_grow_are_refused(rope):
    """A graph holds them once: it would be right for short texts only, which are all that parity reads."""
    from transformers import LlamaConfig

    config = LlamaConfig(rope_parameters=rope, architectures=["LlamaForCausalLM"], original_max_position_embeddings=64)
    with pytest.raises(UserError, match="rotary frequencies grow"):
        graph.text_config(config)


def test_data_files_keep_their_limit(tmp_path):
    """Tensors begin at pages, fill a file up to its limit, and what does not fit begins the next."""
    import onnx_ir

    made = pieces.Pieces(tmp_path / "model.onnx", 10_000)
    sizes = (3000, 5000, 100, 9000)
    for number, size in enumerate(sizes):
        content = numpy.full(size, number, numpy.uint8)
        tensor = made.add(f"t{number}", content, onnx_ir.DataType.UINT8, (size,))
        assert tensor.offset % pieces.ALIGN == 0 and (tensor.numpy() == number).all() and len(tensor.numpy()) == size
    assert [path.name for path in made.files] == ["model.onnx_data", "model.onnx_data_1", "model.onnx_data_2"]
    assert all(path.stat().st_size <= 10_000 for path in made.files)
    assert [(part.start, part.stop) for part in made.rows(3000, 8)] == [(0, 3), (3, 6), (6, 8)]
    assert pieces.PIECE < 256e6


def test_half_where_it_is_exact(tmp_path):
    """What was bf16 becomes fp16 without a difference that counts; what was fp32 or too large does not."""
    values = torch.randn(64, 64).bfloat16().float().numpy()
    assert pieces.fits_half(values) and pieces.fits_half(values * 2**-12)
    assert numpy.abs((values * 2**-12).astype(numpy.float16) - values * 2**-12).max() <= 2**-25
    assert not pieces.fits_half(values * 1.0001) and not pieces.fits_half(values * 2.0**17)


def test_rows_are_rounded_to_nearest():
    """Half a step at most from the value, row by row; a row of zeros stays."""
    values = numpy.random.default_rng(0).normal(size=(9, 50)) * 10.0 ** numpy.arange(-4, 5)[:, None]
    values[3] = 0
    integers, scales = pieces.rounded(values.astype(numpy.float32))
    assert integers.dtype == numpy.int8 and scales.shape == (9, 1)
    assert (numpy.abs(integers * scales - values) <= scales / 2 * 1.001).all() and not integers[3].any()
