"""What a distillation run is told: one frozen `Recipe`, made from presets.yaml and the caller's changes."""

from __future__ import annotations

import difflib
import functools
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini import settings
from llmini.settings import BASES, UserError

if TYPE_CHECKING:
    import torch

STAGES = ("sft_kd", "seq_kd", "token_kd", "selectkd")  # the study's order: each starts from the one before
TOKEN_STAGES = ("token_kd", "selectkd")  # those that read the teacher's distributions
RULES = ("none", "confidence", "verified", "entropy", "random")
CHOICES = {
    "stage": (*STAGES, "finetune"),  # fine-tuning learns answers and documents, with no teacher
    "rule": RULES,
    "responses": ("reference", "teacher"),
    "direction": ("student_teacher", "teacher_student"),
    "kl_reduction": ("token", "batchmean"),
    "precision": ("fp32", "bf16", "fp16"),
}
LIMITS = {  # inclusive; None is no limit
    "epochs": (0, None), "batch_size": (1, None), "accumulation": (1, None), "max_length": (8, None),
    "warmup": (0, 1), "alpha": (0, 1), "temperature": (0, None), "theta": (0, 1), "share": (0, 1), "top_k": (1, None),
    "lora_r": (1, None), "lora_alpha": (0, None), "learning_rate": (0, None), "weight_decay": (0, None),
}  # fmt: skip
POSITIVE = ("learning_rate", "epochs", "temperature", "share")


@dataclass(frozen=True)
class Recipe:
    """One stage of training.

    responses: whose answers are learned, the gold ``reference`` or the ``teacher``'s. batch_size: sequences (packs, if
    ``packing``) a forward pass; accumulation: passes a step. max_length: tokens of prompt and answer. warmup: share of
    the steps. alpha, temperature: loss = alpha CE + (1 - alpha) T² KL(T); direction: ``student_teacher`` is
    KL(student ‖ teacher). rule: which tokens count, with its options theta (confidence), top_k (verified) and share
    (of a batch's tokens: what entropy and random keep; below 1 it takes the place of theta and top_k). completion_only:
    the prompt is no label; eos: the end token is one. kl_reduction: ``token`` takes the mean over kept tokens,
    ``batchmean`` sums a sequence's tokens, as PyTorch's option of that name does. self_teacher: the student's own start
    is the teacher. lora_targets empty: every weight is trained. base_bits 4: LoRA on an NF4 base (QLoRA).
    Raises UserError for a value out of range.
    """

    stage: str
    responses: str = "reference"
    learning_rate: float = 2e-5
    epochs: float = 3
    batch_size: int = 8
    accumulation: int = 1
    max_length: int = 512
    warmup: float = 0.03
    weight_decay: float = 0.0
    alpha: float = 0.5
    temperature: float = 2.0
    direction: str = "student_teacher"
    kl_reduction: str = "token"
    rule: str = "none"
    theta: float = 0.7
    top_k: int = 1
    share: float = 1.0
    completion_only: bool = True
    eos: bool = True
    self_teacher: bool = False
    lora_r: int = 16
    lora_alpha: float = 32
    lora_targets: tuple[str, ...] = ()
    base_bits: int = 16
    packing: bool = False
    gradient_checkpointing: bool = False
    precision: str = "fp32"
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, typed(field.name, field.type, getattr(self, field.name)))
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise UserError(f"{name} {getattr(self, name)!r} is unknown: choose one of {', '.join(known)}")
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if not value >= low or (high is not None and value > high) or (name in POSITIVE and value == 0):
                least = "above 0" if name in POSITIVE else f"at least {low}"
                raise UserError(f"{name} is {value}: give {least}" + (f" and at most {high}" if high else ""))
        if self.theta == 1:
            raise UserError("theta is 1: no probability is above it, give less")
        if self.base_bits not in (4, 16):
            raise UserError(f"base_bits is {self.base_bits}: give 16, or 4 for an NF4 base under LoRA")
        if self.base_bits == 4 and not self.lora_targets:
            raise UserError("base_bits 4 freezes the base: name the lora_targets that are trained")
        if self.stage not in TOKEN_STAGES and self.rule != "none":
            raise UserError(f"{self.stage} trains every token: take rule none, or the stage token_kd or selectkd")
        if self.stage == "selectkd" and self.rule == "none":
            raise UserError(f"selectkd selects tokens: choose a rule of {', '.join(RULES[1:])}")

    @property
    def needs_teacher(self) -> bool:
        """Whether the loss reads the teacher's distributions."""
        return self.stage in TOKEN_STAGES

    @property
    def dtype(self) -> torch.dtype:
        """torch's type of ``precision``."""
        import torch

        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "lora_targets": list(self.lora_targets)}


def typed(name: str, kind: str, value: Any) -> Any:
    """``value`` as the field's type; an integer passes for a float. Raises UserError for another type."""
    if kind.startswith("tuple"):
        names = value.split(",") if isinstance(value, str) else value
        if isinstance(names, (list, tuple)) and all(isinstance(part, str) for part in names):
            return tuple(part.strip() for part in names if part.strip())
    elif kind == "float" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    elif kind == "int" and isinstance(value, (int, float)) and not isinstance(value, bool) and value == int(value):
        return int(value)
    elif (kind == "str" and isinstance(value, str)) or (kind == "bool" and isinstance(value, bool)):
        return value
    wanted = {"float": "a number", "int": "a whole number", "bool": "true or false", "str": "a word"}
    raise UserError(f"{name} is {value!r}: give {wanted.get(kind, 'a list of module names')}")


@functools.cache
def presets() -> dict[str, dict[str, Any]]:
    """presets.yaml: name -> {about, all, stages, tiers}."""
    import yaml

    return yaml.safe_load(Path(__file__).with_name("presets.yaml").read_text(encoding="utf8"))


def recipe(tier: str, stage: str, preset: str | None = None, **changes: Any) -> Recipe:
    """The tier's recipe of a stage, overlaid by a preset (t4, a100, as_written, as_published_code) and ``changes``.

    Later wins. Raises UserError for an unknown tier, stage, preset or option.
    """
    known, base = presets(), BASES[settings.check_tier(tier)]
    if stage not in STAGES:
        raise UserError(f"unknown stage {stage!r}: choose one of {', '.join(STAGES)}")
    overlays = [name for name in known if name not in BASES.values()]
    if preset is not None and preset not in overlays:
        raise UserError(f"unknown preset {preset!r}: choose one of {', '.join(overlays)}")
    options: dict[str, Any] = {}
    for name in (base, *([preset] if preset else [])):
        entry = known[name]
        for part in (entry, entry.get("tiers", {}).get(base, {})):
            options |= part.get("all", {})
            options |= part.get("stages", {}).get(stage, {})
    names = [field.name for field in fields(Recipe) if field.name != "stage"]
    for name in changes:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"did you mean {near[0]}?" if near else f"choose among {', '.join(names)}"
            raise UserError(f"unknown recipe option {name!r}: {hint}")
    return Recipe(**{"stage": stage, **options, **changes})

