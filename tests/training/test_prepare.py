"""What a training reads: captions and wordings embedded, and which row is whose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stackgan.config import Settings
from stackgan.data import Example
from stackgan.errors import InputError
from stackgan.text.precomputed import Precomputed
from stackgan.text.wordings import COUNT, content, known_words, wordings_of
from stackgan.training.prepare import embed_examples

CAPTIONS = [
    ("this flower has pink petals", "a pink flower with a green stem"),
    ("the petals are yellow and long", "a pink flower with a green stem"),
    ("a blue bloom",),
]
SUBJECTS = ["rose", "daisy", None]
EXAMPLES = [
    Example(Path(f"{place}.jpg"), lines, f"class {place}", subject=subject)
    for place, (lines, subject) in enumerate(zip(CAPTIONS, SUBJECTS, strict=True))
]


class Counted:
    """An encoder whose embedding is the place at which a text was first seen."""

    name, dim, sha256 = "counted", 1, "none"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def encode(self, captions: list[str]) -> Tensor:
        self.seen += captions
        return torch.arange(float(len(captions)))[:, None]


def test_without_a_share_captions_alone_are_embedded_once_each() -> None:
    encoder = Counted()
    embeddings, rows, typed = embed_examples(encoder, EXAMPLES, Settings())
    assert rows == [(0, 1), (2, 1), (3,)] and typed is None
    assert len(encoder.seen) == len({*encoder.seen}) == len(embeddings) == 4


def test_a_photograph_s_rows_are_its_own_captions_and_wordings() -> None:
    encoder, settings = Counted(), Settings(wordings_share=0.3, seed=5)
    embeddings, rows, typed = embed_examples(encoder, EXAMPLES, settings)
    assert typed is not None and typed.share == 0.3
    assert len(encoder.seen) == len({*encoder.seen}) == len(embeddings)
    made = wordings_of(SUBJECTS, CAPTIONS, 5)
    for place in range(3):
        assert [encoder.seen[row] for row in rows[place]] == list(CAPTIONS[place])
        assert [encoder.seen[row] for row in typed.rows[place]] == made[place]
        assert len(made[place]) == COUNT
        assert typed.known[place] == known_words(SUBJECTS[place], CAPTIONS[place])
    for row, said in typed.words.items():
        assert said == content(encoder.seen[row])
    assert {row for of_one in typed.rows for row in of_one} == typed.words.keys()
    again = embed_examples(Counted(), EXAMPLES, settings)[2]
    other = embed_examples(Counted(), EXAMPLES, Settings(wordings_share=0.3, seed=6))[2]
    assert again == typed != other


def test_embeddings_from_a_file_have_no_wordings_and_it_is_said() -> None:
    captions = [caption for lines in CAPTIONS for caption in lines]
    encoder = Precomputed(captions, np.eye(5, 4, dtype=np.float32)[[0, 1, 2, 1, 3]], name="mine")
    assert embed_examples(encoder, EXAMPLES, Settings())[2] is None
    with pytest.raises(InputError, match=r"mine holds embeddings of captions, .* wordings_share=0"):
        embed_examples(encoder, EXAMPLES, Settings(wordings_share=0.1))
