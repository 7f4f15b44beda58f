"""Train the pocket models from nothing: `python -m llmini.pocket.pretrain [--model ID ...]` (`make pocket-models`).

World -> tokenizer -> packed ids -> stages of one epoch each -> bf16 safetensors with training.json and a card, written
atomically. A folder that already holds this recipe and data is left alone; one that holds the first stage goes on with
the next.
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
from llmini.pocket import instruct, world
from llmini.pocket.card import add_scores, label, write_note
from llmini.pocket.shapes import DISTILLATION, MODELS, build
from llmini.pocket.training import Recipe, pack, train

STAGES = ("main", "review", "instruct", "again", "instruct again")
INSTRUCT = {"qwen2_5_32b_instruct": 40_000, "qwen2_5_7b_instruct": 24_000}
"""Chat documents of the instruct stages; the other models have none."""
TWICE = ("qwen2_5_32b_instruct",)
"""The teacher reads a second corpus of the same size, and is instructed again: it must know more than its student."""
STUDENT = {"qwen2_5_7b_instruct": 0.75}
"""Share of the corpus that a model is trained on: the student is trained less."""


def recipe_of(name: str, documents: int = Recipe.documents) -> Recipe:
    """The recipe of a pocket model, with its share of a corpus of `documents`."""
    share = STUDENT.get(name, 1.0) * documents / Recipe.documents
    return Recipe(
        documents=round(share * Recipe.documents), review_documents=round(share * Recipe.review_documents)
    )


def corpus_texts(name: str, recipe: Recipe) -> dict[str, list[str]]:
    """The training documents of a model by stage; the control model reads the equal-exposure world."""
    equal, twice = name.endswith("_control"), name in TWICE
    return {
        "main": list(world.corpus(recipe.documents, recipe.seed, equal)),
        "review": list(world.corpus(recipe.review_documents, recipe.seed, equal, review=True)),
        "instruct": list(instruct.corpus(INSTRUCT.get(name, 0), recipe.seed)),
        "again": list(world.corpus(recipe.documents if twice else 0, f"again/{recipe.seed}", equal)),
        "instruct again": list(instruct.corpus(INSTRUCT[name] if twice else 0, f"again/{recipe.seed}")),
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

    recipe = recipe or recipe_of(name)
    folder = folder or settings.data("pocket", "models", name)
    texts = corpus_texts(name, recipe)
    digest = sha256([text for stage in STAGES for text in texts[stage]])
    note = _start(folder, recipe, digest)
    tokenizer = bpe.load(settings.data("pocket", "tokenizer"))
    for stage in [stage for stage in STAGES if texts[stage]][len(note["stages"]) :]:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32) if note["stages"] else None
        model = model or build(name, recipe.seed)
        ids = pack(texts[stage], tokenizer, recipe.seed)
        history = train(model, ids, recipe.stage(stage), reporter(f"{name} {stage}", position))
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


def reporter(title: str, position: int) -> Any:
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
        if note["model"] in DISTILLATION:
            tokenizer.chat_template = instruct.PLAIN
        bpe.save(tokenizer, scratch)
        write_note(scratch, note)
        # As in encoder_pretrain.save: only what is written differs, and it would take three callbacks to say so.
        scratch.chmod(0o755)  # mkdtemp and safetensors write for the owner alone
        (scratch / "model.safetensors").chmod(0o644)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _device() -> str:
    import platform

    import torch

    return f"cpu ({platform.machine()}, {torch.get_num_threads()} thread(s), {torch.backends.cpu.get_cpu_capability()})"


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "transformers", "tokenizers")}


def main(arguments: list[str] | None = None) -> None:
    """Train the asked models, two at a time on two cores (one thread each beats two threads on one)."""
    import multiprocessing

    parser = argparse.ArgumentParser(prog="python -m llmini.pocket.pretrain", description=__doc__.splitlines()[0])
    parser.add_argument("--model", action="append", choices=(*MODELS, *DISTILLATION),
                        help="train this model only (may be repeated)")  # fmt: skip
    parser.add_argument("--output", type=Path, help="folder of the model folders (default: data/pocket/models)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="models trained at a time")
    parser.add_argument("--documents", type=int, default=Recipe.documents, help="size of the corpus")
    parser.add_argument("--new-tokenizer", action="store_true", help="train the tokenizer again first")
    parser.add_argument("--no-score", action="store_true", help="do not score the test items afterwards")
    options = parser.parse_args(arguments)
    if options.new_tokenizer or not settings.data("pocket", "tokenizer", "tokenizer.json").exists():
        make_tokenizer()
    names = options.model or [*MODELS, *DISTILLATION]
    context = multiprocessing.get_context("spawn")
    with context.Pool(max(1, min(options.jobs, len(names))), maxtasksperchild=1) as pool:
        place = options.output.resolve() if options.output else settings.data("pocket", "models")
        jobs = [(name, recipe_of(name, options.documents), place / name, index, not options.no_score)
                for index, name in enumerate(names)]  # fmt: skip
        for folder in pool.imap(_job, jobs):
            print(folder)


def _job(job: tuple[str, Recipe, Path, int, bool]) -> str:
    import torch

    torch.set_num_threads(1)
    name, recipe, folder, position, score = job
    return str(pretrain(name, recipe, folder, position=position, score=score))


if __name__ == "__main__":
    main()
