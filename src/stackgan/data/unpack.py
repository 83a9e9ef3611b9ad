"""Archives (tar, zip) -> folders: whole or not at all, and nothing outside the folder named."""

from __future__ import annotations

import lzma
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from stackgan.data.examples import Progress
from stackgan.errors import DataError

RATIO = 60
"""What is unpacked may be this many times as large as the archive, and ``SPARE_BYTES`` more."""
SPARE_BYTES = 64 << 20
FILES = 500_000

_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,  # a name that is no text, a number that is none
    RuntimeError,  # an encrypted member
    NotImplementedError,  # an unknown compression
)


class _Member(NamedTuple):
    name: str
    kind: str
    """``file``, ``folder``, or ``other``: a link, a device."""
    open: Callable[[], Any]
    """Its bytes, to be read; a binary file that is no :class:`IO` by its class."""


def unpack(
    archive: Path,
    takes: Mapping[str, str],
    root: Path,
    workplace: Path,
    progress: Progress | None = None,
) -> None:
    """Put each path of ``takes`` (inside the archive -> below ``root``) to its place.

    A path may stand at the archive's top or one folder down; all others stay packed. Everything is
    unpacked in a new folder below ``workplace`` (of the same disk as ``root``) and moved at the
    end, so that no place is ever half filled. Raises :class:`DataError` for an archive that is
    damaged, does not hold a path, or holds links, names that lead elsewhere, or far more than its
    size lets expect.
    """
    with _scratch(workplace) as scratch:
        try:
            _fill(archive, takes, scratch, progress)
        except _DAMAGED as error:
            raise DataError(f"{archive} is damaged: {_phrase(error)}") from None
        except OSError as error:
            if error.errno is None:  # gzip tells of bad bytes by an OSError
                raise DataError(f"{archive} is damaged: {_phrase(error)}") from None
            raise
        for inside, place in takes.items():
            if not (scratch / place).exists():
                raise DataError(f"{archive} does not hold {inside}; expected {', '.join(takes)}")
        for place in takes.values():
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            os.replace(scratch / place, root / place)


def _fill(
    archive: Path, takes: Mapping[str, str], scratch: Path, progress: Progress | None
) -> None:
    """Unpack what ``takes`` names into ``scratch``, counting files and bytes."""
    size = archive.stat().st_size
    room = RATIO * size + SPARE_BYTES
    count = 0
    with archive.open("rb") as file:
        for member in _members(archive, file):
            count += 1
            if count > FILES:
                raise DataError(f"{archive} holds more than {FILES:,} files")
            place = _place(archive, member.name, takes)
            if place is None:
                continue
            target = scratch / place
            if member.kind == "folder":
                target.mkdir(parents=True, exist_ok=True)
                continue
            if member.kind != "file":
                raise DataError(f"{archive} holds {member.name!r}, which is a link or a device")
            target.parent.mkdir(parents=True, exist_ok=True)
            room -= _copy(member, target, room)
            if room < 0:
                raise DataError(f"{archive} unpacks to more than {RATIO} times its {size:,} bytes")
            if progress:
                progress(min(file.tell(), size) // 1_000_000, size // 1_000_000)


def _copy(member: _Member, target: Path, room: int) -> int:
    """Write a member's bytes to ``target``; stop soon after ``room`` bytes. Return how many."""
    count = 0
    with member.open() as source, target.open("wb") as copy:
        while count <= room and (chunk := source.read(1 << 20)):
            count += len(chunk)
            try:
                copy.write(chunk)
                copy.flush()
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(target)) from None
    return count


def _members(archive: Path, file: IO[bytes]) -> Iterator[_Member]:
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as packed:
            for entry in packed.infolist():
                mode = entry.external_attr >> 16
                plain = "folder" if entry.is_dir() else "file"
                odd = stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR)
                yield _Member(entry.filename, "other" if odd else plain, _of_zip(packed, entry))
        return
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:*") as bundle:
        for header in bundle:
            kind = "file" if header.isreg() else "folder" if header.isdir() else "other"
            yield _Member(header.name, kind, _of_tar(bundle, header))


def _of_zip(packed: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Callable[[], Any]:
    return lambda: packed.open(entry)


def _of_tar(bundle: tarfile.TarFile, header: tarfile.TarInfo) -> Callable[[], Any]:
    def open_member() -> Any:
        opened = bundle.extractfile(header)
        if opened is None:
            raise tarfile.ReadError(f"{header.name!r} has no content")
        return opened

    return open_member


def _place(archive: Path, name: str, takes: Mapping[str, str]) -> PurePosixPath | None:
    """Return where below the root a member belongs, None where it stays packed."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or ":" in name:
        raise DataError(f"{archive} holds {name!r}, a name that leads out of the folder")
    for depth in (0,) if path.parts[:1] == ("__MACOSX",) else (0, 1):  # macOS's shadow of a zip
        for inside, place in takes.items():
            wanted = PurePosixPath(inside).parts
            if path.parts[depth : depth + len(wanted)] == wanted:
                return PurePosixPath(place, *path.parts[depth + len(wanted) :])
    return None


@contextmanager
def _scratch(workplace: Path) -> Iterator[Path]:
    """Give a new folder that is gone afterwards; those of killed calls go too."""
    for left in workplace.glob("unpacking-*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix="unpacking-", dir=workplace))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _phrase(error: Exception) -> str:
    first = str(error).partition("\n")[0].rstrip(":")  # tarfile tells a line for each compression
    return first.lower() or type(error).__name__
