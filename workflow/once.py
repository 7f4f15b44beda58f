"""Run a command under a lock: two starts of one job, on whatever machine, come one after the other.

    python workflow/once.py LOCKFILE COMMAND [ARGUMENT…]

A study that was killed may leave a job that SLURM still runs; when the study goes on, the same job waits here until
that one ends, and then finds its runs done. The command ends with the process that started it, and so does the lock.
"""

from __future__ import annotations

import os
import socket
import sys
from datetime import datetime
from pathlib import Path

from llmini import lock


def main() -> None:
    path, *command = sys.argv[1:]
    lock.die_with_parent()
    note = f"process {os.getpid()} on {socket.gethostname()}, since {datetime.now():%Y-%m-%d %H:%M}"
    held = lock.hold(Path(path), note, lambda holder: print(f"waiting for {holder}: it runs this job", flush=True))
    if held is not None:
        os.set_inheritable(held, True)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
