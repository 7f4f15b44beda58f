"""An executed notebook as one HTML page, with Arabic paragraphs flush right.

    python -m llmini.report.page NOTEBOOK      writes the page beside it
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from llmini.records import write_atomic

if TYPE_CHECKING:
    from nbformat import NotebookNode

# Jupyter's stylesheet sets every paragraph flush left, whatever its direction.
STYLE = "<style>[dir=rtl] { text-align: right !important; } [dir=rtl] p { text-align: right !important; }</style>"


def write(notebook: NotebookNode, target: Path) -> Path:
    """Write ``notebook`` to ``target`` as HTML, whole or not at all; returns ``target``."""
    from nbconvert import HTMLExporter

    page, _ = HTMLExporter().from_notebook_node(notebook, resources={"metadata": {"name": target.stem}})
    page = page.replace("</head>", f"{STYLE}</head>", 1)
    write_atomic(target, lambda path: path.write_text(page, encoding="utf8"))
    return target


def main() -> None:
    import nbformat

    for name in sys.argv[1:]:
        write(nbformat.read(name, as_version=4), Path(name).with_suffix(".html"))


if __name__ == "__main__":
    main()
