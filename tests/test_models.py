"""The registry, and loading of every kind of checkpoint."""

from __future__ import annotations

import json
import shutil

import pytest

from checkpoints import edit_config, make_remote, write_model
from llmini import models, validate
from llmini.settings import TIERS, UserError


@pytest.fixture(scope="module")
def dense(tmp_path_factory, tiny_tokenizer):
    return write_model(tmp_path_factory.mktemp("models") / "dense", tiny_tokenizer)


@pytest.fixture
def folder(tmp_path, dense):
    return shutil.copytree(dense, tmp_path / "model")


def test_every_tier_has_models():
    for tier in TIERS:
        assert models.names(tier)
        for name in models.names(tier):
            found = models.spec(name, tier)
            assert (found.id, found.tier) == (name, tier) and found.label and found.source
    assert models.spec("allam_7b", "full").source == "humain-ai/ALLaM-7B-Instruct-preview"
    assert {"allam_7b", "allam_7b_control"} <= set(models.names("pocket")) - {"qwen3_0_6b"}


def test_pocket_labels_never_bear_the_bare_name(tmp_path, monkeypatch, tiny_tokenizer):
    monkeypatch.setenv("LLMINI_ROOT", str(tmp_path))
    assert models.spec("allam_7b").label == "ALLaM-class"
    write_model(tmp_path / "data/pocket/models/allam_7b", tiny_tokenizer)
    count = models.load("allam_7b")[0].num_parameters()
    assert models.spec("allam_7b").label == f"ALLaM-class, {count / 1e6:.1f} M"
    with pytest.raises(UserError, match="make pocket-models"):
        models.locate("qwen3_8b")


@pytest.mark.parametrize(("name", "tier", "words"), [
    ("alam_7b", "pocket", "did you mean allam_7b"), ("qwen3_1_7b", "pocket", "tier small"),
    ("x", "huge", "unknown tier"),
])  # fmt: skip
def test_unknown_names(name, tier, words):
    with pytest.raises(UserError, match=words):
        models.spec(name, tier)


@pytest.mark.parametrize(("text", "is_id"), [
    ("Qwen/Qwen3-8B", True), ("./a/b", False), ("a", False), ("a/b/c", False), ("../b", False), ("/etc", False),
    ("a/..", False),
])  # fmt: skip
def test_hub_ids(text, is_id):
    assert models.is_hub_id(text) == is_id


def test_a_name_wins_over_a_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "qwen3_8b").mkdir()
    assert models.locate("./qwen3_8b").resolve() == tmp_path / "qwen3_8b"
    with pytest.raises(UserError, match="pocket"):
        monkeypatch.setenv("LLMINI_ROOT", str(tmp_path))
        models.locate("qwen3_8b")


@pytest.mark.parametrize("kind", ["llama3", "qwen3", "gemma3"])
def test_dense(tmp_path, tiny_tokenizer, kind):
    import torch

    write_model(tmp_path, tiny_tokenizer, kind)
    model, tokenizer = models.load(tmp_path, dtype="auto")
    assert model.dtype == torch.bfloat16 and not model.training
    assert models.load(tmp_path)[0].dtype == torch.float32
    assert validate.check(tmp_path).parameters == model.num_parameters()
    assert len(validate.check(tmp_path).linears) == 14
    assert model(**tokenizer("a bank", return_tensors="pt")).logits.isfinite().all()


@pytest.mark.parametrize("method", ["int8", "int4", "w8a16", "fp8"])
def test_quantized(tmp_path, folder, tiny_calibration, method):
    from llmini.compress import quantize

    model, tokenizer = models.load(folder, dtype="auto")
    model = quantize.quantize(model, method, tiny_calibration)
    model.save_pretrained(tmp_path / "out")
    tokenizer.save_pretrained(tmp_path / "out")
    ids = tiny_calibration.ids[:1, :16]
    loaded, _ = models.load(tmp_path / "out", dtype="auto")
    assert validate.check(tmp_path / "out").kind in ("bitsandbytes", "compressed-tensors")
    gap = (model(input_ids=ids).logits - loaded(input_ids=ids).logits).float().abs().max()
    assert gap < 0.05 * loaded(input_ids=ids).logits.float().abs().max()


def test_adapter(tmp_path, folder, tiny_calibration):
    """A LoRA folder gives base and adapter; compress merges it first."""
    import peft
    import torch

    from llmini.compress.checkpoint import compress

    base, _ = models.load(folder)
    torch.manual_seed(0)
    tuned = peft.get_peft_model(base, peft.LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False))
    ids = tiny_calibration.ids[:1, :16]
    expected = tuned.eval()(input_ids=ids).logits
    tuned.save_pretrained(tmp_path / "adapter")
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    (tmp_path / "adapter" / "adapter_config.json").write_text(
        json.dumps({**config, "base_model_name_or_path": str(folder)})
    )
    loaded, _ = models.load(tmp_path / "adapter")
    assert torch.allclose(loaded(input_ids=ids).logits, expected, atol=1e-5)
    assert not torch.allclose(models.load(folder)[0](input_ids=ids).logits, expected, atol=1e-2)
    made = compress(tmp_path / "adapter", tmp_path / "out", quant="fp8")
    merged = models.load(made)[0](input_ids=ids).logits
    plain = models.load(compress(folder, tmp_path / "plain", quant="fp8"))[0]
    assert (merged - expected).norm() < 0.5 * (plain(input_ids=ids).logits - expected).norm()
    recipe = json.loads((made / "llmini.json").read_text())
    assert recipe["dense_sizes"]["size_disk"] == validate.check(folder).nbytes


@pytest.mark.parametrize(("method", "suffix"),
                         [("w4a16_rtn", "weight_packed"), ("int4", "quant_state.bitsandbytes__nf4")])  # fmt: skip
def test_vision_language_model(tmp_path, tiny_tokenizer, tiny_calibration, method, suffix):
    """Gemma 3 with a vision tower: its language half is compressed, the tower and the embeddings are not."""
    import torch
    import transformers

    from llmini.compress.checkpoint import compress

    shape = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 2,
             "num_key_value_heads": 1, "head_dim": 64, "vocab_size": 512, "sliding_window": 64,
             "layer_types": ["sliding_attention", "full_attention"], "pad_token_id": 0}  # fmt: skip
    vision = {"hidden_size": 128, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 2,
              "image_size": 28, "patch_size": 14}  # fmt: skip
    config = transformers.Gemma3Config(text_config=shape, vision_config=vision, mm_tokens_per_image=4,
                                       image_token_index=5, boi_token_index=6, eoi_token_index=7,
                                       dtype="bfloat16")  # fmt: skip
    torch.manual_seed(0)
    transformers.Gemma3ForConditionalGeneration(config).to(torch.bfloat16).save_pretrained(tmp_path / "model")
    tiny_tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "preprocessor_config.json").write_text('{"do_resize": true}')
    found = validate.check(tmp_path / "model")
    assert len(found.linears) == 14 and not any("vision" in name for name in found.linears)
    made = compress(tmp_path / "model", tmp_path / "out", quant=method)
    assert (made / "preprocessor_config.json").is_file()
    model, _ = models.load(made, dtype="auto")
    quantized = [name for name in validate.check(made).shapes if name.endswith(suffix)]
    assert len(quantized) == 14 and not any("vision" in name or "projector" in name for name in quantized)
    assert model(input_ids=tiny_calibration.ids[:1, :8]).logits.isfinite().all()


def test_outliers_alone(tmp_path, folder, tiny_calibration):
    """The rescaled copy computes what the model computed: powers of two are exact in bf16."""
    from llmini.compress.checkpoint import compress

    made = compress(folder, tmp_path / "out", outliers=True)
    ids = tiny_calibration.ids[:1, :16]
    before, after = (models.load(place)[0](input_ids=ids).logits for place in (folder, made))
    assert (before - after).abs().max() < 1e-4 * before.abs().max()
    assert json.loads((made / "llmini.json").read_text())["variant"] == "dense-outliers"
    old, new = (models.load(place)[0].model.layers[0].input_layernorm.weight for place in (folder, made))
    assert new.abs().max() > 5 * old.abs().max()


def test_remote_code_runs_only_when_asked(folder):
    from llmini.compress.checkpoint import compress

    make_remote(folder)
    with pytest.raises(UserError, match="trust-remote-code"):
        models.load(folder)
    assert not list(folder.glob("it_ran"))
    model, _ = models.load(folder, trust_remote_code=True)
    assert type(model).__name__ == "MysteryForCausalLM"
    made = compress(folder, folder.parent / "out", prune="magnitude", trust_remote_code=True)
    with pytest.raises(UserError, match="trust-remote-code"):
        models.load(made)
    assert type(models.load(made, trust_remote_code=True)[0]).__name__ == "MysteryForCausalLM"


def test_remote_code_that_is_not_needed_is_never_run(folder):
    (folder / "evil.py").write_text("raise SystemExit")
    edit_config(folder, auto_map={"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"})
    assert type(models.load(folder)[0]).__name__ == "LlamaForCausalLM"


def test_weights_of_another_shape(folder):
    edit_config(folder, intermediate_size=512)
    with pytest.raises(UserError, match="cannot load"):
        models.load(folder)


def test_sharded(folder, dense, tmp_path):
    model, tokenizer = models.load(dense, dtype="auto")
    model.save_pretrained(tmp_path / "shards", max_shard_size="500KB")
    tokenizer.save_pretrained(tmp_path / "shards")
    found = validate.check(tmp_path / "shards")
    assert len(list(found.folder.glob("*.safetensors"))) > 1 and found.parameters == validate.check(dense).parameters
    next(found.folder.glob("*.safetensors")).unlink()
    with pytest.raises(UserError, match="lacks its weights"):
        validate.check(found.folder)
