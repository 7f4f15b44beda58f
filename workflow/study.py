"""Run the study of a tier: Snakemake does the work, this shows a bar, the time per family and what changed.

    python workflow/study.py [--tier pocket] [--all] [--dry-run]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from tqdm import tqdm

from llmini import grid
from llmini.settings import UserError, root, runs


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the study of a tier.")
    parser.add_argument("--tier", default="pocket")
    parser.add_argument("--all", action="store_true", help="every run of the grid, not only its core")
    parser.add_argument("--profile", default="local", help="a folder of workflow/profiles (local, slurm)")
    parser.add_argument("--dry-run", action="store_true", help="say what would run")
    options = parser.parse_args()
    try:
        return study(options.tier, not options.all, options.profile, options.dry_run)
    except UserError as fault:
        print(f"study: {fault}", file=sys.stderr)
        return 2


def study(tier: str, core: bool, profile: str, dry_run: bool) -> int:
    """Drive Snakemake to the end of the tier's report; returns the exit code."""
    jobs = grid.jobs(tier, core)
    todo = {run.run_id: run for job in jobs for run in job.pending()}
    total = len({run.run_id for job in jobs for run in job.runs})
    if dry_run:
        print("\n".join(sorted(todo)) or "nothing to do")
        return 0
    print(f"{tier} study: {total} runs, {total - len(todo)} of them done already")
    log = runs(tier, "study.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "snakemake", "-s", str(root() / "workflow/Snakefile"), "--nolock",
               "--directory", str(root()), "--workflow-profile", str(root() / "workflow/profiles" / profile),
               "--rerun-incomplete", "--config", f"tier={tier}", f"core={core}"]  # fmt: skip
    environment = {**os.environ, "TQDM_DISABLE": "1", "LLMINI_ROOT": str(root())}
    began = time.time()
    with log.open("w") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT, env=environment, cwd=root())
    try:
        watch(process, list(todo.values()), began)
    except KeyboardInterrupt:
        process.wait()
        print(f"stopped; finished runs are kept, start again to go on (log: {log.relative_to(root())})")
        return 130
    if process.returncode:
        print(f"study: a notebook failed; its traceback is in {log.relative_to(root())} and in runs/{tier}/jobs/",
              file=sys.stderr)  # fmt: skip
        return 1
    print(f"done in {(time.time() - began) / 60:.1f} minutes: runs/{tier}/report/analysis.html")
    families(tier, jobs)
    return compare(tier)


def watch(process: subprocess.Popen, todo: list[grid.Run], began: float) -> None:
    """A bar that follows the records as they appear."""
    with tqdm(total=len(todo), unit="run", desc="measuring", disable=not todo) as bar:
        waiting = todo
        while process.poll() is None:
            time.sleep(0.5)
            finished = [run for run in waiting if written_since(run.folder / "record.json", began)]
            waiting = [run for run in waiting if run not in finished]
            if finished:
                bar.set_postfix_str(f"{finished[-1].model} {finished[-1].variant}")
                bar.update(len(finished))
            if not waiting:
                bar.set_description("writing the report")


def written_since(path: Path, moment: float) -> bool:
    try:
        return path.stat().st_mtime >= moment
    except FileNotFoundError:
        return False


def families(tier: str, jobs: list[grid.Job]) -> None:
    """Print the measuring time of each family, from the records."""
    import pandas

    table = pandas.read_csv(runs(tier, f"{tier}_runs.csv"))
    family = {run.run_id: job.family for job in jobs for run in job.runs}
    seconds = table.groupby(table["run_id"].map(family))["seconds"].agg(["sum", "size"])
    for name, row in seconds.iterrows():
        print(f"  {name}: {row['size']:.0f} runs, {row['sum'] / 60:.1f} minutes of one core")


def compare(tier: str) -> int:
    """Hold the new results against the committed ones."""
    from llmini.report import compare

    committed = root() / "data" / "results" / f"{tier}.csv"
    if not committed.exists():
        print(f"nothing is committed for the {tier} tier yet: `make publish` promotes this study")
        return 0
    print(compare.summary(committed, runs(tier, f"{tier}.csv")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
