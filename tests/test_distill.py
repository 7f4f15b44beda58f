"""Distillation end to end on tiny models: losses against references, alignment, packing, resume, output."""

import copy
import gc
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
import torch
import transformers

from conftest import build, sentences
from llmini import models
from llmini.compress.folder import Stopped
from llmini.pocket import tokenizer as pocket_tokenizer
from llmini.settings import UserError
from llmini.train import teacher as teaching
from llmini.train.distill import Example, distil, recipe
from llmini.train.distill import examples as prepared
from llmini.train.examples import IGNORED, encode
from llmini.train.prompts import Prompt

MIDDLE = 0.0055  # about the median of the random teacher's highest probability at temperature 2
WIDE = {"learning_rate": 1e-2, "epochs": 1, "batch_size": 4, "max_length": 96, "precision": "fp32"}


def qwen2(vocabulary=512, width=64, seed=0, **changes):
    """A random Qwen2 of two layers."""
    torch.manual_seed(seed)
    return transformers.AutoModelForCausalLM.from_config(transformers.Qwen2Config(**{
        "vocab_size": vocabulary, "hidden_size": width, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256, "initializer_range": 0.08,
        "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, **changes,
    }), dtype=torch.float32).eval()  # fmt: skip


def write(model, folder, source=1):
    """A checkpoint whose tokenizer learned from the sentences of a seed, and whose generation stops at two tokens."""
    model.generation_config.eos_token_id = [2, 5]
    model.save_pretrained(folder)
    pocket_tokenizer.save(pocket_tokenizer.train(sentences(200, seed=source), vocabulary=512), folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def frozen():
    """What is imported by now is no garbage: training collects garbage at each start, half a second of libraries."""
    import llmini.train.trainer  # noqa: F401

    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    return write(qwen2(), tmp_path_factory.mktemp("student"))


@pytest.fixture(scope="module")
def tokenizer(student):
    return transformers.AutoTokenizer.from_pretrained(student)


@pytest.fixture(scope="module")
def teacher(tokenizer):
    """A wider teacher with more padding rows in its vocabulary."""
    return qwen2(vocabulary=544, width=96, seed=1), tokenizer


@pytest.fixture(scope="module")
def examples():
    """Twenty-two examples of unequal lengths in two languages, answers as text."""
    prompts, answers = sentences(22, seed=3), sentences(22, seed=4)
    return [Example(f"p{i}", "ar" if i % 3 else "en", prompt, answer)
            for i, (prompt, answer) in enumerate(zip(prompts, answers, strict=True))]  # fmt: skip


@pytest.fixture(scope="module")
def cache(teacher, examples, tmp_path_factory):
    """The teacher's states over the examples' answers, stored without rounding."""
    turns = [teaching.Turn(e.id, e.prompt, e.response) for e in examples]
    return teaching.states(*teacher, turns, tmp_path_factory.mktemp("cache"), store_dtype=torch.float32, shard=8)


def trainer(model, tokenizer, examples, settings, folder, teacher=None):
    """A `Distiller` over a copy of ``model``."""
    from llmini.train.trainer import Distiller

    return Distiller(copy.deepcopy(model), tokenizer, examples, settings, folder, teacher)


def gradients(made, batches=None):
    """Loss and gradients of the first step's passes, as the optimiser would get them but for clipping."""
    batches = list(made.get_train_dataloader())[: made.recipe.accumulation] if batches is None else batches
    labels = sum(int((batch["labels"][:, 1:] != IGNORED).sum()) for batch in batches)
    made.current_gradient_accumulation_steps, made.model.training = len(batches), True
    made.model.zero_grad()
    total = 0.0
    for batch in batches:
        loss = made.compute_loss(made.model, dict(batch), num_items_in_batch=torch.tensor(labels))
        loss.backward()
        total += loss.item()
    made.args.max_grad_norm = 1e9
    made._clip_grad_norm(made.model)
    return total, {name: p.grad.clone() for name, p in made.model.named_parameters() if p.grad is not None}


def same(one, two, close=2e-6):
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=close)


def weights(folder):
    from safetensors.torch import load_file

    return load_file(Path(folder) / "model.safetensors")


def equal(one, two):
    """Two checkpoints (and their adapters, and their logs) are the same to the bit."""
    one, two = Path(one), Path(two)
    assert {path.name for path in one.iterdir()} == {path.name for path in two.iterdir()}
    for name in ("model.safetensors", "training.json", "adapter/adapter_model.safetensors"):
        assert not (one / name).is_file() or (one / name).read_bytes() == (two / name).read_bytes(), name
    return True


def test_sft_is_plain_cross_entropy(tokenizer, examples, tmp_path):
    model = qwen2()
    made = trainer(model, tokenizer, examples, recipe("pocket", "sft_kd", **WIDE), tmp_path)
    batch = next(iter(made.get_train_dataloader()))
    loss, mine = gradients(made, [batch])
    plain = model.train()
    out = plain(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=batch["labels"])
    out.loss.backward()
    assert loss == pytest.approx(out.loss.item(), rel=1e-6)
    same(mine, {name: p.grad for name, p in plain.named_parameters()})


def test_the_prompt_is_no_label_and_the_end_is_one(tokenizer, examples):
    ids, labels = encode(examples[0], tokenizer, recipe("pocket", "sft_kd"))
    kept = [label for label in labels if label != IGNORED]
    assert tokenizer.decode(kept) == examples[0].response + "<|end|>"
    assert ids[-len(kept) :] == kept
    assert tokenizer.decode(ids[: -len(kept)]).endswith("<|assistant|>\n")
    ids, labels = encode(examples[0], tokenizer, recipe("pocket", "sft_kd", "as_published_code"))
    assert labels == [IGNORED, *ids[1:]]
    assert tokenizer.decode(ids).endswith(examples[0].response)
    cut = Example("x", "en", "hello", tuple(kept[:-1]))  # a teacher's answer that ran into its limit
    assert encode(cut, tokenizer, recipe("pocket", "seq_kd")).ids[-1] == kept[-2]
    short = recipe("pocket", "sft_kd", max_length=8)
    assert set(encode(examples[0], tokenizer, short).labels) == {IGNORED}


def test_examples_have_the_answers_that_the_recipe_asks_for(examples, cache):
    asked = [Prompt(e.id, e.language, "", e.prompt, e.response) for e in examples]
    assert prepared(asked, recipe("pocket", "sft_kd")) == examples
    taught = prepared(asked, recipe("pocket", "sft_kd", "as_written"), cache)
    assert taught == prepared(asked, recipe("pocket", "seq_kd"), cache)
    assert [list(e.response) for e in taught] == [response.ids for response in cache.responses]
    with pytest.raises(UserError, match="p0 has no reference answer"):
        prepared([Prompt("p0", "en", "", "?")], recipe("pocket", "sft_kd"))
    with pytest.raises(UserError, match="no answer to stranger"):
        prepared([Prompt("stranger", "en", "", "?")], recipe("pocket", "seq_kd"), cache)


@pytest.mark.parametrize("kind", ["qwen2", "eager", "llama", "qwen3", "gemma3"])
def test_packed_documents_do_not_see_each_other(kind, tokenizer, examples, teacher, tmp_path):
    if kind in ("qwen2", "eager"):
        model = qwen2()
        model.set_attn_implementation("eager" if kind == "eager" else "sdpa")
    else:
        model = build(kind, hidden_size=64, intermediate_size=128, head_dim=16)
    plain = recipe("pocket", "token_kd", **{**WIDE, "batch_size": len(examples)})
    packed = recipe("pocket", "token_kd", packing=True, **{**WIDE, "batch_size": len(examples)})
    loose = trainer(model, tokenizer, examples, plain, tmp_path, teacher)
    tight = trainer(model, tokenizer, examples, packed, tmp_path, teacher)
    assert len(tight.train_dataset) < len(loose.train_dataset) / 2
    one, two = gradients(loose), gradients(tight)
    assert one[0] == pytest.approx(two[0], rel=1e-5)
    same(one[1], two[1])


def test_packing_and_shuffling_keep_the_cached_rows_aligned(tokenizer, examples, teacher, cache, tmp_path):
    settings = recipe("pocket", "token_kd", packing=True, **WIDE)
    live = trainer(qwen2(), tokenizer, examples, settings, tmp_path, teacher)
    stored = trainer(qwen2(), tokenizer, examples, settings, tmp_path, cache)
    for batch in live.get_train_dataloader():
        chosen = batch["labels"][:, 1:] != IGNORED
        inputs = {"input_ids": batch["input_ids"], "position_ids": batch["position_ids"]}
        owners = batch["examples"][:, 1:][chosen]
        torch.testing.assert_close(stored.targets.hidden(inputs, chosen, owners),
                                   live.targets.hidden(inputs, chosen, owners), rtol=1e-5, atol=1e-5)  # fmt: skip


@pytest.mark.parametrize("dtype, close", [("float32", 1e-5), ("bfloat16", 3e-3)])
def test_training_from_the_cache_is_training_from_the_teacher(
    dtype, close, tokenizer, examples, teacher, tmp_path
):  # fmt: skip
    turns = [teaching.Turn(e.id, e.prompt, e.response) for e in examples]
    stored = teaching.states(*teacher, turns, tmp_path / "cache", store_dtype=getattr(torch, dtype))
    curves = []
    for source in (teacher, stored):
        made = trainer(qwen2(), tokenizer, examples, recipe("pocket", "token_kd", **WIDE), tmp_path, source)
        made.train()
        curves.append([row["loss"] for row in made.state.log_history if "loss" in row])
    assert len(curves[0]) == 6
    assert curves[0] == pytest.approx(curves[1], rel=close)
    assert curves[0][-1] < curves[0][0]


def test_truncated_answers_stay_aligned(tokenizer, examples, teacher, cache, tmp_path):
    settings = recipe("pocket", "token_kd", **{**WIDE, "max_length": 20, "batch_size": 22})
    pair = [trainer(qwen2(), tokenizer, examples, settings, tmp_path, source) for source in (teacher, cache)]
    assert 0 < pair[0].skipped < len(examples)
    one, two = (gradients(made) for made in pair)
    assert one[0] == pytest.approx(two[0], rel=1e-5)
    same(one[1], two[1])


def test_alpha_one_is_sft(tokenizer, examples, teacher, tmp_path):
    sft = trainer(qwen2(), tokenizer, examples, recipe("pocket", "sft_kd", **WIDE), tmp_path)
    token = trainer(qwen2(), tokenizer, examples, recipe("pocket", "token_kd", alpha=1, **WIDE), tmp_path, teacher)
    batch = next(iter(sft.get_train_dataloader()))
    one, two = gradients(sft, [batch]), gradients(token, [batch])
    assert one[0] == pytest.approx(two[0], rel=1e-6)
    same(one[1], two[1])


@pytest.mark.parametrize("rule", ["none", "confidence", "verified"])
def test_a_step_does_not_depend_on_its_passes(rule, tokenizer, examples, teacher, tmp_path):
    stage = "token_kd" if rule == "none" else "selectkd"
    options = {"rule": rule, "theta": MIDDLE, "top_k": 40}
    model = qwen2()
    eight = recipe("pocket", stage, **{**WIDE, **options, "batch_size": 8})
    four = recipe("pocket", stage, **{**WIDE, **options, "batch_size": 4, "accumulation": 2})
    one, two = (trainer(model, tokenizer, examples, settings, tmp_path, teacher) for settings in (eight, four))
    first, second = gradients(one), gradients(two)
    share = float(one.sums["kept"]) / float(one.sums["tokens"])
    assert share == 1 if rule == "none" else 0.05 < share < 0.95
    same(first[1], second[1])


def test_kept_tokens_alone_count_and_are_divided_by(tokenizer, examples, teacher, tmp_path):
    """The gradient of a gated step is that of the mean over kept tokens, written out from the formula."""
    settings = recipe("pocket", "selectkd", **{**WIDE, "theta": MIDDLE})
    model = qwen2()
    made = trainer(model, tokenizer, examples, settings, tmp_path, teacher)
    batch = next(iter(made.get_train_dataloader()))
    _, mine = gradients(made, [batch])
    chosen = batch["labels"][:, 1:] != IGNORED
    labels, inputs = batch["labels"][:, 1:][chosen], {n: batch[n] for n in ("input_ids", "attention_mask")}
    z = model(**inputs).logits[:, :-1][chosen]
    with torch.no_grad():
        q = (teacher[0](**inputs).logits[:, :-1][chosen][:, :512] / 2).log_softmax(1)
    kept = q.exp().amax(1) > MIDDLE
    assert 0 < kept.sum() < len(kept)
    p = (z / 2).log_softmax(1)
    loss = 0.5 * torch.nn.functional.cross_entropy(z, labels, reduction="none") + 0.5 * 4 * (p.exp() * (p - q)).sum(1)
    loss[kept].mean().backward()
    same(mine, {name: p.grad for name, p in model.named_parameters()})


def test_batchmean_sums_over_a_sequence(tokenizer, examples, teacher, tmp_path):
    options = {"direction": "teacher_student", "kl_reduction": "batchmean", "completion_only": False, "eos": False}
    made = trainer(qwen2(), tokenizer, examples, recipe("pocket", "token_kd", **WIDE, **options), tmp_path, teacher)
    batch = next(iter(made.get_train_dataloader()))
    loss, mine = gradients(made, [batch])
    model, chosen = qwen2(), batch["labels"][:, 1:] != IGNORED
    labels, inputs = batch["labels"][:, 1:][chosen], {n: batch[n] for n in ("input_ids", "attention_mask")}
    z = model(**inputs).logits[:, :-1][chosen]
    with torch.no_grad():
        q = (teacher[0](**inputs).logits[:, :-1][chosen][:, :512] / 2).softmax(1)
    kl = torch.nn.functional.kl_div((z / 2).log_softmax(1), q, reduction="sum") / len(chosen)
    plain = 0.5 * torch.nn.functional.cross_entropy(z, labels) + 0.5 * 4 * kl
    plain.backward()
    assert loss == pytest.approx(plain.item(), rel=1e-5)
    same(mine, {name: p.grad for name, p in model.named_parameters()}, close=1e-5)


def test_gradient_checkpointing_changes_nothing(tokenizer, examples, teacher, tmp_path):
    for targets in ([], ["q_proj", "v_proj"]):
        pair = []
        for ticked in (False, True):
            settings = recipe("pocket", "token_kd", gradient_checkpointing=ticked, lora_targets=targets, **WIDE)
            made = trainer(qwen2(), tokenizer, examples[:8], settings, tmp_path, teacher)
            made.train()
            assert made.split.decoder.is_gradient_checkpointing == ticked
            pair.append({name: p.detach() for name, p in made.model.named_parameters()})
        same(*pair, close=1e-5)


def test_the_output_is_a_plain_checkpoint_with_a_log(student, tokenizer, examples, cache, tmp_path):
    output = distil(student, tmp_path / "out", examples, recipe("pocket", "token_kd", **WIDE), teacher=cache)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    model = transformers.AutoModelForCausalLM.from_pretrained(output)
    assert transformers.AutoTokenizer.from_pretrained(output).get_vocab() == tokenizer.get_vocab()
    assert model.generation_config.eos_token_id == [2, 5]
    assert model.config.use_cache and model.config.vocab_size == 512
    log = json.loads((output / "training.json").read_text())
    assert log["examples"] == 22 and log["skipped"] == 0 and log["steps"] == 6 == len(log["curve"])
    labels = sum(len(response.ids) for response in cache.responses)
    assert log["tokens"] == labels == sum(row["tokens_ar"] + row["tokens_en"] for row in log["curve"])
    assert log["kept_share"] == {"ar": 1.0, "en": 1.0}
    for row in log["curve"]:
        assert row["loss"] == pytest.approx(0.5 * row["ce"] + 0.5 * 4 * row["kl"])
    assert not any(str(student) in path.read_text() for path in output.glob("*.json"))


def test_lora_is_merged_and_its_adapter_kept(student, examples, tmp_path):
    import peft

    settings = recipe("pocket", "sft_kd", lora_targets=["q_proj", "v_proj"], **WIDE)
    output = distil(student, tmp_path / "out", examples, settings)
    before, after = weights(student), weights(output)
    moved = {name.split(".")[-2] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"q_proj", "v_proj"}
    form = json.loads((output / "adapter" / "adapter_config.json").read_text())
    assert form["base_model_name_or_path"] == str(student)
    base = transformers.AutoModelForCausalLM.from_pretrained(student, dtype=torch.float32)
    model = peft.PeftModel.from_pretrained(base, output / "adapter").merge_and_unload()
    for name, tensor in model.state_dict().items():
        if name in after:
            torch.testing.assert_close(tensor, after[name])


def test_a_model_learns_its_answers_and_when_to_stop(student, tokenizer, examples, tmp_path):
    few = [Example(e.id, e.language, e.prompt, " ".join(e.response.split()[:5])) for e in examples[:4]]
    settings = recipe("pocket", "sft_kd", **{**WIDE, "epochs": 60, "learning_rate": 5e-3})
    model = transformers.AutoModelForCausalLM.from_pretrained(distil(student, tmp_path / "out", few, settings))
    for example in few:
        ids = torch.tensor([teaching.prompt_ids(tokenizer, example.prompt)])
        out = model.generate(ids, do_sample=False, max_new_tokens=60)[0, ids.shape[1] :].tolist()
        assert tokenizer.decode(out) == example.response + "<|end|>"


def test_the_kept_share_is_logged_by_language(student, examples, cache, tmp_path):
    shares = []
    for theta in (0.0, MIDDLE, 0.9):
        settings = recipe("pocket", "selectkd", theta=theta, **WIDE)
        output = distil(student, tmp_path / str(theta), examples, settings, teacher=cache)
        shares.append(json.loads((output / "training.json").read_text())["kept_share"])
    assert shares[0] == {"ar": 1.0, "en": 1.0} and shares[2] == {"ar": 0.0, "en": 0.0}
    assert all(0 < share < 1 for share in shares[1].values())
    assert torch.equal(*(weights(folder)["model.norm.weight"] for folder in (student, tmp_path / "0.9")))


@pytest.mark.parametrize("rule", ["entropy", "random"])
def test_ranking_rules_keep_their_budget(rule, student, examples, cache, tmp_path):
    settings = recipe("pocket", "selectkd", rule=rule, share=0.25, **WIDE)
    output = distil(student, tmp_path / "out", examples, settings, teacher=cache)
    log = json.loads((output / "training.json").read_text())
    for row in log["curve"]:
        assert row["kept"] == int(0.25 * row["tokens"] + 0.5) == row["kept_ar"] + row["kept_en"]


def test_own_start_as_teacher_has_nothing_to_tell_at_first(student, examples, tmp_path):
    settings = recipe("pocket", "token_kd", "as_published_code", **WIDE)
    output = distil(student, tmp_path / "out", examples, settings)
    curve = json.loads((output / "training.json").read_text())["curve"]
    assert curve[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert curve[-1]["kl"] > 1e-3


RESUMED = [
    ("full, cached teacher, packing", {"packing": True, "max_length": 64, "batch_size": 2}),
    ("LoRA, accumulation, random rule", {"stage": "selectkd", "rule": "random", "accumulation": 2, "batch_size": 2,
                                         "lora_targets": ["q_proj", "v_proj"], "lora_r": 4}),
    ("fp16 with its loss scale", {"precision": "fp16", "epochs": 1}),
]  # fmt: skip


@pytest.mark.parametrize("options", [options for _, options in RESUMED], ids=[name for name, _ in RESUMED])
def test_interrupted_anywhere_it_ends_with_the_same_bits(options, student, examples, cache, tmp_path, monkeypatch):
    from llmini.train.trainer import Distiller

    options = {**WIDE, "epochs": 2, **options}
    settings = recipe("pocket", options.pop("stage", "token_kd"), **options)
    distil(student, tmp_path / "whole", examples, settings, teacher=cache)
    steps = json.loads((tmp_path / "whole" / "training.json").read_text())["steps"]
    step, done, stops = Distiller.training_step, [], [0, 1, steps // 2, steps // 2 + 1, steps - 1]

    def faulty(self, *given, **named):
        if stops and self.state.global_step == stops[0]:
            raise RuntimeError("power cut")
        done.append(self.state.global_step)
        return step(self, *given, **named)

    monkeypatch.setattr(Distiller, "training_step", faulty)
    while stops:  # several cuts in one run
        with pytest.raises(RuntimeError, match="power cut"):
            distil(student, tmp_path / "cut", examples, settings, teacher=cache, checkpoint_steps=1)
        assert not (tmp_path / "cut").exists()
        stops.pop(0)
    distil(student, tmp_path / "cut", examples, settings, teacher=cache, checkpoint_steps=1)
    assert done == sorted(done) and len(set(done)) == steps  # no step was computed twice
    assert equal(tmp_path / "whole", tmp_path / "cut")


def test_a_cut_while_a_checkpoint_is_written_costs_that_checkpoint(student, examples, tmp_path, monkeypatch):
    from llmini.train.trainer import Distiller

    settings = recipe("pocket", "sft_kd", **WIDE)
    distil(student, tmp_path / "whole", examples, settings)
    save = transformers.Trainer._save_optimizer_and_scheduler

    def faulty(self, folder):
        if self.state.global_step == 4:
            raise OSError("power cut")
        save(self, folder)

    monkeypatch.setattr(Distiller, "_save_optimizer_and_scheduler", faulty)
    with pytest.raises(OSError, match="power cut"):
        distil(student, tmp_path / "cut", examples, settings, checkpoint_steps=1)
    partial = tmp_path / ".cut.partial"
    assert [path.name for path in partial.glob("checkpoint-*")] == ["checkpoint-3"]
    monkeypatch.undo()
    distil(student, tmp_path / "cut", examples, settings)
    assert equal(tmp_path / "whole", tmp_path / "cut") and not partial.exists()


def test_a_cut_while_the_output_is_written_trains_nothing_again(student, examples, tmp_path, monkeypatch):
    from llmini.train import distill
    from llmini.train.trainer import Distiller

    settings = recipe("pocket", "sft_kd", **WIDE)
    distil(student, tmp_path / "whole", examples, settings)
    with monkeypatch.context() as patch:
        patch.setattr(distill, "log", lambda *_: (_ for _ in ()).throw(RuntimeError("power cut")))
        with pytest.raises(RuntimeError, match="power cut"):
            distil(student, tmp_path / "cut", examples, settings)
    assert not (tmp_path / "cut").exists()
    (tmp_path / ".cut.partial-12ab").mkdir()  # as a kill leaves it
    monkeypatch.setattr(Distiller, "training_step", lambda *_: pytest.fail("a step was computed twice"))
    distil(student, tmp_path / "cut", examples, settings)
    assert equal(tmp_path / "whole", tmp_path / "cut")
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "cut"}


def test_a_killed_process_is_continued(student, examples, cache, tmp_path):
    settings = recipe("pocket", "token_kd", **{**WIDE, "epochs": 4})
    distil(student, tmp_path / "whole", examples, settings, teacher=cache)
    child = multiprocessing.get_context("fork").Process(
        target=distil, args=(student, tmp_path / "cut", examples, settings),
        kwargs={"teacher": cache, "checkpoint_steps": 1},
    )  # fmt: skip
    child.start()
    partial = tmp_path / ".cut.partial"
    deadline = time.monotonic() + 60
    while not any(int(path.name.split("-")[1]) >= 5 for path in partial.glob("checkpoint-*")):
        assert child.is_alive() and time.monotonic() < deadline
        time.sleep(0.001)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert child.exitcode == -signal.SIGKILL and partial.is_dir() and not (tmp_path / "cut").exists()
    distil(student, tmp_path / "cut", examples, settings, teacher=cache)
    assert equal(tmp_path / "whole", tmp_path / "cut")


def test_told_to_stop_it_saves_the_step_in_hand(student, examples, tmp_path, monkeypatch):
    from llmini.train.trainer import Distiller

    settings = recipe("pocket", "sft_kd", **WIDE)
    distil(student, tmp_path / "whole", examples, settings)
    step = Distiller.training_step

    def told(self, *given, **named):
        if self.state.global_step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *given, **named)

    monkeypatch.setattr(Distiller, "training_step", told)
    with pytest.raises(Stopped, match="SIGTERM at step 3"):
        distil(student, tmp_path / "cut", examples, settings)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert (tmp_path / ".cut.partial" / "checkpoint-3").is_dir()
    monkeypatch.undo()
    distil(student, tmp_path / "cut", examples, settings)
    assert equal(tmp_path / "whole", tmp_path / "cut")


def test_another_run_is_told_from_the_one_begun(student, tokenizer, examples, cache, tmp_path, monkeypatch):
    from llmini.train.trainer import Distiller

    settings = recipe("pocket", "token_kd", **WIDE)
    step = Distiller.training_step

    def faulty(self, *given, **named):
        if self.state.global_step == 3:
            raise RuntimeError("power cut")
        return step(self, *given, **named)

    monkeypatch.setattr(Distiller, "training_step", faulty)
    with pytest.raises(RuntimeError):
        distil(student, tmp_path / "out", examples, settings, teacher=cache, checkpoint_steps=1)
    monkeypatch.undo()
    write(qwen2(seed=5), tmp_path / "other")
    changed = recipe("pocket", "token_kd", **{**WIDE, "alpha": 0.3})
    told = {"alpha 0.5 instead of 0.3": (student, examples, changed, cache),
            "other examples": (student, examples[1:], settings, cache),
            "another student": (tmp_path / "other", examples, settings, cache),
            "another teacher": (student, examples, settings, (qwen2(544, 96, 7), tokenizer))}  # fmt: skip
    for words, (start, given, asked, source) in told.items():
        with pytest.raises(UserError, match=words):
            distil(start, tmp_path / "out", given, asked, teacher=source)
    distil(student, tmp_path / "out", examples, changed, teacher=cache, resume=False)
    before = (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns
    assert distil(student, tmp_path / "out", examples, changed, teacher=cache) == tmp_path / "out"
    assert (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(UserError, match="was trained with the recipe's alpha"):
        distil(student, tmp_path / "out", examples, settings, teacher=cache)
    with pytest.raises(UserError, match="no distillation wrote it"):
        distil(student, tmp_path / "other", examples, settings, teacher=cache)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("targets", [[], ["q_proj", "v_proj"]], ids=["full", "lora"])
def test_sixteen_bits(precision, targets, tokenizer, examples, teacher, tmp_path):
    curves = []
    for name in ("fp32", precision):
        settings = recipe("pocket", "token_kd", lora_targets=targets, **{**WIDE, "precision": name})
        made = trainer(qwen2(), tokenizer, examples[:12], settings, tmp_path, teacher)
        made.train()
        assert {p.dtype for p in made.model.parameters() if p.requires_grad} == {torch.float32}
        assert (made.accelerator.scaler is not None) == (name == "fp16")
        curves.append([row["loss"] for row in made.state.log_history if "loss" in row])
    assert curves[1] == pytest.approx(curves[0], rel=0.1)
    assert curves[1] != curves[0]


def test_an_nf4_base_is_trained_and_merged_into_whole_weights(examples, cache, tmp_path):
    write(qwen2().to(torch.float16), tmp_path / "student")
    options = {**WIDE, "lora_targets": ["q_proj", "v_proj"], "base_bits": 4, "precision": "fp16"}
    settings = recipe("pocket", "token_kd", "t4", **options)
    assert settings.precision == "fp16"
    output = distil(tmp_path / "student", tmp_path / "out", examples, settings, teacher=cache)
    before, after = weights(tmp_path / "student"), weights(output)
    moved = {name.split(".")[-2] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"q_proj", "v_proj"} and {tensor.dtype for tensor in after.values()} == {torch.float16}
    curve = json.loads((output / "training.json").read_text())["curve"]
    assert curve[-1]["loss"] < curve[0]["loss"]
    assert "quantization_config" not in json.loads((output / "config.json").read_text())
    model, _ = models.load(output)  # a plain checkpoint: nothing of it is quantized
    assert not getattr(model, "is_quantized", False) and not hasattr(model.config, "quantization_config")


def test_what_cannot_be_distilled_is_refused(student, tokenizer, examples, teacher, cache, tmp_path):
    settings = recipe("pocket", "token_kd", **WIDE)
    with pytest.raises(UserError, match="token_kd needs a teacher"):
        distil(student, tmp_path / "out", examples, settings)
    with pytest.raises(UserError, match="nothing to train on"):
        distil(student, tmp_path / "out", [], settings, teacher=cache)
    with pytest.raises(UserError, match="within max_length 8"):
        short = recipe("pocket", "sft_kd", **{**WIDE, "max_length": 8})
        distil(student, tmp_path / "a", examples, short)
    other = [Example(e.id, e.language, e.prompt, e.response[::-1]) for e in examples]
    with pytest.raises(UserError, match="answer to p0 is not the one"):
        distil(student, tmp_path / "b", other, settings, teacher=cache)
    with pytest.raises(UserError, match="holds no answer to stranger"):
        distil(student, tmp_path / "c", [Example("stranger", "en", "?", "!")], settings, teacher=cache)
    with pytest.raises(UserError, match="no states of prompts"):
        whole = recipe("pocket", "token_kd", completion_only=False, **WIDE)
        distil(student, tmp_path / "d", examples, whole, teacher=cache)
    with pytest.raises(UserError, match=r"cannot train this student.*nowhere"):
        lora = recipe("pocket", "sft_kd", lora_targets=["nowhere"], **WIDE)
        distil(student, tmp_path / "e", examples, lora)
    write(qwen2(), tmp_path / "foreign", source=2)
    foreign = transformers.AutoTokenizer.from_pretrained(tmp_path / "foreign")
    with pytest.raises(UserError, match=r"different tokenizers: id \d+ is"):
        distil(student, tmp_path / "f", examples, settings, teacher=(teacher[0], foreign))
    with pytest.raises(UserError, match=r"made with another tokenizer \(id \d+ is .* for the student, where .* to p0"):
        distil(tmp_path / "foreign", tmp_path / "g", examples, settings, teacher=cache)


def test_a_soft_capped_student_is_refused(tokenizer, examples, tmp_path):
    config = transformers.Gemma2Config(
        vocab_size=512, hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=4, head_dim=16,
        num_key_value_heads=2, final_logit_softcapping=30.0,
    )  # fmt: skip
    model = transformers.AutoModelForCausalLM.from_config(config)
    with pytest.raises(UserError, match="final_logit_softcapping"):
        trainer(model, tokenizer, examples, recipe("pocket", "sft_kd", **WIDE), tmp_path)
