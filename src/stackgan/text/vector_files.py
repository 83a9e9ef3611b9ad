"""Files of word vectors: GloVe's text, word2vec's text and binary, each gzipped or not."""

from __future__ import annotations

import gzip
import warnings
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from stackgan.errors import ModelError

_LINES = 4096
"""Lines that are read as numbers at once."""
_BYTES = 1 << 20
"""Bytes of a binary file that are read at once."""
_MOST = 100_000
"""A header that says more numbers to a vector than this is none."""


def read_vectors(path: Path) -> tuple[list[str], np.ndarray]:
    """Return words and float32 vectors [N, E]; a header ("N E") and the format are found out.

    A word may hold spaces (GloVe's 840B file has some): the last E fields of a line are numbers.

    Raises:
        ModelError: no such file, or what in it is no vector, by line or entry.
    """
    try:
        with _opened(path) as file:
            first = file.readline()
            size = _header(first)
            if size is None:
                return _text(path, file, first, None)
            start = file.readline()
            if _is_text(start, size[1]):
                return _text(path, file, start, size)
            return _binary(path, file, start, size)
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelError(f"{path} cannot be read as word vectors: {reason.lower()}") from None


def _opened(path: Path) -> BufferedIOBase:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return gzip.GzipFile(path) if zipped else path.open("rb")


def _header(line: bytes) -> tuple[int, int] | None:
    """The two numbers of word2vec's first line; None for a first line that is a vector."""
    parts = line.split()
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        return None
    count, dim = int(parts[0]), int(parts[1])
    return (count, dim) if 0 < dim <= _MOST else None


def _is_text(line: bytes, dim: int) -> bool:
    fields = line.split()[-dim:]
    try:
        return len(fields) == dim and all(float(field) is not None for field in fields)
    except ValueError:
        return False


def _text(
    path: Path, file: BufferedIOBase, first: bytes, size: tuple[int, int] | None
) -> tuple[list[str], np.ndarray]:
    dim = size[1] if size else len(first.split()) - 1
    if dim < 1 or not _is_text(first, dim):
        raise ModelError(
            f"{path}: its first line is no word with its vector, expected GloVe's or word2vec's "
            "format (a word and its numbers a line)"
        )
    words: list[str] = []
    parts: list[np.ndarray] = []
    lines, number = [first], 2 if size else 1
    while lines:
        fields = [line.rstrip().rsplit(b" ", dim) for line in lines]
        parts.append(_numbers(path, fields, dim, number))
        words += [one[0].decode("utf-8", "replace") for one in fields]
        number += len(lines)
        lines = [line for _, line in zip(range(_LINES), file, strict=False)]
    if size and size[0] != len(words):
        raise ModelError(f"{path} holds {len(words)} vectors, its first line says {size[0]}")
    return words, np.concatenate(parts)


def _numbers(path: Path, fields: list[list[bytes]], dim: int, first: int) -> np.ndarray:
    """The numbers of some lines, float32 [lines, dim]; ModelError names the line that has none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            joined = b" ".join(b" ".join(one[1:]) for one in fields).decode("ascii")
            found = np.fromstring(joined, dtype=np.float32, sep=" ")
        if all(len(one) == dim + 1 for one in fields) and found.size == dim * len(fields):
            table = found.reshape(-1, dim)
            if np.isfinite(table).all():
                return table
    except (ValueError, DeprecationWarning):
        pass
    for place, one in enumerate(fields):
        if not _is_text(b" ".join(one[1:]), dim) or not np.isfinite(np.array(one[1:], float)).all():
            raise ModelError(
                f"{path}: line {first + place} is no word with {dim} finite numbers behind it"
            )
    return np.array([one[1:] for one in fields]).astype(np.float32)


def _binary(
    path: Path, file: BufferedIOBase, start: bytes, size: tuple[int, int]
) -> tuple[list[str], np.ndarray]:
    """word2vec's binary format: each word, a space, and little-endian float32s."""
    count, dim = size
    words: list[str] = []
    parts: list[np.ndarray] = []
    rest, at = start, 0
    for number in range(1, count + 1):
        while (space := rest.find(b" ", at)) < 0 or len(rest) < space + 1 + 4 * dim:
            more = file.read(_BYTES)
            if not more:
                raise ModelError(
                    f"{path} ends in vector {number} of the {count} its first line says"
                )
            rest, at = rest[at:] + more, 0
        words.append(rest[at:space].lstrip(b"\n").decode("utf-8", "replace"))
        vector = np.frombuffer(rest, "<f4", dim, space + 1).astype(np.float32)
        if not np.isfinite(vector).all():
            raise ModelError(f"{path}: vector {number} ({words[-1]!r}) is not finite")
        parts.append(vector)
        at = space + 1 + 4 * dim
    return words, np.stack(parts)
