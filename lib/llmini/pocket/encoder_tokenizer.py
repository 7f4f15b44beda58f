"""Tokenizers of the pocket encoders: pieces that carry their space as XLM-R's, and word pieces as BERT's."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from llmini.pocket.encoder_shapes import LENGTH, VOCABULARY
from llmini.pocket.tokenizer import balanced

SPACED = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def train(name: str, texts: Iterable[str], vocabulary: int = VOCABULARY) -> Any:
    """Train the tokenizer of a pocket encoder on texts, as much Arabic as English."""
    texts = balanced(texts, 1_000_000)
    return merges(texts, vocabulary) if name == "afriberta" else pieces(texts, vocabulary)


def merges(texts: Iterable[str], vocabulary: int) -> Any:
    """Byte pairs over words that carry their space (Sennrich et al., 2016), with XLM-R's marks.

    XLM-R's own pieces come from a unigram model; on a text this small its trainer leaves a fifth of the vocabulary
    empty and cuts words into letters.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE(unk_token="<unk>"))
    core.normalizer = normalizers.NFKC()
    core.pre_tokenizer, core.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    core.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=SPACED, show_progress=False))  # fmt: skip
    marks = [(mark, core.token_to_id(mark)) for mark in ("<s>", "</s>")]
    core.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>",
                                                        special_tokens=marks)  # fmt: skip
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", cls_token="<s>", pad_token="<pad>", eos_token="</s>", sep_token="</s>",
        unk_token="<unk>", mask_token="<mask>", model_max_length=LENGTH,
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def pieces(texts: Iterable[str], vocabulary: int) -> Any:
    """Word pieces of lower-cased words (Schuster and Nakajima, 2012), with BERT's marks; Arabic keeps its marks."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    core.pre_tokenizer, core.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    core.train_from_iterator(texts, trainers.WordPieceTrainer(
        vocab_size=vocabulary, special_tokens=PIECES, show_progress=False))  # fmt: skip
    marks = [(mark, core.token_to_id(mark)) for mark in ("[CLS]", "[SEP]")]
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=marks)  # fmt: skip
    return PreTrainedTokenizerFast(
        tokenizer_object=core, cls_token="[CLS]", pad_token="[PAD]", sep_token="[SEP]", unk_token="[UNK]",
        mask_token="[MASK]", model_max_length=LENGTH, model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def save(tokenizer: Any, folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json, without what only says how it was loaded."""
    import json

    tokenizer.save_pretrained(folder)
    path = Path(folder) / "tokenizer_config.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    for key in ("backend", "is_local", "local_files_only", "name_or_path"):
        told.pop(key, None)
    told["tokenizer_class"] = "PreTrainedTokenizerFast"
    path.write_text(json.dumps(told, indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
