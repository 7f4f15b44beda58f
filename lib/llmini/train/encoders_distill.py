"""Shallower encoders from deeper ones: which layers a student begins with, and distillation before any task is known.

Task-specific distillation is tuning with a teacher (`encoders.tune`); here is the task-agnostic kind, the triple loss
of
DistilBERT (Sanh et al., 2019, section 3): the teacher's distribution over hidden words, the words themselves, and the
direction of the last hidden states.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from llmini import settings
from llmini.encoder_layers import kind, layers, stack, word_logits
from llmini.settings import UserError

BEGINNINGS = ("spaced", "first", "last", "random")


@dataclass(frozen=True)
class Words:
    """Weights of the three losses as DistilBERT's, and how the student learns."""

    soft: float = 5.0
    hard: float = 2.0
    cosine: float = 1.0
    temperature: float = 2.0
    masked: float = 0.2
    learning_rate: float = 2e-3
    warmup: float = 0.05
    seed: int = 0


def chosen(depth: int, kept: int, beginning: str = "spaced") -> list[int]:
    """Places of the ``kept`` of ``depth`` layers that a student begins with; empty for ``random``.

    spaced: evenly from the first to the last; first, last: a block. Raises UserError unless 1 <= kept < depth.
    """
    if not 1 <= kept < depth:
        raise UserError(f"a student of {kept} layers cannot come from {depth}: keep between 1 and {depth - 1}")
    if beginning not in BEGINNINGS:
        raise UserError(f"unknown beginning {beginning!r} of a student: choose among {', '.join(BEGINNINGS)}")
    if beginning == "random":
        return []
    if beginning == "spaced":
        return [round(place * (depth - 1) / (kept - 1)) for place in range(kept)] if kept > 1 else [0]
    return list(range(kept)) if beginning == "first" else list(range(depth - kept, depth))


def shallow(model: Any, kept: int, beginning: str = "spaced", seed: int = 0) -> Any:
    """A copy of a model with ``kept`` of its layers; embeddings and heads stay, ``random`` layers are drawn anew.

    The model, of any head, is left as it was.
    """
    import torch

    depth = len(stack(model))
    places = chosen(depth, kept, beginning)
    small = copy.deepcopy(model)
    inside = stack(small)
    if places:
        found = [copy.deepcopy(stack(model)[place]) for place in places]
    else:
        torch.manual_seed(seed)
        found = list(stack(type(model)(configured(model.config, kept))))
    while len(inside):
        del inside[-1]
    inside.extend(found)
    small.config = configured(small.config, kept)
    small.base_model.config = small.config
    for place, layer in enumerate(inside):
        for module in layer.modules():
            module.config = small.config if hasattr(module, "config") else None
            if hasattr(module, "layer_idx"):
                module.layer_idx = place
            if module.config is None:
                del module.config
    return small.eval()


def configured(config: Any, depth: int) -> Any:
    """A copy of a configuration with another number of layers."""
    out = copy.deepcopy(config)
    setattr(out, "n_layers" if out.model_type == "distilbert" else "num_hidden_layers", depth)
    return out


def student(teacher: Any, blank: Any, beginning: str = "spaced") -> Any:
    """Fill a blank, shallower masked language model, of another class perhaps, with a teacher's embeddings and layers.

    A DistilBERT has no token types: the first type's vector, which every token of a BERT bears, joins its positions.
    Raises UserError when the two are not of one width and vocabulary.
    """
    import torch

    mine, theirs = blank.base_model.embeddings, teacher.base_model.embeddings
    if mine.word_embeddings.weight.shape != theirs.word_embeddings.weight.shape:
        raise UserError("teacher and student need one width and one vocabulary to share their embeddings")
    places = chosen(len(stack(teacher)), len(stack(blank)), beginning)
    with torch.no_grad():
        mine.word_embeddings.weight.copy_(theirs.word_embeddings.weight)
        mine.position_embeddings.weight.copy_(theirs.position_embeddings.weight)
        if kind(blank) == "distilbert" and hasattr(theirs, "token_type_embeddings"):
            mine.position_embeddings.weight.add_(theirs.token_type_embeddings.weight[0])
        elif hasattr(mine, "token_type_embeddings"):
            mine.token_type_embeddings.weight.copy_(theirs.token_type_embeddings.weight)
        mine.LayerNorm.load_state_dict(theirs.LayerNorm.state_dict())
        for place, own in zip(places, layers(blank), strict=True) if places else ():
            for name, module in layers(teacher)[place].parts().items():
                own.parts()[name].load_state_dict(module.state_dict())
        copy_head(teacher, blank)
    blank.tie_weights()
    return blank


def copy_head(teacher: Any, blank: Any) -> None:
    """The transform, norm and bias of the layer that predicts words, under each class's names."""
    names = {
        "bert": ("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.decoder"),
        "distilbert": ("vocab_transform", "vocab_layer_norm", "vocab_projector"),
    }
    names |= dict.fromkeys(("roberta", "xlm-roberta"), ("lm_head.dense", "lm_head.layer_norm", "lm_head.decoder"))
    for mine, theirs in zip(names[kind(blank)], names[kind(teacher)], strict=True):
        blank.get_submodule(mine).load_state_dict(teacher.get_submodule(theirs).state_dict())


def agnostic(
    teacher: Any, pupil: Any, batches: Sequence[list[list[int]]], tokenizer: Any, told: Words
) -> dict[str, Any]:
    """Distil a masked language model into a shallower one on batches of documents (ids), once over, in place.

    Returns loss curve (step, tokens, loss), tokens, steps and seconds. Raises UserError without batches.
    """
    import torch
    from transformers import Trainer, TrainingArguments

    from llmini.pocket.encoder_pretrain import mask, pad
    from llmini.train.encoders import _printer, half

    if not batches:
        raise UserError("distillation needs at least one batch of text")
    generator = torch.Generator().manual_seed(told.seed)

    def collate(rows: Sequence[list[list[int]]]) -> dict[str, Any]:
        ids = pad(rows[0], tokenizer.pad_token_id)
        hidden, asked = mask(ids, tokenizer, told.masked, generator)
        return {"ids": ids, "hidden": hidden, "asked": asked, "there": (ids != tokenizer.pad_token_id).long()}

    class Distiller(Trainer):
        def compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **_: Any) -> Any:
            loss = triple(teacher, model, inputs, told)
            return (loss, {}) if return_outputs else loss

    on_gpu = settings.device().type == "cuda"
    teacher.to(settings.device()).eval()
    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            scratch, max_steps=len(batches), per_device_train_batch_size=1, learning_rate=told.learning_rate,
            warmup_steps=told.warmup, lr_scheduler_type="linear", logging_steps=25, save_strategy="no", report_to=[],
            disable_tqdm=True, seed=told.seed, data_seed=told.seed, bf16=half(), use_cpu=not on_gpu,
            dataloader_pin_memory=on_gpu, remove_unused_columns=False, label_names=["asked"],
        )  # fmt: skip
        trainer = Distiller(model=pupil, args=arguments, train_dataset=list(batches), data_collator=collate)
        trainer.remove_callback(_printer())
        with torch.enable_grad():
            done = trainer.train()
    pupil.to("cpu").eval()
    teacher.to("cpu")
    tokens = sum(len(row) for batch in batches for row in batch)
    curve = [[entry["step"], round(tokens * entry["step"] / len(batches)), round(entry["loss"], 4)]
             for entry in trainer.state.log_history if "loss" in entry]  # fmt: skip
    return {"loss_curve": curve, "tokens": tokens, "steps": done.global_step, "words": asdict(told),
            "seconds": round(done.metrics["train_runtime"], 1)}  # fmt: skip


def triple(teacher: Any, pupil: Any, batch: dict[str, Any], told: Words) -> Any:
    """The weighted sum of the three losses for one batch of ids, hidden ids, asked positions and the padding's mask."""
    import torch
    from torch.nn import functional as F

    with torch.no_grad():
        deep = teacher.base_model(input_ids=batch["hidden"], attention_mask=batch["there"])[0]
        theirs = word_logits(teacher, deep[batch["asked"]]).float()
    shallow_states = pupil.base_model(input_ids=batch["hidden"], attention_mask=batch["there"])[0]
    mine = word_logits(pupil, shallow_states[batch["asked"]]).float()
    t = told.temperature
    soft = F.kl_div(F.log_softmax(mine / t, -1), F.log_softmax(theirs / t, -1), reduction="batchmean", log_target=True)
    hard = F.cross_entropy(mine, batch["ids"][batch["asked"]])
    there = batch["there"].bool()
    apart = 1 - F.cosine_similarity(shallow_states[there].float(), deep[there].float(), dim=-1).mean()
    return told.soft * t * t * soft + told.hard * hard + told.cosine * apart
