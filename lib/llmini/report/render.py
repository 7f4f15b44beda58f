"""Run analysis.ipynb on a results table and leave it, its figures and its HTML: the same bytes from the same numbers.

    python -m llmini.report.render [--results data/results] [--tier pocket] [--out runs/report]      (make report)
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from llmini.records import write_atomic
from llmini.report import page
from llmini.settings import UserError, check_tier, root

if TYPE_CHECKING:
    from nbformat import NotebookNode

NOTEBOOK = Path("notebooks", "analysis.ipynb")
VOLATILE = ("papermill", "execution")  # what a run leaves in metadata: times, paths of this machine


def clean(notebook: NotebookNode) -> NotebookNode:
    """``notebook`` without what changes from run to run: marks of the run, and progress bars, which go to stderr."""
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        cell.metadata = {key: value for key, value in cell.metadata.items() if key not in VOLATILE}
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.get("outputs", []):
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count
    return notebook


def render(out: Path, results: str = "data/results", tier: str = "pocket") -> Path:
    """Execute the report; returns its HTML. ``OUT`` gets analysis.ipynb, analysis.html and figures/.

    Raises UserError where a cell fails, with the cell's own words.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = nbformat.read(root() / NOTEBOOK, as_version=4)
    values = {"results": results, "tier": check_tier(tier), "figures": str(out / "figures")}
    first = next(index for index, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
    told = nbformat.v4.new_code_cell("\n".join(f"{name} = {value!r}" for name, value in values.items()),
                                     id="injected-parameters", metadata={"tags": ["injected-parameters"]})  # fmt: skip
    notebook.cells.insert(first + 1, told)
    place = {"metadata": {"path": root()}}
    try:
        NotebookClient(notebook, timeout=1800, kernel_name="python3", resources=place).execute()
    except CellExecutionError as fault:
        raise UserError(f"the report stopped: {fault.ename}: {fault.evalue}") from fault
    clean(notebook)
    target = root() / out / "analysis.ipynb"
    write_atomic(target, lambda path: nbformat.write(notebook, path))
    return page.write(notebook, target.with_suffix(".html"))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run the report on a results table.")
    parser.add_argument("--results", default="data/results")
    parser.add_argument("--tier", default="pocket")
    parser.add_argument("--out", type=Path, default=Path("runs", "report"))
    options = parser.parse_args(arguments)
    os.environ.pop("JPY_SESSION_NAME", None)  # the report is written for a reader, not for a person at its knobs
    try:
        made = render(options.out, options.results, options.tier)
    except UserError as fault:
        print(f"report: {fault}", file=sys.stderr)
        return 2
    print(made.relative_to(root()) if made.is_relative_to(root()) else made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
