"""From a model to a compressed checkpoint folder: the one call behind the `llmini` command and the notebooks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from llmini import models, settings, texts, validate
from llmini.compress import card, folder, invariants, meters, options, resume, saving, sizes
from llmini.compress import prune as pruning
from llmini.compress import quantize as quantization
from llmini.settings import UserError

# tier -> (source, samples, length): the study's 128 x 2,048 tokens of C4, and what a pocket model can hold.
CALIBRATION = {"pocket": ("world", 96, 512), "rehearsal": ("world", 96, 512)}
STUDY_CALIBRATION = ("c4", 128, 2048)


def compress(
    source: str | Path, output: str | Path, *, tier: str = "pocket", quant: str | None = None, prune: str | None = None,
    prune_config: str | Mapping | None = None, quant_config: str | Mapping | None = None,
    calibration_source: str | None = None, calibration_language: str = "en", samples: int | None = None,
    length: int | None = None, seed: int = 0, overwrite: bool = False, trust_remote_code: bool = False,
    outliers: bool = False, say: Callable[[str], None] | None = None,
) -> Path:  # fmt: skip
    """Compress ``source`` into the checkpoint folder ``output`` and return its path; prune first, then quantize.

    source: registry name, folder or hub id, dense or a LoRA adapter (merged first). prune_config, quant_config:
    ``"name=value,…"`` or a mapping, see `options`. Calibration defaults follow the tier. outliers: first rescale
    channels so that activations have outliers, a change the model's function does not see (pocket tier).
    say: called with a line of text as each step begins.
    The folder holds safetensors, tokenizer, recipe (llmini.json) and card (README.md); it appears whole or not at all.
    Raises UserError for everything a user can mend, InvariantError when compression broke what it must leave alone.
    """
    say = say or (lambda line: None)
    output = Path(output).expanduser().absolute()
    settings.check_tier(tier)
    asked = options.request(quant, prune, prune_config, quant_config)
    options.one_of(calibration_language, texts.LANGUAGES, "calibration language")
    if calibration_source not in (None, *texts.SOURCES) and not Path(calibration_source).is_file():
        raise UserError(f"calibration source {calibration_source!r} is no file and none of {', '.join(texts.SOURCES)}")
    if not (quant or prune or outliers):
        raise UserError("nothing to do: pass a quantization method, a pruning method, or both")
    folder.check_output(output, overwrite)
    home = models.locate(source, tier, trust_remote_code=trust_remote_code)
    folder.check_output(output, overwrite, home)
    found = inspect(home, source, tier, trust_remote_code)
    options.fit(asked, found.linears)
    for note in asked.notes:
        say(f"note: {note}")

    times = meters.Times(say)
    with folder.whole(output, expected_bytes(found, asked), overwrite) as partial:
        with times("import", "loading the libraries"):
            warm(asked)
        settings.pin_threads(tier)
        settings.seed_everything(seed)
        meters.clear_peak()
        calibration = None
        if needs_calibration(asked):
            default = CALIBRATION.get(tier, STUDY_CALIBRATION)
            text, samples, length = (given if given is not None else usual for given, usual in
                                     zip((calibration_source, samples, length), default, strict=True))  # fmt: skip
            check_length(found, length)
            with times("calibrate", f"calibration: {samples} x {length} tokens of {text} ({calibration_language})"):
                calibration = read_calibration(home, found, tier, text, calibration_language, samples, length, seed,
                                               trust_remote_code)  # fmt: skip
        elif calibration_source:
            say(f"note: {asked.slug} needs no calibration text: {calibration_source} is not read")
        with times("load", f"loading {home}"):
            model, tokenizer = models.load(home, tier, "cpu", storage_dtype(), trust_remote_code)
            if found.kind == "adapter":
                model = model.merge_and_unload()
        if calibration is not None:
            check_vocabulary(model, calibration)
        dense = sizes.sizes(model, home)
        if found.kind == "adapter":
            dense["size_disk"] = found.nbytes  # the base's; the folder given holds the adapter alone
        stored = model.dtype
        if works_in_fp32(tier, asked):
            model = model.float()
        if outliers:
            from llmini.pocket.outliers import add_outlier_channels

            with times("outliers", "rescaling channels so that activations have outliers"):
                add_outlier_channels(model, seed)
        model = kept(output, model, asked, calibration, times)
        pruned = getattr(model, "llmini_pruned", None)
        with times("save", f"writing {output}"):
            saving.save(model, tokenizer, home, partial, trust_remote_code)
            if model.dtype != stored:
                saving.store_as(partial, stored)
        highest = meters.peak()
        del model  # the sizes are those of the folder as anyone loads it, not of what is left in memory here
        written, _ = models.load(partial, tier, "cpu", "auto", trust_remote_code)
        if pruned is not None:
            written.llmini_pruned = pruned
        recipe = card.recipe(
            source=str(source), tier=tier, label=label(source, tier), asked=asked, calibration=calibration, seed=seed,
            outliers=outliers, seconds=times.seconds, peak_memory=highest, dense=dense,
            sizes=sizes.sizes(written, partial), pruned=pruned,
        )  # fmt: skip
        card.write(partial, output.name, recipe)
    return output


def kept(output: Path, model: Any, asked: options.Request, calibration: Any, times: meters.Times) -> Any:
    """`run`, with each finished layer kept beside ``output`` until all are done: a killed one goes on there."""
    if calibration is None:
        return run(model, asked, calibration, times)
    with resume.kept(output.parent / f".{output.name}.layers"):
        return run(model, asked, calibration, times)


def run(model: Any, asked: options.Request, calibration: Any, times: meters.Times) -> Any:
    """Prune, check, quantize, check; both checks against the snapshot taken before."""
    before = invariants.snapshot(model, calibration)
    expected: dict[str, Any] = {}
    if asked.prune:
        with times("prune", f"pruning: {asked.prune}{shown(asked.prune_options)}"):
            model = pruning.prune(model, asked.prune, calibration, **asked.prune_options)
        expected = {"prune": asked.prune, "mask_structure": asked.prune_options["mask_structure"],
                    "sparsity": model.llmini_pruned}  # one share per layer  # fmt: skip
        invariants.check(before, model, **expected)
        # A new snapshot, so that quantization is held to the zeros that pruning made.
        before = invariants.snapshot(model, calibration)
    if asked.quant:
        with times("quantize", f"quantizing: {asked.quant}{shown(asked.quant_options)}"):
            model = quantization.quantize(model, asked.quant, calibration, **asked.quant_options)
        invariants.check(before, model, quant=asked.quant, **expected)
    return model


def works_in_fp32(tier: str, asked: options.Request) -> bool:
    """Whether the steps compute in fp32, although the checkpoint is stored in 16 bits: for pocket models on a CPU.

    There bf16 is slow without its instructions, and smoothing can be held to an exact identity in fp32 alone.
    bitsandbytes stores fp32 tensors of its own, so there the model stays in its type.
    """
    import torch

    computes = settings.default_dtype(settings.device(), tier)
    return computes == torch.float32 and asked.quant not in quantization.BITSANDBYTES


def shown(settled: Mapping[str, Any]) -> str:
    """Options as " (name value, …)"."""
    told = ", ".join(f"{name} {value}" for name, value in settled.items() if value not in (None, "0:0"))
    return f" ({told})" if told else ""


def inspect(home: Path, source: str | Path, tier: str, trust_remote_code: bool) -> validate.Checkpoint:
    """The checkpoint's files, or its base model's for an adapter. Raises UserError for one already compressed."""
    found = validate.check(home, trust_remote_code)
    if found.kind == "adapter":
        base = models.locate(found.config["base_model_name_or_path"], tier, trust_remote_code=trust_remote_code)
        if (home / found.config["base_model_name_or_path"]).is_dir():
            base = home / found.config["base_model_name_or_path"]
        inner = validate.check(base, trust_remote_code)
        if inner.kind != "dense":
            raise UserError(f"{source} adapts a quantized base ({inner.kind}): merge it into the dense base first")
        return validate.Checkpoint(home, "adapter", inner.config, inner.shapes, inner.nbytes)
    if found.kind != "dense":
        raise UserError(f"{source} is compressed already ({found.kind}): start from its dense checkpoint")
    if not found.linears:
        raise UserError(f"{source} has no decoder layers that llmini knows: give a causal language model")
    return found


def needs_calibration(asked: options.Request) -> bool:
    """Whether any step asked for reads text: OWL does, whatever the pruner."""
    prune = asked.prune and pruning.needs_calibration(asked.prune, asked.prune_options["sparsity_profile"])
    return bool(prune or (asked.quant and quantization.needs_calibration(asked.quant)))


def read_calibration(home: Path, found: validate.Checkpoint, tier: str, text: str, language: str, samples: int,
                     length: int, seed: int, trust_remote_code: bool) -> Any:  # fmt: skip
    """Calibration windows by the model's own tokenizer; before the weights are loaded, so that bad text fails early."""
    place = home
    if found.kind == "adapter" and not any((home / name).is_file() for name in validate.TOKENIZER_FILES):
        place = models.locate(validate.check(home).config["base_model_name_or_path"], tier)
    tokenizer = models.load_tokenizer(place, trust_remote_code)
    return texts.calibration(tokenizer, text, language, samples, length, seed)


def check_length(found: validate.Checkpoint, length: int) -> None:
    """Raise UserError when calibration windows are longer than the positions the model has."""
    most = {**found.config, **found.config.get("text_config", {})}.get("max_position_embeddings")
    if most and length > most:
        raise UserError(f"windows of {length} tokens exceed the model's {most} positions: pass --length {most} or less")


def check_vocabulary(model: Any, calibration: Any) -> None:
    """Raise UserError when the tokenizer knows tokens that the embeddings do not."""
    rows = model.get_input_embeddings().weight.shape[0]
    if int(calibration.ids.max()) >= rows:
        raise UserError(f"the tokenizer is another model's: it has a token {int(calibration.ids.max())} of {rows}")


def storage_dtype() -> Any:
    """The checkpoint's own type, so that what is not compressed keeps its bytes; fp16 on GPUs without bf16 (T4)."""
    import torch

    device = settings.device()
    plain = device.type == "cuda" and settings.default_dtype(device) == torch.float16
    return torch.float16 if plain else "auto"


def expected_bytes(found: validate.Checkpoint, asked: options.Request) -> int:
    """Bytes the checkpoint will take on disk, a little generously, from the shapes in the headers."""
    linear = sum(math.prod(shape) for shape in found.linears.values())
    width = found.nbytes / max(1, found.parameters)
    bits = {None: 8 * width}.get(asked.quant) or (4.6 if asked.quant.startswith(("w4", "int4")) else 8.2)
    return int((found.parameters - linear) * width + linear * bits / 8 + 2**20)


def label(source: str | Path, tier: str) -> str:
    """What captions call the model."""
    return models.spec(str(source), tier).label if str(source) in models.names(tier) else Path(source).name


def warm(asked: options.Request) -> None:
    """Import what the steps will need, so that their seconds are their own."""
    import torch  # noqa: F401
    import transformers  # noqa: F401
    from transformers import AutoModelForCausalLM  # noqa: F401

    if asked.prune not in (None, "magnitude") or asked.quant not in (None, *quantization.BITSANDBYTES):
        from llmcompressor.entrypoints.oneshot import Oneshot  # noqa: F401
