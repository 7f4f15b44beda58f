"""Writing a folder whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

from llmini.settings import UserError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Files that mark a folder as one this package wrote, so that it may be overwritten.
MARKS = ("llmini.json",)


class Stopped(KeyboardInterrupt):
    """SIGTERM or SIGHUP arrived."""


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP raise `Stopped`, so that clean-up runs as it does on Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise Stopped(signal.Signals(number).name)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def check_output(output: Path, overwrite: bool, source: Path | None = None) -> None:
    """Raise UserError when ``output`` exists and may not be replaced, or when replacing it would eat the source."""
    if source is not None and source.exists():
        inner, outer = source.resolve(), output.resolve()
        if inner == outer or outer in inner.parents:
            raise UserError(f"{output} holds the source model itself: choose another --output")
    if not os.path.lexists(output):
        return
    if not output.is_dir():
        raise UserError(f"{output} exists and is no folder: choose another --output")
    if not overwrite:
        raise UserError(f"{output} exists already: pass --overwrite, or choose another --output")
    if any(output.iterdir()) and not any((output / mark).is_file() for mark in MARKS):
        raise UserError(f"{output} was not written by llmini, so --overwrite spares it: choose another --output")


@contextlib.contextmanager
def whole(output: Path, needed: int = 0, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary folder beside ``output``; it is renamed to ``output`` when the block succeeds, else deleted.

    needed: bytes that will be written; too little free space is refused before any work. Missing parents are made,
    and unmade again on failure. Raises UserError for a place that cannot be written and a disk that fills up.
    """
    made = [parent for parent in output.parents if not parent.exists()]
    partial = output.parent / f".{output.name}.partial-{secrets.token_hex(4)}"
    with stoppable():
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            partial.mkdir()
        except OSError as fault:
            for parent in made:
                with contextlib.suppress(OSError):
                    parent.rmdir()
            raise UserError(f"cannot write to {output.parent}: {fault.strerror}; choose another --output") from fault
        try:
            free = shutil.disk_usage(output.parent).free
            if free < needed:
                raise UserError(f"disk full: {output.parent} has {readable(free)} free and the checkpoint needs about "
                                f"{readable(needed)}; free space or choose another --output")  # fmt: skip
            yield partial
            sync(partial)
            replace(partial, output, overwrite)
        except BaseException as fault:
            shutil.rmtree(partial, ignore_errors=True)
            for parent in made:
                with contextlib.suppress(OSError):
                    parent.rmdir()
            if is_full(fault):
                raise UserError(f"disk full while writing {output}: nothing was kept; free space or choose another "
                                "--output") from fault  # fmt: skip
            raise


def is_full(fault: BaseException | None) -> bool:
    """Whether an exception, or one that caused it, says that the disk (or quota, or file-size limit) is exhausted."""
    while fault is not None:
        if isinstance(fault, OSError) and fault.errno in FULL:
            return True
        # safetensors and tokenizers report input-output faults of their Rust side as text only.
        if any(f"os error {number}" in str(fault) or os.strerror(number) in str(fault) for number in FULL):
            return True
        fault = fault.__cause__ or fault.__context__
    return False


def sync(folder: Path) -> None:
    """Give every file the folder's permissions and flush it, so that no power cut leaves a renamed, empty file."""
    mode = folder.stat().st_mode & 0o666  # safetensors writes files that only their owner can read
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(mode)
            with path.open("rb") as file:
                os.fsync(file.fileno())


def replace(partial: Path, output: Path, overwrite: bool) -> None:
    """Rename ``partial`` to ``output``; an older checkpoint there is moved aside first and deleted last."""
    old = None
    if os.path.lexists(output):
        check_output(output, overwrite)
        old = partial.with_name(partial.name.replace(".partial-", ".old-"))
        os.replace(output, old)
    try:
        os.replace(partial, output)
    except BaseException:
        if old is not None:
            os.replace(old, output)
        raise
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def readable(nbytes: float) -> str:
    """Bytes as "13.04 GiB"; units are powers of 1024, as in the study's tables."""
    for unit in ("bytes", "KiB", "MiB"):
        if abs(nbytes) < 1024:
            return f"{nbytes:.0f} {unit}" if unit == "bytes" else f"{nbytes:.1f} {unit}"
        nbytes /= 1024
    return f"{nbytes:.2f} GiB"
