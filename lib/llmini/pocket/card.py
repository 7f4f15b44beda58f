"""What lies beside a pocket model's weights: training.json, its scores on the test items, and the model card."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from llmini.pocket.shapes import CLASSES


def write_note(folder: Path, note: dict[str, Any]) -> None:
    """Write training.json and the card."""
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
        write_note(folder, note)
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
