"""Bytes -> text: encodings as people's files have them, and captions that can be shown."""

from __future__ import annotations

import codecs
import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_HALF = re.compile(r"[\ud800-\udfff]")
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16's, which it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",  # a spreadsheet's "Unicode text"
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}


def decode_text(data: bytes) -> str | None:
    """Return the text that ``data`` holds, every line ending as LF; None where it is no text.

    Lines end at LF or CRLF, in a file without either at CR, and nowhere else. A few control
    characters are let through: :func:`plain` makes spaces of them.
    """
    for encoding in _encodings(data):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        odd = len(_CONTROL.findall(text)) - sum(map(text.count, "\t\n\r\f\v"))
        if odd >= 8 and odd * 8 > len(text):
            return None
        text = text.replace("\r\n", "\n")
        return text.replace("\r", " ") if "\n" in text else text.replace("\r", "\n")
    return None


def not_utf8(data: bytes) -> str | None:
    """Say how text that names no encoding of its own and is not UTF-8 is read; None for other.

    It is read rather than refused because many sets of captions were written before UTF-8, and
    what is wrong where the guess is wrong is a letter; but it stays a guess, so it is said.
    """
    encodings = _encodings(data)
    if len(encodings) == 1 or decode_text(data) is None:
        return None
    try:
        data.decode(encodings[0])
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return f"is not UTF-8 (line {line}): read as Western European (Windows-1252)"
    return None


def decode_utf(data: bytes) -> str:
    """Return text of UTF-8, UTF-16 or UTF-32, with or without a byte-order mark; none is guessed.

    Raises :class:`ValueError` with the line of the first byte that is no such text.
    """
    if (guessed := not_utf8(data)) is not None:
        raise ValueError(f"it {guessed.partition(':')[0]}")
    text = decode_text(data)
    if text is None:
        raise ValueError("it is not text")
    return text


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
