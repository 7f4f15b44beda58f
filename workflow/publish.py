"""Promote the last study of a tier: results, figures and executed notebooks become the committed ones.

    python workflow/publish.py [--tier pocket] [--renew]

With --renew a study of some families is enough: of the others the committed results stay, if their fingerprints say
that they were made from the code, data and weights that are here now.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat

from llmini import grid, records
from llmini.records import write_atomic
from llmini.report.render import clean
from llmini.settings import UserError, root, runs

MARK = "<!-- headline -->"


def main() -> int:
    parser = argparse.ArgumentParser(description="Promote the last study of a tier.")
    parser.add_argument("--tier", default="pocket")
    parser.add_argument("--renew", action="store_true", help="keep committed results that are still true")
    options = parser.parse_args()
    try:
        if options.renew:
            renew(options.tier)
        for path in publish(options.tier, options.renew):
            print(path.relative_to(root()))
    except UserError as fault:
        print(f"publish: {fault}", file=sys.stderr)
        return 2
    return 0


def renew(tier: str) -> None:
    """Write to runs/TIER the committed tables with this machine's records in them, and the report of that.

    Raises UserError when a run has neither a record of its own nor a committed result made from today's sources.
    """
    import pandas

    known = pandas.read_csv(root() / "data" / "results" / f"{tier}_runs.csv").set_index("run_id")["fingerprint"]
    fresh, kept, missing = {}, set(), []
    for job in grid.jobs(tier):
        for run in job.runs:
            wanted = grid.fingerprint(job.notebook, run.tier, run.model)
            if run.fresh(wanted):
                fresh[run.folder] = run.run_id
            elif known.get(run.run_id) == wanted:
                kept.add(run.run_id)
            else:
                missing.append(run.run_id)
    require(missing)
    records.renew(tier, fresh, kept - set(fresh.values()), root() / "data" / "results", runs(tier))
    report = runs(tier, "report", "analysis.ipynb")
    report.parent.mkdir(parents=True, exist_ok=True)
    where = runs(tier).relative_to(root())
    subprocess.run([sys.executable, "-m", "papermill", str(root() / "notebooks/analysis.ipynb"), str(report),
                    "-p", "tier", tier, "-p", "results", str(where), "-p", "figures", f"{where}/figures",
                    "--kernel", "python3", "--log-level", "WARNING"], check=True, cwd=root())  # fmt: skip


def require(missing: list[str]) -> None:
    """Raise UserError when runs are missing."""
    if missing:
        raise UserError(f"{len(missing)} runs are missing or out of date (first: {missing[0]}): run `make study-all`")


def publish(tier: str, part: bool = False) -> list[Path]:
    """Copy tables, figures and notebooks to their committed places; returns what was written.

    part: the tables are those of `renew`, and a notebook whose job did not run here stays as it is.
    Raises UserError when the study is incomplete: a published table always covers the whole grid. Then, as when a file
    is missing or a notebook was edited since, nothing is written.
    """
    jobs = grid.jobs(tier)
    if not part:
        require([run.run_id for job in jobs for run in job.pending()])
    drawn = sorted(runs(tier, "figures").glob("*")) or [runs(tier, "figures", "*.svg")]
    names = (f"{tier}.csv", f"{tier}_items.parquet", f"{tier}_runs.csv")
    files = [(runs(tier, name), root() / "data" / "results" / name) for name in names]
    files += [(path, root() / "figures" / tier / path.name) for path in drawn]
    books = [(runs(tier, "jobs", f"{job.name}.ipynb"), root() / "notebooks" / job.notebook)
             for job in jobs if job.publish and not (part and job.pending())]  # fmt: skip
    books.append((runs(tier, "report", "analysis.ipynb"), root() / "notebooks" / "analysis.ipynb"))
    for source, _ in files:
        if not source.exists():
            raise UserError(f"{source} is missing: run `make study-all`")
    made = {committed: promoted(executed, committed) for executed, committed in books}  # all is there: now write
    written = [copy(*pair) for pair in files] + [put(book, committed) for committed, book in made.items()]
    if tier == "pocket":
        written.append(readme())
    return written


def readme() -> Path:
    """Put the headline, computed from the committed results, between the README's marks."""
    path = root() / "README.md"
    text = path.read_text(encoding="utf8")
    text = re.sub(f"{MARK}.*{MARK}", lambda _: f"{MARK}\n{headline()}\n{MARK}", text, count=1, flags=re.DOTALL)
    write_atomic(path, lambda target: target.write_text(text, encoding="utf8"))
    return path


def headline() -> str:
    """The report's closing answer under its first figure, as Markdown."""
    from llmini.report import conclusions, measured

    answer = conclusions.closing(measured.load("data/results", "pocket")).html
    alt = "Size against accuracy kept, in Arabic and in English, as published and as measured in the pocket tier"
    lead = "The pocket tier's answer, computed from `data/results/pocket.csv`:"
    return f"![{alt}](figures/pocket/pareto.png)\n\n{lead}\n\n{answer}"


def copy(source: Path, target: Path) -> Path:
    write_atomic(target, lambda path: shutil.copyfile(source, path))
    return target


def promoted(executed: Path, committed: Path) -> nbformat.NotebookNode:
    """The committed notebook with the outputs of an executed one, without what changes from run to run.

    Prose and default parameters may have been edited since the run, which was told its own; other code may not.
    Raises UserError when it was, or when there is none.
    """
    if not executed.is_file():
        raise UserError(f"{executed} is missing: delete {executed.with_suffix('.done').name} beside it, if there, "
                        "and run `make study-all`")  # fmt: skip
    source = nbformat.read(executed, as_version=4)
    target = nbformat.read(committed, as_version=4)
    ran, code = (
        [cell for cell in notebook.cells
         if cell.cell_type == "code" and "injected-parameters" not in cell.metadata.get("tags", [])]
        for notebook in (source, target)
    )  # fmt: skip
    if len(ran) != len(code) or grid.code_cells(executed) != grid.code_cells(committed):
        raise UserError(f"{committed.relative_to(root())} was edited after it ran: run `make study-all` again")
    for cell, done in zip(code, ran, strict=True):
        cell.outputs, cell.execution_count = done.outputs, done.execution_count
    clean(target)
    return target


def put(notebook: nbformat.NotebookNode, target: Path) -> Path:
    write_atomic(target, lambda path: nbformat.write(notebook, path))
    return target


if __name__ == "__main__":
    sys.exit(main())
