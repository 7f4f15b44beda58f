"""manifest.json of an exported folder: every file with its sha256, the forms, the source, the self-test."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from llmini import validate
from llmini.settings import UserError

FORMS = {"dense": "model.onnx", "int8": "model_quantized.onnx", "q4": "model_q4.onnx", "q4dq": "model_q4dq.onnx"}
"""Form of the weights -> file below ``onnx/``. transformers.js finds the first three by its dtypes fp32, q8 and q4, the
last by ``model_file_name: "model_q4dq"``."""
MANIFEST, MARK = "manifest.json", "llmini.json"
VOLATILE = ("seconds", "peak_memory", "made", "device", "versions")
"""What differs between two makings of one checkpoint, and stays in its own recipe."""


def source(given: Path, home: Path, kind: str) -> dict[str, Any]:
    """Where an export comes from: name, kind and class of the checkpoint, sha256 of its weights and what it was made by
    (its llmini.json).

    given: the folder that was named; home: that of the weights exported, another one for a merged adapter.
    """
    told = {"name": given.name, "kind": kind, "class": validate.read_json(home / "config.json")["architectures"][0],
            "files": {path.name: sha256(path) for path in sorted(given.glob("*.safetensors"))}}  # fmt: skip
    if kind == "adapter":
        base = validate.read_json(given / "adapter_config.json")["base_model_name_or_path"]
        told["base"] = without_path(base)
    if (given / MARK).is_file():
        recipe = validate.read_json(given / MARK)
        told["recipe"] = {key: without_path(value) for key, value in recipe.items() if key not in VOLATILE}
    return told


def without_path(value: Any) -> Any:
    """A recipe's value with the folders of the machine that it was made on taken away."""
    if isinstance(value, dict):
        return {key: without_path(inner) for key, inner in value.items()}
    if isinstance(value, str) and value.startswith(("/", "~", ".")):
        return Path(value).name
    return value


def write(folder: Path, name: str, config: Any, files: dict[str, list[Path]], source: dict[str, Any],
          tests: dict[str, Any], facts: dict[str, Any]) -> None:  # fmt: skip
    """Write manifest.json over all that is in ``folder``. The same checkpoint gives the same bytes.

    files: form -> its graph and data files; a form's ``download`` counts the common files too. ``self_test``: see
    `export.prove`.
    """
    listed = {path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256(path)}
              for path in sorted(folder.rglob("*")) if path.is_file()}  # fmt: skip
    common = sum(entry["bytes"] for name, entry in listed.items() if not name.startswith("onnx/"))
    forms = {form: {"file": f"onnx/{FORMS[form]}", "files": [f"onnx/{path.name}" for path in paths],
                    "download": common + sum(path.stat().st_size for path in paths)}
             for form, paths in files.items()}  # fmt: skip
    dump(folder / MANIFEST, {
        "version": 1, "name": name, "class": config.architectures[0], "context": config.max_position_embeddings,
        "forms": forms, "files": listed, "source": source, "self_test": tests, **({"facts": facts} if facts else {}),
    })  # fmt: skip


def sha256(path: Path) -> str:
    """Of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def dump(path: Path, value: Any) -> None:
    """JSON with a final newline."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf8")


def check(place: str | Path) -> dict[str, Any]:
    """The manifest of an exported folder. Raises UserError naming the first file that is missing or altered."""
    place = Path(place)
    if not (place / MANIFEST).is_file():
        raise UserError(f"{place} has no {MANIFEST}: export a model to it")
    told = validate.read_json(place / MANIFEST)
    files = told.get("files")
    if told.get("version") != 1 or not isinstance(files, dict) or not all(isinstance(e, dict) for e in files.values()):
        raise UserError(f"{place / MANIFEST} is no manifest of an export: export the model again")
    for name, entry in files.items():
        path = place / name
        if not path.is_file():
            raise UserError(f"{path} is missing: export the model again")
        if sha256(path) != entry.get("sha256"):
            raise UserError(f"{path} is damaged: its sha256 is not the manifest's; export the model again")
    return told
