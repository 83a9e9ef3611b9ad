"""What every reader returns: a plain list of examples; and the words readers share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from stackgan.errors import DataError, InputError, nearest
from stackgan.plain_text import decode_text as decode_text
from stackgan.plain_text import not_utf8
from stackgan.plain_text import plain as plain

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

_SYSTEMS_OWN = {"__macosx", "@eadir", "$recycle.bin", "system volume information"}
_SYSTEMS_OWN |= {"thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class KeyPoints:
    """Where the parts of what a photograph shows lie: an entry a part, in the order of ``names``.

    ``x`` and ``y`` are in pixels of the upright photograph, right and down from its upper left
    corner: the middle of its first pixel is (0.5, 0.5). A part that is not ``visible`` has no place
    and its numbers mean nothing. Parts that a mirror exchanges are called alike but for the words
    left and right ("left eye", "right eye"). Raises :class:`InputError` for lists of unlike length.
    """

    names: tuple[str, ...]
    x: tuple[float, ...]
    y: tuple[float, ...]
    visible: tuple[bool, ...]

    def __post_init__(self) -> None:
        counts = {len(self.names), len(self.x), len(self.y), len(self.visible)}
        if len(counts) > 1:
            raise InputError(
                f"there are {len(self.names)} names of parts, {len(self.x)} and {len(self.y)} "
                f"coordinates and {len(self.visible)} words on visibility; expected one of each"
            )


@dataclass(frozen=True)
class Example:
    """One captioned photograph.

    ``captions`` holds at least one sentence, as written in the data set (stripped, never empty).
    ``class_name`` is None where the data set has no classes; ``subject`` is the class as people
    write it ("tiger lily"), None where its name cannot be read. ``box`` is (left, top, width,
    height) in pixels of the photograph, or None; ``points`` are its key points, None where the
    data set tells none of this photograph.
    """

    image: Path
    captions: tuple[str, ...]
    class_name: str | None = None
    box: tuple[float, float, float, float] | None = None
    subject: str | None = None
    points: KeyPoints | None = None


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


def hidden(name: str) -> bool:
    """Whether a file or folder of this name is a system's or a tool's: .DS_Store, ._a.jpg ..."""
    return name.startswith(".") or name.lower() in _SYSTEMS_OWN


def read_text(path: Path) -> str:
    """Read a text file: UTF-8, UTF-16, else as Windows and then as Latin-1; line endings become LF.

    Raises :class:`DataError` when the file cannot be opened or is no text.
    """
    text = decode_text(_bytes(path))
    if text is None:
        raise DataError(f"{path} is not text; expected a sentence a line")
    return text


def not_utf8_file(path: Path) -> str | None:
    """As :func:`not_utf8` for a file; None also for one that cannot be opened."""
    try:
        return not_utf8(path.read_bytes())
    except OSError:
        return None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {(error.strerror or '').lower()}") from error


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file, :func:`plain` and stripped, without the empty ones."""
    lines = (plain(line).strip() for line in read_text(path).split("\n"))
    return [line for line in lines if line]
