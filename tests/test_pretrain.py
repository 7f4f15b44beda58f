"""Pretraining of the pocket models: tokenizer round trips, exact loss, a few real steps, harmless outliers."""

from __future__ import annotations

import json
from functools import cache

import pytest
import torch
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from llmini import settings
from llmini.pocket import pretrain, shapes, tokenizer, training, world
from llmini.pocket.outliers import add_outlier_channels


@cache
def BPE():
    return tokenizer.load(settings.data("pocket", "tokenizer"))


@pytest.fixture(scope="module")
def bpe():
    return BPE()


def test_tokenizer_is_reproducible(bpe):
    again = tokenizer.train(tokenizer.balanced(world.corpus(60_000)))
    assert again.get_vocab() == bpe.get_vocab() and len(bpe) == tokenizer.VOCABULARY


@limits(deadline=None)
@given(st.text(alphabet="abcXYZ 0123456789.,?!\nابتثجحخدذرزسشصضطظعغفقكلمنهويةىءأإآؤئًُِّ؟،#*+-="))
def test_tokenizer_round_trip(text):
    assert BPE().decode(BPE()(text, add_special_tokens=False)["input_ids"]) == text


def test_digits_stand_alone_and_bos_comes_first(bpe):
    assert bpe.convert_ids_to_tokens(bpe("12 345")["input_ids"]) == ["<s>", "1", "2", "Ġ", "3", "4", "5"]


def test_arabic_fertility_is_near_english(bpe):
    english, arabic = (
        sum(len(bpe(pair[side], add_special_tokens=False)["input_ids"]) for pair in world.parallel("test"))
        for side in (0, 1)
    )
    assert 0.7 < arabic / english < 1.4


def test_chat_template_writes_the_training_form(bpe):
    turns = [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "That"}]
    assert bpe.apply_chat_template(turns, tokenize=False) == "<s>" + world.chat("What?", "That") + "\n"
    asked = bpe.apply_chat_template(turns[:1], tokenize=False, add_generation_prompt=True)
    assert asked == "<s><|user|>\nWhat?<|end|>\n<|assistant|>\n"


def test_head_loss_equals_cross_entropy():
    torch.manual_seed(0)
    hidden, weight = torch.randn(1500, 16, requires_grad=True), torch.randn(50, 16, requires_grad=True)
    targets = torch.randint(0, 50, (1500,))
    expected = torch.nn.functional.cross_entropy(hidden @ weight.T, targets)
    wanted = torch.autograd.grad(expected, (hidden, weight))
    loss = training.head_loss(hidden, weight, targets)
    found = torch.autograd.grad(loss, (hidden, weight))
    torch.testing.assert_close(loss, expected)
    for one, two in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-4)


def test_windows_cover_every_target_once():
    recipe = training.Recipe(batch_tokens=64, lengths=((8, 0.5), (16, 0.5)))
    ids = torch.arange(1000)
    targets = torch.cat([batch[:, 1:].reshape(-1) for batch in training.windows(ids, recipe)])
    assert torch.equal(targets, torch.arange(1, len(targets) + 1)) and len(targets) > 900


def test_schedule_warms_up_and_decays():
    recipe = training.Recipe()
    factors = [training.schedule(recipe, step / 200) for step in range(1, 201)]
    assert max(factors) == 1.0 and factors[0] < 0.5 and factors[-1] == pytest.approx(recipe.floor, abs=0.01)


def small(name: str):
    changes = {"hidden_size": 64, "intermediate_size": 128, "head_dim": 16}
    return shapes.build(name, **changes)


def test_a_few_steps_learn_and_repeat(bpe):
    recipe = training.Recipe(documents=300, batch_tokens=512, lengths=((64, 1.0),))
    texts = list(world.corpus(300))
    ids = training.pack(texts, bpe, 0)
    assert torch.equal(ids, training.pack(texts, bpe, 0))
    histories = []
    for _ in range(2):
        histories.append(training.train(small("allam_7b"), ids[:6000], recipe)["loss_curve"])
    assert histories[0] == histories[1]
    model = small("qwen3_8b")
    curve = training.train(model, ids.repeat(3), recipe)["loss_curve"]
    assert curve[-1][2] < 5.5  # an untrained model is at ln 2048 = 7.6


def test_pretrain_writes_a_folder_and_skips_it_next_time(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrain, "build", lambda name, seed: small(name))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    recipe = training.Recipe(documents=60, review_documents=30, batch_tokens=256, lengths=((64, 1.0),))
    folder = pretrain.pretrain("gemma3_12b", recipe, tmp_path / "gemma3_12b", score=False)
    note = json.loads((folder / "training.json").read_text())
    assert note["tokens"] > 500 and note["recipe"]["documents"] == 60
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    assert type(model).__name__ == "Gemma3ForCausalLM" and model.dtype == torch.bfloat16
    assert [stage["stage"] for stage in note["stages"]] == ["main", "review"]
    stamp = (folder / "model.safetensors").stat().st_mtime_ns
    assert pretrain.pretrain("gemma3_12b", recipe, folder, score=False) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == stamp
    assert [path.name for path in tmp_path.iterdir()] == ["gemma3_12b"]


@pytest.mark.parametrize("name", ["allam_7b", "llama3_1_8b", "qwen3_8b", "gemma3_12b"])
def test_outliers_change_activations_and_no_logit(name):
    model = shapes.build(name).eval()
    with torch.no_grad():  # trained norms are not all ones
        for key, weight in model.named_parameters():
            if "norm" in key:
                weight.add_(0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    ids = torch.randint(6, 2048, (2, 300), generator=torch.Generator().manual_seed(0))
    seen = []
    hook = model.model.layers[1].self_attn.q_proj.register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0].abs().amax((0, 1)))
    )
    with torch.no_grad():
        before = model(ids).logits
        chosen = add_outlier_channels(model, seed=0)
        after = model(ids).logits
    hook.remove()
    assert (before - after).abs().max() < 1e-4 and before.abs().max() > 1e-2
    assert (seen[1][chosen] >= 7.9 * seen[0][chosen]).all() and len(set(chosen)) == 4


@pytest.mark.parametrize("name", [*shapes.MODELS, *shapes.DISTILLATION])
def test_shipped_models(name):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = settings.data("pocket", "models", name)
    assert (folder / "model.safetensors").stat().st_size <= 12 * 2**20
    note = json.loads((folder / "training.json").read_text())
    count = 5 if name in pretrain.TWICE else 3 if name in shapes.DISTILLATION else 2
    stages = list(pretrain.STAGES[:count])
    assert [stage["stage"] for stage in note["stages"]] == stages
    assert all(len(stage["loss_curve"]) > 5 for stage in note["stages"])
    assert {"seed", "tokens", "seconds", "device", "data_sha256", "versions", "recipe", "test_scores"} <= set(note)
    assert note["recipe"] == json.loads(json.dumps(pretrain.recipe_of(name).as_dict()))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    assert type(model).__name__ == {
        "qwen3_8b": "Qwen3ForCausalLM", "gemma3_12b": "Gemma3ForCausalLM",
        **dict.fromkeys(shapes.DISTILLATION, "Qwen2ForCausalLM"),
    }.get(name, "LlamaForCausalLM")  # fmt: skip
    bpe = AutoTokenizer.from_pretrained(folder)
    ids = bpe("Question: What is the capital of Bahrain?\nAnswer:", return_tensors="pt")
    assert torch.isfinite(model(**ids).logits).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["allam_7b", "allam_7b_control", *shapes.DISTILLATION])
def test_shipped_models_read_this_world_and_none_of_its_test(name):
    from llmini.pocket import tasks
    from test_world import prompts

    note = json.loads(settings.data("pocket", "models", name, "training.json").read_text())
    texts = pretrain.corpus_texts(name, pretrain.recipe_of(name))
    assert pretrain.sha256([text for stage in texts.values() for text in stage]) == note["data_sha256"]
    asked = {row["query"] for task in (*tasks.ARABIC, *tasks.ENGLISH) for row in tasks.items(task, "test")}
    assert not asked & prompts([text for stage in texts.values() for text in stage])
