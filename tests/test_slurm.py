"""The grid through a real SLURM: a job and both daemons are killed, and every record is there once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas
import pytest
import yaml

import slurm
from checkouts import linked
from llmini.settings import root

GRID = """\
pocket:
  quant:
    - {name: two, notebook: 01_quant/01_quantization.ipynb, core: true, models: [allam_7b], method: "w4a16_rtn,int4"}
    - {name: other, notebook: 01_quant/01_quantization.ipynb, core: true, models: [qwen3_8b], method: w4a16_rtn}
  prune:
    - {name: one, notebook: 02_prune/01_pruning.ipynb, core: true, models: [allam_7b], method: magnitude}
"""
TIMED = ("tokens_per_second", "latency_ms", "peak_memory", "seconds")
pytestmark = pytest.mark.slow


def profile(folder: Path) -> Path:
    """The committed SLURM profile, as a user would fit it to this cluster."""
    told = yaml.safe_load((root() / "workflow/profiles/slurm/config.yaml").read_text())
    told["default-resources"] = {"slurm_partition": "main", "runtime": 60, "mem_mb": 2000, "cpus_per_task": 1}
    for rule, asked in told["set-resources"].items():
        told["set-resources"][rule] = {**({"gres": asked["gres"]} if "gres" in asked else {}), "mem_mb": 2000}
    told["set-resources"]["prune"]["gres"] = "gpu:t4:1"  # pocket models fit one
    told |= {"slurm-no-account": True, "latency-wait": 20, "slurm-status-command": "squeue",
             "slurm-init-seconds-before-status-checks": 5, "slurm-logdir": str(folder / "logs")}  # fmt: skip
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(told))
    return folder


def start(place: Path, arguments: list[str]) -> subprocess.Popen:
    words = [sys.executable, "-m", "snakemake", "-s", "workflow/Snakefile", "--nolock", "--rerun-incomplete",
             "--config", "tier=pocket", "core=true", *arguments, "--", "results"]  # fmt: skip
    with (place / "snakemake.log").open("a") as log:
        told = {**os.environ, "LLMINI_ROOT": str(place), "TQDM_DISABLE": "1"}
        return subprocess.Popen(words, cwd=place, stdout=log, stderr=log, start_new_session=True, env=told)


def records(place: Path) -> dict[str, dict]:
    found = [json.loads(path.read_text()) for path in sorted((place / "runs/pocket").glob("*/record.json"))]
    assert len({body["run_id"] for body in found}) == len(found)
    return {body["run_id"]: body for body in found}


def numbers(place: Path) -> pandas.DataFrame:
    """The collected table without rows that time decides."""
    table = pandas.read_csv(place / "runs/pocket/pocket.csv", float_precision="round_trip")
    return table[~table["metric"].isin(TIMED)].reset_index(drop=True)


def until(ready, process: subprocess.Popen, what: str, limit: float = 900) -> None:
    end = time.monotonic() + limit
    while not ready():
        assert process.poll() is None, f"the workflow ended before {what}"
        assert time.monotonic() < end, f"no {what} within {limit:.0f} s"
        time.sleep(1)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    if why := slurm.missing():
        pytest.skip(why)
    with slurm.Cluster(tmp_path_factory.mktemp("slurm")) as made:
        yield made


def test_kills_lose_nothing_and_change_nothing(cluster, tmp_path):
    place = linked(tmp_path / "slurm", GRID)
    words = ["--workflow-profile", str(profile(tmp_path / "profile"))]
    running = start(place, words)

    def jobs(state: str) -> list[str]:
        return cluster.say("squeue", "-h", "-t", state, "-o", "%A").split()

    # 1. a job, as the out-of-memory killer would: its steps' processes die at once, and it is queued again
    until(lambda: jobs("R"), running, "a running job")
    time.sleep(15)
    victim = jobs("R")[0]
    assert cluster.run("scancel", "--signal=KILL", "--full", victim).returncode == 0
    until(lambda: victim not in jobs("R"), running, "the job's end")
    # 2. the node's daemon, while a job runs under it
    until(lambda: jobs("R"), running, "a running job")
    time.sleep(10)
    cluster.kill("slurmd")
    time.sleep(5)
    cluster.start("slurmd")
    # 3. the controller, while jobs run and wait
    until(lambda: jobs("R") or jobs("PD") or running.poll() is not None, running, "a job")
    cluster.kill("slurmctld")
    time.sleep(10)
    cluster.start("slurmctld")
    code = running.wait(3600)
    if code:  # a daemon that was gone for long costs a job its retries: starting the study again loses nothing
        code = start(place, words).wait(3600)
    assert code == 0, (place / "snakemake.log").read_text()[-3000:]

    local = linked(tmp_path / "local", GRID)
    done = start(local, ["--workflow-profile", str(root() / "workflow/profiles/local"), "--cores", "1"])
    assert done.wait(3600) == 0, (local / "snakemake.log").read_text()[-3000:]
    mine, theirs = records(place), records(local)
    assert sorted(mine) == sorted(theirs) and len(mine) == 7
    pandas.testing.assert_frame_equal(numbers(place), numbers(local), check_exact=True)
    one, two = (pandas.read_parquet(folder / "runs/pocket/pocket_items.parquet") for folder in (place, local))
    pandas.testing.assert_frame_equal(one, two, check_exact=True)


def test_each_family_asks_for_its_gpu(cluster, tmp_path):
    """Quantization waits for the A100 and pruning for the T4, as the profile says."""
    place = linked(tmp_path / "slurm", GRID)
    running = start(place, ["--workflow-profile", str(profile(tmp_path / "profile"))])
    try:
        seen: dict[str, str] = {}

        def look() -> bool:
            for line in cluster.say("squeue", "-h", "-O", "jobid:10,tres-per-node:30,comment:80").splitlines():
                for family in ("quant", "prune"):
                    if f"rule_{family}" in line:
                        seen[family] = line
            return len(seen) == 2

        until(look, running, "a job of each family", 120)
        assert "a100" in seen["quant"] and "t4" in seen["prune"]
    finally:
        cluster.say("scancel", "--me")
        os.killpg(running.pid, signal.SIGKILL)  # politely, it waits for its jobs
        running.wait(60)
