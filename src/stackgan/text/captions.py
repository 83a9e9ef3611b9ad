"""Captions as an encoder is given them, what their words are, and lists of them in files."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from stackgan.errors import InputError
from stackgan.plain_text import decode_utf
from stackgan.text.alphabet import words

KEYS = ("captions", "caption", "text")
"""Where a line of a .jsonl file has its caption or its list of captions."""

_NEGATIONS = "no not without never none neither nor isn't aren't doesn't don't hasn't haven't"
_FUNCTION_WORDS = """
    a an the this that these those it its it's there here which who whose what
    of in on at by with from for to into onto over under near beside between around and or but as
    is are was were be been being has have had having do does can could will would should may
    i me my we our us you your he his she her they their them
    one two three four five six seven eight nine ten some several many few single
    very really quite rather just so too also
    please draw paint show make give create generate want like need
    photo photos photograph photographs picture pictures image images
"""
_TELLING = "red yellow white purple pink orange blue black brown green petals wings beak long round"

NEGATIONS = frozenset(_NEGATIONS.split())
FUNCTION_WORDS = NEGATIONS | frozenset(_FUNCTION_WORDS.split())
"""Words that say nothing of what is to be seen, or what no model here obeys (numbers)."""


class Reading(NamedTuple):
    """The words of a caption, by what an encoder can make of them."""

    plain: list[str]
    """Function words, in order, negations left out."""
    telling: list[str]
    """The others: what is to be seen."""
    unknown: list[str]
    """Those of the others that the vocabulary has not."""
    negations: list[str]


def read_words(caption: str, vocabulary: Collection[str]) -> Reading:
    """Sort the words of a caption; digits and signs are none."""
    found = words(caption)
    telling = [word for word in found if word not in FUNCTION_WORDS]
    return Reading(
        [word for word in found if word in FUNCTION_WORDS and word not in NEGATIONS],
        telling,
        [word for word in telling if word not in vocabulary],
        [word for word in found if word in NEGATIONS],
    )


def known_examples(vocabulary: Collection[str], count: int = 5) -> list[str]:
    """Some words that the vocabulary has, colours first."""
    found = [word for word in _TELLING.split() if word in vocabulary]
    if len(found) < count:
        rest = sorted(set(vocabulary) - FUNCTION_WORDS - set(found), key=lambda w: (len(w) < 4, w))
        found += rest[: count - len(found)]
    return found[:count]


def check_captions(captions: Sequence[str]) -> None:
    """InputError where ``captions`` is one string, or one of them is not a sentence."""
    if isinstance(captions, str):
        raise InputError("encode takes a list of captions, not one string: put it in brackets")
    for place, caption in enumerate(captions):
        if not isinstance(caption, str) or not caption.strip():
            raise InputError(f"caption {place + 1} is {caption!r}, expected a sentence")


def read_caption_file(path: Path) -> list[str]:
    """Return the captions of a file, in its order, white space made single spaces.

    ``.jsonl``: one object a line with ``captions``, ``caption`` or ``text``, a string or a list of
    strings. Any other: one caption a line. Both may be gzipped (``.gz``). Empty ones are left out.
    UTF-8, or UTF-16 and UTF-32 with their mark; other letters are refused rather than guessed: what
    is made here are vectors, in which nobody would see a wrong one.

    Raises:
        InputError: the file cannot be read, a line (named) is not as expected, or there is none.
    """
    lines = _read(path).split("\n")
    captions: list[str] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            found = _of_object(path, number, line) if _is_json(path) else [line]
            captions += [" ".join(one.split()) for one in found if one.strip()]
    if not captions:
        raise InputError(f"{path} holds no caption; expected one a line")
    return captions


def _is_json(path: Path) -> bool:
    return path.name.removesuffix(".gz").endswith(".jsonl")


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise InputError(f"the captions file {path} cannot be read: {reason}") from None
    try:
        return decode_utf(data)
    except ValueError as error:
        raise InputError(f"the captions file {path}: {error}; save it as UTF-8") from None


def _of_object(path: Path, number: int, line: str) -> list[str]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: line {number} is not JSON: {error}") from None
    found = next((row[key] for key in KEYS if key in row), None) if isinstance(row, dict) else None
    listed = [found] if isinstance(found, str) else found
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise InputError(
            f"{path}: line {number} has no captions; expected an object with 'captions', a list "
            "of strings"
        )
    return listed
