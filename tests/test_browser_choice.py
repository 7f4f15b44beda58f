"""Sizes of open models in a browser, from their shapes: against transformers' own count and this project's exporter."""

import pytest

from llmini.browser import choice


@pytest.mark.parametrize("key, billions", [
    ("allam_7b", 7.0), ("fanar_9b", 8.78), ("acegpt_8b", 8.03), ("gemma3_270m", 0.268), ("gemma3_1b", 1.0),
    ("gemma3_4b", 3.88), ("gemma3_12b", 11.77), ("gemma3_27b", 27.0), ("qwen3_0_6b", 0.596), ("qwen3_1_7b", 1.72),
    ("qwen3_4b", 4.02), ("qwen3_8b", 8.19),
])  # fmt: skip
def test_a_shape_has_the_parameters_that_its_model_card_says(key, billions):
    shape = choice.models()[key]["shape"]
    assert (shape.linear + shape.rest) / 1e9 == pytest.approx(billions, rel=0.01)


@pytest.mark.parametrize("tied", [False, True])
def test_a_shape_counts_what_transformers_builds(tied):
    import transformers

    config = transformers.Qwen3Config(
        vocab_size=512, hidden_size=128, intermediate_size=256, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, head_dim=64, tie_word_embeddings=tied,
    )  # fmt: skip
    model = transformers.AutoModelForCausalLM.from_config(config)
    shape = choice.Shape(128, 3, 256, 4, 2, 64, 512, tied, 4096)
    matrices = {id(weight): weight.numel() for weight in model.parameters() if weight.ndim == 2}
    assert shape.linear + shape.rest == sum(matrices.values())
    assert shape.cache(10) == 2 * 4 * 3 * 2 * 64 * 10 == shape.cache(5) * 2


def test_the_table_says_what_fits():
    table = choice.choice().set_index("model")
    assert table.loc["Gemma 3 270M", "fits wasm"] and not table.loc["ALLaM-7B-Instruct", "fits wasm"]
    assert table.loc["ALLaM-7B-Instruct", "OALL, reported"] == "65.25"
    assert table.loc["Gemma 3 12B", "OALL, reported"] == "not printed"  # the study's score is of the 27B model
    assert (table["4-bit download"] < table["memory, WebGPU"]).all()
    assert (table["memory, WebGPU"] < table["memory, wasm"]).all()
    assert choice.shown(choice.choice()).loc["Qwen3 4B", "4-bit download"].endswith(" GB")
