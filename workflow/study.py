"""Run the study of a tier: Snakemake does the work, this shows a bar, the time per family and what changed.

    python workflow/study.py [--tier pocket] [--all] [--dry-run]

One study runs in a checkout at a time: a second one stops and says so.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from tqdm import tqdm

from llmini import grid, lock, origin, schema
from llmini.settings import UserError, root, runs


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the study of a tier.")
    parser.add_argument("--tier", default="pocket")
    parser.add_argument("--all", action="store_true", help="every run of the grid, not only its core")
    parser.add_argument("--profile", default="local", help="local, slurm, or the folder of a profile of your own")
    parser.add_argument("--dry-run", action="store_true", help="say what would run")
    parser.add_argument("--rehearsal", action="store_true", help="the models are made up: collect as a rehearsal")
    parser.add_argument("--without-preflight", action="store_true", help="start although a run cannot fit")
    options = parser.parse_args()
    try:
        told = options.tier, not options.all, options.profile
        if options.dry_run:
            study(*told, dry_run=True)
        if not options.without_preflight:
            preflight(*told)
        return 0 if options.dry_run else study(*told, dry_run=False, rehearsal=options.rehearsal)
    except UserError as fault:
        print(f"study: {fault}", file=sys.stderr)
        return 2


def preflight(tier: str, core: bool, profile: str) -> None:
    """Raise UserError that names the runs which cannot fit where the profile runs them. Pocket runs fit anywhere."""
    from llmini import preflight as plans

    place = plans.checked_profile(profile)
    if tier == "pocket":
        return
    if no := plans.check(tier, core, place):
        print("\n".join(f"refused: {line}" for line in no), file=sys.stderr)
        raise UserError(f"{len(no)} runs cannot fit: give them another device in the profile, or leave their entries "
                        "out of workflow/grid.yaml (--without-preflight starts all the same)")  # fmt: skip
    if short := plans.room(tier, core):
        raise UserError(f"{short}: link runs/ to a larger disk, or measure the core first (--without-preflight "
                        "starts all the same)")  # fmt: skip


def study(tier: str, core: bool, profile: str, dry_run: bool, rehearsal: bool = False) -> int:
    """Drive Snakemake to the end of the tier's report; returns the exit code.

    Raises UserError when a study runs in this checkout already.
    """
    jobs = grid.jobs(tier, core)
    todo = {run.run_id: run for job in jobs for run in job.pending()}
    total = len({run.run_id for job in jobs for run in job.runs})
    if dry_run:
        print("\n".join(sorted(todo)) or "nothing to do")
        return 0
    held = lock.hold(
        root() / "runs" / "study.lock",
        f"a study of the {tier} tier runs in this checkout already (process {os.getpid()} on {socket.gethostname()}, "
        f"since {datetime.now():%Y-%m-%d %H:%M}): wait for it, or stop it",
    )
    print(f"{tier} study: {total} runs, {total - len(todo)} of them done already")
    for run, wrong in damaged(todo.values()):
        print(f"  {run.folder.relative_to(root())}/record.json is not a record ({wrong}): it is measured again")
    log = runs(tier, "study.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "snakemake", "-s", str(root() / "workflow/Snakefile"), "--nolock",
               "--directory", str(root()), "--workflow-profile", str(profile_folder(profile)),
               "--rerun-incomplete", "--config", f"tier={tier}", f"core={core}",
               f"rehearsal={rehearsal}", f"threads={threads(tier, profile, rehearsal)}"]  # fmt: skip
    environment = {**os.environ, "TQDM_DISABLE": "1", "LLMINI_ROOT": str(root())}
    began = time.time()
    with log.open("w") as sink:
        # Snakemake holds the lock too: if this process is killed, the checkout stays taken until Snakemake ends.
        process = subprocess.Popen(
            command, stdout=sink, stderr=subprocess.STDOUT, env=environment, cwd=root(),
            pass_fds=() if held is None else (held,), preexec_fn=lock.die_with_parent,
        )  # fmt: skip
    try:
        with stoppable():
            watch(process, list(todo.values()), began)
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)  # Ctrl-C has told it already; a signal to this process alone has not
        process.wait()
        print(f"stopped; finished runs are kept, start again to go on (log: {log.relative_to(root())})")
        return 130
    if process.returncode:
        print(f"study: a notebook failed; its traceback is in {log.relative_to(root())} and in runs/{tier}/jobs/",
              file=sys.stderr)  # fmt: skip
        return 1
    print(f"done in {(time.time() - began) / 60:.1f} minutes: runs/{tier}/report/analysis.html")
    collected = origin.REHEARSAL if rehearsal else tier
    families(tier, jobs, collected)
    if rehearsal:
        return 0
    code = compare(tier)
    if tier == "pocket":
        application(log)
    return code


def threads(tier: str, profile: str, rehearsal: bool) -> int:
    """Threads of a notebook: one in the pocket tier, where as many run side by side as there are cores. A larger model
    takes all of this machine's cores, and so its memory and its GPU, for itself; on a cluster SLURM says."""
    alone = profile == "local" and tier != "pocket" and not rehearsal
    return len(os.sched_getaffinity(0)) if alone else 1


def damaged(todo: Iterable[grid.Run]) -> Iterator[tuple[grid.Run, str]]:
    """The runs whose record cannot be read as one, with what is wrong."""
    for run in todo:
        try:
            wrong = schema.fault(json.loads((run.folder / "record.json").read_text(encoding="utf8")))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as fault:
            wrong = str(fault)
        if wrong:
            yield run, wrong


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Within the block SIGTERM is a Ctrl-C."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def profile_folder(name: str) -> Path:
    """The folder of a profile: one of workflow/profiles, or a path."""
    own = root() / "workflow" / "profiles" / name
    return own if own.is_dir() else Path(name).absolute()


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


def families(tier: str, jobs: list[grid.Job], collected: str) -> None:
    """Print the measuring time of each family, from the records; ``collected`` is the tier that these bear."""
    import pandas

    table = pandas.read_csv(runs(tier, f"{collected}_runs.csv"))
    family = {collected + run.run_id.removeprefix(tier): job.family for job in jobs for run in job.runs}
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


def application(log: Path, patience: float = 300) -> None:
    """Make ACAI ready for `make acai-serve`, and say so in one line; a study without node or a network is whole too."""
    command = [sys.executable, "-m", "llmini.browser.ship"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=root(), timeout=patience,
                              env={**os.environ, "LLMINI_ROOT": str(root())})  # fmt: skip
    except subprocess.TimeoutExpired:
        print(f"ACAI is not ready: it took longer than {patience:.0f} seconds; make acai goes on")
        return
    with log.open("a") as sink:
        sink.write(done.stdout + done.stderr)
    if done.returncode:
        fault = (done.stderr.strip().splitlines() or ["it failed"])[-1].removeprefix("acai: ")
        print(f"ACAI is not ready: {fault} (log: {os.path.relpath(log, root())})")
    else:
        print("ACAI is ready: make acai-serve")


if __name__ == "__main__":
    sys.exit(main())
