"""What training learns under the special tokens of the studied models: one BOS, an end, and the text as it is."""

from __future__ import annotations

import pytest
from transformers import PreTrainedTokenizerFast

from llmini import settings
from llmini.train.examples import IGNORED, Example, document_ids, encode
from llmini.train.recipes import Recipe

TURNS = "{{% for m in messages %}}{{% if m['role'] == 'user' %}}{user}{{% else %}}{said}{{% endif %}}{{% endfor %}}"
LAYOUTS = {  # BOS, end of a turn, EOS, template: where the real tokenizers put them
    "allam": ("<s>", "</s>", "</s>", "{{ bos_token }}" + TURNS.format(
        user="[INST] {{ m['content'] }} [/INST]", said=" {{ m['content'] }} {{ eos_token }}")),
    "llama3": ("<|begin_of_text|>", "<|eot_id|>", "<|end_of_text|>", "{{ bos_token }}" + TURNS.format(
        user="<|start_header_id|>user<|end_header_id|>\n\n{{ m['content'] }}<|eot_id|>",
        said="<|start_header_id|>assistant<|end_header_id|>\n\n{{ m['content'] }}<|eot_id|>")
        + "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"),
    "qwen": (None, "<|im_end|>", "<|im_end|>", TURNS.format(
        user="<|im_start|>user\n{{ m['content'] }}<|im_end|>\n",
        said="<|im_start|>assistant\n{{ m['content'] }}<|im_end|>\n")
        + "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"),
    "gemma": ("<bos>", "<end_of_turn>", "<eos>", "{{ bos_token }}" + TURNS.format(
        user="<start_of_turn>user\n{{ m['content'] }}<end_of_turn>\n",
        said="<start_of_turn>model\n{{ m['content'] }}<end_of_turn>\n")
        + "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"),
    "lfm2": ("<|startoftext|>", "<|im_end|>", "<|im_end|>", "{{ bos_token }}" + TURNS.format(
        user="<|im_start|>user\n{{ m['content'] }}<|im_end|>\n",
        said="<|im_start|>assistant\n{{ m['content'] }}<|im_end|>\n")
        + "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"),
}  # fmt: skip
ARABIC = ("كَتَبَ الطالِبُ دَرْسَهُ.", "قال ﷺ: «السـلام»", "ﻻ ﺑﺄس", "شلونچ؟ أبغي أروح ويّاكم meeting باجر", "٣ كتب و 11 كتابًا")
RECIPE = Recipe("finetune", max_length=256)


@pytest.fixture(params=LAYOUTS)
def layout(request):
    """A tokenizer with the special tokens and the template of a studied family, over the pocket world's letters."""
    bos, turn, eos, template = LAYOUTS[request.param]
    made = PreTrainedTokenizerFast(tokenizer_file=str(settings.data("pocket", "tokenizer", "tokenizer.json")),
                                   bos_token=bos, eos_token=eos, pad_token=eos)  # fmt: skip
    others = ["<|im_start|>", "<start_of_turn>", "<|start_header_id|>", "<|end_header_id|>", turn]
    made.add_special_tokens({"additional_special_tokens": others})
    made.chat_template = template
    return made, turn


@pytest.mark.parametrize("text", ARABIC)
def test_one_bos_an_end_and_the_answer_as_it_is(layout, text):
    tokenizer, turn = layout
    found = encode(Example("a", "ar", f"صحّح: {text}", text), tokenizer, RECIPE)
    assert found.ids.count(tokenizer.bos_token_id) == (0 if tokenizer.bos_token is None else 1)
    assert found.ids[-1] == found.labels[-1] == tokenizer.convert_tokens_to_ids(turn)
    learned = [label for label in found.labels if label != IGNORED]
    assert tokenizer.decode(learned[:-1]).strip() == text
    assert text in tokenizer.decode(found.ids) and found.labels[0] == IGNORED
    prompt = [token for token, label in zip(found.ids, found.labels, strict=True) if label == IGNORED]
    assert tokenizer.decode(prompt).count(text) == 1 and len(prompt) + len(learned) == len(found.ids)


@pytest.mark.parametrize("text", ARABIC)
def test_a_document_is_learned_whole(layout, text):
    tokenizer, _ = layout
    found = encode(Example("a", "ar", None, text), tokenizer, RECIPE)
    assert found.ids == document_ids(text, tokenizer)
    assert found.ids.count(tokenizer.bos_token_id) == (0 if tokenizer.bos_token is None else 1)
    assert found.labels[1:] == found.ids[1:] and found.labels[0] == IGNORED
    assert found.ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(found.ids, skip_special_tokens=True) == text


def test_a_document_that_is_too_long_has_no_end_to_learn(layout):
    tokenizer, _ = layout
    found = encode(Example("a", "ar", None, "كتاب " * 400), tokenizer, Recipe("finetune", max_length=32))
    assert len(found.ids) == len(found.labels) == 32 and tokenizer.eos_token_id not in found.ids[1:]
