"""What every reader returns: a plain list of examples; and the words readers share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from stackgan.errors import DataError, InputError, nearest

Split = Literal["train", "test", "all"]
Progress = Callable[[int, int], None]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")


@dataclass(frozen=True)
class Example:
    """One captioned photograph.

    ``captions`` holds at least one sentence, as written in the data set (stripped, never empty).
    ``class_name`` is None where the data set has no classes. ``box`` is (left, top, width, height)
    in pixels of the photograph, or None.
    """

    image: Path
    captions: tuple[str, ...]
    class_name: str | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Fault:
    """A file of a data set that cannot be used, and why: one phrase without the path."""

    path: Path
    problem: str


def check_split(split: str) -> None:
    """Raise :class:`InputError` unless ``split`` is a known split."""
    known = list(get_args(Split))
    if split not in known:
        raise InputError(f"split {split!r} is unknown; {nearest(split, known)}")


def check_root(root: Path) -> None:
    """Raise :class:`DataError` unless ``root`` is a folder."""
    if not root.exists():
        raise DataError(f"{root} does not exist; --root names the folder that holds the data set")
    if not root.is_dir():
        raise DataError(f"{root} is a file; --root names the folder that holds the data set")


def read_text(path: Path) -> str:
    """Read a text file: UTF-8, UTF-16 by its mark, else Latin-1; every line ending becomes LF.

    Raises :class:`DataError` when the file cannot be opened.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    marked_16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))  # a spreadsheet's "Unicode text"
    try:
        text = data.decode("utf-16" if marked_16 else "utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file, stripped, without the empty ones."""
    return [line.strip() for line in read_text(path).split("\n") if line.strip()]
