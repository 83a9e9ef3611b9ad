"""One process in a run's folder at a time."""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stackgan.errors import InputError
from stackgan.files import is_running

LOCK = ".lock"
_REFUSED = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)


@contextmanager
def held(run: Path) -> Iterator[None]:
    """Hold the folder ``run`` for this process; the file goes with the lock.

    The system lets go of a lock when its process ends, however it ends: what a killed one leaves
    does not block. On a disk that knows no locks the number in the file is asked for.

    Raises:
        InputError: another process holds it, named by its number.
    """
    file = _opened(run)
    try:
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, f"{os.getpid()} {socket.gethostname()}\n".encode())
        yield
    finally:
        _let_go(run / LOCK, file)


def _opened(run: Path) -> int:
    """The lock's file, opened and locked; the one that lies there, should it have been replaced."""
    path = run / LOCK
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(file, run)
            if _is_at(file, path):
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _lock(file: int, run: Path) -> None:
    try:
        _ask_system(file)
    except OSError as error:
        process, where = _holder(file)
        known = process.isdecimal() and not where and is_running(int(process))
        if error.errno in _REFUSED or known:
            raise InputError(
                f"{run} is in use by process {process}{where}: wait until it ends, or stop it with "
                "Ctrl-C, and then add --resume"
            ) from None


def _holder(file: int) -> tuple[str, str]:
    """The number of the process that holds the lock, and on which machine if not on this one."""
    for _ in range(20):  # it writes its number just after it took the lock
        os.lseek(file, 0, os.SEEK_SET)
        process, _, host = os.read(file, 200).decode("ascii", "replace").strip().partition(" ")
        if process:
            return process, "" if host in ("", socket.gethostname()) else f" on {host}"
        time.sleep(0.02)
    return "of a number not told", ""


def _ask_system(file: int) -> None:
    """Raise OSError where another open file has the lock, or the disk knows none."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(file, 1 << 30, os.SEEK_SET)  # beyond the number: what is locked cannot be read
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        os.lseek(file, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_at(file: int, path: Path) -> bool:
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    mine = os.fstat(file)
    return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)


def _let_go(path: Path, file: int) -> None:
    """Remove the file while it is held, so that nobody waits for one that is gone."""
    if os.name == "nt":  # an open file stays there
        os.close(file)
        with suppress(OSError):
            path.unlink(missing_ok=True)
        return
    if _is_at(file, path):
        path.unlink(missing_ok=True)
    os.close(file)
