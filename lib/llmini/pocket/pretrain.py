"""Train the pocket models from nothing: `python -m llmini.pocket.pretrain [--model ID ...]` (`make pocket-models`).

World -> tokenizer -> packed ids -> one epoch -> bf16 safetensors with training.json and a card, written atomically. A model
whose folder already holds this recipe and data is skipped, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
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


def corpus_texts(name: str, recipe: Recipe) -> list[str]:
    """The training documents of a model; the control model reads the equal-exposure world."""
    return list(world.corpus(recipe.documents, recipe.seed, equal_exposure=name.endswith("_control")))


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


def pretrain(name: str, recipe: Recipe | None = None, folder: Path | None = None, position: int = 0, score: bool = True) -> Path:
    """Train one pocket model and write its folder (data/pocket/models/NAME). Returns the folder.

    The recipe's seed drives the corpus, the initial weights and the order of the windows.
    """
    import torch
    from tqdm.auto import tqdm

    from llmini.pocket import tokenizer as bpe

    recipe = recipe or Recipe()
    folder = folder or settings.data("pocket", "models", name)
    texts = corpus_texts(name, recipe)
    digest = sha256(texts)
    if _done(folder, recipe, digest):
        return folder
    tokenizer = bpe.load(settings.data("pocket", "tokenizer"))
    ids = pack(texts, tokenizer, recipe.seed)
    model = build(name, recipe.seed)
    bar = tqdm(desc=name, position=position, unit="step", disable=bool(int(os.environ.get("TQDM_DISABLE") or 0)))

    def report(step: int, steps: int, loss: float) -> None:
        bar.total = steps
        bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        bar.update(step - bar.n)

    history = train(model, ids, recipe, report)
    bar.close()
    # the shipped weights are the bf16 ones: round first, then score what is shipped, in fp32 arithmetic
    shipped = model.to(torch.bfloat16)
    note = {"model": name, "label": label(name, shipped), "parameters": shipped.num_parameters(), "recipe": recipe.as_dict(),
            "data_sha256": digest, "documents": len(texts), **history, "device": _device(), "versions": _versions(),
            "exposure": {key: round(value, 1) for key, value in world.exposure(
                recipe.documents, recipe.seed, name.endswith("_control")).items()}}
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder.parent))
    try:
        shipped.generation_config.update(bos_token_id=1, eos_token_id=[2, tokenizer.convert_tokens_to_ids("<|end|>")], pad_token_id=0)
        shipped.save_pretrained(scratch, safe_serialization=True)
        bpe.save(tokenizer, scratch)
        if score:
            note["test_scores"] = _test_scores(scratch)
        (scratch / "training.json").write_text(json.dumps(note, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (scratch / "README.md").write_text(card(note), encoding="utf-8")
        scratch.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
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


def _done(folder: Path, recipe: Recipe, digest: str) -> bool:
    note = folder / "training.json"
    if not note.exists() or not (folder / "model.safetensors").exists():
        return False
    found = json.loads(note.read_text(encoding="utf-8"))
    return found["data_sha256"] == digest and found["recipe"] == json.loads(json.dumps(recipe.as_dict()))


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

A model of {note["parameters"]:,} parameters, trained by this project on its own generated world. It has the architecture class
of the model it stands for and none of its weights or knowledge: its numbers say how compression acts on the class, not how good the real model is.

Trained on {note["tokens"]:,} tokens in {note["seconds"] / 60:.0f} minutes on one CPU core; seed {note["recipe"]["seed"]}, data sha256 `{note["data_sha256"][:16]}`.
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
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="models trained at a time")
    parser.add_argument("--documents", type=int, default=Recipe.documents, help="size of the corpus")
    parser.add_argument("--new-tokenizer", action="store_true", help="train the tokenizer again first")
    options = parser.parse_args(arguments)
    if options.new_tokenizer or not settings.data("pocket", "tokenizer", "tokenizer.json").exists():
        make_tokenizer()
    names = options.model or list(MODELS)
    recipe = Recipe(documents=options.documents)
    context = multiprocessing.get_context("spawn")
    with context.Pool(max(1, min(options.jobs, len(names))), maxtasksperchild=1) as pool:
        jobs = [(name, recipe, index) for index, name in enumerate(names)]
        for folder in pool.imap(_job, jobs):
            print(folder)


def _job(job: tuple[str, Recipe, int]) -> str:
    import torch

    torch.set_num_threads(1)
    name, recipe, position = job
    return str(pretrain(name, recipe, position=position))


if __name__ == "__main__":
    main()
