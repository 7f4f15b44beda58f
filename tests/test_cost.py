"""Counted tokens, real times, and honesty about formats that do not run as stored."""

import pytest
import torch

from llmini.measure.cost import cost, executes_compressed, peak_memory, status
from llmini.settings import UserError
from measuring import make_model, make_tokenizer


@pytest.fixture(scope="module")
def pair():
    return make_model(), make_tokenizer()


def test_numbers_are_those_of_the_calls(pair, monkeypatch):
    """With a clock that ticks once per reading, speed is the tokens of one generate and latency one tick."""
    import llmini.measure.cost as module

    ticks = iter(range(10_000))
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(ticks))
    found = cost(*pair, new_tokens=7, repeats=2)
    assert found["tokens_per_second"] == 7 and found["latency_ms"] == 1000


def test_every_prompt_yields_all_its_tokens_even_past_the_end_token(pair):
    model, tokenizer = pair
    produced = []
    generate = model.generate

    def watched(**options):
        output = generate(**options)
        produced.append(output.shape[1] - options["input_ids"].shape[1])
        return output

    model.generate = watched
    try:
        found = cost(model, tokenizer, new_tokens=5, repeats=1, prompts=["one", "اثنان"])
    finally:
        del model.generate
    assert set(produced) == {5}
    assert found["tokens_per_second"] > 0 and found["latency_ms"] > 0
    weights = sum(part.numel() * 4 for part in model.parameters())
    assert found["peak_memory"] >= weights and "tensors" in found["memory_source"]
    assert found["executes_compressed"] and "float32" in found["note"]
    with pytest.raises(UserError):
        cost(model, tokenizer, prompts=[])


def test_peak_memory_sees_what_an_action_allocates_and_frees(pair):
    model, _ = pair
    weights = sum(part.numel() * 4 for part in model.parameters())
    hungry, _ = peak_memory(model, lambda: torch.ones(64 << 20).sum())  # 256 MB for a moment
    modest, _ = peak_memory(model, lambda: None)
    assert hungry - weights > 200 << 20
    assert modest - weights < 50 << 20
    assert status("VmRSS") > 0


def test_zeros_are_no_speed_up():
    model = make_model()
    assert executes_compressed(model)[0]
    for layer in model.model.layers:
        weight = layer.mlp.up_proj.weight.data
        weight[weight.abs() < weight.abs().median()] = 0
    executes, note = executes_compressed(model)
    assert not executes and "zeros" in note


def test_packed_weights_that_are_decompressed_are_no_speed_up(tmp_path):
    from transformers import AutoModelForCausalLM

    from llmini.compress.quantize import quantize

    model = make_model(num_hidden_layers=1, hidden_size=128, intermediate_size=128, head_dim=32)
    model = quantize(model, "w4a16_rtn")
    executes, note = executes_compressed(model)
    assert not executes and "simulated" in note
    model.save_pretrained(tmp_path)
    packed = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    found = cost(packed, make_tokenizer(), new_tokens=2, repeats=1)
    assert not found["executes_compressed"] and "decompressed at the first forward" in found["note"]


def test_bitsandbytes_runs_its_own_format(tmp_path):
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    make_model(num_hidden_layers=1).save_pretrained(tmp_path)
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32)
    model = AutoModelForCausalLM.from_pretrained(tmp_path, quantization_config=config, device_map="cpu").eval()
    executes, note = executes_compressed(model)
    assert executes and "bitsandbytes" in note
