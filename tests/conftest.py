"""Fixtures shared by the suite: tiny random models of the real classes, and calibration windows for them."""

import os

import pytest

os.environ["TQDM_DISABLE"] = "1"  # read once, when tqdm is imported
os.environ["TOKENIZERS_PARALLELISM"] = "false"
KINDS = ("llama", "llama3", "qwen3", "gemma3")
VOCABULARY = 512


def pytest_terminal_summary(terminalreporter):
    """Say loudly what was not tested for want of a browser."""
    why = [report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", [])
           if isinstance(report.longrepr, tuple) and "/test_acai" in report.longrepr[0] + report.nodeid]  # fmt: skip
    for reason in sorted(set(why)):
        line = f"NOT TESTED: {why.count(reason)} tests of the browser: {reason}"
        terminalreporter.write_line(line, red=True, bold=True)


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """One thread, so that numbers do not depend on the machine."""
    import torch

    torch.set_num_threads(1)


def build(kind, dtype="float32", seed=0, **changes):
    """A random model: Llama with full heads, Llama with grouped heads and llama3 rope, Qwen3, or Gemma3 text."""
    import torch
    import transformers

    shape = {
        "vocab_size": VOCABULARY, "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 4 if kind == "llama" else 2, "head_dim": 64,
        "max_position_embeddings": 2048, "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2,
        "pad_token_id": 0,
    }  # fmt: skip
    if kind == "llama3":
        shape["rope_parameters"] = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0,
                                    "high_freq_factor": 4.0, "original_max_position_embeddings": 512}  # fmt: skip
    if kind == "gemma3":
        shape |= {"sliding_window": 64, "layer_types": ["sliding_attention", "full_attention"],
                  "query_pre_attn_scalar": 64}  # fmt: skip
    name = {"llama": "Llama", "llama3": "Llama", "qwen3": "Qwen3", "gemma3": "Gemma3Text"}[kind]
    torch.manual_seed(seed)
    config = getattr(transformers, f"{name}Config")(**{**shape, **changes})
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype)).eval()
    for parameter_name, parameter in model.named_parameters():
        if "norm" in parameter_name:  # all ones (or zeros) would hide a norm that is scaled wrongly
            parameter.data += 0.3 * torch.randn_like(parameter)
    return model


@pytest.fixture
def tiny_model():
    """Factory ``tiny_model(kind, dtype="float32", seed=0, **config_changes)`` of random models in eval mode."""
    return build


@pytest.fixture(scope="session")
def tiny_tokenizer():
    """A byte-level BPE tokenizer of 512 tokens, trained here."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    special = ["<pad>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=special, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())  # fmt: skip
    core.train_from_iterator(sentences(200, seed=1), trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", bos_token="<s>", eos_token="</s>")


@pytest.fixture(scope="session")
def tiny_calibration(tiny_tokenizer, tmp_path_factory):
    """Eight packed windows of 128 tokens through llmini.texts."""
    from llmini import texts

    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n\n".join(sentences(600)), encoding="utf8")
    return texts.calibration(tiny_tokenizer, str(path), "en", samples=8, length=128, seed=0)


def sentences(count, seed=0):
    """Random sentences of English and Arabic words."""
    import random

    draw = random.Random(seed)
    text = "the bank of a town lent ten pearls to its old ship بنك المدينة أقرض عشر لآلئ للسفينة القديمة في البحر"
    words = text.split()
    return [" ".join(draw.choices(words, k=draw.randint(5, 20))) for _ in range(count)]
