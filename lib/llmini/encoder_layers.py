"""The parts of an encoder by one name in every class: its layers, and the words that its states predict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llmini.settings import UserError


@dataclass(frozen=True)
class Layer:
    """The Linear and LayerNorm modules of one layer; ``names``: where each stands in the model."""

    query: Any
    key: Any
    value: Any
    output: Any
    widen: Any
    narrow: Any
    after_attention: Any
    after_mlp: Any
    names: dict[str, str]

    def parts(self) -> dict[str, Any]:
        """Name -> module, the same names for every class."""
        return {name: getattr(self, name) for name in PARTS["bert"]}


PARTS = {
    "bert": {
        "query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value",
        "output": "attention.output.dense", "widen": "intermediate.dense", "narrow": "output.dense",
        "after_attention": "attention.output.LayerNorm", "after_mlp": "output.LayerNorm",
    },
    "distilbert": {
        "query": "attention.q_lin", "key": "attention.k_lin", "value": "attention.v_lin",
        "output": "attention.out_lin", "widen": "ffn.lin1", "narrow": "ffn.lin2",
        "after_attention": "sa_layer_norm", "after_mlp": "output_layer_norm",
    },
}  # fmt: skip
PARTS |= dict.fromkeys(("roberta", "xlm-roberta"), PARTS["bert"])


def kind(model: Any) -> str:
    """The model type. Raises UserError for one whose layers are not known by name."""
    found = model.config.model_type
    if found not in PARTS:
        raise UserError(f"the layers of a {found} are not known: give an encoder, one of {', '.join(PARTS)}")
    return found


def layers(model: Any) -> list[Layer]:
    """The layers of an encoder, from the first to the last."""
    names = PARTS[kind(model)]
    stack = "transformer.layer" if kind(model) == "distilbert" else "encoder.layer"
    base = model.base_model
    prefix = f"{model.base_model_prefix}." if base is not model else ""
    found = []
    for place, layer in enumerate(base.get_submodule(stack)):
        parts = {name: layer.get_submodule(path) for name, path in names.items()}
        found.append(Layer(**parts, names={n: f"{prefix}{stack}.{place}.{path}" for n, path in names.items()}))
    return found


def stack(model: Any) -> Any:
    """The module list of the layers."""
    return model.base_model.transformer.layer if kind(model) == "distilbert" else model.base_model.encoder.layer


def heads(model: Any) -> int:
    """Attention heads of a whole layer, as the configuration has them."""
    return model.config.num_attention_heads


def word_logits(model: Any, states: Any) -> Any:
    """Logits over the vocabulary (…, vocabulary) from last hidden states (…, width) of a masked language model."""
    if kind(model) == "distilbert":
        return model.vocab_projector(model.vocab_layer_norm(model.activation(model.vocab_transform(states))))
    return model.cls(states) if kind(model) == "bert" else model.lm_head(states)
