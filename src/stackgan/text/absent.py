"""The text encoder of a model that was imported without one."""

from __future__ import annotations

from collections.abc import Sequence

from stackgan.errors import ModelError
from stackgan.tensors import Embedding


class Absent:
    """Stands for an encoder nobody gave; every caption is refused with what to do."""

    name = "none"
    sha256 = ""
    any_caption = False

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def encode(self, captions: Sequence[str]) -> Embedding:
        """Raise ModelError."""
        raise ModelError(
            f"this model was imported without its text encoder (of {self.dim} numbers): name one "
            "with --encoder or encoder=, or import the model again with the encoder's file beside"
        )
