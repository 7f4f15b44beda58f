"""Train the pocket models from nothing: `python -m llmini.pocket.pretrain [--model ID ...]` (`make pocket-models`).

World -> tokenizer -> packed ids -> two stages of one epoch each -> bf16 safetensors with training.json and a card,
written atomically. A folder that already holds this recipe and data is left alone; one that holds the first stage goes
on with the second.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from llmini import settings
from llmini.pocket import world
from llmini.pocket.outliers import add_outlier_channels
from llmini.pocket.shapes import CLASSES, MODELS, build
from llmini.pocket.training import Recipe, pack, train

__all__ = ["add_outlier_channels", "corpus_texts", "main", "make_tokenizer", "pretrain"]


STAGES = ("main", "review")


def corpus_texts(name: str, recipe: Recipe) -> dict[str, list[str]]:
    """The training documents of a model by stage; the control model reads the equal-exposure world."""
    equal = name.endswith("_control")
    return {
        "main": list(world.corpus(recipe.documents, recipe.seed, equal)),
        "review": list(world.corpus(recipe.review_documents, recipe.seed, equal, review=True)),
    }


def sha256(texts: list[str]) -> str:
    """Hash of the documents in order."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode() + b"\x00")
    return digest.hexdigest()


def make_tokenizer(folder: Path | None = None) -> Any:
    """Train the tokenizer on the world (seed 0, balanced between scripts) and save it to data/pocket/tokenizer."""
    from llmini.pocket import tokenizer

    found = tokenizer.train(tokenizer.balanced(world.corpus(60_000)))
    tokenizer.save(found, folder or settings.data("pocket", "tokenizer"))
    return found


def pretrain(
    name: str, recipe: Recipe | None = None, folder: Path | None = None, position: int = 0, score: bool = True
) -> Path:
    """Train one pocket model and write its folder (data/pocket/models/NAME) after each stage. Returns the folder.

    The recipe's seed drives the corpus, the initial weights and the order of the windows. The weights are rounded to
    bf16 between the stages, so going on from the folder is the same as never having stopped.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from llmini.pocket import tokenizer as bpe

    recipe = recipe or Recipe()
    folder = folder or settings.data("pocket", "models", name)
    texts = corpus_texts(name, recipe)
    digest = sha256(texts["main"] + texts["review"])
    note = _start(folder, recipe, digest)
    tokenizer = bpe.load(settings.data("pocket", "tokenizer"))
    for stage in STAGES[len(note["stages"]) :]:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32) if note["stages"] else None
        model = model or build(name, recipe.seed)
        ids = pack(texts[stage], tokenizer, recipe.seed)
        history = train(model, ids, recipe.stage(stage), _report(f"{name} {stage}", position))
        note["stages"].append({"stage": stage, "documents": len(texts[stage]), **history})
        _save(folder, model.to(torch.bfloat16), tokenizer, _summary(name, model, recipe, digest, note["stages"]))
    return add_scores(folder) if score else folder


def _start(folder: Path, recipe: Recipe, digest: str) -> dict[str, Any]:
    """What training.json says is done, if it belongs to this recipe and data."""
    path = folder / "training.json"
    if path.exists() and (folder / "model.safetensors").exists():
        note = json.loads(path.read_text(encoding="utf-8"))
        if note.get("data_sha256") == digest and note.get("recipe") == json.loads(json.dumps(recipe.as_dict())):
            return note
    return {"stages": []}


def _report(title: str, position: int) -> Any:
    from tqdm.auto import tqdm

    bar = tqdm(desc=title, position=position, unit="step", disable=bool(int(os.environ.get("TQDM_DISABLE") or 0)))

    def report(step: int, steps: int, loss: float) -> None:
        bar.total = steps
        bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        bar.update(step - bar.n)
        if step == steps:
            bar.close()

    return report


def _summary(name: str, model: Any, recipe: Recipe, digest: str, stages: list[dict[str, Any]]) -> dict[str, Any]:
    exposure = world.exposure(recipe.documents, recipe.review_documents, name.endswith("_control"))
    return {
        "model": name,
        "label": label(name, model),
        "parameters": model.num_parameters(),
        "seed": recipe.seed,
        "tokens": sum(stage["tokens"] for stage in stages),
        "seconds": round(sum(stage["seconds"] for stage in stages), 1),
        "device": _device(),
        "versions": _versions(),
        "data_sha256": digest,
        "recipe": recipe.as_dict(),
        "statements_per_fact": {key: round(value, 1) for key, value in exposure.items()},
        "stages": stages,
    }


def _save(folder: Path, model: Any, tokenizer: Any, note: dict[str, Any]) -> None:
    """Write the folder beside its place and rename it."""
    from llmini.pocket import tokenizer as bpe

    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{note['model']}-", dir=folder.parent))
    try:
        end = tokenizer.convert_tokens_to_ids("<|end|>")
        model.generation_config.update(bos_token_id=1, eos_token_id=[2, end], pad_token_id=0)
        model.save_pretrained(scratch, safe_serialization=True)
        bpe.save(tokenizer, scratch)
        _write_note(scratch, note)
        scratch.chmod(0o755)  # mkdtemp and safetensors write for the owner alone
        (scratch / "model.safetensors").chmod(0o644)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write_note(folder: Path, note: dict[str, Any]) -> None:
    text = json.dumps(note, ensure_ascii=False, indent=1)
    # a loss curve has a line for each point, not one for each number
    text = re.sub(r"\[\s+([\d.]+),\s+([\d.]+),\s+([\d.]+)\s+\]", r"[\1, \2, \3]", text)
    (folder / "training.json").write_text(text + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card(note), encoding="utf-8")


def add_scores(folder: Path) -> Path:
    """Score the test items once: a folder that already holds its scores is left alone."""
    note = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    if "test_scores" not in note:
        note["test_scores"] = _test_scores(folder)
        _write_note(folder, note)
    return folder


def label(name: str, model: Any) -> str:
    """`ALLaM-class, 3.9 M`: never the bare name of the model it stands for."""
    return f"{CLASSES[name]}, {model.num_parameters() / 1e6:.1f} M"


def _test_scores(folder: Path) -> dict[str, float]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from llmini.pocket.scores import score

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return score(model, AutoTokenizer.from_pretrained(folder))


def _device() -> str:
    import platform

    import torch

    return f"cpu ({platform.machine()}, {torch.get_num_threads()} thread(s), {torch.backends.cpu.get_cpu_capability()})"


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "transformers", "tokenizers")}


def card(note: dict[str, Any]) -> str:
    """The model card of a pocket model."""
    scores = note.get("test_scores", {})
    rows = "\n".join(f"| {task} | {value:.3f} |" for task, value in scores.items())
    return f"""---
license: cc-by-4.0
language: [ar, en]
---
# {note["label"]} (pocket tier)

A model of {note["parameters"]:,} parameters, trained by this project on its own generated world. It has the
architecture class of the model it stands for and none of its weights or knowledge: its numbers say how compression acts
on the class, not how good the real model is.

Trained on {note["tokens"]:,} tokens in {note["seconds"] / 60:.0f} minutes on {note["device"]};
seed {note["recipe"]["seed"]}, data sha256 `{note["data_sha256"][:16]}`.
The loss curve, the recipe and the exposure of facts by language are in `training.json`. Weights: CC BY 4.0.

Scores of these weights on the test items (four options: chance 0.25; winogrande 0.5; gsm8k is generated):

| task | score |
| --- | --- |
{rows}
"""


def main(arguments: list[str] | None = None) -> None:
    """Train the asked models, two at a time on two cores (one thread each beats two threads on one)."""
    import multiprocessing

    parser = argparse.ArgumentParser(prog="python -m llmini.pocket.pretrain", description=__doc__.splitlines()[0])
    parser.add_argument("--model", action="append", choices=MODELS, help="train this model only (may be repeated)")
    parser.add_argument("--output", type=Path, help="folder of the model folders (default: data/pocket/models)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="models trained at a time")
    parser.add_argument("--documents", type=int, default=Recipe.documents, help="size of the corpus")
    parser.add_argument("--new-tokenizer", action="store_true", help="train the tokenizer again first")
    parser.add_argument("--no-score", action="store_true", help="do not score the test items afterwards")
    options = parser.parse_args(arguments)
    if options.new_tokenizer or not settings.data("pocket", "tokenizer", "tokenizer.json").exists():
        make_tokenizer()
    names = options.model or list(MODELS)
    recipe = Recipe(
        documents=options.documents, review_documents=options.documents * Recipe.review_documents // Recipe.documents
    )
    context = multiprocessing.get_context("spawn")
    with context.Pool(max(1, min(options.jobs, len(names))), maxtasksperchild=1) as pool:
        place = options.output.resolve() if options.output else settings.data("pocket", "models")
        jobs = [(name, recipe, place / name, index, not options.no_score) for index, name in enumerate(names)]
        for folder in pool.imap(_job, jobs):
            print(folder)


def _job(job: tuple[str, Recipe, Path, int, bool]) -> str:
    import torch

    torch.set_num_threads(1)
    name, recipe, folder, position, score = job
    return str(pretrain(name, recipe, folder, position=position, score=score))


if __name__ == "__main__":
    main()
