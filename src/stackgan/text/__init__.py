"""Caption -> embedding: everything that reads text.

``alphabet`` (characters and words), ``char_cnn_rnn`` (the paper's encoder and its file).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from stackgan.tensors import Embedding
from stackgan.text.alphabet import words
from stackgan.text.char_cnn_rnn import FILE_NAME, CharCnnRnn

__all__ = ["FILE_NAME", "CharCnnRnn", "TextEncoder", "load_encoder", "words"]


@runtime_checkable
class TextEncoder(Protocol):
    """What the rest of the package knows of a text encoder."""

    @property
    def name(self) -> str:
        """A short name for people."""

    @property
    def dim(self) -> int:
        """Numbers in an embedding."""

    @property
    def sha256(self) -> str:
        """Checksum that tells this encoder from every other."""

    def encode(self, captions: Sequence[str]) -> Embedding:
        """Embed captions, float32 [B, E], without gradient; a caption's result knows no other's."""


def load_encoder(path: Path | str) -> CharCnnRnn:
    """Load an encoder from its file, or from a folder that holds ``text_encoder.safetensors``.

    Raises:
        ModelError: no such file, or a file of another kind.
    """
    return CharCnnRnn.load(Path(path))
