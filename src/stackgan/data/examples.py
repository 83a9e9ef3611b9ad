"""What every reader returns: a plain list of examples; and the words readers share."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from stackgan.errors import DataError, InputError, nearest

Split = Literal["train", "test", "all"]
Progress = Callable[[int, int], None]

IMAGE_SUFFIXES = tuple(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".webp",
        ".bmp",
        ".gif",
        ".tif",
        ".tiff",
        ".avif",
        ".jp2",
    ]
)
"""Endings of the names of images, in lower case; what a file is, its bytes say."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_HALF = re.compile(r"[\ud800-\udfff]")
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16's, which it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",  # a spreadsheet's "Unicode text"
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}


@dataclass(frozen=True)
class Example:
    """One captioned photograph.

    ``captions`` holds at least one sentence, as written in the data set (stripped, never empty).
    ``class_name`` is None where the data set has no classes; ``subject`` is the class as people
    write it ("tiger lily"), None where its name cannot be read. ``box`` is (left, top, width,
    height) in pixels of the photograph, or None.
    """

    image: Path
    captions: tuple[str, ...]
    class_name: str | None = None
    box: tuple[float, float, float, float] | None = None
    subject: str | None = None


@dataclass(frozen=True)
class Fault:
    """A file of a data set that cannot be used, and why: one phrase without the path.

    ``about`` is the image that a faulty line speaks of, as it is written there; "" is any of them.
    """

    path: Path
    problem: str
    about: str | None = None


def readable(class_name: str | None) -> str | None:
    """A class name as people write it: "159.Black_and_white_Warbler" -> "black and white warbler".

    None where that is no name: without a letter, with digits inside, or longer than six words.
    """
    name = re.sub(r"^\d+[._ -]+", "", class_name or "")
    parts = re.sub(r"[_\s]+", " ", name).strip().lower().split()
    name = " ".join(parts)
    fits = 1 <= len(parts) <= 6 and re.search(r"[^\W\d_]", name) and not re.search(r"\d", name)
    return name if fits else None


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
    """Read a text file: UTF-8, UTF-16, else as Windows and then as Latin-1; line endings become LF.

    Raises :class:`DataError` when the file cannot be opened or is no text.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {(error.strerror or '').lower()}") from error
    text = decode_text(data)
    if text is None:
        raise DataError(f"{path} is not text; expected a sentence a line")
    return text


def decode_text(data: bytes) -> str | None:
    """Return the text that ``data`` holds, every line ending as LF; None where it is no text.

    A few control characters are let through: :func:`plain` makes spaces of them.
    """
    for encoding in _encodings(data):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        odd = len(_CONTROL.findall(text)) - sum(map(text.count, "\t\n\r\f\v"))
        if odd >= 8 and odd * 8 > len(text):
            return None
        return text.replace("\r\n", "\n").replace("\r", "\n")
    return None


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file, :func:`plain` and stripped, without the empty ones."""
    lines = (plain(line).strip() for line in read_text(path).split("\n"))
    return [line for line in lines if line]


def plain(caption: str) -> str:
    """Return ``caption`` with a space for each control character, so that it can be shown.

    No encoder reads them, a terminal obeys them. Half a surrogate pair, which no file can hold,
    becomes the replacement character.
    """
    return _HALF.sub("\N{REPLACEMENT CHARACTER}", _CONTROL.sub(" ", caption))


def _encodings(data: bytes) -> tuple[str, ...]:
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return (encoding,)
    start = data[:4096]
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if start[first::2].count(0) * 2 > len(start) // 2 > start[1 - first :: 2].count(0) * 8:
            return (encoding,)  # Western text without its mark: every second byte is zero
    return ("utf-8", "cp1252", "latin-1")
