"""Tuning encoders for token and sequence classification with transformers' Trainer, alone or from a teacher."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from llmini import settings
from llmini.settings import UserError
from llmini.train.encoders_data import IGNORED, collate


@dataclass(frozen=True)
class Recipe:
    """least: fewest steps, whatever the amount of data. alpha: weight of the cross-entropy beside a teacher's share."""

    learning_rate: float
    epochs: float
    batch_size: int
    least: int
    warmup: float = 0.1
    weight_decay: float = 0.01
    length: int = 128
    temperature: float = 2.0
    alpha: float = 0.5
    seed: int = 0


def recipe(tier: str, **changes: Any) -> Recipe:
    """The tier's recipe of train/encoders.yaml with changes. Raises UserError for an unknown option."""
    import yaml

    told = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf8"))
    base = Recipe(**told["pocket" if tier in ("pocket", "rehearsal") else "full"])
    try:
        return replace(base, **changes)
    except TypeError as fault:
        raise UserError(f"unknown option of tuning: {fault}") from fault


def steps(recipe: Recipe, count: int) -> int:
    """Optimiser steps for ``count`` examples: the epochs, but never fewer than the recipe's least."""
    return max(recipe.least, math.ceil(recipe.epochs * math.ceil(count / recipe.batch_size)))


def tune(model: Any, tokenizer: Any, rows: Sequence[dict[str, Any]], recipe: Recipe, *, teacher: Any = None,
         masks: dict[str, Any] | None = None) -> dict[str, Any]:  # fmt: skip
    """Train a model with a classification head in place, and leave it in eval mode.

    rows: of `encoders_data.rows`. teacher: a model of the same labels; then the loss is
    alpha CE + (1 - alpha) T² KL(teacher_T ‖ student_T) over labelled positions (Hinton et al., 2015). masks: parameter
    name -> 0/1 tensor; masked weights are zero before and after every step. Returns the loss curve, steps and seconds.
    Raises UserError without examples, and when the teacher has other labels.
    """
    import torch
    from transformers import Trainer, TrainerCallback, TrainingArguments

    if not rows:
        raise UserError("tuning needs at least one example")
    if teacher is not None and teacher.config.id2label != model.config.id2label:
        raise UserError(f"the teacher knows {', '.join(teacher.config.id2label.values())}; the student "
                        f"{', '.join(model.config.id2label.values())}: tune the teacher on this task")  # fmt: skip

    class Masked(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            apply_masks(model, masks or {})

    class Tuner(Trainer):
        def compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **_: Any) -> Any:
            out = model(**{name: value for name, value in inputs.items() if name != "labels"})
            loss = labelled_loss(out.logits, inputs["labels"], taught(teacher, inputs), recipe)
            return (loss, out) if return_outputs else loss

    apply_masks(model, masks or {})
    on_gpu = settings.device().type == "cuda"
    if teacher is not None:
        teacher.to(settings.device()).eval()
    attention = model.config._attn_implementation
    model.set_attn_implementation("eager")  # on a CPU three times as fast as the fused kernel backward
    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            scratch, max_steps=steps(recipe, len(rows)), per_device_train_batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate, weight_decay=recipe.weight_decay, warmup_steps=recipe.warmup,
            lr_scheduler_type="linear", logging_steps=10, save_strategy="no", report_to=[], disable_tqdm=True,
            seed=recipe.seed, data_seed=recipe.seed, bf16=half(), use_cpu=not on_gpu, dataloader_pin_memory=on_gpu,
            remove_unused_columns=False, label_names=["labels"],
        )  # fmt: skip
        pad = tokenizer.pad_token_id or 0
        trainer = Tuner(model=model, args=arguments, train_dataset=list(rows), callbacks=[Masked()],
                        data_collator=lambda batch: collate(batch, pad))  # fmt: skip
        trainer.remove_callback(_printer())
        with torch.enable_grad():
            done = trainer.train()
    model.set_attn_implementation(attention)
    model.to("cpu").eval()
    curve = [[entry["step"], round(entry["loss"], 4)] for entry in trainer.state.log_history if "loss" in entry]
    return {"loss_curve": curve, "steps": done.global_step, "examples": len(rows), "recipe": asdict(recipe),
            "seconds": round(done.metrics["train_runtime"], 2)}  # fmt: skip


def labelled_loss(logits: Any, labels: Any, teacher: Any, recipe: Recipe) -> Any:
    """Cross-entropy over labelled positions, with the teacher's part if there are logits of one.

    logits (…, classes), labels (…) with :data:`IGNORED` where nothing is asked; teacher (…, classes) or None.
    """
    from torch.nn.functional import cross_entropy, kl_div, log_softmax

    asked = labels != IGNORED
    own, gold = logits[asked].float(), labels[asked]
    loss = cross_entropy(own, gold)
    if teacher is None:
        return loss
    t = recipe.temperature
    soft = kl_div(log_softmax(own / t, -1), log_softmax(teacher[asked].float() / t, -1), reduction="batchmean",
                  log_target=True)  # fmt: skip
    return recipe.alpha * loss + (1 - recipe.alpha) * t * t * soft


def taught(teacher: Any, inputs: dict[str, Any]) -> Any:
    """The teacher's logits for a batch, None without one."""
    import torch

    if teacher is None:
        return None
    with torch.no_grad():
        return teacher(**{name: value for name, value in inputs.items() if name != "labels"}).logits


def apply_masks(model: Any, masks: dict[str, Any]) -> None:
    """Set the masked weights to zero, in place."""
    import torch

    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, mask in masks.items():
            parameters[name].mul_(mask.to(parameters[name].device))


def half() -> bool:
    """Whether products run in bf16: on GPUs that have it, and on CPUs with matrix units for it."""
    import torch

    if settings.device().type == "cuda":
        return torch.cuda.is_bf16_supported()
    return torch.cpu._is_amx_tile_supported()


def _printer() -> Any:
    from transformers.trainer_callback import PrinterCallback

    return PrinterCallback
