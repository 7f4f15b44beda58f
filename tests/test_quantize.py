"""Quantization: GPTQ against the paper's formula, every method on every class, reload, masks, silent fallbacks."""

import copy
import dataclasses

import numpy
import pytest

import references
from compressing import divergence, inputs_of, logits, vision_model
from llmini.compress import invariants, layers, prune, quantize
from llmini.settings import UserError

KINDS = ("llama", "llama3", "qwen3", "gemma3")


@pytest.mark.parametrize("name", ["self_attn.q_proj", "mlp.down_proj"])
def test_gptq_agrees_with_the_formula(tiny_model, tiny_calibration, name):
    model = tiny_model("llama")
    module = model.get_submodule(f"model.layers.0.{name}")
    weight = module.weight.detach().numpy().copy()
    x = inputs_of(model, f"model.layers.0.{name}", tiny_calibration)
    expected = references.gptq(weight, x, bits=4, group=128)
    quantize.quantize(model, "w4a16", tiny_calibration)
    found = module.weight.detach().numpy()
    # fp32 against fp64: a weight on the edge between two steps may fall on either side, and takes its row along.
    assert numpy.mean(numpy.isclose(found, expected, atol=1e-5)) > 0.97
    error = lambda q: numpy.linalg.norm(x @ (weight - q).T)  # noqa: E731
    nearest = references.rounded(weight, references.group_scales(weight, 128, 4), 4)
    assert error(found) == pytest.approx(error(expected), rel=0.01)
    assert error(found) < 0.9 * error(nearest)


def test_round_to_nearest_is_the_formula(tiny_model):
    import torch

    model = tiny_model("qwen3")
    module = model.model.layers[1].mlp.up_proj
    weight = module.weight.detach().numpy().copy()
    quantize.quantize(model, "w4a16_rtn", group_size=64)
    found = module(torch.eye(256)).T.detach().numpy()  # the weight that the layer computes with
    expected = references.rounded(weight, references.group_scales(weight, 64, 4), 4)
    assert numpy.isclose(found, expected, atol=1e-6).mean() > 0.9999


@pytest.mark.parametrize("method", quantize.METHODS)
def test_every_method_reloads_to_the_same_logits(tiny_model, tiny_calibration, tmp_path, method):
    check_round_trip(tiny_model("llama3", "bfloat16"), method, tiny_calibration, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", quantize.METHODS)
def test_every_method_on_every_class(tiny_model, tiny_calibration, tmp_path, method, kind, dtype):
    check_round_trip(tiny_model(kind, dtype), method, tiny_calibration, tmp_path)


def check_round_trip(model, method, calibration, folder):
    from transformers import AutoModelForCausalLM

    dense = logits(model, calibration)
    before = invariants.snapshot(model, calibration)
    model = quantize.quantize(model, method, calibration)
    invariants.check(before, model, quant=method)
    # Saved before the first forward pass: on a CPU that pass rounds bitsandbytes' scales.
    model.save_pretrained(folder)
    after = divergence(dense, model, calibration)
    reloaded = AutoModelForCausalLM.from_pretrained(folder).eval()
    assert (logits(reloaded, calibration) - logits(model, calibration)).abs().max() < 1e-3
    assert 0 < after < (1e-3 if "8" in method else 2e-2)
    assert type(reloaded.lm_head).__name__ == "Linear"


def test_more_bits_and_calibration_help(tiny_model, tiny_calibration):
    model = tiny_model("llama")
    dense = logits(model, tiny_calibration)
    cost = {}
    for method in ("w8a16", "w4a16", "w4a16_rtn", "int4", "int4_fp4"):
        compressed = quantize.quantize(copy.deepcopy(model), method, tiny_calibration)
        cost[method] = divergence(dense, compressed, tiny_calibration)
    assert cost["w8a16"] < cost["w4a16"] < cost["w4a16_rtn"]
    assert cost["int4"] < cost["int4_fp4"]


@pytest.mark.parametrize("kind", KINDS)
def test_smoothing_alone_is_an_identity(tiny_model, tiny_calibration, kind):
    model = tiny_model(kind)
    dense, weight = logits(model, tiny_calibration), model.model.layers[0].mlp.up_proj.weight.clone()
    layers.oneshot(model, quantize.smoothquant(model, tiny_calibration, 0.5), tiny_calibration)
    assert (logits(model, tiny_calibration) - dense).abs().max() < 1e-4
    assert not weight.equal(model.model.layers[0].mlp.up_proj.weight)


@pytest.mark.parametrize("method", quantize.METHODS)
def test_zeros_survive_quantization(tiny_model, tiny_calibration, method):
    model = prune.prune(tiny_model("llama3", "bfloat16"), "magnitude", mask_structure="2:4")
    before = invariants.snapshot(model)
    assert len(before.masks) == 14
    model = quantize.quantize(model, method, tiny_calibration)
    invariants.check(before, model, quant=method, prune="magnitude", mask_structure="2:4")


def test_vision_tower_is_left_alone(tiny_calibration):
    model = vision_model()
    for method in ("w4a16", "w8a8", "int4"):
        copied = copy.deepcopy(model)
        before = invariants.snapshot(copied)
        copied = quantize.quantize(copied, method, tiny_calibration)
        invariants.check(before, copied, quant=method)
        for name, module in copied.named_modules():
            assert layers.bits(module) is None or "language_model.layers" in name


def test_a_silent_fallback_is_loud(tiny_model, tiny_calibration):
    few = dataclasses.replace(tiny_calibration, ids=tiny_calibration.ids[:1, :16])
    with pytest.raises(UserError, match=r"round-to-nearest.*layers\.0\.self_attn\.q_proj"):
        quantize.quantize(tiny_model("llama"), "w4a16", few, damping=0.0)


@pytest.mark.parametrize(("options", "message"), [
    ({"method": "int3"}, "unknown quantization method 'int3'.*int8"),
    ({"method": "w4a16", "calibration": None}, "needs calibration text"),
    ({"method": "w4a16_rtn", "group_size": 100}, "q_proj has 256 inputs"),
    ({"method": "w4a16_rtn", "group_size": 0}, "at least 1"),
])  # fmt: skip
def test_bad_arguments_are_refused(tiny_model, tiny_calibration, options, message):
    with pytest.raises(UserError, match=message):
        quantize.quantize(tiny_model("llama"), **{"calibration": tiny_calibration, **options})


def test_a_quantized_model_is_refused(tiny_model):
    model = quantize.quantize(tiny_model("llama"), "int4")
    with pytest.raises(UserError, match="quantized already"):
        quantize.quantize(model, "int8")
    with pytest.raises(UserError, match="is quantized"):
        prune.prune(model, "magnitude")
    with pytest.raises(UserError, match="quantized already"):
        quantize.quantize(quantize.quantize(tiny_model("llama"), "w4a16_rtn"), "w4a16_rtn")


def test_blocks_of_64_are_demanded_of_4_bit_bitsandbytes(tiny_model):
    with pytest.raises(UserError, match="down_proj has 800 inputs"):
        quantize.quantize(tiny_model("llama", intermediate_size=800), "int4")


def test_an_unknown_architecture_has_no_smoothing_map(tiny_model, tiny_calibration):
    model = tiny_model("llama")
    model.config.model_type = "llamoid"
    with pytest.raises(UserError, match="no smoothing map for model type 'llamoid'"):
        quantize.quantize(model, "w8a8", tiny_calibration)


def test_the_same_calibration_gives_the_same_weights(tiny_model, tiny_calibration):
    first, second = (quantize.quantize(tiny_model("qwen3"), "w4a16", tiny_calibration) for _ in range(2))
    assert all(a.equal(b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_schemes_are_those_of_the_study(tiny_model, tiny_calibration):
    model = quantize.quantize(tiny_model("llama"), "w8a16", tiny_calibration)
    weights = model.model.layers[0].mlp.up_proj.quantization_scheme.weights
    assert (weights.num_bits, weights.strategy, weights.symmetric) == (8, "channel", True)
    model = quantize.quantize(tiny_model("llama"), "w8a8", tiny_calibration)
    scheme = model.model.layers[0].mlp.up_proj.quantization_scheme
    assert (scheme.input_activations.num_bits, scheme.input_activations.dynamic) == (8, True)
    for method, kind, nested in (("int4", "nf4", True), ("int4_fp4", "fp4", False)):
        config = quantize.quantize(tiny_model("llama"), method).config.quantization_config
        assert (config.bnb_4bit_quant_type, config.bnb_4bit_use_double_quant) == (kind, nested)


def test_nothing_is_printed(tiny_model, tiny_calibration, tmp_path, capfd):
    """Batch notebooks keep their output: progress bars are off (TQDM_DISABLE), logs and false alarms too."""
    for method in ("w4a16", "int8"):
        quantize.quantize(tiny_model("llama", "bfloat16"), method, tiny_calibration).save_pretrained(tmp_path / method)
    assert capfd.readouterr() == ("", "")
