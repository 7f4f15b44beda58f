"""On the pocket ALLaM-class model, methods are ordered by KL to dense as on large models."""

import copy

import pytest

from llmini import settings
from llmini.compress import prune, quantize

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bench():
    """(dense model, calibration in both languages, divergence of a model from it on held-out text of both)."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from llmini import texts
    from llmini.measure import divergence

    folder = settings.data("pocket", "models", "allam_7b")
    if not (folder / "model.safetensors").is_file():
        pytest.skip("the pocket weights are not there: make pocket-models")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    calibration = texts.calibration(tokenizer, "world", "mixed", 64, 512, 0)
    windows = []
    for language in ("en", "ar"):
        ids = [i for text in texts.documents("world", language, "test") for i in tokenizer(text)["input_ids"]]
        windows.append(torch.tensor(ids[: 12 * 512]).reshape(12, 512))
    reference = divergence.reference(model, torch.cat(windows))
    return model, calibration, lambda compressed: divergence.kl_to_dense(reference, compressed)["mean"]


def test_quantization(bench):
    model, calibration, cost = bench
    methods = ("int8", "w8a16", "w8a8", "w4a16", "w4a16_rtn", "int4", "int4_fp4")
    found = {name: cost(quantize.quantize(copy.deepcopy(model), name, calibration)) for name in methods}
    print(found)
    assert max(found["int8"], found["w8a16"], found["w8a8"]) < found["w4a16"] < found["w4a16_rtn"]
    assert found["int4"] < found["int4_fp4"]


@pytest.mark.parametrize("method", prune.METHODS)
def test_more_zeros_cost_more(bench, method):
    model, calibration, cost = bench
    found = [cost(prune.prune(copy.deepcopy(model), method, calibration, sparsity=s)) for s in (0.5, 0.6, 0.7)]
    print(method, found)
    assert found == sorted(found)


def test_repair_beats_cutting_alone(bench):
    model, calibration, cost = bench
    found = {name: cost(prune.prune(copy.deepcopy(model), name, calibration)) for name in ("sparsegpt", "wanda")}
    print(found)
    assert found["sparsegpt"] < found["wanda"]
