"""A copy of the repository in which a rehearsal runs: the code as it is, the counts of its recipes smaller."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from llmini.settings import root

COPIED = ("lib", "workflow", "notebooks", "requirements.lock", "pyproject.toml")
LEFT = shutil.ignore_patterns("__pycache__", "*.egg-info", ".ipynb_checkpoints")
# Sizes alone, in the recipes' own files: a tier's code path never depends on them. File -> path of keys -> value.
SIZES: dict[str, dict[tuple[str, ...], Any]] = {
    "presets.yaml": {("full", "all", "epochs"): 0.02},
    "curriculum.yaml": {("full", "stages", "arabic", "examples"): 240, ("full", "stages", "gulf", "examples"): 120,
                        ("full", "stages", "bahraini", "examples"): 120, ("full", "recipe", "accumulation"): 2},
    "encoders.yaml": {("full", "least"): 4, ("full", "epochs"): 0.02},
    "translate.yaml": {("full", "supervise"): 300, ("full", "instructions"): 360, ("full", "test"): {"opus-100": 40},
                       ("full", "max_new_tokens"): 48, ("full", "filters"): {"script": 0.0, "shortest": 0.0,
                                                                             "longest": 1000.0, "round_trip": 0}},
}  # fmt: skip


def make(folder: Path) -> Path:
    """Copy code, workflow and notebooks to ``folder``, link the data and the application; returns it.

    Every Python file and notebook is the checkout's, byte for byte. Only counts and one set of limits, listed in
    :data:`SIZES`, are smaller: made-up models translate nothing that a filter would keep.
    """
    import yaml

    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        source, target = root() / name, folder / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=LEFT)
        else:
            shutil.copyfile(source, target)
    (folder / "data").mkdir(exist_ok=True)
    linked = [path for path in (root() / "data").iterdir() if path.name != "results"]
    for path in (*linked, root() / "acai"):  # the report draws the application's parts
        place = folder / path.relative_to(root())
        if not place.exists():
            place.symlink_to(path)
    for name, changes in SIZES.items():
        path = folder / "lib" / "llmini" / "train" / name
        content = yaml.safe_load(path.read_text(encoding="utf8"))
        for keys, value in changes.items():
            place = content
            for key in keys[:-1]:
                place = place[key]
            if keys[-1] not in place:
                raise KeyError(f"{name} has no {'.'.join(keys)}: mend llmini.rehearsal.checkout")
            place[keys[-1]] = value
        path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf8")
    return folder
