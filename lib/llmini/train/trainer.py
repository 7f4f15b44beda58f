"""`Distiller`: TRL's SFTTrainer with the loss taken on hidden states, a teacher, and checkpoints that are whole.

A class needs its parent, so this module imports trl at its top; `distill.distil` imports it when it is called.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
import trl

from llmini import settings
from llmini.compress.folder import sync
from llmini.settings import UserError
from llmini.train import losses, selection
from llmini.train.examples import IGNORED, Collator, Example, dataset, encode
from llmini.train.pace import Pace
from llmini.train.recipes import Recipe
from llmini.train.targets import split, targets

SHORT = 256  # tokens up to which plain attention pays on a CPU


class Distiller(trl.SFTTrainer):
    """Trains ``model`` on ``examples`` by ``recipe``; teacher: a `Cache`, a live (model, tokenizer), or None.

    Checkpoints go to ``folder``/checkpoint-STEP, the newest alone is kept, and one is written every
    ``checkpoint_steps`` steps (default: after `pace.PATIENCE` seconds), at the end, and when the process is asked to
    stop. Raises UserError for a model that is no plain head on hidden states, and LoRA targets that it lacks.

    Started by torchrun or accelerate in several processes, each takes its part of every batch of the recipe; gradients
    and counts are added up before each step, which is then the step of one process but for rounding. (A last batch that
    processes cannot share evenly is filled up with its first examples, as accelerate does.)
    """

    def __init__(self, model: Any, tokenizer: Any, examples: Sequence[Example], recipe: Recipe, folder: Path,
                 teacher: Any = None, checkpoint_steps: int | None = None) -> None:  # fmt: skip
        self.recipe, self.writing, self.passes, self.targets = recipe, False, 0, None
        self.sums: dict[str, Any] = defaultdict(float)
        encoded = [encode(example, tokenizer, recipe) for example in examples]
        rows = dataset(encoded, recipe)
        self.skipped = sum(all(label == IGNORED for label in row.labels) for row in encoded)
        if recipe.precision == "bf16" and recipe.max_length <= SHORT and settings.device().type == "cpu":
            model.set_attn_implementation("eager")  # there twice as fast as sdpa
        if recipe.packing and model.config._attn_implementation not in ("eager", "sdpa"):
            raise UserError("packing keeps documents apart under eager or sdpa attention: load the student with one")
        pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        try:
            super().__init__(
                model=model, args=arguments(recipe, folder), train_dataset=rows, processing_class=tokenizer,
                data_collator=Collator(pad, recipe.packing), peft_config=adapter(recipe),
            )  # fmt: skip
        except ValueError as fault:
            raise UserError(f"cannot train this student: {' '.join(str(fault).split())[:200]}") from fault
        self.split = split(self.model.train(), "student")  # in eval mode bitsandbytes repacks NF4 on a CPU, for good
        for parameter in self.model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()  # master weights: 16-bit ones would swallow small updates
        self.model_accepts_loss_kwargs = True  # compute_loss divides by the labels of the whole step
        if recipe.needs_teacher:
            self.targets = targets(teacher, examples, encoded, recipe.dtype, self.args.device)
        self.languages = sorted({example.language for example in examples})
        code = [self.languages.index(example.language) for example in examples]
        self.language = torch.tensor(code, device=self.args.device)
        self.remove_callback(transformers.PrinterCallback)
        self.pace = Pace(checkpoint_steps)
        self.add_callback(self.pace)

    def _send_telemetry(self) -> None:
        """Nothing is told to anyone."""

    def create_accelerator_and_postprocess(self) -> None:
        """On a CPU accelerate leaves fp16 out without a word: give it the loss scaling that it has on a GPU."""
        super().create_accelerator_and_postprocess()
        if self.recipe.precision == "fp16" and self.accelerator.scaler is None:
            self.accelerator.scaler = torch.amp.GradScaler(self.accelerator.device.type)
            self.accelerator.native_amp = True

    def compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool = False,
                     num_items_in_batch: Any = None) -> torch.Tensor:  # fmt: skip
        """Loss of one pass: forward to the last hidden states, the head only at positions that predict a label.

        Divided by the labels of the whole step; `_clip_grad_norm` makes it the kept ones, known only after the last
        pass. So a step does not depend on how it is split into passes.
        """
        labels, owners = inputs.pop("labels")[:, 1:], inputs.pop("examples")[:, 1:]
        chosen = labels != IGNORED
        labels, owners = labels[chosen], owners[chosen]
        dtype = self.recipe.dtype
        with torch.autocast(labels.device.type, dtype=dtype, enabled=dtype != torch.float32):
            hidden = self.split.decoder(**inputs, use_cache=False).last_hidden_state[:, :-1][chosen]
        teacher = None
        if self.targets is not None:
            teacher = (self.targets.hidden(inputs, chosen, owners), self.targets.head)
        count = float(num_items_in_batch if num_items_in_batch is not None else len(labels))
        alpha, scale = self.weights(count, len(chosen))
        terms = losses.distillation_loss(
            hidden.to(dtype), self.split.head.weight.to(dtype), labels, teacher=teacher, alpha=alpha,
            temperature=self.recipe.temperature, direction=self.recipe.direction, rule=self.rule(),
            count=count / scale,
        )  # fmt: skip
        self.passes += 1
        self.tally(terms, self.language[owners])
        return terms.loss

    def weights(self, count: float, sequences: int) -> tuple[float, float]:
        """Alpha and a factor on the whole loss, such that their product weighs CE and KL as the recipe says.

        Under ``batchmean`` the KL is summed over the tokens of a sequence: it weighs count / sequences times more.
        """
        alpha = self.recipe.alpha
        if self.recipe.kl_reduction == "token" or self.targets is None:
            return alpha, 1.0
        heavier = (1 - alpha) * count / (sequences * self.current_gradient_accumulation_steps)
        return alpha / (alpha + heavier), alpha + heavier

    def rule(self) -> Any:
        """The selection rule of this pass; a random one is seeded by its step, so that a resumed run draws the same."""
        recipe = self.recipe
        options = {
            "confidence": {"theta": recipe.theta, "temperature": recipe.temperature, "share": recipe.share},
            "verified": {"k": recipe.top_k, "share": recipe.share},
            "entropy": {"share": recipe.share},
            "random": {"share": recipe.share,
                       "seed": recipe.seed + 1_000_003 * self.state.global_step + 101 * self.passes},
        }.get(recipe.rule)  # fmt: skip
        return None if options is None else selection.rule(recipe.rule, **options)

    def tally(self, terms: Any, languages: torch.Tensor) -> None:
        """Add one pass to the sums of its step."""
        kept = terms.kept.to(languages.device)
        number = kept.sum()
        self.sums["tokens"] += terms.tokens
        self.sums["kept"] += number
        self.sums["ce"] += terms.ce * number
        self.sums["kl"] += terms.kl * number
        for code, language in enumerate(self.languages):
            mine = languages == code
            self.sums[f"tokens_{language}"] += mine.sum()
            self.sums[f"kept_{language}"] += (mine & kept).sum()

    def join(self) -> None:
        """Add up each process's gradients, all divided by the labels of the whole step, and its counts."""
        if self.args.world_size == 1:
            return
        import torch.distributed as dist

        for parameter in self.model.parameters():
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)
        names = sorted(self.sums)
        sums = torch.tensor([float(self.sums[name]) for name in names], dtype=torch.float64, device=self.args.device)
        dist.all_reduce(sums)
        self.sums.update(zip(names, sums, strict=True))

    def _clip_grad_norm(self, model: Any) -> Any:
        self.join()
        kept = max(1.0, float(self.sums["kept"]))
        if kept != float(self.sums["tokens"]):
            grads = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
            torch._foreach_mul_(grads, float(self.sums["tokens"]) / kept)
        return super()._clip_grad_norm(model)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """A step's row: loss, ce, kl (nats, means over kept tokens), tokens, kept, and both by language."""
        if "loss" in logs:
            sums = {name: float(value) for name, value in self.sums.items()}
            kept, alpha = max(1.0, sums["kept"]), self.recipe.alpha
            logs |= {name: int(value) for name, value in sums.items() if name not in ("ce", "kl")}
            logs["loss"] = logs["ce"] = sums["ce"] / kept
            if self.targets is not None:
                logs["kl"] = sums["kl"] / kept
                logs["loss"] = alpha * logs["ce"] + (1 - alpha) * self.recipe.temperature**2 * logs["kl"]
            self.sums.clear()
            self.passes = 0
        super().log(logs, start_time)

    def _get_output_dir(self, trial: Any) -> str:
        home = super()._get_output_dir(trial)
        return os.path.join(home, ".writing") if self.writing else home

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint beside the last one, rename it into place when it is whole, then drop the older."""
        home, name = Path(self.args.output_dir), f"checkpoint-{self.state.global_step}"
        if self.args.process_index == 0:
            shutil.rmtree(home / ".writing", ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self.writing = True
        try:
            transformers.Trainer._save_checkpoint(self, model, trial)  # without TRL's model card
        finally:
            self.writing = False
        self.accelerator.wait_for_everyone()  # each process has written its state of the random numbers
        if self.args.process_index == 0:
            sync(home / ".writing" / name)
            shutil.rmtree(home / name, ignore_errors=True)
            os.replace(home / ".writing" / name, home / name)
            for old in home.glob("checkpoint-*"):
                if old.name != name:
                    shutil.rmtree(old, ignore_errors=True)
        self.accelerator.wait_for_everyone()


def part(recipe: Recipe) -> int:
    """Sequences that this process takes of a pass. Raises UserError when processes do not divide the batch, or a rule
    chooses among the tokens of a whole batch."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if recipe.batch_size % processes:
        raise UserError(f"{processes} processes do not share a batch of {recipe.batch_size}: start as many as divide")
    if processes > 1 and recipe.rule != "none" and (recipe.share < 1 or recipe.rule in ("entropy", "random")):
        raise UserError(f"the rule {recipe.rule} keeps a share of a whole batch: run it in one process")
    return recipe.batch_size // processes


def arguments(recipe: Recipe, folder: Path) -> trl.SFTConfig:
    """The recipe in TRL's words."""
    return trl.SFTConfig(
        output_dir=str(folder), learning_rate=recipe.learning_rate, num_train_epochs=recipe.epochs,
        per_device_train_batch_size=part(recipe), gradient_accumulation_steps=recipe.accumulation,
        warmup_steps=recipe.warmup, weight_decay=recipe.weight_decay, lr_scheduler_type="linear", max_grad_norm=1.0,
        seed=recipe.seed, data_seed=recipe.seed, bf16=recipe.precision == "bf16", fp16=recipe.precision == "fp16",
        gradient_checkpointing=recipe.gradient_checkpointing, gradient_checkpointing_kwargs={"use_reentrant": False},
        use_cpu=settings.device().type == "cpu", dataloader_pin_memory=False, remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True}, save_strategy="no", logging_strategy="steps", logging_steps=1,
        report_to="none", disable_tqdm=True,
    )  # fmt: skip


def adapter(recipe: Recipe) -> Any:
    """The LoRA configuration, or None for full training."""
    from peft import LoraConfig

    if not recipe.lora_targets:
        return None
    return LoraConfig(r=recipe.lora_r, lora_alpha=recipe.lora_alpha, target_modules=list(recipe.lora_targets),
                      task_type="CAUSAL_LM")  # fmt: skip
