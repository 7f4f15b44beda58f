"""Merging: ends bit for bit, slerp against float64 references, what is refused, and what an interruption leaves."""

import hashlib
import json
import math
import shutil

import numpy
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from checkpoints import edit_config, write_model
from llmini.settings import UserError
from llmini.train import merge as merging
from llmini.train import merge_inputs
from llmini.train.merge import blend, merge

SMALL = {"hidden_size": 64, "intermediate_size": 96, "head_dim": 16}


@pytest.fixture(scope="module")
def pair(tmp_path_factory, tiny_tokenizer):
    """Two random models of one architecture in bf16."""
    home = tmp_path_factory.mktemp("pair")
    return [write_model(home / name, tiny_tokenizer, "qwen3", seed=seed, **SMALL) for seed, name in enumerate("ab")]


def weights(folder):
    return {name: tensor for path in folder.glob("*.safetensors") for name, tensor in load_file(path).items()}


def bits(tensor):
    return tensor.contiguous().view(torch.uint8)


def identical(one, two):
    return one.keys() == two.keys() and all(
        one[name].dtype == two[name].dtype and torch.equal(bits(one[name]), bits(two[name])) for name in one
    )


def reference(a, b, t):
    """Shoemake's formula over flattened tensors in NumPy's float64, and the straight line where the arc is flat."""
    a, b = a.double().numpy().ravel(), b.double().numpy().ravel()
    norms = numpy.linalg.norm(a) * numpy.linalg.norm(b)
    cosine = a @ b / norms if norms else 1.0
    if abs(cosine) > 0.9995:
        return (1 - t) * a + t * b
    angle = numpy.arccos(cosine)
    return (numpy.sin((1 - t) * angle) * a + numpy.sin(t * angle) * b) / numpy.sin(angle)


def arrays(size):
    return st.lists(st.floats(-10, 10, allow_nan=False), min_size=size, max_size=size)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("method", ["slerp", "lerp"])
def test_ends_are_the_inputs_bit_for_bit(tmp_path, tiny_tokenizer, dtype, method):
    inputs = [write_model(tmp_path / name, tiny_tokenizer, "llama", dtype=dtype, seed=seed, **SMALL)
              for seed, name in enumerate("ab")]  # fmt: skip
    for t, home in zip((0, 1), inputs, strict=True):
        made = merge(*inputs, tmp_path / f"out{t}", t=t, method=method)
        assert identical(weights(made), weights(home))
        assert json.loads((made / "merge.json").read_text())["tensors"]["copy"] == len(weights(home))


@pytest.mark.parametrize("t", [0.25, 0.5, 0.9])
def test_every_tensor_agrees_with_float64(pair, tmp_path, t):
    one, two = map(weights, pair)
    found = weights(merge(*pair, tmp_path / "out", t=t))
    for name, tensor in found.items():
        wanted = torch.from_numpy(reference(one[name], two[name], t)).view(tensor.shape)
        assert tensor.dtype == torch.bfloat16 == one[name].dtype
        # rounded once: within half a unit of bfloat16's eight bits
        assert ((tensor.double() - wanted).abs() <= wanted.abs() * 2.0**-8 + 1e-30).all(), name


@given(arrays(6), arrays(6), st.floats(0, 1))
@trials(max_examples=200, deadline=None)
def test_unit_vectors_stay_on_the_unit_sphere(a, b, t):
    a, b = (torch.tensor(each, dtype=torch.float64) for each in (a, b))
    if min(a.norm(), b.norm()) < 1e-3:
        return
    a, b = a / a.norm(), b / b.norm()
    found, how = blend(a, b, t)
    if how == "slerp":
        assert found.norm().item() == pytest.approx(1, abs=1e-9)
        angle = math.acos(max(-1, min(1, (a @ b).item())))
        assert (found @ a).item() == pytest.approx(math.cos(t * angle), abs=1e-7)
    assert torch.isfinite(found).all()


@given(arrays(5), arrays(5), st.floats(0, 1))
@trials(max_examples=200, deadline=None)
def test_it_is_symmetric(a, b, t):
    a, b = (torch.tensor(each, dtype=torch.float32) for each in (a, b))
    one, two = blend(a, b, t)[0], blend(b, a, 1 - t)[0]
    torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(blend(a, b, t)[0].double(), torch.from_numpy(reference(a, b, t)), rtol=1e-5, atol=1e-5)


def test_flat_zero_and_opposite_tensors_are_lerped_without_nan():
    a, zero = torch.tensor([3.0, 4.0]), torch.zeros(2)
    for one, two in ((a, zero), (zero, a), (a, -a), (a, 1.0001 * a)):
        found, how = blend(one, two, 0.25)
        assert how == "lerp"
        torch.testing.assert_close(found, 0.75 * one + 0.25 * two)
    found, how = blend(zero, zero.clone(), 0.5)
    assert how == "copy" and torch.equal(found, zero)
    assert blend(a, torch.tensor([-4.0, 3.0]), 0.5)[1] == "slerp"


def test_chunks_do_not_change_a_tensor(monkeypatch):
    torch.manual_seed(0)
    a, b = torch.randn(7, 11), torch.randn(7, 11)
    whole = blend(a, b, 0.3)[0]
    monkeypatch.setattr(merging, "CHUNK", 10)
    torch.testing.assert_close(blend(a, b, 0.3)[0], whole, rtol=1e-6, atol=0)


def test_nan_and_whole_numbers_are_refused():
    a = torch.tensor([1.0, math.nan])
    with pytest.raises(UserError, match="NaN or infinity"):
        blend(a, torch.ones(2), 0.5)
    with pytest.raises(UserError, match="cannot be interpolated"):
        blend(torch.tensor([1]), torch.tensor([2]), 0.5)


def test_t_by_layer(pair, tmp_path):
    """Layer 0 of the first, layer 1 of the second, what is outside in the middle; three ways to say the first part."""
    one, two = map(weights, pair)
    made = [weights(merge(*pair, tmp_path / f"out{i}", t=0.5, per_layer=way))
            for i, way in enumerate((lambda number: number, {0: 0, 1: 1}, [0, 1]))]  # fmt: skip
    for name, tensor in made[0].items():
        if "layers." in name:
            assert torch.equal(tensor, (one if "layers.0." in name else two)[name])
        else:
            wanted = torch.from_numpy(reference(one[name], two[name], 0.5))
            torch.testing.assert_close(tensor.double().flatten(), wanted, rtol=2**-8, atol=0)
    assert identical(made[0], made[1]) and identical(made[0], made[2])
    assert json.loads((tmp_path / "out1" / "merge.json").read_text())["per_layer"] == [0, 1]


@pytest.mark.parametrize("anchors, count, values", [
    ([0.2], 3, [0.2, 0.2, 0.2]), ([0, 1], 5, [0, 0.25, 0.5, 0.75, 1]), ([0, 1, 0], 5, [0, 0.5, 1, 0.5, 0]),
    ([0.3, 0.9], 1, [0.3]),
])  # fmt: skip
def test_anchors_are_interpolated(anchors, count, values):
    assert merging.spread(anchors, count) == pytest.approx(values)


@pytest.mark.parametrize("options, words", [
    ({"t": 1.5}, "t is 1.5"), ({"t": "half"}, "t is half"), ({"method": "ties"}, "unknown merge method 'ties'"),
    ({"per_layer": {7: 0.5}}, "layer 7"), ({"per_layer": []}, "empty list"),
    ({"per_layer": [0, 2]}, "t of layer 1 is 2"),
])  # fmt: skip
def test_bad_options_are_refused_and_nothing_is_left(pair, tmp_path, options, words):
    with pytest.raises(UserError, match=words):
        merge(*pair, tmp_path / "deep" / "out", **options)
    assert not list(tmp_path.iterdir())


def test_models_that_do_not_fit_are_refused_by_name(pair, tmp_path, tiny_tokenizer):
    first = pair[0]

    def refused(words, folder):
        with pytest.raises(UserError, match=words):
            merge(first, folder, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    wide = write_model(tmp_path / "wide", tiny_tokenizer, "qwen3", **{**SMALL, "intermediate_size": 128})
    refused(r"mlp\.\w+\.weight has the shape .*96.* and .*128", wide)
    deep = write_model(tmp_path / "deep", tiny_tokenizer, "qwen3", num_hidden_layers=3, **SMALL)
    refused(r"first model has no tensor model\.layers\.2", deep)
    refused("is bfloat16 in the first model and float32 in the second",
            write_model(tmp_path / "wider", tiny_tokenizer, "qwen3", dtype="float32", **SMALL))  # fmt: skip
    refused("differ in model_type", write_model(tmp_path / "llama", tiny_tokenizer, "llama3", **SMALL))
    twin = shutil.copytree(first, tmp_path / "heads")
    refused("differ in num_attention_heads", edit_config(twin, num_attention_heads=2, head_dim=16))
    refused("differ in tie_word_embeddings",
            edit_config(shutil.copytree(first, tmp_path / "untied"), tie_word_embeddings=False))  # fmt: skip
    refused("quantized", edit_config(shutil.copytree(first, tmp_path / "quantized"),
                                     quantization_config={"quant_method": "compressed-tensors"}))  # fmt: skip


def test_other_tokens_are_refused_by_id(pair, tmp_path):
    other = shutil.copytree(pair[1], tmp_path / "other")
    path = other / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf8"))
    vocabulary = content["model"]["vocab"]
    first, second = (next(token for token, number in vocabulary.items() if number == id) for id in (300, 301))
    vocabulary[first], vocabulary[second] = 301, 300
    path.write_text(json.dumps(content), encoding="utf8")
    with pytest.raises(UserError, match="different tokenizers: id 300 is"):
        merge(pair[0], other, tmp_path / "out")


def test_the_merged_model_runs_and_says_where_it_comes_from(pair, tmp_path):
    made = merge(*pair, tmp_path / "out", t=0.5)
    model = transformers.AutoModelForCausalLM.from_pretrained(made)
    tokenizer = transformers.AutoTokenizer.from_pretrained(made)
    with torch.no_grad():
        logits = model(**tokenizer("the bank lent ten pearls", return_tensors="pt")).logits
    assert torch.isfinite(logits).all()
    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()  # ties are kept
    told = json.loads((made / "merge.json").read_text())
    assert (told["method"], told["t"], told["per_layer"]) == ("slerp", 0.5, None)
    assert sum(told["tensors"].values()) == len(weights(made)) and told["tensors"]["slerp"] > 0
    for one, home in zip(told["inputs"], pair, strict=True):
        wanted = hashlib.sha256((home / "model.safetensors").read_bytes()).hexdigest()
        assert one == {"source": str(home), "files": {"model.safetensors": wanted}}
    assert "Slerp merge of `a` (t = 0) and `b` (t = 1) at t = 0.5" in (made / "README.md").read_text()
    assert merging.same(made, *pair, t=0.5) and not merging.same(made, *pair, t=0.4)
    assert not merging.same(made, pair[1], pair[0], t=0.5)


def test_a_second_copy_of_a_tied_embedding_does_not_count(pair, tmp_path):
    twin = shutil.copytree(pair[1], tmp_path / "twin")
    tensors = load_file(twin / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, twin / "model.safetensors", metadata={"format": "pt"})
    assert identical(weights(merge(pair[0], twin, tmp_path / "one")), weights(merge(*pair, tmp_path / "two")))
    tensors["lm_head.weight"] += 1
    save_file(tensors, twin / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="tied"):
        merge(pair[0], twin, tmp_path / "three")


def test_shards_hold_the_same_tensors(pair, tmp_path, monkeypatch):
    whole = merge(*pair, tmp_path / "whole")
    monkeypatch.setattr(merging, "SHARD", 40_000)
    parts = merge(*pair, tmp_path / "parts")
    index = json.loads((parts / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 2 and identical(weights(whole), weights(parts))
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in weights(whole).values())
    assert identical(weights(merge(parts, whole, tmp_path / "again", t=0)), weights(whole))  # and are read
    transformers.AutoModelForCausalLM.from_pretrained(parts)


def test_an_adapter_is_merged_into_its_base_first(pair, tmp_path):
    import peft

    base = transformers.AutoModelForCausalLM.from_pretrained(pair[0], dtype=torch.bfloat16)
    torch.manual_seed(1)
    form = peft.LoraConfig(r=4, target_modules=["q_proj", "up_proj"], init_lora_weights=False)
    model = peft.get_peft_model(base, form)
    model.save_pretrained(tmp_path / "adapter")
    edit = tmp_path / "adapter" / "adapter_config.json"
    edit.write_text(json.dumps({**json.loads(edit.read_text()), "base_model_name_or_path": str(pair[0])}))
    made = merge(pair[0], tmp_path / "adapter", tmp_path / "out", t=1)
    expected = model.merge_and_unload().state_dict()
    found = weights(made)
    changed = {name for name in found if not torch.equal(found[name], weights(pair[0])[name])}
    assert changed and all("q_proj" in name or "up_proj" in name for name in changed)
    assert all(torch.equal(found[name], expected[name]) for name in found)
    assert not [path for path in made.iterdir() if path.is_dir()]
    assert json.loads((made / "merge.json").read_text())["inputs"][1]["adapter_of"] == str(pair[0])


def test_interrupted_it_leaves_nothing(pair, tmp_path, monkeypatch):
    read, count = merge_inputs.read, 0

    def stop(path, name):
        nonlocal count
        count += 1
        if count == 9:
            raise KeyboardInterrupt
        return read(path, name)

    monkeypatch.setattr(merge_inputs, "read", stop)
    with pytest.raises(KeyboardInterrupt):
        merge(*pair, tmp_path / "new" / "out")
    assert not list(tmp_path.iterdir())


def test_only_its_own_output_is_overwritten(pair, tmp_path):
    made = merge(*pair, tmp_path / "out", t=0)
    with pytest.raises(UserError, match="exists already"):
        merge(*pair, made, t=1)
    merge(*pair, made, t=1, overwrite=True)
    assert identical(weights(made), weights(pair[1]))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "text").write_text("mine")
    with pytest.raises(UserError, match="spares it"):
        merge(*pair, tmp_path / "mine", overwrite=True)
    with pytest.raises(UserError, match="source"):
        merge(made, pair[1], made, overwrite=True)
