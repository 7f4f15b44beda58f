"""The exporter's five classes in real Chromium: greedy tokens there are PyTorch's, dense and 4-bit carried.

Minutes long. Each class is a pocket checkpoint, quantized here by GPTQ; Gemma 2, which the pocket tier does not train,
is a random model under a pocket tokenizer, with soft-capping low enough to bend its logits.
"""

import json
import time

import pytest

import acai
import exporting
from acai import ask, load, manifest

POCKET = {"Llama": "llama3_1_8b", "Qwen2": "qwen2_5_7b_instruct", "Qwen3": "qwen3_8b", "Gemma3": "gemma3_12b"}
WAYS = [("wasm", "dense"), ("wasm", "q4dq"), ("wasm", "q4"), ("webgpu", "q4")]
pytestmark = pytest.mark.slow

@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return acai.site(tmp_path_factory.mktemp("site"))


def gemma2(folder):
    """A random Gemma 2 of the pocket shape: four layers, every second with a window of 128 tokens."""
    from llmini import models, settings

    tokenizer = models.load_tokenizer(settings.data("pocket", "models", POCKET["Gemma3"]))
    shape = {"vocab_size": len(tokenizer), "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 4,
             "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 2048,
             "sliding_window": 128, "layer_types": ["sliding_attention", "full_attention"] * 2,
             "eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}  # fmt: skip
    return exporting.write(folder, tokenizer, exporting.build("gemma2", **shape))


@pytest.fixture(scope="module", params=["Llama", "Qwen2", "Qwen3", "Gemma2", "Gemma3"])
def exported(request, tmp_path_factory):
    """(class, folder of the dense checkpoint's export, folder of its GPTQ W4A16 one's)."""
    from llmini.browser.export import export
    from llmini.compress.checkpoint import compress

    place = tmp_path_factory.mktemp(request.param)
    dense = gemma2(place / "gemma2") if request.param == "Gemma2" else POCKET[request.param]
    packed = compress(dense, place / "w4a16", quant="w4a16", samples=16)
    with pytest.MonkeyPatch.context() as patch:
        exporting.cached(patch)  # one class, one graph
        one = export(dense, place / "dense-export", forms=["dense"])
        two = export(packed, place / "w4a16-export", forms=["q4", "q4dq"])
    assert manifest(one)["class"] == manifest(two)["class"] == f"{request.param}ForCausalLM"
    return request.param, one, two


def agree(page, place, device, form):
    """Load a form; the service's own self-test, then every prompt as a user asks it. Tokens compared, and ties."""
    told = load(page, device=device, form=form)
    assert (told["info"]["device"], told["info"]["form"]) == (device, form), told
    tested = told["info"]["measured"]["selfTest"]
    test = manifest(place)["self_test"]
    assert tested["wrong"] is None and tested["ties"] <= test["ties"]
    ends = json.loads((place / "generation_config.json").read_text(encoding="utf8"))["eos_token_id"]
    ends = set(ends if isinstance(ends, list) else [ends])
    compared = 0
    for row in test["prompts"]:
        stop = next((at for at, token in enumerate(row["tokens"]) if token in ends), len(row["tokens"]))
        wanted = row["tokens"][: min(stop, row["sure"])]
        found = ask(page, row["prompt"], maxTokens=len(row["tokens"]))
        assert [token["token"] for token in found["list"]][: len(wanted)] == wanted, (row, found)
        assert found["prompt"] == len(row["ids"])
        compared += len(wanted)
    assert compared >= 12
    return compared, test["ties"]


@pytest.mark.parametrize("device, form", WAYS)
def test_tokens_are_pytorchs(exported, site, tmp_path_factory, device, form, record_property):
    """Up to the first token that PyTorch chose by less than 1e-3: how many, and how many such, is told."""
    name, one, two = exported
    place = one if form == "dense" else two
    flags = acai.WEBGPU if device == "webgpu" else acai.SOFTWARE
    with acai.serving(site, place) as server, acai.browser(tmp_path_factory.mktemp("profile"), flags=flags) as context:
        context.set_default_timeout(900_000)
        page = context.new_page()
        page.goto(f"{server.url}tests/llm.html")
        if device == "webgpu" and not page.evaluate("async () => Boolean(await navigator.gpu?.requestAdapter())"):
            pytest.skip("this Chromium has no software adapter for WebGPU")
        begun = time.monotonic()
        compared, ties = agree(page, place, device, form)
        assert context.left == []
    print(f"{name} {form} in {device}: {compared} tokens, {ties} ties, {time.monotonic() - begun:.0f} s")
    record_property("tokens", compared)
    record_property("ties", ties)
