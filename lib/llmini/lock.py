"""One process at a time: a lock that the kernel drops when its holder ends, however that happens."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from llmini.settings import UserError

ABSENT = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL)  # a file system that knows no locks
PR_SET_PDEATHSIG = 1  # Linux, prctl(2)


def hold(path: Path, note: str = "", waiting: Callable[[str], None] | None = None) -> int | None:
    """Take the lock of ``path`` (flock) and return its file descriptor, which child processes may be given.

    note: what others read about the holder; the file itself is only a note and may lie about. waiting: called with the
    holder's note before waiting for the lock; without it a lock that is held raises UserError with that note. None on a
    file system without locks, where nothing is guarded. The lock ends with the last process that has the descriptor
    open, so a killed one leaves nothing behind.
    """
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 500, 0).decode("utf8", "replace").strip()
            if waiting is None:
                raise UserError(holder or f"another process holds {path}") from None
            waiting(holder)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as fault:
        os.close(descriptor)
        if fault.errno in ABSENT:
            return None
        raise
    except UserError:
        os.close(descriptor)
        raise
    with contextlib.suppress(OSError):  # a full disk keeps nobody from working
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, note.encode(), 0)
    return descriptor


def die_with_parent(number: int = signal.SIGTERM) -> None:
    """Ask Linux to send this process ``number`` when its parent ends, so that no orphan goes on working; else nothing.

    It stays in force when the process becomes another program (exec).
    """
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:  # it ended in between
        os.kill(os.getpid(), number)
