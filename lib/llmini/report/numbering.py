"""Numbers of the report's figures: their places in analysis.ipynb. The study's own numbers stand in the captions."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path

from llmini.settings import root

DRAWN = re.compile(r"\bname=\"(\w+)\"")


def figures() -> list[str]:
    """Names of the report's figures in the order in which it draws them."""
    return list(_read(root() / "notebooks" / "analysis.ipynb"))


@lru_cache
def _read(path: Path) -> tuple[str, ...]:
    if not path.exists():
        return ()
    cells = json.loads(path.read_text(encoding="utf8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return tuple(dict.fromkeys(DRAWN.findall(code)))


def label(name: str) -> str:
    """``Figure 7``; empty for a figure that the report does not draw."""
    found = figures()
    return f"Figure {found.index(name) + 1}" if name in found else ""
