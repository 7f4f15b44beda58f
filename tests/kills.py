"""A small grid of real runs in a checkout of its own, and ways to hurt it while it works."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas
import pytest

from checkouts import linked
from llmini import schema

TIMED = ("tokens_per_second", "latency_ms", "peak_memory", "seconds")
GRID = """\
pocket:
  quant:
    - {name: two, notebook: 01_quant/01_quantization.ipynb, core: true, models: [allam_7b], method: "w4a16_rtn,int4"}
  prune:
    - {name: one, notebook: 02_prune/01_pruning.ipynb, core: true, models: [allam_7b], method: magnitude}
"""
RUNS = 5
ROOM = 600  # MiB of the file system that holds the runs, where one of our own can be mounted


class Bench:
    """A checkout whose grid is :data:`GRID`; ``mounted``: whether its runs lie on a file system of their own."""

    def __init__(self, place: Path) -> None:
        self.place, self.mounted = linked(place, GRID), False
        (place / "runs").mkdir()

    def mount(self) -> None:
        """Put the runs on a small file system in memory, as root may."""
        words = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}m", "tmpfs", str(self.place / "runs")]
        self.mounted = os.geteuid() == 0 and subprocess.run(words, capture_output=True, check=False).returncode == 0

    def unmount(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.place / "runs")], capture_output=True, check=False)
            self.mounted = False

    def start(self, before: Callable[[], None] | None = None, **environment: str) -> subprocess.Popen:
        """Snakemake up to the collected table, in a process group of its own."""
        words = [sys.executable, "-m", "snakemake", "-s", "workflow/Snakefile", "--nolock", "--rerun-incomplete",
                 "--workflow-profile", "workflow/profiles/local", "--cores", "1", "--config", "tier=pocket",
                 "core=true", "--", "results"]  # fmt: skip
        told = {**os.environ, "LLMINI_ROOT": str(self.place), "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1", **environment}
        with (self.place / "snakemake.log").open("a") as log:
            return subprocess.Popen(words, cwd=self.place, stdout=log, stderr=log, start_new_session=True, env=told,
                                    preexec_fn=before)  # fmt: skip

    def finish(self) -> None:
        """Run to the end; AssertionError with the log's end when that fails."""
        process = self.start()
        code = process.wait(1800)
        assert code == 0, (self.place / "snakemake.log").read_text()[-4000:]

    def records(self) -> dict[str, dict]:
        """Every record, valid and in the folder of its name."""
        found = {}
        for path in sorted((self.place / "runs" / "pocket").glob("*/record.json")):
            body = json.loads(path.read_text(encoding="utf8"))
            assert schema.fault(body) is None, path
            assert body["run_id"] == path.parent.name
            found[body["run_id"]] = body
        return found

    def numbers(self) -> tuple[pandas.DataFrame, pandas.DataFrame]:
        """The collected table without the rows that time decides, and the items."""
        home = self.place / "runs" / "pocket"
        table = pandas.read_csv(home / "pocket.csv", float_precision="round_trip")
        rest = table[~table["metric"].isin(TIMED)].reset_index(drop=True)
        return rest, pandas.read_parquet(home / "pocket_items.parquet")


def members(group: int) -> dict[int, str]:
    """Processes of a process group and all that they started: id -> command line."""
    parents, lines, groups = {}, {}, {}
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            told = (place / "stat").read_text().rpartition(")")[2].split()
            number = int(place.name)
            parents[number], groups[number] = int(told[1]), int(told[2])
            lines[number] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    found = {number for number, of in groups.items() if of == group}
    while more := {number for number, parent in parents.items() if parent in found} - found:
        found |= more
    return {number: lines[number] for number in found if lines.get(number)}


def end(process: subprocess.Popen) -> None:
    """End a workflow and everything that it started, and wait until all of it is gone."""
    everyone = members(process.pid)
    for number in everyone:
        with contextlib.suppress(OSError):
            os.kill(number, signal.SIGKILL)
    process.wait()
    limit = time.monotonic() + 30
    while any(Path(f"/proc/{number}").exists() for number in everyone) and time.monotonic() < limit:
        time.sleep(0.1)


def chosen(process: subprocess.Popen, draw: random.Random) -> list[int]:
    """Whom a signal strikes: the kernel, papermill, Snakemake, or all of them."""
    everyone = members(process.pid)
    sides = {"kernel": [n for n, line in everyone.items() if "ipykernel" in line],
             "papermill": [n for n, line in everyone.items() if "papermill" in line],
             "snakemake": [process.pid], "all": list(everyone)}  # fmt: skip
    sides = {name: numbers for name, numbers in sides.items() if numbers}
    return sides[draw.choice(sorted(sides))]


@contextlib.contextmanager
def struck(bench: Bench, number: int, draw: random.Random) -> Iterator[bool]:
    """A signal, at a random moment. This and its like yield whether they struck before the workflow had ended."""
    process = bench.start()
    pause(process, draw)
    landed = False
    for victim in chosen(process, draw) if process.poll() is None else ():
        with contextlib.suppress(OSError):
            os.kill(victim, number)
            landed = True
    if number == signal.SIGTERM:  # whoever was told politely may take its time
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(draw.uniform(1, 20))
    end(process)
    yield landed


@contextlib.contextmanager
def full_disk(bench: Bench, draw: random.Random) -> Iterator[bool]:
    """No room is left from a random moment on; without a file system of our own, files may not grow."""
    size = draw.choice((0, 4096, 2**20, 9 * 2**20))
    ballast = bench.place / "runs" / "ballast"
    if not bench.mounted:
        process = bench.start(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
        process.wait(1800)
        yield True
        return
    process = bench.start()
    pause(process, draw)
    landed = process.poll() is None
    free = os.statvfs(bench.place / "runs")
    with contextlib.suppress(OSError), ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_frsize - size))
    wait(process)
    ballast.unlink(missing_ok=True)
    yield landed


@contextlib.contextmanager
def read_only(bench: Bench, draw: random.Random) -> Iterator[bool]:
    """Nothing more can be opened for writing where the runs lie, from a random moment on."""
    home = bench.place / "runs"
    process = bench.start()
    pause(process, draw)
    landed = process.poll() is None
    if bench.mounted:  # by a second mount over the first, which files that are open for writing keep from changing
        for words in (["--bind", str(home), str(home)], ["-o", "remount,bind,ro", str(home)]):
            subprocess.run(["mount", *words], capture_output=True, check=True)
        with pytest.raises(OSError):
            (home / "written").touch()
    else:
        places = [home, *(path for path in home.rglob("*") if path.is_dir())]
        for path in places:
            path.chmod(0o555)
    wait(process)
    if bench.mounted:
        subprocess.run(["umount", "-l", str(home)], capture_output=True, check=True)
    else:
        for path in places:
            path.chmod(0o755)
    yield landed


@contextlib.contextmanager
def unreadable_cache(bench: Bench, draw: random.Random) -> Iterator[bool]:
    """The hub's cache is no folder, and the dense predictions that others are held against cannot be read."""
    broken = bench.place / "no-cache"
    broken.write_text("")
    kept = list((bench.place / "runs" / "pocket").glob("*/reference.safetensors"))
    for path in kept:
        path.rename(path.with_suffix(".away"))
        path.mkdir()
    process = bench.start(HF_HOME=str(broken))
    wait(process)
    for path in kept:
        path.rmdir()
        path.with_suffix(".away").rename(path)
    yield True


@contextlib.contextmanager
def out_of_memory(bench: Bench, draw: random.Random) -> Iterator[bool]:
    """From a random moment on the kernel gets no more memory than it has."""
    process = bench.start()
    pause(process, draw)
    landed = False
    for number, line in members(process.pid).items():
        if "ipykernel" in line:
            with contextlib.suppress(OSError):
                has = 4096 * int(Path(f"/proc/{number}/statm").read_text().split()[0])
                resource.prlimit(number, resource.RLIMIT_AS, (has, has))
                landed = True
    wait(process)
    yield landed


def pause(process: subprocess.Popen, draw: random.Random) -> None:
    """A random while, up to about what a run takes, or until the workflow ends."""
    moment = time.monotonic() + draw.uniform(0, float(os.environ.get("LLMINI_KILL_WITHIN", 60)))
    while time.monotonic() < moment and process.poll() is None:
        time.sleep(0.2)


def wait(process: subprocess.Popen) -> None:
    """Until the workflow gives up or comes through."""
    try:
        process.wait(900)
    finally:
        end(process)


KINDS: dict[str, Callable[[Bench, random.Random], contextlib.AbstractContextManager]] = {
    "SIGKILL": lambda bench, draw: struck(bench, signal.SIGKILL, draw),
    "SIGTERM": lambda bench, draw: struck(bench, signal.SIGTERM, draw),
    "full disk": full_disk, "read-only folder": read_only, "unreadable cache": unreadable_cache,
    "out of memory": out_of_memory,
}  # fmt: skip
