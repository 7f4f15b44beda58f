"""The pocket tokenizer: one byte-level BPE for both languages, digits one by one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

VOCABULARY = 2048
SPECIAL = ["<pad>", "<s>", "</s>", "<|user|>", "<|assistant|>", "<|end|>"]
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\\n' + message['content'] | trim + '<|end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)


def train(texts: Iterable[str], vocabulary: int = VOCABULARY) -> Any:
    """Train the tokenizer on `texts`; returns a PreTrainedTokenizerFast that puts `<s>` before a text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    core.train_from_iterator(texts, trainer)
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", core.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        chat_template=CHAT_TEMPLATE,
        model_max_length=2048,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        additional_special_tokens=["<|user|>", "<|assistant|>", "<|end|>"],
    )


def balanced(texts: Iterable[str], characters: int = 1_500_000) -> list[str]:
    """Texts up to `characters` per script, so that Arabic gets its share of the merges."""
    chosen: list[str] = []
    left = {"ar": characters, "en": characters}
    for text in texts:
        script = "ar" if any("\u0600" <= letter <= "\u06ff" for letter in text) else "en"
        if left[script] > 0:
            left[script] -= len(text)
            chosen.append(text)
    return chosen


def save(tokenizer: Any, folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json with the chat template inlined, as browsers want it.

    The class is named as transformers 4 and transformers.js know it; what only says how it was loaded is left out.
    """
    tokenizer.save_pretrained(folder, save_jinja_files=False)
    path = Path(folder) / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    for key in ("backend", "is_local", "local_files_only", "name_or_path"):
        config.pop(key, None)
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    config["additional_special_tokens"] = config.pop("extra_special_tokens", config.get("additional_special_tokens"))
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


def load(folder: Path) -> Any:
    """Load the tokenizer of a folder."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)
