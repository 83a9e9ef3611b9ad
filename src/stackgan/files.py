"""Files and folders that are written whole or not at all, and what killed processes left of them.

The one way of the package: what is written lies under a hidden name of its own process and call
beside its place, and takes that place at once. What a killed process left there is removed by the
next one that writes the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

_LONGEST = 80
"""Characters of a name that its part keeps: most disks end at 255 bytes."""


_in_use = set[str]()
"""Names under which this process writes now; others of its number are an earlier process's."""


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A place to write ``path`` at until it is whole: hidden, beside it, of this call; gone after.

    It does not exist yet, and need not at the end.
    """
    part = path.with_name(f".{path.name[:_LONGEST]}.part-{os.getpid()}-{token_hex(4)}")
    _in_use.add(part.name)
    try:
        yield part
    finally:
        _in_use.discard(part.name)
        _remove(part)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a file to write that takes the place of ``path`` at the end, or vanishes on an error.

    What killed processes left of the same file is removed once it is whole.
    """
    with unfinished(path) as part:
        yield part
        os.replace(part, path)
        remove_left_overs(path)


@contextmanager
def whole_folder(path: Path, replaces: bool = True) -> Iterator[Path]:
    """Give an empty folder to fill that takes the place of ``path`` at the end, or vanishes.

    Where ``path`` is there already it is replaced by two renames; :func:`finish_swap` mends what a
    kill between them leaves. Without ``replaces`` only an empty folder gives way: OSError for one
    that somebody filled meanwhile.
    """
    finish_swap(path)
    with unfinished(path) as fresh:
        fresh.mkdir(parents=True)
        yield fresh
        old = older(path)
        shutil.rmtree(old, ignore_errors=True)
        if path.exists() and not replaces:
            path.rmdir()
        if path.exists():
            os.replace(path, old)
        os.replace(fresh, path)
        shutil.rmtree(old, ignore_errors=True)
        remove_left_overs(path)


def finish_swap(folder: Path) -> None:
    """Bring back the older folder where a save was killed between its two renames."""
    if older(folder).is_dir() and not folder.exists():
        os.replace(older(folder), folder)


def older(folder: Path) -> Path:
    """Where the older folder lies between the two renames of a save."""
    return folder.with_name(f".{folder.name}.old") if folder.name else folder


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` as indented JSON, whole or not at all."""
    with whole_file(path) as part:
        part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def file_sha256(path: Path) -> str:
    """The hexadecimal sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_left_overs(path: Path) -> None:
    """Remove what processes that run no more left half written of the file or folder ``path``."""
    name = re.escape(path.name[:_LONGEST])
    beside = re.compile(
        rf"\.{name}\.part(-(?P<process>\d+)(-[0-9a-f]+)?)?"
        # as older versions named them:
        rf"|{name}\.partial|{name}\.(?P<builder>\d+)\.[0-9a-f]+\.building"
    )
    with suppress(OSError):  # tidying up never ends what was done
        for entry in os.scandir(path.parent):
            found = beside.fullmatch(entry.name)
            process = int((found["process"] or found["builder"] or 0) if found else 0)
            if found and entry.name not in _in_use and not is_running(process):
                _remove(Path(entry.path))


def remove_parts(folder: Path) -> None:
    """Remove all that was left half written in ``folder``, where no other process writes."""
    left = re.compile(
        r"\..+\.(part(-\d+)?(-[0-9a-f]+)?|old)|(text_encoder|pixels|embeddings)\b.+\.(partial|building)"
    )
    with suppress(OSError):
        for entry in os.scandir(folder):
            left_over = left.fullmatch(entry.name) and entry.name not in _in_use
            if left_over and not _is_last_copy(entry.name, folder):
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
