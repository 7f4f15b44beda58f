"""One stage of distillation, from a student's folder to a plain checkpoint: interrupted anywhere, it continues."""

from __future__ import annotations

import copy
import gc
import glob
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmini import models, settings, validate
from llmini.compress import folder
from llmini.records import write_atomic
from llmini.settings import UserError
from llmini.train.cache import Cache, file_hash
from llmini.train.examples import Example, digest, examples
from llmini.train.recipes import Recipe, recipe

__all__ = ["Example", "Recipe", "distil", "examples", "recipe"]
LOG, RUN = "training.json", "run.json"
TOKENIZER = (*validate.TOKENIZER_FILES, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
             "merges.txt", "chat_template.jinja", "chat_template.json")  # fmt: skip


def distil(student: str | Path, output: str | Path, examples: Sequence[Example], recipe: Recipe, *,
           teacher: Any = None, tier: str = "pocket", resume: bool = True,
           checkpoint_steps: int | None = None) -> Path:  # fmt: skip
    """Train ``student`` (registry name, folder or hub id) on ``examples``; returns ``output``, a plain checkpoint.

    teacher: a `Cache`, or a live (model, tokenizer); read by the stages token_kd and selectkd alone. ``output`` appears
    whole: merged weights, tokenizer and training.json (recipe, counts, curve of loss, ce, kl and kept tokens by
    language), and for LoRA the adapter in adapter/. Until then checkpoints live beside it in ``.NAME.partial``, one
    each ``checkpoint_steps`` steps (default: each minute). Called again after any interruption it goes on from the
    last one and, on a CPU, ends with the very bits of a run that was never interrupted; an output that is there
    already is returned. ``resume=False`` throws the partial folder away.
    Raises UserError when the partial folder or the output belongs to another run, teacher and student have different
    tokenizers, the cache does not hold these answers or the model cannot be taken apart; `folder.Stopped` after a
    signal, when the step in hand is saved.
    """
    output = Path(output)
    if not examples:
        raise UserError("there is nothing to train on: give at least one example")
    home = models.locate(student, tier)
    if validate.check(home).kind != "dense":
        raise UserError(f"{student} is no dense checkpoint: distil into the model that it was made from")
    teacher = seat(teacher, home, recipe, tier)
    run = identity(home, examples, recipe, teacher)
    partial = output.parent / f".{output.name}.partial"
    if output.exists():
        return finished(output, run, partial)
    if not resume:
        shutil.rmtree(partial, ignore_errors=True)
    claim(partial, run)
    for torn in output.parent.glob(f"{glob.escape(partial.name)}-*"):  # an output that was being written
        shutil.rmtree(torn, ignore_errors=True)
    trainer, config = prepare(home, examples, recipe, teacher, partial, tier, checkpoint_steps)
    last = max(partial.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), default=None)
    with trainer.pace.stoppable():
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
    if trainer.pace.asked and trainer.state.global_step < trainer.state.max_steps:
        raise folder.Stopped(f"{trainer.pace.asked} at step {trainer.state.global_step}: run again to continue")
    write(trainer, config, home, student, output, run, tier)
    shutil.rmtree(partial)
    return output


def seat(teacher: Any, home: Path, recipe: Recipe, tier: str) -> Any:
    """The teacher that the stage reads: the one given, the student's own start, or None for stages of answers alone."""
    if not recipe.needs_teacher:
        return None
    if recipe.self_teacher:
        return models.load(home, tier)
    if teacher is None:
        raise UserError(f"{recipe.stage} needs a teacher: give its cache, or (model, tokenizer)")
    if isinstance(teacher, Cache) and not recipe.completion_only:
        raise UserError("the cache has no states of prompts: keep completion_only, or give a live (model, tokenizer)")
    return teacher


def identity(home: Path, examples: Sequence[Example], recipe: Recipe, teacher: Any) -> dict[str, Any]:
    """What must be the same for a run to be continued: recipe, student's weights, examples and teacher."""
    from llmini.train import targets

    weights = {path.name: file_hash(path) for path in sorted(home.glob("*.safetensors"))}
    return {"recipe": recipe.as_dict(), "student": weights, "examples": digest(examples),
            "teacher": None if teacher is None else targets.identity(teacher)}  # fmt: skip


def difference(before: dict[str, Any], now: dict[str, Any]) -> str | None:
    """In words, the first thing in which two identities differ."""
    if before.get("recipe") != now["recipe"]:
        past = before.get("recipe") or {}
        name = next(name for name, value in now["recipe"].items() if past.get(name) != value)
        return f"the recipe's {name} {past.get(name)} instead of {now['recipe'][name]}"
    names = {"student": "another student", "examples": "other examples", "teacher": "another teacher"}
    return next((words for name, words in names.items() if before.get(name) != now[name]), None)


def finished(output: Path, run: dict[str, Any], partial: Path) -> Path:
    """An output that is there: the same run's is returned. Raises UserError for anything else."""
    if not (output / LOG).is_file():
        raise UserError(f"{output} exists and no distillation wrote it: name another output")
    other = difference(validate.read_json(output / LOG).get("run") or {}, run)
    if other:
        raise UserError(f"{output} was trained with {other}: name another output, or delete it")
    shutil.rmtree(partial, ignore_errors=True)
    return output


def claim(partial: Path, run: dict[str, Any]) -> None:
    """Begin or continue in ``partial``. Raises UserError when another run began there."""
    if (partial / RUN).is_file():
        other = difference(validate.read_json(partial / RUN), run)
        if other:
            raise UserError(f"{partial} holds an unfinished run with {other}: finish that, or pass resume=False")
    text = json.dumps(run, ensure_ascii=False, indent=1) + "\n"
    write_atomic(partial / RUN, lambda path: path.write_text(text, encoding="utf8"))


def prepare(home: Path, examples: Sequence[Example], recipe: Recipe, teacher: Any, partial: Path, tier: str,
            checkpoint_steps: int | None) -> tuple[Any, tuple[Any, Any]]:  # fmt: skip
    """The trainer, and copies of the student's configurations, which training alters."""
    from llmini.train import targets
    from llmini.train.trainer import Distiller

    model, tokenizer = load(home, recipe, tier)
    if teacher is not None:
        targets.check_teacher(teacher, tokenizer)
    config = copy.deepcopy(model.config), copy.deepcopy(model.generation_config)
    if hasattr(config[0], "quantization_config"):  # of an NF4 base: what is written in the end is whole
        del config[0].quantization_config
    return Distiller(model, tokenizer, examples, recipe, partial, teacher, checkpoint_steps), config


def load(home: Path, recipe: Recipe, tier: str) -> tuple[Any, Any]:
    """Student and tokenizer: fp32 where weights are trained or asked for, else 16 bits or NF4 under LoRA."""
    import torch
    import transformers

    kind = recipe.dtype
    if recipe.base_bits == 16:
        return models.load(home, tier, dtype=kind if recipe.lora_targets else torch.float32)
    nf4 = transformers.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=kind,
                                          bnb_4bit_use_double_quant=True)  # fmt: skip
    model = transformers.AutoModelForCausalLM.from_pretrained(
        home, quantization_config=nf4, dtype=kind, use_safetensors=True, device_map={"": settings.device()}
    )
    return model, models.load_tokenizer(home)


def write(trainer: Any, config: tuple[Any, Any], home: Path, student: str | Path, output: Path, run: dict[str, Any],
          tier: str) -> None:  # fmt: skip
    """Merge, save (fully trained weights as the fp32 that they are, merged ones as the base) and put in place."""
    recipe, model = trainer.recipe, trainer.model
    with folder.whole(output, needed=validate.check(home).nbytes) as partial:
        if recipe.lora_targets:
            model.save_pretrained(partial / "adapter")
            (partial / "adapter" / "README.md").unlink(missing_ok=True)  # a blank form
            form = partial / "adapter" / "adapter_config.json"
            named = {**validate.read_json(form), "base_model_name_or_path": str(student)}
            form.write_text(json.dumps(named, indent=1, sort_keys=True) + "\n", encoding="utf8")
            if recipe.base_bits == 4:  # the adapter goes onto the weights themselves, not onto their rounding
                trainer.model = trainer.model_wrapped = model = None
                gc.collect()
                import peft

                base, _ = models.load(home, tier, "cpu", recipe.dtype)
                model = peft.PeftModel.from_pretrained(base, partial / "adapter")
            model = model.merge_and_unload()
        dtype = model.dtype
        model.config, model.generation_config = config
        model.config.dtype = dtype
        model.save_pretrained(partial)
        for name in TOKENIZER:  # as they are: saving what transformers made of them could change them
            if (home / name).is_file():
                shutil.copyfile(home / name, partial / name)
        (partial / LOG).write_text(json.dumps(log(trainer, run), ensure_ascii=False, indent=1) + "\n", encoding="utf8")
        validate.check(partial)


def log(trainer: Any, run: dict[str, Any]) -> dict[str, Any]:
    """training.json: what was asked, what was seen, and the curve."""
    rows = [row for row in trainer.state.log_history if "loss" in row]
    whole = merge(rows)
    return {"run": run, "examples": len(trainer.language) - trainer.skipped, "skipped": trainer.skipped,
            "steps": trainer.state.global_step, "tokens": whole["tokens"], "languages": trainer.languages,
            "kept_share": {name: whole[f"kept_{name}"] / max(1, whole[f"tokens_{name}"]) for name in trainer.languages},
            "curve": curve(rows)}  # fmt: skip


def curve(rows: list[dict[str, Any]], points: int = 200) -> list[dict[str, Any]]:
    """Logged steps joined to at most ``points`` stretches: means weighed by kept tokens, counts summed."""
    width = max(1, -(-len(rows) // points))
    return [merge(rows[start : start + width]) for start in range(0, len(rows), width)]


def merge(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Successive steps as one."""
    last, kept = rows[-1], sum(row["kept"] for row in rows)
    made = {name: last[name] for name in ("step", "epoch", "learning_rate", "grad_norm") if name in last}
    for name in ("loss", "ce", "kl"):
        if name in last:
            made[name] = sum(row[name] * row["kept"] for row in rows) / max(1, kept)
    counts = sorted(name for name in last if name.startswith(("tokens", "kept")))
    return {**made, **{name: sum(row[name] for row in rows) for name in counts}}
