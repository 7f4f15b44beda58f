"""RESULTS.md: one section a benchmark. As a program, takes a section from its input."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


def sections() -> list[str]:
    """What stands in RESULTS.md: its head, then each section from its title's words on."""
    text = RESULTS.read_text(encoding="utf8") if RESULTS.is_file() else "# Benchmarks\n\nEach section is one command.\n"
    return text.split("\n## ")


def read(title: str) -> list[str]:
    """The lines of a section below its title, as they stand in RESULTS.md; none of a section that is not there."""
    found = [part.rstrip().split("\n") for part in sections()]
    return next((lines for first, *lines in found if f"## {first}" == title), [])


def write(title: str, lines: list[str]) -> None:
    """Put a section, its title and its lines, into RESULTS.md in place of its last version."""
    parts = [part for part in sections() if f"## {part}".split("\n")[0] != title]
    section = "\n".join([title, *lines])
    RESULTS.write_text("\n## ".join(parts).rstrip() + "\n\n" + section + "\n", encoding="utf8")


def extend(title: str, head: list[str], rows: Iterable[str], cells: int, keep: bool = True) -> None:
    """Print a table's rows as they are measured and, to ``keep`` them, write each at once below ``head``.

    Rows of an earlier start stay if it had the same head; a row's first ``cells`` say of what it is. So what was
    measured stays when a later case fails.
    """
    known = read(title)
    lines = {tuple(row.split("|")[1 : 1 + cells]): row for row in known[len(head) :] if known[: len(head)] == head}
    for row in rows:
        lines[tuple(row.split("|")[1 : 1 + cells])] = row
        print(row, flush=True)
        if keep:
            write(title, [*head, *lines.values()])


def machine() -> str:
    """The GPU's name, or what there is instead."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU ({platform.machine()}, {torch.get_num_threads()} threads)"


if __name__ == "__main__":
    import sys

    title, *lines = sys.stdin.read().rstrip().split("\n")
    if not title.startswith("## "):
        sys.exit("results: no section came in")
    write(title, lines)
