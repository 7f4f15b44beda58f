"""Against formulas written out with whole logits, on the four architectures."""

import math

import pytest
import torch

from llmini.measure.logits import Split, token_nll
from llmini.measure.perplexity import bits_per_byte, perplexity
from llmini.settings import UserError
from measuring import KINDS, make_model, make_tokenizer

DOCUMENTS = [f"Document {i}: the capital of town {i} is {i * i}." for i in range(60)]


def reference_nll(model, ids):
    """Total -log p of ids[1:] given what precedes, from full fp64 log-softmax."""
    with torch.no_grad():
        log_p = model(torch.tensor([ids])).logits.double().log_softmax(-1)[0]
    return [-log_p[i, token].item() for i, token in enumerate(ids[1:])]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bos", [True, False])
def test_perplexity_is_the_exponential_of_the_mean_over_non_overlapping_windows(kind, bos):
    model, tokenizer, window = make_model(kind), make_tokenizer(bos), 64
    stream = tokenizer("\n\n".join(DOCUMENTS), add_special_tokens=False)["input_ids"]
    fresh = window - bos
    windows = [[0] * bos + stream[i : i + fresh] for i in range(0, len(stream) - fresh + 1, fresh)]
    losses = [nll for ids in windows for nll in reference_nll(model, ids)]
    got = perplexity(model, tokenizer, DOCUMENTS, window=window)
    assert got["perplexity"] == pytest.approx(math.exp(sum(losses) / len(losses)), rel=1e-4)
    assert got["tokens"] == len(losses) and got["windows"] == len(windows)
    assert got["bos"] == ("every window" if bos else "none")
    assert 0 < got["stderr"] < got["perplexity"]
    assert perplexity(model, tokenizer, "\n\n".join(DOCUMENTS), window=window) == got
    first = perplexity(model, tokenizer, DOCUMENTS, window=window, first_only=True)
    assert first["nll"] == pytest.approx(sum(reference_nll(model, windows[0])) / (window - 1), rel=1e-4)
    assert first["windows"] == 1 and first["stderr"] is None


def test_a_uniform_model_has_the_perplexity_of_its_vocabulary():
    model, tokenizer = make_model(), make_tokenizer()
    torch.nn.init.zeros_(model.get_output_embeddings().weight)
    assert perplexity(model, tokenizer, DOCUMENTS, window=32)["perplexity"] == pytest.approx(320, rel=1e-5)
    text = ["مرحبا"]  # ten bytes
    count = len(tokenizer(text[0], add_special_tokens=False)["input_ids"])
    got = bits_per_byte(model, tokenizer, text)
    assert got["bits_per_byte"] == pytest.approx(count * math.log2(320) / 10, rel=1e-5)


@pytest.mark.parametrize("bos", [True, False])
def test_bits_per_byte_scores_each_sentence_alone_whatever_its_neighbours(bos):
    model, tokenizer = make_model("gemma3"), make_tokenizer(bos)
    sentences = ["the capital", "ما هي عاصمة المدينة", "Q", "a much longer sentence than the others are " * 3]
    prefix = 0 if bos else 1
    total = sum(sum(reference_nll(model, [prefix, *ids]))
                for ids in tokenizer(sentences, add_special_tokens=False)["input_ids"])  # fmt: skip
    size = sum(len(sentence.encode()) for sentence in sentences)
    got = bits_per_byte(model, tokenizer, sentences)
    assert got["bits_per_byte"] == pytest.approx(total / math.log(2) / size, rel=1e-4)
    assert got["bytes"] == size and got["prefix"] == ("<s>" if bos else "</s>") and got["stderr"] > 0
    assert bits_per_byte(model, tokenizer, sentences[::-1])["nll"] == pytest.approx(got["nll"], rel=1e-6)


def test_faults_are_one_clear_line():
    model, tokenizer = make_model(max_position_embeddings=128), make_tokenizer()
    for faulty in (lambda: perplexity(model, tokenizer, "short", window=64),
                   lambda: perplexity(model, tokenizer, DOCUMENTS, window=256),
                   lambda: perplexity(model, tokenizer, DOCUMENTS, window=1),
                   lambda: bits_per_byte(model, tokenizer, []),
                   lambda: bits_per_byte(model, tokenizer, ["x" * 500])):  # fmt: skip
        with pytest.raises(UserError) as fault:
            faulty()
        assert ("\n" not in str(fault.value) and ":" in str(fault.value)) or "needs" in str(fault.value)


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_of_logits_equal_the_whole(kind, monkeypatch):
    model = make_model(kind)
    ids = torch.randint(3, 320, (3, 40), generator=torch.Generator().manual_seed(0))
    split = Split(model)
    assert split.whole is None
    whole = token_nll(split, ids)
    monkeypatch.setattr("llmini.measure.logits.LOGITS", 320 * 7)
    assert split.rows == 16
    assert torch.allclose(token_nll(split, ids), whole, atol=1e-5)
    assert whole[1].tolist() == pytest.approx(reference_nll(model, ids[1].tolist()), abs=1e-4)


def test_a_model_that_rescales_its_logits_is_not_taken_apart():
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    config = Gemma2Config(vocab_size=320, hidden_size=32, intermediate_size=32, num_hidden_layers=2, head_dim=16,
                          num_attention_heads=2, num_key_value_heads=1, initializer_range=0.5)  # fmt: skip
    model = Gemma2ForCausalLM(config).eval()
    split = Split(model)
    assert "final_logit_softcapping" in split.whole
    ids = torch.randint(3, 320, (1, 30))
    assert token_nll(split, ids)[0].tolist() == pytest.approx(reference_nll(model, ids[0].tolist()), abs=1e-4)
