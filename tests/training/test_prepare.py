"""What a training reads: captions and wordings embedded, and which row is whose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stackgan.config import Settings, StageSettings
from stackgan.data import Example
from stackgan.data.examples import KeyPoints
from stackgan.data.readers import read_conditioned
from stackgan.data.toy import draw
from stackgan.errors import InputError
from stackgan.text.precomputed import Precomputed
from stackgan.text.wordings import COUNT, content, known_words, wordings_of
from stackgan.training.inputs import difference, read_inputs
from stackgan.training.plan import Plan
from stackgan.training.prepare import embed_examples, stage_batches

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


def test_a_stages_batches_tell_what_is_asked_for_over_the_same_cache(tmp_path: Path) -> None:
    draw(tmp_path / "toy", 0, 40)
    examples = read_conditioned("toy", tmp_path / "toy", "train", ("box", "points"))
    settings = Settings(fit="squeeze", seed=4, stage1=StageSettings(batch_size=4))
    embeddings, rows, typed = embed_examples(Counted(), examples, settings)

    def made(*names: str, of: list[Example] = examples):
        told = of, embeddings, rows, typed, lambda *_: None, names, "toy"
        return stage_batches(tmp_path / "cache", settings, 1, *told)

    plain = made(of=[replace(each, box=None, points=None) for each in examples]).batch(0, 0)
    there = sorted((tmp_path / "cache").iterdir())
    asked = made("box", "points").batch(0, 0)
    assert sorted((tmp_path / "cache").iterdir()) == there
    assert plain.conditions == {} and torch.equal(plain.pixels, asked.pixels)
    assert asked.conditions["box"].shape == (len(asked.pixels), 4)
    assert asked.conditions["points"].shape == (len(asked.pixels), 9, 3)
    with pytest.raises(InputError, match="toy has no boxes, which are asked for"):
        made("box", of=[replace(each, box=None) for each in examples])


def test_key_points_count_among_what_a_run_read_where_it_reads_them(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    plan = Plan("cub", str(tmp_path), Settings())

    def read(*names: str, x: float | None) -> object:
        points = None if x is None else KeyPoints(("beak",), (x,), (2.0,), (True,))
        return read_inputs(
            plan, [Example(tmp_path / "a.jpg", ("a bird",), points=points)], None, (), names
        )

    assert read(x=1.0) == read(x=2.0) == read(x=None) == read("box", x=1.0)
    assert read("points", x=1.0) == read("points", x=1.0)
    found = difference(read("points", x=1.0), read("points", x=2.0), plan)
    assert "class, box or key points of 1 photograph (a.jpg) differ" in str(found)
