"""How each encoder variant is made: tuned, pruned, cut, stored in another format, or distilled from a deeper one."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmini import encoders, grid
from llmini.grid import Run
from llmini.settings import root, runs, seed_everything
from llmini.train import encoders_data, encoders_distill
from llmini.train.encoders import recipe, tune
from llmini.train.encoders_runs import KD, QUANT, task_of

MADE_FROM = ("lib/llmini/encoder*.py", "lib/llmini/pocket/encoder*.py", "lib/llmini/train/encoders*",
             "data/pocket/encoders")  # fmt: skip
"""What a tuned or distilled encoder comes from, besides its weights."""
DOCUMENTS = {"pocket": 12_000, "full": 20_000}
"""Documents of unlabelled text for task-agnostic distillation in the notebook."""


def built(run: Run) -> Path:
    """The folder of a run's variant, made if need be. Raises what the steps raise."""
    home = run.folder / "checkpoint"
    shutil.rmtree(home, ignore_errors=True)
    if run.method == "dense":
        return tuned(run)
    if run.method in QUANT:
        return packed(tuned(run), home, run.method, task_of(run).kind)
    if run.method in KD:
        return students(run, home)
    if run.method == "magnitude":
        return thinned(run, home)
    narrow = narrowed(run, home if run.method == "structured" else run.folder / "fp32")
    if run.method == "structured":
        return narrow
    folder = packed(narrow, home, "int8_dynamic", task_of(run).kind)
    shutil.rmtree(narrow, ignore_errors=True)
    return folder


def packed(source: Path, home: Path, method: str, kind: str) -> Path:
    """A tuned encoder in another format."""
    if method.startswith("onnx"):
        from llmini.compress.encoders_onnx import export

        return export(source, home, kind, method)
    from llmini.compress.encoders_quantize import quantize

    return quantize(source, home, method, kind)


def thinned(run: Run, home: Path) -> Path:
    """Magnitude pruning: of the pretrained encoder, then tuned with what is left, or of the tuned one."""
    from llmini.compress.encoders_prune import magnitude
    from llmini.train.encoders import apply_masks

    options = run.options
    if options["phase"] == "before":
        model, tokenizer = encoders.load(encoders.locate(run.model, run.tier), task_of(run).kind, task_of(run).labels,
                                         options["seed"])  # fmt: skip
        learn(run, model, tokenizer, masks=magnitude(model, options["sparsity"]))
    else:
        model, tokenizer = encoders.load(tuned(run), task_of(run).kind)
        apply_masks(model, magnitude(model, options["sparsity"]))
    return encoders.save(model, tokenizer, home)


def narrowed(run: Run, home: Path) -> Path:
    """Heads and neurons removed from a tuned encoder, or only silenced, and what is left tuned again for a while."""
    from llmini.compress import encoders_structure as structure
    from llmini.train.encoders import apply_masks

    options = run.options
    model, tokenizer = encoders.load(tuned(run), task_of(run).kind)
    kept, masks = structure.choose(model, options["sparsity"]), None
    if run.method == "masked_l1_int8":
        masks = structure.masks(model, kept)
        apply_masks(model, masks)
    else:
        structure.remove(model, kept)
    if options["recover"]:
        learn(run, model, tokenizer, masks=masks, epochs=options["recover"], least=1)
    return encoders.save(model, tokenizer, home)


def students(run: Run, home: Path) -> Path:
    """A student with fewer layers: tuned alone, tuned from its teacher, or distilled before any task and then tuned."""
    options, kind, labels = run.options, task_of(run).kind, task_of(run).labels
    if run.method == "distil_agnostic":
        model, tokenizer = encoders.load(distilled(run), kind, labels, options["seed"])
        learn(run, model, tokenizer)
        return encoders.save(model, tokenizer, home)
    teacher, tokenizer = encoders.load(tuned(run), kind)
    start = teacher
    if run.method == "student":  # the control knows no teacher: its layers are those of the pretrained encoder
        start, _ = encoders.load(encoders.locate(run.model, run.tier), kind, labels, options["seed"])
    model = encoders_distill.shallow(start, options["layers"], options["beginning"], options["seed"])
    learn(run, model, tokenizer, teacher=teacher if run.method == "distil_task" else None)
    return encoders.save(model, tokenizer, home)


def learn(
    run: Run, model: Any, tokenizer: Any, masks: Any = None, teacher: Any = None, **changes: Any
) -> dict[str, Any]:
    """Tune a model in place on the run's task, languages and share of the data."""
    options = run.options
    chosen = recipe(run.tier, seed=options["seed"], **changes)
    found = encoders_data.training(
        run.tier, options["task"], options["trained"], options.get("share", 1), options["seed"]
    )
    seed_everything(options["seed"])
    rows = encoders_data.rows(found, tokenizer, task_of(run).labels, chosen.length)
    return tune(model, tokenizer, rows, chosen, masks=masks, teacher=teacher)


def tuned(run: Run) -> Path:
    """The dense encoder tuned as a run says, or as it came when it was tuned on such labels before (SST-2 checkpoints
    of the hub): made once for all notebooks and methods.
    """
    options = run.options
    words = (run.model, options["task"], options["trained"], f"{options.get('share', 1):g}", f"s{options['seed']}")

    def write(folder: Path) -> None:
        task, home = task_of(run), encoders.locate(run.model, run.tier)
        model, tokenizer = encoders.load(home, task.kind, task.labels, options["seed"])
        ready = encoders.has_head(encoders.configuration(home), task.kind)
        told = {"note": "tuned before it came"} if ready else learn(run, model, tokenizer)
        encoders.save(model, tokenizer, folder, training=told)

    return once(run.tier, run.model, "-".join(words), write)


def distilled(run: Run) -> Path:
    """A shallower masked language model, distilled from the run's encoder on text without labels: made once."""
    options = run.options
    words = (run.model, f"layers{options['layers']}", options["beginning"], f"s{options['seed']}")

    def write(folder: Path) -> None:
        from llmini.pocket.encoder_pretrain import Recipe, batches

        teacher, tokenizer = encoders.load(encoders.locate(run.model, run.tier), "masked")
        pupil = encoders_distill.shallow(teacher, options["layers"], options["beginning"], options["seed"])
        texts = unlabelled(run.tier, options["seed"])
        told = encoders_distill.agnostic(
            teacher,
            pupil,
            batches(texts, tokenizer, Recipe(seed=options["seed"])),
            tokenizer,
            encoders_distill.Words(seed=options["seed"]),
        )
        encoders.save(pupil, tokenizer, folder, distillation=told)

    return once(run.tier, run.model, "-".join(words), write)


def unlabelled(tier: str, seed: int) -> list[str]:
    """Text for task-agnostic distillation: the pocket corpus, or the training sentences of MasakhaNER without
    labels.
    """
    if tier in ("pocket", "rehearsal"):
        from llmini.pocket.encoder_corpus import corpus

        return list(corpus(DOCUMENTS["pocket"], f"distil/{seed}"))
    found = encoders_data.training(tier, "ner", "all", 1, seed)
    return [" ".join(one.text) for one in found][: DOCUMENTS["full"]]


def once(tier: str, model: str, name: str, write: Callable[[Path], None]) -> Path:
    """The folder ``runs/TIER/encoders/NAME-HASH``, written by ``write`` unless code, data and weights made it
    before.
    """
    place = runs(tier, "encoders", f"{name}-{made_from(tier, model)[:10]}")
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=place.parent))
    try:
        write(partial)
        try:
            os.replace(partial, place)
        except OSError:  # another start was faster: both made the same
            if not place.is_dir():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return place


def made_from(tier: str, model: str) -> str:
    """Hash of what tuned encoders of a model come from."""
    from llmini import origin

    digest = hashlib.sha256()
    for file in grid.files(MADE_FROM):
        digest.update(f"{file.relative_to(root())}\0".encode() + file.read_bytes())
    digest.update(str(origin.hashes(model, tier).get("model", model)).encode())
    return digest.hexdigest()
