"""What a distillation needs in memory, and which devices have it, from configurations alone: no weight is read.

    python -m llmini.train.fits [--tier full] [--stage token_kd] [--preset t4] [--student NAME] [--teacher NAME]
"""

from __future__ import annotations

from typing import Any

from llmini.compress import sizes
from llmini.compress.folder import readable
from llmini.settings import UserError
from llmini.train.recipes import Recipe

# Usable bytes: what the driver leaves of the nominal 16, 40 and 80 GB.
DEVICES = {"T4 16 GB": 14.5 * 2**30, "A100 40 GB": 39.0 * 2**30, "A100 80 GB": 79.0 * 2**30}
CONTEXT = 2**29  # the CUDA context and what the allocator cannot hand out again
ANSWERS = 4096  # tokens that the teacher answers at once, as in `teacher.answer`
CHUNK = 256  # tokens whose logits exist at once, as in `losses.distillation_loss`
METHODS = {4: "int4", 8: "int8", 16: "dense"}


def plan_memory(recipe: Recipe, student_config: Any, teacher_config: Any, teacher_bits: int = 4) -> dict[str, Any]:
    """Bytes expected on the device while the teacher answers, and while the student learns from a cache or live.

    student_config, teacher_config: transformers configurations. teacher_bits: 4 (NF4 with double quantization), 8 or
    16. Returns integers ``teacher`` (weights), ``teacher_head``, ``teacher_answering`` (weights, key-value cache and
    activations over :data:`ANSWERS` tokens), ``student``, ``adapter``, ``gradients``, ``optimiser`` (AdamW's two fp32
    moments), ``activations``, ``loss`` (logits of a chunk, both heads' gradients), the peaks ``answering``,
    ``training_cached``, ``training_live``, and ``fits``: device -> which of the three it holds. Weights follow from
    shapes exactly; activations are those that the backward pass keeps of a Llama-like block, within about a third.
    Raises UserError for other bits and for a configuration of no causal language model.
    """
    if teacher_bits not in METHODS:
        raise UserError(f"a teacher in {teacher_bits} bits is not known: give 4, 8 or 16")
    low = 4 if recipe.precision == "fp32" else 2
    text, other = student_config.get_text_config(), teacher_config.get_text_config()
    teacher = sizes.expected(teacher_config, METHODS[teacher_bits])["size_disk"]
    whole = sizes.expected(student_config)["size_disk"] // sizes.FLOAT  # parameters
    lora = adapter_parameters(recipe, student_config)
    trained = lora or whole
    if recipe.base_bits == 4:
        student = sizes.expected(student_config, "int4")["size_disk"]
    else:
        student = whole * (low if lora else 4)
    if not lora and low == 2:
        student += whole * 2  # autocast's 16-bit copies of the fp32 weights
    tokens = recipe.batch_size * recipe.max_length
    head = text.vocab_size * text.hidden_size
    teacher_head = other.vocab_size * other.hidden_size * low if recipe.needs_teacher else 0
    loss = chunk_bytes(text.vocab_size, other.vocab_size if recipe.needs_teacher else 0, low)
    loss += tokens * low * (2 * text.hidden_size + (other.hidden_size if recipe.needs_teacher else 0))
    loss += 0 if lora else head * (4 + low)
    made = {
        "teacher": teacher, "teacher_head": teacher_head,
        "teacher_answering": teacher + cache_bytes(other, ANSWERS) + ANSWERS * block_bytes(other, 2),
        "student": student, "adapter": 4 * lora, "gradients": 4 * trained, "optimiser": 8 * trained,
        "activations": activation_bytes(text, tokens, low, recipe.gradient_checkpointing), "loss": loss,
    }  # fmt: skip
    training = sum(made[name] for name in ("student", "adapter", "gradients", "optimiser", "activations", "loss"))
    made["answering"] = made["teacher_answering"] + CONTEXT
    made["training_cached"] = training + teacher_head + CONTEXT
    made["training_live"] = training + CONTEXT
    if recipe.needs_teacher:
        made["training_live"] += teacher + tokens * block_bytes(other, 2)
    made = {name: int(value) for name, value in made.items()}
    peaks = ("answering", "training_cached", "training_live")
    fits = {device: {name: made[name] <= room for name in peaks} for device, room in DEVICES.items()}
    return {**made, "fits": fits}


def adapter_parameters(recipe: Recipe, config: Any) -> int:
    """Parameters of the LoRA matrices: r (inputs + outputs) of every target; 0 for full training.

    Raises UserError when the model has no module of such a name.
    """
    import torch
    from transformers import AutoModelForCausalLM

    if not recipe.lora_targets:
        return 0
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    found = [module for name, module in model.named_modules() if name.rpartition(".")[2] in recipe.lora_targets]
    if not found:
        raise UserError(f"the student has no module {' or '.join(recipe.lora_targets)}: name others as lora_targets")
    return sum(recipe.lora_r * (module.in_features + module.out_features) for module in found)


def activation_bytes(config: Any, tokens: int, width: int, checkpointed: bool) -> int:
    """Bytes that the backward pass keeps of ``tokens`` tokens, in numbers of ``width`` bytes.

    Checkpointed, only the blocks' inputs stay, and one block at a time is computed again.
    """
    layers, block = config.num_hidden_layers, block_bytes(config, width)
    return tokens * (width * config.hidden_size * layers + block if checkpointed else block * layers)


def block_bytes(config: Any, width: int) -> int:
    """Bytes a token that one decoder block keeps: the outputs of two norms and what they normalise (in fp32), queries,
    keys and values before and after rotation, the attention's output, and of the MLP gate, its activation, up and
    their product."""
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    queries = head * config.num_attention_heads
    keys = head * (getattr(config, "num_key_value_heads", None) or config.num_attention_heads)
    wide = 4 * config.hidden_size + 3 * queries + 4 * keys + 4 * config.intermediate_size
    return width * wide + 8 * config.hidden_size


def cache_bytes(config: Any, tokens: int) -> int:
    """Bytes of keys and values in 16 bits."""
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    return 2 * 2 * config.num_hidden_layers * heads * head * tokens


def chunk_bytes(vocabulary: int, teacher_vocabulary: int, width: int) -> int:
    """Bytes of a chunk's logits, the student's as products and as gradient, the teacher's as products."""
    return CHUNK * width * (2 * vocabulary + teacher_vocabulary)


def text(recipe: Recipe, made: dict[str, Any]) -> str:
    """A plan of `plan_memory` as lines."""
    shape = f"{recipe.stage}, {recipe.precision}, {recipe.batch_size} x {recipe.max_length} tokens a pass"
    names = {"teacher": "teacher's weights", "teacher_head": "teacher's head", "student": "student's weights",
             "adapter": "LoRA weights", "gradients": "gradients", "optimiser": "optimiser",
             "activations": "activations", "loss": "loss"}  # fmt: skip
    peaks = {"answering": "teacher answers", "training_cached": "training, cached teacher",
             "training_live": "training, live teacher"}  # fmt: skip
    lines = [shape] + [f"  {words:<28}{readable(made[name]):>12}" for name, words in names.items()]
    for name, words in peaks.items():
        where = [device for device, fits in made["fits"].items() if fits[name]]
        verdict = f"fits {', '.join(where)}" if where else f"fits none of {', '.join(DEVICES)}"
        lines.append(f"  {words:<28}{readable(made[name]):>12}   {verdict}")
    return "\n".join(lines)


def main(words: list[str] | None = None) -> int:
    """Print the plan of a stage; exit code 2 with one line where a model or option is unknown."""
    import argparse
    import sys

    from transformers import AutoConfig

    from llmini.models import locate
    from llmini.train.recipes import STAGES, recipe

    parser = argparse.ArgumentParser(prog="python -m llmini.train.fits", description=__doc__.splitlines()[0])
    parser.add_argument("--tier", default="full")
    parser.add_argument("--stage", default="token_kd", choices=STAGES)
    parser.add_argument("--preset", help="t4, a100, as_written or as_published_code")
    parser.add_argument("--student", default="qwen2_5_7b_instruct", help="a name of the tier, a folder or a hub id")
    parser.add_argument("--teacher", default="qwen2_5_32b_instruct")
    parser.add_argument("--teacher-bits", type=int, default=4, choices=METHODS)
    given = parser.parse_args(words)
    try:
        told = recipe(given.tier, given.stage, given.preset)
        student, teacher = (AutoConfig.from_pretrained(locate(name, given.tier, weights=False))
                            for name in (given.student, given.teacher))  # fmt: skip
        print(text(told, plan_memory(told, student, teacher, given.teacher_bits)))
    except UserError as fault:
        print(f"fits: {fault}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(main())
