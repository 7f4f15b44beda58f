"""Every invariant is violated on purpose, and the module is named."""

import dataclasses

import pytest

from compressing import logits, vision_model
from llmini.compress import invariants, layers, prune, quantize
from llmini.compress.invariants import InvariantError, check, snapshot
from llmini.settings import UserError

DOWN = "model.layers.1.mlp.down_proj"


@pytest.fixture
def model(tiny_model):
    return tiny_model("llama3")


def test_an_untouched_model_passes(model, tiny_calibration):
    check(snapshot(model, tiny_calibration), model)


def test_fault_is_a_users_fault():
    assert issubclass(InvariantError, UserError)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_nan_and_infinity(tiny_model, value, dtype):
    model = tiny_model("llama", dtype)
    before = snapshot(model)
    model.get_submodule(DOWN).weight.data[3, 5] = value
    with pytest.raises(InvariantError, match=rf"{DOWN}\.weight holds NaN"):
        check(before, model)
    with pytest.raises(InvariantError, match=rf"{DOWN}\.weight holds NaN"):
        snapshot(model)


def test_large_finite_weights_are_fine(tiny_model):
    model = tiny_model("llama", "float16")
    model.model.norm.weight.data[:] = 60000.0  # their sum is beyond fp16
    snapshot(model)


def test_changed_embeddings(model):
    before = snapshot(model)
    model.model.embed_tokens.weight.data[7, 7] += 1e-3
    with pytest.raises(InvariantError, match="embeddings changed"):
        check(before, model)


def test_changed_head(tiny_model):
    model = tiny_model("qwen3", tie_word_embeddings=False)
    before = snapshot(model)
    model.lm_head.weight.data[0, 0] = 0
    with pytest.raises(InvariantError, match="lm_head changed"):
        check(before, model)


def test_broken_tie(model):
    import torch

    before = snapshot(model)
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    with pytest.raises(InvariantError, match="lm_head"):
        check(before, model)


def test_pruned_embeddings_of_a_tied_model(model):
    before = snapshot(model)
    model.model.embed_tokens.weight.data[::2] = 0
    with pytest.raises(InvariantError, match="embeddings changed"):
        check(before, model, prune="wanda", sparsity=0.5)


def test_a_module_that_was_not_pruned(model):
    before, dense = snapshot(model), model.get_submodule(DOWN).weight.detach().clone()
    prune.prune(model, "magnitude", sparsity=0.5)
    check(before, model, prune="magnitude", sparsity=0.5)
    with pytest.raises(InvariantError, match=r"model\.layers\.0\.self_attn\.q_proj has 0\.5000 zeros where 0\.6000"):
        check(before, model, prune="magnitude", sparsity=0.6)
    model.get_submodule(DOWN).weight.data.copy_(dense)
    with pytest.raises(InvariantError, match=rf"{DOWN} has 0\.0000 zeros"):
        check(before, model, prune="magnitude", sparsity=0.5)


def test_an_uneven_profile_is_checked_layer_by_layer(model, tiny_calibration):
    before = snapshot(model)
    prune.prune(model, "magnitude", tiny_calibration, sparsity=0.6, sparsity_profile="owl")
    check(before, model, prune="magnitude", sparsity=0.6)
    check(before, model, prune="magnitude", sparsity=list(model.llmini_pruned))
    with pytest.raises(InvariantError, match=r"layers\.0"):
        check(before, model, prune="magnitude", sparsity=model.llmini_pruned[::-1])


def test_a_broken_group(model):
    before = snapshot(model)
    prune.prune(model, "magnitude", mask_structure="2:4")
    check(before, model, prune="magnitude", mask_structure="2:4")
    weight = model.get_submodule(DOWN).weight.data
    weight[2, 4:8] = 1.0
    with pytest.raises(InvariantError, match=rf"{DOWN} has a group of 4 with 0 zeros"):
        check(before, model, prune="magnitude", mask_structure="2:4")


@pytest.mark.parametrize("method", [None, "int8", "int4", "w4a16_rtn"])
def test_zeros_that_came_back(model, method):
    prune.prune(model, "magnitude", sparsity=0.5)
    before = snapshot(model)
    if method:
        model = quantize.quantize(model, method)
    check(before, model, quant=method)
    weight = model.get_submodule(DOWN).weight.data
    weight.fill_(0x55 if method == "int4" else 1)
    with pytest.raises(InvariantError, match=rf"{DOWN} lost \d+ of its zeros"):
        check(before, model, quant=method)


def test_masks_are_read_after_a_forward_pass(model, tiny_calibration):
    """On CPUs with AVX512, bitsandbytes repacks its 4-bit weights at the first forward pass."""
    prune.prune(model, "magnitude", sparsity=0.5)
    before = snapshot(model)
    model = quantize.quantize(model, "int4")
    first = logits(model, tiny_calibration)
    check(before, model, quant="int4", prune="magnitude", sparsity=0.5)
    assert (logits(model, tiny_calibration) - first).abs().max() < 0.05


def test_a_module_that_was_not_quantized(model):
    before = snapshot(model)
    with pytest.raises(InvariantError, match=r"model\.layers\.0\.self_attn\.q_proj was not quantized"):
        check(before, model, quant="w4a16")
    quantize.quantize(model, "w4a16_rtn")
    del model.get_submodule(DOWN).quantization_scheme
    with pytest.raises(InvariantError, match=f"{DOWN} was not quantized"):
        check(before, model, quant="w4a16_rtn")


def test_a_module_that_should_not_be_quantized():
    model = vision_model()
    before = snapshot(model)
    quantize.quantize(model, "w4a16_rtn")
    tower = model.get_submodule("model.vision_tower.encoder.layers.0.mlp.fc1")
    tower.quantization_scheme = model.get_submodule("model.language_model.layers.0.mlp.up_proj").quantization_scheme
    with pytest.raises(InvariantError, match=r"vision_tower\..*fc1 was quantized, but"):
        check(before, model, quant="w4a16_rtn")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_smoothing_of_the_wrong_norm(tiny_model, tiny_calibration, monkeypatch, dtype):
    """llmcompressor's default map smooths Gemma's post_attention_layernorm, which feeds the residual stream."""
    wrong = {"gemma3_text": (quantize.ATTENTION, (r"\.post_attention_layernorm$", quantize.MLP))}
    monkeypatch.setattr(quantize, "SMOOTHED", wrong)
    with pytest.raises(InvariantError, match=r"model\.layers\.0: smoothing alone changed the logits"):
        quantize.quantize(tiny_model("gemma3", dtype), "w8a8", tiny_calibration)


def test_smoothing_names_the_first_layer_that_changed(model, tiny_calibration):
    before = invariants.outputs(model, tiny_calibration.ids[:1])
    model.get_submodule(DOWN).weight.data *= 1.01
    with pytest.raises(InvariantError, match=r"^model\.layers\.1: smoothing"):
        invariants.same_outputs(before, invariants.outputs(model, tiny_calibration.ids[:1]))


def test_fallbacks_are_no_success(tiny_model, tiny_calibration):
    few = dataclasses.replace(tiny_calibration, ids=tiny_calibration.ids[:1, :16])
    with pytest.raises(UserError, match="not the method asked for"):
        quantize.quantize(tiny_model("llama"), "w8a16", few, damping=0.0)


def test_a_disabled_log_hides_no_fallback(tiny_model, tiny_calibration):
    from loguru import logger

    logger.disable("llmcompressor")
    few = dataclasses.replace(tiny_calibration, ids=tiny_calibration.ids[:1, :16])
    with pytest.raises(UserError, match="not the method asked for"):
        prune.prune(tiny_model("llama"), "sparsegpt", few, damping=0.0)


def test_packing_masks_loses_nothing():
    import torch

    mask = torch.rand(7, 13) < 0.3
    assert invariants.unpacked(invariants.packed(mask), mask.shape).equal(mask)


def test_an_encoder_has_no_decoder_layers():
    import transformers

    config = transformers.BertConfig(hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    with pytest.raises(UserError, match="no decoder layers"):
        layers.decoder_layers(transformers.BertModel(config))
