"""Files that are written whole or not at all, and what killed processes left of them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LONGEST = 80
"""Characters of a name that its part keeps: most disks end at 255 bytes."""


def part_of(path: Path) -> Path:
    """Where this process writes ``path`` until it is whole: a hidden name beside it."""
    return path.with_name(f".{path.name[:_LONGEST]}.part-{os.getpid()}")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a file to write that takes the place of ``path`` at the end, or vanishes on an error.

    What killed processes left of the same file is removed once it is whole.
    """
    part = part_of(path)
    try:
        yield part
        os.replace(part, path)
        remove_left_overs(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def remove_left_overs(path: Path) -> None:
    """Remove what processes that run no more left half written of the file or folder ``path``."""
    name = re.escape(path.name[:_LONGEST])
    beside = re.compile(rf"\.{name}\.part(-(?P<process>\d+))?|{name}\.partial")
    with suppress(OSError):  # tidying up never ends what was done
        for entry in os.scandir(path.parent):
            found = beside.fullmatch(entry.name)
            if found and not is_running(int(found["process"] or 0)):
                _remove(Path(entry.path))


def remove_parts(folder: Path) -> None:
    """Remove all that was left half written in ``folder``, where no other process writes."""
    left = re.compile(
        r"\..+\.(part(-\d+)?|old)|(text_encoder|pixels|embeddings)\b.+\.(partial|building)"
    )
    with suppress(OSError):
        for entry in os.scandir(folder):
            if left.fullmatch(entry.name) and not _is_last_copy(entry.name, folder):
                _remove(Path(entry.path))


def is_running(process: int) -> bool:
    """Whether there is another process of this number; 0 is none."""
    if process in (0, os.getpid()):
        return False
    if os.name == "nt":  # signal 0 asks on POSIX and interrupts on Windows
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _is_last_copy(name: str, folder: Path) -> bool:
    """Whether a folder that a save was about to replace is all that there is of it."""
    return name.endswith(".old") and not (folder / name[1:].removesuffix(".old")).exists()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
