"""ACAI made ready to be served: third-party code by its lock file, the model that ships with it, the list of files.

    python -m llmini.browser.ship
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from llmini.settings import UserError, data, pin_threads, root

FORMS = ("dense", "q4", "q4dq")
"""What ACAI loads of a 4-bit checkpoint: int8 it never takes by itself."""
NEEDED = "node 20 or later with npm is needed: apt install nodejs npm, then make acai"


def build() -> list[str]:
    """Everything that `make acai` makes, where it is not made yet; one line for each step. Raises UserError for what
    is missing to make it."""
    said = [node("vendor")]
    model = data("pocket", "models", "acai")
    if model.is_dir():
        said.append(f"model: {export(model, root() / 'acai' / 'model')}")
    else:
        said.append("model: none ships yet; export one with python -m llmini.browser.export MODEL acai/model")
    return [*said, node("precache")]


def node(script: str) -> str:
    """Run acai/scripts/SCRIPT.mjs; its last line."""
    if not (shutil.which("npm") and shutil.which("node")):
        raise UserError(NEEDED)
    done = subprocess.run(["node", f"scripts/{script}.mjs"], cwd=root() / "acai", capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [""]
        why = next((line for line in lines if "rror" in line), lines[-1])
        raise UserError(f"acai/scripts/{script}.mjs failed ({why.strip()[:160]}); run make acai again with a network")
    return done.stdout.strip().splitlines()[-1]


def export(model: Path, place: Path) -> str:
    """Export the checkpoint ``model`` to ``place`` unless what is there was made from just that; what was done.

    The manifest's ``facts`` are `facts.facts` with ``source``: the sha256 of the checkpoint, of its facts and of the
    exporter, by which it is known again. A model of somebody's own in ``place`` stays.
    """
    from llmini.browser import export as exporter
    from llmini.browser.facts import facts, label

    told = facts(model)
    told["source"] = {"name": model.name, "sha256": fingerprint(model, told)}
    stands, ours = standing(place, told)
    if stands:
        return "as exported"
    if not ours:
        return f"the one in {place.name}/ is your own and stays; move it away to export the one that ships"
    fresh, old = (place.with_name(f".{place.name}.{word}") for word in ("new", "old"))
    for left in (fresh, old):
        shutil.rmtree(left, ignore_errors=True)
    exporter.export(model, fresh, forms=FORMS, name=label(model), facts=told)
    if place.exists():
        place.rename(old)
    fresh.rename(place)
    shutil.rmtree(old, ignore_errors=True)
    return f"{label(model)}, exported"


def fingerprint(model: Path, told: dict) -> str:
    """sha256 of a checkpoint's files, of what is told of it and of the exporter's code."""
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    parts = ("assemble", "export", "graph", "manifest", "pieces", "reference", "weights")
    code = [Path(__file__).with_name(f"{name}.py") for name in parts]
    for path in [*sorted(model.iterdir()), *code]:
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def standing(place: Path, told: dict) -> tuple[bool, bool]:
    """Whether a whole, undamaged export with these facts is in ``place``; whether what is there may be replaced."""
    from llmini.browser import manifest

    if not place.is_dir() or not any(place.iterdir()):
        return False, True
    try:
        there = json.loads((place / manifest.MANIFEST).read_text(encoding="utf8")).get("facts", {})
        ours = there.get("source", {}).get("name") == told["source"]["name"]
        return there == told and bool(manifest.check(place)), ours
    except (OSError, ValueError, AttributeError):
        return False, False
    except UserError:  # damaged
        return False, ours


if __name__ == "__main__":
    os.environ.setdefault("TQDM_DISABLE", "1")
    pin_threads("pocket")
    try:
        print("\n".join(build()))
    except UserError as fault:
        print(f"acai: {fault}", file=sys.stderr)
        sys.exit(2)
