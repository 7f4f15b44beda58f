"""A SLURM cluster of one node on this machine, with two GPU types that are only names; for root on a Debian system."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
HOME = Path("/etc/slurm")
"""Where SLURM's programs look: job steps are started without the environment that would name another place."""
NAME = "ClusterName=rehearsal"
CONFIG = """\
{name}
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort={port}
SlurmdPort={other}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
ReturnToService=2
SlurmdTimeout=60
SlurmctldTimeout=60
MinJobAge=600
KillWait=2
MpiDefault=none
JobRequeue=0
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:a100:1,gpu:t4:1 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
# Files that are always there stand in the place of devices: slurmd counts GPUs by their files.
GRES = "AutoDetect=off\nName=gpu Type=a100 File=/dev/null\nName=gpu Type=t4 File=/dev/zero\n"


def missing() -> str:
    """Why there can be no cluster here, in words; empty when there can.

    As root, Debian's slurm-wlm and munge are installed where apt may.
    """
    if os.geteuid():
        return "starting SLURM's daemons takes root"
    if not all(map(shutil.which, PROGRAMS)) and shutil.which("apt-get"):
        words = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "slurm-wlm", "munge"]
        subprocess.run(words, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, capture_output=True, check=False)
    known = HOME / "slurm.conf"
    if known.exists() and NAME not in known.read_text():  # ours may be left of a test that was killed
        return f"{HOME}/slurm.conf says that this machine belongs to a cluster already"
    absent = [name for name in PROGRAMS if not shutil.which(name)]
    return f"{', '.join(absent)} not installed: apt install slurm-wlm munge" if absent else ""


class Cluster:
    """The daemons, and ways to kill them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.daemons = folder, {}
        for name in ("state", "spool"):
            (folder / name).mkdir(parents=True)
        ports = [free_port() for _ in range(2)]
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 - 512
        text = CONFIG.format(name=NAME, host=socket.gethostname().partition(".")[0], folder=folder, port=ports[0],
                             other=ports[1], cpus=os.cpu_count(), memory=memory)  # fmt: skip
        self.written = {"slurm.conf": text, "gres.conf": GRES, "cgroup.conf": "CgroupAutomount=no\n"}
        (folder / "munge.key").write_bytes(os.urandom(128))
        (folder / "munge.key").chmod(0o400)

    def __enter__(self) -> Cluster:
        HOME.mkdir(exist_ok=True)
        for name, text in self.written.items():
            (HOME / name).write_text(text)
        self.start("munged")
        self.start("slurmctld")
        self.start("slurmd")
        self.wait(lambda: "idle" in self.say("sinfo", "-h", "-o", "%t"), "an idle node")
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(subprocess.SubprocessError):
            self.say("scancel", "--me")
        for name in ("slurmd", "slurmctld", "munged"):
            self.kill(name, signal.SIGTERM)
        for step in self.steps():
            with contextlib.suppress(OSError):
                os.kill(step, signal.SIGKILL)
        for name in self.written:
            (HOME / name).unlink(missing_ok=True)

    def start(self, name: str) -> None:
        """Start one of munged, slurmctld and slurmd in the foreground, as a child of ours."""
        folder = self.folder
        words = {
            "munged": ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket",
                       f"--key-file={folder}/munge.key", f"--pid-file={folder}/munged.pid",
                       f"--log-file={folder}/munged.log", f"--seed-file={folder}/munged.seed"],
            "slurmctld": ["slurmctld", "-D"],
            "slurmd": ["slurmd", "-D"],
        }[name]  # fmt: skip
        with (folder / f"{name}.out").open("a") as log:
            self.daemons[name] = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        if name == "munged":
            self.wait((folder / "munge.socket").exists, "munged's socket")
        if name == "slurmctld":
            self.wait(lambda: self.run("scontrol", "ping").returncode == 0, "slurmctld's answer")

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """End a daemon; its job steps live on."""
        daemon = self.daemons.pop(name, None)
        if daemon is not None:
            with contextlib.suppress(ProcessLookupError):
                daemon.send_signal(number)
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def run(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)

    def say(self, *words: str) -> str:
        return self.run(*words).stdout

    def steps(self) -> list[int]:
        """Processes of SLURM's job steps of this cluster."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if b"slurmstepd" in (place / "cmdline").read_bytes():
                    found.append(int(place.name))
        return found

    @staticmethod
    def wait(ready: object, what: str, limit: float = 90) -> None:
        """Until ``ready()``; RuntimeError naming ``what`` after ``limit`` seconds."""
        end = time.monotonic() + limit
        while not ready():
            if time.monotonic() > end:
                raise RuntimeError(f"no {what} within {limit:.0f} s")
            time.sleep(0.5)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
