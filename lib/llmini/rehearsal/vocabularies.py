"""Small tokenizers with the special tokens of real ones: same tokens, same order, same end of the vocabulary.

The pieces between them are learned from the pocket world; the chat templates are written here in the published layouts.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

PIECES = 900
BYTES = [f"<0x{number:02X}>" for number in range(256)]
EACH, BOS, ROLE = "{% for message in messages %}", "{{ bos_token }}", "message['role']"


def template(opening: str, middle: str, closing: str, start: str = "", role: str = ROLE,
             answer: str = "assistant") -> str:  # fmt: skip
    """A chat template whose turns read: opening, role, middle, what was said, closing."""
    said = f"'{opening}' + {role} + '{middle}' + (message['content'] | trim) + '{closing}'"
    return (start + EACH + "{{ " + said + " }}{% endfor %}{% if add_generation_prompt %}"
            "{{ '" + opening + answer + middle + "' }}{% endif %}")  # fmt: skip


CHATML = template("<|im_start|>", r"\n", r"<|im_end|>\n")
TURNS = template("<start_of_turn>", r"\n", r"<end_of_turn>\n", BOS,
                 f"('model' if {ROLE} == 'assistant' else {ROLE})", "model")  # fmt: skip
HEADERS = template("<|start_header_id|>", r"<|end_header_id|>\n\n", "<|eot_id|>", BOS)
INST = (BOS + EACH + "{% if message['role'] == 'user' %}{{ ' [INST] ' + message['content'] + ' [/INST]' }}"
        "{% else %}{{ ' ' + message['content'] + ' ' + eos_token }}{% endif %}{% endfor %}")  # fmt: skip
QWEN = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
        "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
        "<|image_pad|>", "<|video_pad|>")  # fmt: skip
LLAMA3 = ("<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>",
          "<|finetune_right_pad_id|>", "<|reserved_special_token_2|>", "<|start_header_id|>", "<|end_header_id|>",
          "<|eom_id|>", "<|eot_id|>", "<|python_tag|>")  # fmt: skip
LFM2 = ("<|pad|>", "<|startoftext|>", "<|endoftext|>", "<|fim_pre|>", "<|fim_mid|>", "<|fim_suf|>", "<|im_start|>",
        "<|im_end|>")  # fmt: skip
# What tokenizer_config.json says of each kind: class, special tokens, template.
KINDS: dict[str, dict[str, Any]] = {
    "llama2": {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
               "chat_template": INST},
    "gemma": {"tokenizer_class": "GemmaTokenizer", "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>",
              "pad_token": "<pad>", "chat_template": TURNS},
    "qwen": {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
             "chat_template": CHATML},
    "llama3": {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin_of_text|>",
               "eos_token": "<|eot_id|>", "chat_template": HEADERS},
    "lfm2": {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|startoftext|>", "eos_token": "<|im_end|>",
             "pad_token": "<|pad|>", "chat_template": BOS + CHATML},
    "xlmr": {"tokenizer_class": "XLMRobertaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
             "pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"},
    "bert": {"tokenizer_class": "BertTokenizer", "unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]",
             "sep_token": "[SEP]", "mask_token": "[MASK]", "do_lower_case": True},
    "distilbert": {"tokenizer_class": "DistilBertTokenizer", "unk_token": "[UNK]", "pad_token": "[PAD]",
                   "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]", "do_lower_case": True},
}  # fmt: skip


@functools.cache
def texts() -> tuple[str, ...]:
    """A few thousand lines of the pocket world in both languages."""
    from llmini.pocket import world

    return tuple(world.documents("train", "en")[:1500] + world.documents("train", "ar")[:1500])


def save(kind: str, folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json of a kind of :data:`KINDS` to ``folder``."""
    core(kind).save(str(folder / "tokenizer.json"))
    told = {"model_max_length": 131072, "clean_up_tokenization_spaces": False, **KINDS[kind]}
    (folder / "tokenizer_config.json").write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", "utf8")


@functools.cache
def core(kind: str) -> Any:
    """The `tokenizers.Tokenizer` of a kind."""
    return {"llama2": _sentencepiece, "gemma": _sentencepiece, "xlmr": _unigram, "bert": _wordpiece,
            "distilbert": _wordpiece}.get(kind, _bytes)(kind)  # fmt: skip


def _bytes(kind: str) -> Any:
    """Byte-level BPE: special tokens after the pieces (Qwen, Llama 3), or before them (LFM2)."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, processors, trainers
    from tokenizers import pre_tokenizers as split

    made = Tokenizer(models.BPE())
    words = Regex(r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+")
    made.pre_tokenizer = split.Sequence(
        [split.Split(words, "isolated"), split.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    made.decoder = decoders.ByteLevel()
    special = {"qwen": QWEN, "llama3": LLAMA3, "lfm2": LFM2}[kind]
    first = list(special) if kind == "lfm2" else []
    made.train_from_iterator(texts(), trainers.BpeTrainer(
        vocab_size=256 + PIECES, special_tokens=first, show_progress=False,
        initial_alphabet=sorted(split.ByteLevel.alphabet()),
    ))  # fmt: skip
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    if kind == "qwen":
        made.normalizer = normalizers.NFC()
    start = {"llama3": "<|begin_of_text|>", "lfm2": "<|startoftext|>"}.get(kind)
    if start:
        made.post_processor = processors.TemplateProcessing(
            single=f"{start} $A", pair=f"{start} $A {start}:1 $B:1", special_tokens=[(start, made.token_to_id(start))]
        )
    return made


def _sentencepiece(kind: str) -> Any:
    """BPE with byte fallback, as sentencepiece models come: special tokens, then bytes, then pieces."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    special = ["<unk>", "<s>", "</s>"] if kind == "llama2" else [
        "<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<unused{number}>" for number in range(8)),
        "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>"]  # fmt: skip
    draft = Tokenizer(models.BPE(unk_token="<unk>"))
    draft.normalizer = normalizers.Replace(" ", "▁")
    # sentencepiece makes no piece of a letter and a full stop: they are of two scripts.
    draft.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split("▁", "merged_with_next"), pre_tokenizers.Punctuation("isolated")]
    )
    draft.train_from_iterator(texts(), trainers.BpeTrainer(
        vocab_size=256 + len(special) + PIECES, special_tokens=[*special, *BYTES], show_progress=False,
    ))  # fmt: skip
    learned = json.loads(draft.to_str())["model"]
    merges = [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ", 1)) for pair in learned["merges"]]
    made = Tokenizer(models.BPE(learned["vocab"], merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    parts = [normalizers.Prepend("▁")] if kind == "llama2" else []
    made.normalizer = normalizers.Sequence([*parts, normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    made.decoder = decoders.Sequence([*steps, *([decoders.Strip(" ", 1, 0)] if kind == "llama2" else [])])
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    start = "<s>" if kind == "llama2" else "<bos>"
    made.post_processor = processors.TemplateProcessing(
        single=f"{start} $A", pair=f"{start} $A {start}:1 $B:1", special_tokens=[(start, made.token_to_id(start))]
    )
    return made


def _unigram(kind: str) -> Any:
    """XLM-R's layout: <s>, <pad>, </s>, <unk>, the pieces, and <mask> at the very end."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    made = Tokenizer(models.Unigram())
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    made.train_from_iterator(texts(), trainers.UnigramTrainer(
        vocab_size=PIECES, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False,
    ))  # fmt: skip
    made.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(token, made.token_to_id(token)) for token in ("<s>", "</s>")],
    )  # fmt: skip
    return made


def _wordpiece(kind: str) -> Any:
    """BERT's layout: [PAD] is 0, [UNK], [CLS], [SEP] and [MASK] are 100 to 103, with unused tokens between."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    unused = [f"[unused{number}]" for number in range(99)]
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.train_from_iterator(texts(), trainers.WordPieceTrainer(
        vocab_size=104 + PIECES, special_tokens=["[PAD]", *unused, "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        show_progress=False,
    ))  # fmt: skip
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 101), ("[SEP]", 102)],
    )  # fmt: skip
    return made
