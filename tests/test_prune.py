"""Pruning: masks and weights against the papers' formulas, any sparsity, N:M, OWL, bad arguments."""

import copy
import dataclasses

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import references
from compressing import divergence, inputs_of, logits, vision_model
from llmini.compress import invariants, layers, owl, prune
from llmini.settings import UserError

KINDS = ("llama", "llama3", "qwen3", "gemma3")
LINEAR = ["self_attn.q_proj", "self_attn.o_proj", "mlp.up_proj", "mlp.down_proj"]


def weight(model, name, layer=0):
    return model.get_submodule(f"model.layers.{layer}.{name}").weight.detach().float().numpy().copy()


@pytest.mark.parametrize("sparsity", [0.5, 0.7])
def test_wanda_masks_are_the_formula(tiny_model, tiny_calibration, sparsity):
    model = tiny_model("llama3")
    dense, x = {}, {}
    for name in LINEAR:
        dense[name] = weight(model, name)
        x[name] = inputs_of(model, f"model.layers.0.{name}", tiny_calibration)
    prune.prune(model, "wanda", tiny_calibration, sparsity=sparsity)
    for name in LINEAR:
        mask, found = references.wanda_mask(dense[name], x[name], sparsity), weight(model, name)
        scores = numpy.abs(dense[name]) * numpy.linalg.norm(x[name], axis=0)
        cut = numpy.sort(scores, axis=1)[:, [int(scores.shape[1] * sparsity)]]
        off = (found == 0) != mask  # a score equal to its row's cut but for fp32's rounding may fall on either side
        at = numpy.broadcast_to(cut, scores.shape)[off]
        assert off.sum() <= 4 and numpy.allclose(scores[off], at, rtol=1e-5), name
        assert numpy.array_equal((found == 0).sum(1), mask.sum(1))
        kept = (found != 0) & ~mask
        assert numpy.array_equal(found[kept], dense[name][kept])


def test_wanda_masks_are_the_formula_in_groups(tiny_model, tiny_calibration):
    model = tiny_model("llama")
    dense, x = weight(model, LINEAR[0]), inputs_of(model, f"model.layers.0.{LINEAR[0]}", tiny_calibration)
    prune.prune(model, "wanda", tiny_calibration, mask_structure="2:4")
    assert numpy.array_equal(weight(model, LINEAR[0]) == 0, references.wanda_mask_nm(dense, x, 2, 4))


@pytest.mark.parametrize(("structure", "n", "m"), [("0:0", 0, 0), ("2:4", 2, 4)])
@pytest.mark.parametrize("name", ["self_attn.q_proj", "mlp.down_proj"])
def test_sparsegpt_agrees_with_the_formula(tiny_model, tiny_calibration, name, structure, n, m):
    model = tiny_model("llama")
    dense, x = weight(model, name), inputs_of(model, f"model.layers.0.{name}", tiny_calibration)
    expected = references.sparsegpt(dense, x, 0.5, 128, n=n, m=m)
    prune.prune(model, "sparsegpt", tiny_calibration, sparsity=0.5, mask_structure=structure)
    found = weight(model, name)
    # fp32 against fp64: near the threshold a weight may fall on either side and move its row a little.
    assert numpy.mean((found == 0) == (expected == 0)) > 0.999
    assert numpy.mean(numpy.isclose(found, expected, rtol=1e-3, atol=1e-4)) > 0.98
    error = lambda w: numpy.linalg.norm(x @ (dense - w).T)  # noqa: E731
    assert error(found) == pytest.approx(error(expected), rel=1e-3)


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_magnitude_is_sort_and_cut(tiny_model, sparsity, dtype):
    model = tiny_model("gemma3", dtype)  # bf16 weights tie by the hundred
    dense = {(name, layer): weight(model, name, layer) for name in LINEAR for layer in (0, 1)}
    prune.prune(model, "magnitude", sparsity=sparsity)
    for (name, layer), before in dense.items():
        mask = references.magnitude_mask(before, sparsity)
        assert numpy.array_equal(weight(model, name, layer), numpy.where(mask, 0, before))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 40), st.floats(0.001, 0.999), st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_lowest_is_a_stable_sort(rows, columns, sparsity, seed, values):
    """Ties included: with few distinct values nearly every score is tied."""
    import torch

    scores = numpy.random.default_rng(seed).integers(0, values, (rows, columns)).astype(numpy.float32)
    expected = numpy.zeros(scores.shape, dtype=bool)
    order = numpy.argsort(scores, axis=1, kind="stable")[:, : int(columns * sparsity)]
    numpy.put_along_axis(expected, order, True, axis=1)
    assert numpy.array_equal(prune.lowest(torch.from_numpy(scores), sparsity).numpy(), expected)


@given(st.integers(1, 7), st.integers(1, 8), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_lowest_in_groups_cuts_n_of_m(n, extra, groups, seed):
    import torch

    m = n + extra
    scores = torch.from_numpy(numpy.random.default_rng(seed).normal(size=(3, groups * m)))
    mask = prune.lowest(scores, 0.5, n, m)
    assert (mask.reshape(-1, m).sum(1) == n).all()
    cut, kept = scores.reshape(-1, m).masked_fill(~mask.reshape(-1, m), -9), scores.masked_fill(mask, 9).reshape(-1, m)
    assert (cut.max(1).values <= kept.min(1).values).all()


@pytest.mark.parametrize("method", prune.METHODS)
def test_every_method_reloads_to_the_same_logits(tiny_model, tiny_calibration, tmp_path, method):
    check_round_trip(tiny_model("llama3", "bfloat16"), method, tiny_calibration, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", prune.METHODS)
@pytest.mark.parametrize("options", [{"sparsity": 0.3}, {"mask_structure": "4:8"}, {"sparsity_profile": "owl"}])
def test_every_method_on_every_class(tiny_model, tiny_calibration, tmp_path, method, kind, dtype, options):
    check_round_trip(tiny_model(kind, dtype), method, tiny_calibration, tmp_path, **options)


def check_round_trip(model, method, calibration, folder, **options):
    from transformers import AutoModelForCausalLM

    before = invariants.snapshot(model, calibration)
    model = prune.prune(model, method, calibration, **options)
    invariants.check(before, model, prune=method, sparsity=options.get("sparsity", 0.5),
                     mask_structure=options.get("mask_structure"))  # fmt: skip
    model.save_pretrained(folder)
    reloaded = AutoModelForCausalLM.from_pretrained(folder).eval()
    assert (logits(reloaded, calibration) - logits(model, calibration)).abs().max() < 1e-5
    assert reloaded.lm_head.weight.data_ptr() == reloaded.model.embed_tokens.weight.data_ptr()


def test_more_zeros_cost_more_and_repair_helps(tiny_model, tiny_calibration):
    model = tiny_model("llama")
    dense = logits(model, tiny_calibration)
    cost = {(method, share): divergence(
        dense, prune.prune(copy.deepcopy(model), method, tiny_calibration, sparsity=share), tiny_calibration)
        for method in prune.METHODS for share in (0.5, 0.6, 0.7)}  # fmt: skip
    for method in prune.METHODS:
        assert cost[method, 0.5] < cost[method, 0.6] < cost[method, 0.7]
    assert cost["sparsegpt", 0.5] < cost["wanda", 0.5]


def test_owl_follows_the_paper(tiny_model, tiny_calibration):
    model = tiny_model("llama", num_hidden_layers=3)
    model.model.layers[1].mlp.down_proj.weight.data[:, :4] *= 60  # outliers in one layer
    shares = owl.sparsities(model, tiny_calibration, 0.6)
    assert numpy.mean(shares) == pytest.approx(0.6)
    assert max(shares) - min(shares) == pytest.approx(0.16)
    assert min(shares) == shares[1]  # the layer with outliers keeps most

    ratios = []  # the paper's ratio from one joined copy of each layer's scores
    for i in range(3):
        scores = numpy.concatenate([
            (numpy.abs(weight(model, name, i)) * numpy.linalg.norm(
                inputs_of(model, f"model.layers.{i}.{name}", tiny_calibration), axis=0)).ravel()
            for name in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                         "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")])  # fmt: skip
        ratios.append((scores > 5 * scores.mean()).mean())
    found = owl.outlier_ratios(model, tiny_calibration, 5.0)
    assert found == pytest.approx(ratios, rel=1e-3)
    scaled = (numpy.array(ratios) - min(ratios)) / (max(ratios) - min(ratios)) * 0.16
    assert shares == pytest.approx(list(1 - (scaled - scaled.mean() + 1 - 0.6)), abs=1e-3)


@pytest.mark.parametrize("sparsity", [0.02, 0.98])
def test_owl_stays_inside_zero_and_one(tiny_model, tiny_calibration, sparsity):
    shares = owl.sparsities(tiny_model("qwen3"), tiny_calibration, sparsity)
    assert all(0 < share < 1 for share in shares)
    assert numpy.mean(shares) == pytest.approx(sparsity)


def test_owl_reaches_every_pruner(tiny_model, tiny_calibration):
    for method in prune.METHODS:
        model = tiny_model("llama")
        before = invariants.snapshot(model)
        prune.prune(model, method, tiny_calibration, sparsity=0.6, sparsity_profile="owl")
        assert len(set(model.llmini_pruned)) == 2
        invariants.check(before, model, prune=method, sparsity=0.6)


@pytest.mark.parametrize("method", prune.METHODS)
def test_only_decoder_layers_are_pruned(tiny_calibration, method):
    model = vision_model()
    dense = copy.deepcopy(model.state_dict())
    prune.prune(model, method, tiny_calibration, sparsity=0.5)
    linears = set(layers.decoder_linears(model))
    assert len(linears) == 14
    for name, tensor in model.state_dict().items():
        if name.removesuffix(".weight") not in linears:
            assert tensor.equal(dense[name]), name


def test_a_silent_fallback_is_loud(tiny_model, tiny_calibration):
    few = dataclasses.replace(tiny_calibration, ids=tiny_calibration.ids[:1, :16])
    with pytest.raises(UserError, match=r"Failed to invert.*layers\.0\.self_attn\.q_proj"):
        prune.prune(tiny_model("llama"), "sparsegpt", few, damping=0.0)


@pytest.mark.parametrize(("options", "message"), [
    ({"method": "random"}, "unknown pruning method 'random'"),
    ({"sparsity": 0.0}, "between 0 and 1"),
    ({"sparsity": 1.0}, "between 0 and 1"),
    ({"sparsity": float("nan")}, "between 0 and 1"),
    ({"mask_structure": "4:2"}, "not N:M"),
    ({"mask_structure": "two:four"}, "not N:M"),
    ({"mask_structure": "3:7"}, "does not fit"),
    ({"mask_structure": "32:96"}, "does not fit"),
    ({"sparsity_profile": "hawk"}, "unknown sparsity profile"),
    ({"method": "wanda", "calibration": None}, "wanda needs calibration"),
    ({"sparsity_profile": "owl", "calibration": None}, "needs calibration"),
])  # fmt: skip
def test_bad_arguments_are_refused(tiny_model, tiny_calibration, options, message):
    with pytest.raises(UserError, match=message):
        prune.prune(tiny_model("llama"), **{"method": "magnitude", "calibration": tiny_calibration, **options})


def test_a_mask_structure_overrules_the_sparsity(tiny_model):
    with pytest.warns(UserWarning, match="2:4 fixes every layer at 0.5"):
        model = prune.prune(tiny_model("llama"), "magnitude", sparsity=0.7, mask_structure="2:4")
    assert model.llmini_pruned == [0.5, 0.5]
    assert prune.effective_sparsity(0.7, "2:4") == 0.5
