"""CONTRIBUTING.md to the letter: each recipe is applied and run, in a checkout of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from checkouts import checkout
from llmini.settings import root

PAGE = Path(__file__).resolve().parents[1] / "CONTRIBUTING.md"
BLOCK = re.compile(r"^```(diff|sh)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def recipes():
    """Heading -> its blocks, (kind, text) in order."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf8"), flags=re.MULTILINE)[1:]
    return {head: BLOCK.findall(body) for head, body in zip(parts[::2], parts[1::2], strict=True)}


def apply(text, place):
    """Apply a difference whose hunks bear no line numbers: what each takes away or keeps must stand there once."""
    for part in re.split(r"^--- a/", text, flags=re.MULTILINE)[1:]:
        name, _, hunks = part.partition("\n")
        path = place / name
        body = path.read_text(encoding="utf8")
        for hunk in re.split(r"^@@\n", hunks.partition("\n")[2], flags=re.MULTILINE)[1:]:
            lines = hunk.splitlines()
            old = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "+")
            new = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "-")
            assert body.count(old) == 1, f"{name} does not hold once:\n{old}"
            body = body.replace(old, new)
        path.write_text(body, encoding="utf8")


def test_every_difference_applies(tmp_path):
    for name, blocks in recipes().items():
        found = {line.removeprefix("--- a/") for kind, text in blocks if kind == "diff" for line in text.splitlines()
                 if line.startswith("--- a/")}  # fmt: skip
        assert found, name
        for file in found:
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_bytes((root() / file).read_bytes())
        for kind, text in blocks:
            if kind == "diff":
                apply(text, tmp_path / name)


@pytest.mark.slow
@pytest.mark.parametrize("name", recipes())
def test_a_recipe_does_what_it_says(tmp_path, name):
    checkout(tmp_path, ("acai/", "tests/", "figures/", "data/results/"))
    told = {**os.environ, "LLMINI_ROOT": str(tmp_path), "PYTHONPATH": str(tmp_path / "lib"), "PYTHONWARNINGS": "ignore",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}  # fmt: skip
    for kind, text in recipes()[name]:
        if kind == "diff":
            apply(text, tmp_path)
            continue
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=tmp_path, env=told, capture_output=True,
                              text=True, check=False)  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout[-1500:]}{done.stderr[-1500:]}"
