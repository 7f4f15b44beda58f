"""The pocket encoders: real architecture classes, 128 wide with 8 heads, six and four layers deep, and a student of
two.
"""

from __future__ import annotations

import math
from typing import Any

from llmini.settings import UserError

MODELS = ("afriberta", "bert_base")
STUDENTS = {"distilbert": "bert_base"}
"""Student -> the encoder that teaches it."""
VOCABULARY = 3072
LENGTH = 128
"""Longest input, in tokens."""
CLASSES = {"afriberta": "AfriBERTa-class", "bert_base": "BERT-class", "distilbert": "DistilBERT-class"}
SHAPE = {"hidden_size": 128, "num_hidden_layers": 6, "num_attention_heads": 8, "intermediate_size": 512,
         "vocab_size": VOCABULARY, "tie_word_embeddings": True, "initializer_range": 0.06,
         "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}  # fmt: skip
"""Without dropout: the text is read once, and half of a step on a CPU would go into its random numbers."""
DEPTHS = {"afriberta": 6, "bert_base": 4, "distilbert": 2}
PERIOD = 100.0
"""Longest wavelength of the positions' first values, over 2 pi."""


def config(name: str, **changes: Any) -> Any:
    """The transformers configuration of a pocket encoder; ``changes`` override single entries (tests make it smaller).

    Raises:
        UserError: for an unknown name.
    """
    from transformers import BertConfig, DistilBertConfig, XLMRobertaConfig

    shape = {**SHAPE, "num_hidden_layers": DEPTHS.get(name, 0), **changes}
    if name == "afriberta":
        marks = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "type_vocab_size": 1}
        return XLMRobertaConfig(**{"max_position_embeddings": LENGTH + 2, **marks, **shape})
    if name == "bert_base":
        return BertConfig(**{"max_position_embeddings": LENGTH, "pad_token_id": 0, "type_vocab_size": 2, **shape})
    if name == "distilbert":
        names = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads",
                 "intermediate_size": "hidden_dim", "hidden_dropout_prob": "dropout",
                 "attention_probs_dropout_prob": "attention_dropout"}  # fmt: skip
        shape = {names.get(key, key): value for key, value in shape.items()}
        return DistilBertConfig(**{"max_position_embeddings": LENGTH, "pad_token_id": 0, **shape})
    raise UserError(f"unknown pocket encoder {name!r}: choose one of {', '.join(CLASSES)}")


def build(name: str, seed: int = 0, **changes: Any) -> Any:
    """A freshly initialised masked language model of the class that stands for ``name``, in fp32.

    Positions begin as sinusoids (Vaswani et al., 2017, section 3.5) as strong as a word, and are trained on: with
    random ones a model of this size reads hundreds of thousands of words before it finds its neighbours.
    """
    import torch
    from transformers import AutoModelForMaskedLM

    torch.manual_seed(seed)
    model = AutoModelForMaskedLM.from_config(config(name, **changes), dtype=torch.float32)
    weight = model.base_model.embeddings.position_embeddings.weight
    places, width = weight.shape
    angles = torch.arange(places)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(PERIOD) / width))
    with torch.no_grad():
        weight[:, 0::2], weight[:, 1::2] = torch.sin(angles), torch.cos(angles)
        weight *= math.sqrt(2) * SHAPE["initializer_range"]
    return model
