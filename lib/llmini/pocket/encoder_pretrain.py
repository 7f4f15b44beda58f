"""Train the pocket encoders from nothing: `python -m llmini.pocket.encoder_pretrain [--model ID …]`.

Corpus -> tokenizer -> batches of documents -> words left to right, then masked words -> bf16 safetensors with
training.json and a card, written whole. Masked words alone stall here: from nothing the loss stayed at 5.5 nats (a word
drawn by its frequency costs 6.5) for as long as a run of this size lasts, since a fifth of the words teaches and the
rest of the sentence is half hidden while attention has yet to find its neighbours. Left to right every word teaches and
the one before is always seen; the same layers, then asked for masked words, start from what they found. The student is
not trained on words alone: it is distilled from its teacher (`llmini.train.encoders_distill`).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from llmini import settings
from llmini.pocket import encoder_corpus, encoder_tokenizer
from llmini.pocket.encoder_shapes import CLASSES, MODELS, STUDENTS, build
from llmini.pocket.pretrain import sha256


@dataclass(frozen=True)
class Recipe:
    """Documents read once, ``batch`` of about the same length at a time: the first ``causal`` share of the batches left
    to right, then with a share ``masked`` of their words hidden."""

    documents: int = 90_000
    batch: int = 64
    causal: float = 0.4
    masked: float = 0.2
    learning_rate: float = 2e-3
    matrix_rate: float = 0.01
    warmup: float = 0.03
    decay: float = 0.5
    floor: float = 0.02
    weight_decay: float = 0.05
    clip: float = 1.0
    seed: int = 0


STUDENT = {"documents": 50_000}
"""What the student's recipe changes: its teacher's layers spare it the rest."""
TOGETHER = 50
"""Batches among which documents are sorted by length."""


def batches(texts: list[str], tokenizer: Any, recipe: Recipe) -> list[list[list[int]]]:
    """Token ids of the documents, each between its marks, in batches of about the same length and seeded order."""
    rng = random.Random(f"batches/{recipe.seed}")
    found, size = [], TOGETHER * recipe.batch
    for start in range(0, len(texts), size):
        rows = sorted(tokenizer(texts[start : start + size], truncation=True)["input_ids"], key=len)
        part = [rows[at : at + recipe.batch] for at in range(0, len(rows), recipe.batch)]
        rng.shuffle(part)
        found += part
    return found


def pad(rows: list[list[int]], filler: int) -> Any:
    """Rows of ids as one tensor (batch, longest)."""
    import torch

    longest = max(map(len, rows))
    return torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows])


def mask(ids: Any, tokenizer: Any, share: float, generator: Any) -> tuple[Any, Any]:
    """(input ids, positions asked): a share of the words hidden, 80 % as the mask, 10 % as another piece, 10 % as they
    are (Devlin et al., 2019, section 3.1). Marks are never hidden.
    """
    import torch

    marks = torch.tensor(tokenizer.all_special_ids)
    asked = (torch.rand(ids.shape, generator=generator) < share) & ~torch.isin(ids, marks)
    form = torch.rand(ids.shape, generator=generator)
    hidden = torch.where(asked & (form < 0.8), tokenizer.mask_token_id, ids)
    other = torch.randint(len(marks), len(tokenizer), ids.shape, generator=generator)
    return torch.where(asked & (form >= 0.9), other, hidden), asked


def train(
    model: Any, found: list[list[list[int]]], tokenizer: Any, recipe: Recipe, report: Any = None
) -> dict[str, Any]:
    """Train a masked language model on batches of documents, once over, left to right first.

    Returns its loss curve (step, tokens, loss), the step from which words were masked, tokens, steps and seconds.
    """
    import torch

    from llmini.encoder_layers import word_logits
    from llmini.pocket.training import Recipe as Schedule
    from llmini.pocket.training import schedule

    generator = torch.Generator().manual_seed(recipe.seed)
    optimisers = _optimisers(model, recipe)
    plan = Schedule(warmup=recipe.warmup, decay=recipe.decay, floor=recipe.floor)
    curve, recent, seen, began = [], [], 0, time.monotonic()
    turn = round(recipe.causal * len(found))
    model.set_attn_implementation("eager")  # on a CPU the faster one at this length, and it takes a mask of its own
    model.train()
    for step, rows in enumerate(found, 1):
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["initial_lr"] * schedule(plan, step / len(found))
        ids = pad(rows, tokenizer.pad_token_id)
        there = ids != tokenizer.pad_token_id
        if step <= turn:
            hidden, asked, seen_by, gold = ids, there.roll(-1, 1), before(there), ids.roll(-1, 1)
            asked[:, -1] = False
        else:
            (hidden, asked), seen_by, gold = mask(ids, tokenizer, recipe.masked, generator), there.long(), ids
        with torch.autocast("cpu", dtype=torch.bfloat16):
            states = model.base_model(input_ids=hidden, attention_mask=seen_by)[0]
            logits = word_logits(model, states[asked])
        loss = torch.nn.functional.cross_entropy(logits.float(), gold[asked])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip, foreach=True)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        seen += sum(map(len, rows))
        recent.append(loss.item())
        if step % 25 == 0 or step in (turn, len(found)):
            curve.append([step, seen, round(sum(recent) / len(recent), 4)])
            recent = []
        if report:
            report(step, len(found), curve[-1][2] if curve else recent[-1])
    model.set_attn_implementation("sdpa")
    model.eval()
    return {"loss_curve": curve, "masked_from_step": turn + 1, "tokens": seen, "steps": len(found),
            "seconds": round(time.monotonic() - began, 1)}  # fmt: skip


def before(there: Any) -> Any:
    """What attention adds to its scores, (batch, 1, length, length), where a word sees itself and those before it.

    there: (batch, length), false at padding.
    """
    import torch

    length = there.shape[1]
    seen = torch.ones(length, length, dtype=torch.bool).tril()[None, None] & there[:, None, None]
    return torch.where(seen, 0.0, torch.finfo(torch.bfloat16).min)


def _optimisers(model: Any, recipe: Recipe) -> list[Any]:
    """Muon for the matrices of the layers, AdamW for embeddings, norms and biases."""
    import torch

    named = list(model.named_parameters())
    inside = [p for n, p in named if p.ndim == 2 and "embed" not in n]
    outside = [p for n, p in named if p.ndim < 2 or "embed" in n]
    found = [
        torch.optim.AdamW(outside, lr=recipe.learning_rate, betas=(0.9, 0.98), eps=1e-9, weight_decay=0.0, fused=True),
        torch.optim.Muon(inside, lr=recipe.matrix_rate, weight_decay=recipe.weight_decay, ns_steps=4),
    ]
    for optimiser in found:
        for group in optimiser.param_groups:
            group["initial_lr"] = group["lr"]
    return found


def pretrain(name: str, recipe: Recipe | None = None, folder: Path | None = None) -> Path:
    """Train one pocket encoder and write its folder (data/pocket/models/NAME). A finished one of this recipe and corpus
    is left alone; the student needs its teacher's folder beside its own. Returns the folder.
    """
    import torch

    from llmini.encoders import load

    recipe = recipe or (replace(Recipe(), **STUDENT) if name in STUDENTS else Recipe())
    folder = folder or settings.data("pocket", "models", name)
    texts = list(encoder_corpus.corpus(recipe.documents, recipe.seed))
    digest = sha256(texts)
    path = folder / "training.json"
    made = json.loads(path.read_text(encoding="utf8")) if path.is_file() else {}
    if made.get("data_sha256") == digest and made["recipe"] == asdict(recipe):
        return folder
    if name in STUDENTS:
        from llmini.train import encoders_distill

        teacher, tokenizer = load(folder.parent / STUDENTS[name], "masked")
        model = encoders_distill.student(teacher, build(name, recipe.seed))
        told = encoders_distill.agnostic(teacher, model, batches(texts, tokenizer, recipe), tokenizer,
                                         encoders_distill.Words(seed=recipe.seed))  # fmt: skip
    else:
        tokenizer = encoder_tokenizer.train(name, texts[:20_000])
        model = build(name, recipe.seed)
        told = train(model, batches(texts, tokenizer, recipe), tokenizer, recipe, _report(name))
    _save(folder, model.to(torch.bfloat16), tokenizer, _summary(name, model, recipe, digest, told))
    return folder


def _report(title: str) -> Any:
    from tqdm.auto import tqdm

    bar = tqdm(desc=title, unit="step", disable=settings.silent())

    def report(step: int, steps: int, loss: float) -> None:
        bar.total = steps
        bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        bar.update(step - bar.n)

    return report


def _summary(name: str, model: Any, recipe: Recipe, digest: str, told: dict[str, Any]) -> dict[str, Any]:
    from llmini.pocket.pretrain import _device, _versions

    return {"model": name, "label": f"{CLASSES[name]}, {model.num_parameters() / 1e6:.1f} M",
            "parameters": model.num_parameters(), "seed": recipe.seed, "device": _device(), "versions": _versions(),
            "teacher": STUDENTS.get(name), "data_sha256": digest, "recipe": asdict(recipe), **told}  # fmt: skip


def _save(folder: Path, model: Any, tokenizer: Any, note: dict[str, Any]) -> None:
    """Write the folder beside its place and rename it."""
    from llmini.pocket.encoder_card import write_note

    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{note['model']}-", dir=folder.parent))
    try:
        model.save_pretrained(scratch, safe_serialization=True)
        encoder_tokenizer.save(tokenizer, scratch)
        write_note(scratch, note)
        scratch.chmod(0o755)  # mkdtemp and safetensors write for the owner alone
        (scratch / "model.safetensors").chmod(0o644)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def main(arguments: list[str] | None = None) -> None:
    """Train the asked encoders, the teachers first."""
    import torch

    parser = argparse.ArgumentParser(
        prog="python -m llmini.pocket.encoder_pretrain", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--model", action="append", choices=(*MODELS, *STUDENTS), help="train this one only")
    parser.add_argument("--output", type=Path, help="folder of the model folders (default: data/pocket/models)")
    parser.add_argument("--documents", type=int, help="size of the corpus")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    place = options.output.resolve() if options.output else settings.data("pocket", "models")
    for name in options.model or (*MODELS, *STUDENTS):
        recipe = replace(Recipe(), documents=options.documents) if options.documents else None
        print(pretrain(name, recipe, place / name))


if __name__ == "__main__":
    main()
