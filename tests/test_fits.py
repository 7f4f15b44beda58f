"""What fits where, against public parameter counts and against the tensors that autograd really keeps."""

import pytest
import torch
import transformers

from llmini.settings import UserError
from llmini.train import fits
from llmini.train.recipes import recipe


def qwen2_5(width, layers, inner, heads, pairs, vocabulary=152064):
    return transformers.Qwen2Config(
        hidden_size=width, num_hidden_layers=layers, intermediate_size=inner, num_attention_heads=heads,
        num_key_value_heads=pairs, vocab_size=vocabulary, tie_word_embeddings=False,
    )  # fmt: skip


TEACHER = qwen2_5(5120, 64, 27648, 40, 8)  # Qwen2.5-32B-Instruct: 32.8e9 parameters
STUDENT = qwen2_5(3584, 28, 18944, 28, 4)  # Qwen2.5-7B-Instruct: 7.62e9 parameters


def test_the_study_on_an_a100():
    made = fits.plan_memory(recipe("full", "token_kd"), STUDENT, TEACHER)
    assert made["teacher"] == pytest.approx(20e9, rel=0.05)  # NF4: half a byte a weight, embeddings in 16 bits
    assert made["student"] == pytest.approx(2 * 7.616e9, rel=1e-3)
    assert made["adapter"] == 4 * 5_046_272  # r = 16 on q_proj and v_proj of 28 layers
    assert made["optimiser"] == 2 * made["adapter"] and made["gradients"] == made["adapter"]
    assert made["teacher_head"] == 2 * 152064 * 5120
    assert made["fits"]["A100 40 GB"] == {"answering": True, "training_cached": True, "training_live": True}
    assert not any(made["fits"]["T4 16 GB"].values())
    parts = ("student", "adapter", "gradients", "optimiser", "activations", "loss", "teacher_head")
    assert made["training_cached"] == sum(made[name] for name in parts) + fits.CONTEXT


def test_a_t4_trains_from_the_cache_and_nothing_else():
    made = fits.plan_memory(recipe("full", "token_kd", "t4"), STUDENT, TEACHER)
    assert made["fits"]["T4 16 GB"] == {"answering": False, "training_cached": True, "training_live": False}
    assert fits.plan_memory(recipe("full", "sft_kd", "t4"), STUDENT, TEACHER)["teacher_head"] == 0


def test_full_training_of_7b_fits_no_single_device():
    made = fits.plan_memory(recipe("full", "sft_kd", lora_targets=[]), STUDENT, TEACHER)
    assert made["adapter"] == 0 and made["optimiser"] == pytest.approx(8 * 7.616e9, rel=1e-3)
    assert not any(room["training_cached"] for room in made["fits"].values())


def test_the_loss_never_holds_the_logits_of_a_batch():
    made = fits.plan_memory(recipe("full", "token_kd"), STUDENT, TEACHER)
    assert made["loss"] < 8 * 512 * 152064 * 4 / 7  # one fp32 copy of a pass


@pytest.mark.parametrize("kind", ["Qwen2", "Llama", "Qwen3"])
@pytest.mark.parametrize("ticked", [False, True], ids=["plain", "checkpointed"])
def test_activations_are_those_that_autograd_keeps(kind, ticked):
    config = getattr(transformers, f"{kind}Config")(
        hidden_size=128, num_hidden_layers=4, intermediate_size=512, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=256, head_dim=32,
    )  # fmt: skip
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).train()
    if ticked:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    own, kept = {p.untyped_storage().data_ptr() for p in model.parameters()}, {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    ids = torch.randint(0, 256, (4, 128))
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        hidden = model.model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).last_hidden_state
    expected = fits.activation_bytes(config, ids.numel(), 4, ticked)
    if ticked:  # forward keeps the blocks' inputs; one block more comes and goes in the backward pass
        expected -= ids.numel() * fits.block_bytes(config, 4)
    assert len(hidden) == 4
    assert sum(kept.values()) == pytest.approx(expected, rel=0.55 if ticked else 0.15)


def test_the_plan_in_words():
    asked = recipe("full", "token_kd", "t4")
    lines = fits.text(asked, fits.plan_memory(asked, STUDENT, TEACHER)).splitlines()
    assert lines[0] == "token_kd, fp16, 1 x 512 tokens a pass"
    assert any(line.split()[:2] == ["teacher's", "weights"] and "17.89 GiB" in line for line in lines)
    assert lines[-3].endswith("fits A100 40 GB, A100 80 GB") and "fits T4 16 GB" in lines[-2]


def test_bad_plans_are_refused():
    with pytest.raises(UserError, match="give 4, 8 or 16"):
        fits.plan_memory(recipe("full", "token_kd"), STUDENT, TEACHER, teacher_bits=3)
    with pytest.raises(UserError, match="no module nowhere"):
        fits.plan_memory(recipe("full", "sft_kd", lora_targets=["nowhere"]), STUDENT, TEACHER)


def test_the_command_tells_what_fits_where(capsys):
    from llmini.train import fits

    assert fits.main(["--tier", "pocket"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("token_kd, bf16") and "training, cached teacher" in told and "fits T4 16 GB" in told
    assert fits.main(["--tier", "pocket", "--student", "nobody"]) == 2
    assert capsys.readouterr().err.startswith("fits: no model or folder 'nobody'")
