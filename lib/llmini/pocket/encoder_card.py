"""What lies beside a pocket encoder's weights: training.json and the model card."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any


def write_note(folder: Path, note: dict[str, Any]) -> None:
    """Write training.json and the card."""
    text = json.dumps(note, ensure_ascii=False, indent=1)
    text = re.sub(r"\[\s+([\d.]+),\s+([\d.]+),\s+([\d.]+)\s+\]", r"[\1, \2, \3]", text)  # a line a point of the curve
    (folder / "training.json").write_text(text + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card(note), encoding="utf-8")


def card(note: dict[str, Any]) -> str:
    """The model card of a pocket encoder."""
    how = (f"Distilled from `{note['teacher']}` beside it (masked words, the teacher's distribution, its last hidden "
           "states)"
           if note["teacher"] else "Trained on masked words")  # fmt: skip
    return f"""---
license: cc-by-4.0
language: [ar, en]
---
# {note["label"]} (pocket tier)

An encoder of {note["parameters"]:,} parameters, trained by this project on text of its own generated world: facts, Gulf
sentences, news and opinions. It has the architecture class of the model it stands for and none of its weights or
knowledge: its numbers say how compression acts on the class, not how good the real model is.

{how}: {note["tokens"]:,} tokens in {note["seconds"] / 60:.0f} minutes on {note["device"]}; seed {note["seed"]}, data
sha256 `{note["data_sha256"][:16]}`. The loss curve and the recipe are in `training.json`. Weights: CC BY 4.0.
"""
