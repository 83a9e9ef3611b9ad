"""Caption -> character numbers, and caption -> words.

Paper: char-CNN-RNN (Reed et al., CVPR 2016), section 4: 70 characters, 201 of them a caption.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from stackgan.errors import InputError

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{} "
"""The 70 published characters; the hyphen stands twice and its later place counts."""

LENGTH = 201
"""Characters read of a caption; the rest is cut."""

_NUMBER = {character: number for number, character in enumerate(ALPHABET)}
_SPACE = _NUMBER[" "]
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")


def numbers(captions: Sequence[str], length: int = LENGTH, pad: int | Sequence[int] = 0) -> Tensor:
    """Return int64 [B, length]: each character's place in :data:`ALPHABET`, lower-cased.

    Unknown characters are read as a space, ``pad`` spaces (of all, or of each) stand in front, and
    a caption is cut after ``length`` characters with them. The places after its end hold
    ``len(ALPHABET)``, which stands for no character at all (zeros).

    Raises:
        InputError: a caption is not a string or has no character but white space.
    """
    rows = torch.full((len(captions), length), len(ALPHABET), dtype=torch.int64)
    for row, caption in enumerate(captions):
        if not isinstance(caption, str) or not caption.strip():
            raise InputError(f"caption {row + 1} is {caption!r}, expected a sentence")
        before = pad if isinstance(pad, int) else pad[row]
        read = [_SPACE] * before
        read += [_NUMBER.get(character, _SPACE) for character in caption.lower()[: length - before]]
        rows[row, : len(read)] = torch.tensor(read)
    return rows


def words(caption: str) -> list[str]:
    """Return the words of a caption, lower-cased, in order: letters and inner apostrophes only."""
    return _WORD.findall(caption.lower())
