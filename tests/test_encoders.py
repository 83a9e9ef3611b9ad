"""Which encoder a model has: found by name or path, inside up to 10 MB, elsewhere above."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import stackgan.encoders as encoders
from stackgan import StackGAN
from stackgan.encoders import describe, find_encoder
from stackgan.errors import ModelError
from stackgan.hub import load_model, save_model
from stackgan.model_folder import CONFIG, ENCODER
from stackgan.text import TextEncoder, load_encoder
from stackgan.text.precomputed import embed_to_file

COLOURS = ["red", "blue", "pink", "grey", "flower", "bird", "this", "is", "a"]


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    table = np.random.default_rng(0).standard_normal((len(COLOURS), 16)).astype(np.float32)
    lines = [f"{w} {' '.join(map(str, row))}" for w, row in zip(COLOURS, table, strict=True)]
    path = tmp_path / "glove.tiny.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def model_with(encoder: TextEncoder, model: Path, folder: Path) -> Path:
    loaded = load_model(model)
    return save_model(
        folder,
        architecture=loaded.architecture.model_dump(),
        stage1=loaded.stage1,
        stage2=None,
        encoder=encoder,
    )


@pytest.fixture
def all_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "MOST_ENCODER_BYTES", 100)


def test_an_encoder_is_found_in_a_file_a_folder_a_model_and_a_run(
    tiny_model: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_model, run / "model")
    sums = {find_encoder(p).sha256 for p in (tiny_model / ENCODER, tiny_model, run, str(run))}
    assert sums == {load_model(tiny_model).encoder.sha256}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("minilmm", "did you mean 'minilm'"),
        ("char-cnn-rnn-cvpr-bird", "did you mean 'char-cnn-rnn-cvpr-birds'"),
        ("flower", "did you mean 'flowers'"),
        ("some/where", "some/where is no encoder"),
    ],
)
def test_an_unknown_name_hears_the_nearest(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        find_encoder(name)
    assert "\n" not in str(caught.value)


def test_a_small_encoder_of_any_kind_travels(
    vectors: Path, tiny_model: Path, tmp_path: Path
) -> None:
    encoder = load_encoder(vectors)
    folder = model_with(encoder, tiny_model, tmp_path / "m")
    vectors.unlink()
    loaded = load_model(folder).encoder
    assert loaded.sha256 == encoder.sha256 and loaded.name == "glove.tiny"
    assert torch.equal(loaded.encode(["a red bird"]), encoder.encode(["a red bird"]))


def test_ten_million_bytes_are_the_most_that_travel() -> None:
    class Sized:
        name, dim, sha256, source = "sized", 4, "ab" * 32, "glove"
        size = 10_000_000

        def encode(self, captions: list[str]) -> torch.Tensor:
            return torch.zeros(len(captions), 4)

        def file_bytes(self) -> int:
            return self.size

        def save(self, path: Path) -> Path:
            return path

    encoder = Sized()
    kept = {"name": "sized", "dim": 4, "sha256": "ab" * 32}
    assert describe(encoder) == {**kept, "file": ENCODER, "source": None}
    encoder.size += 1
    assert describe(encoder) == {**kept, "file": None, "source": "glove"}


@pytest.mark.usefixtures("all_too_large")
def test_a_large_encoder_is_found_where_it_was(
    vectors: Path, tiny_model: Path, tmp_path: Path
) -> None:
    folder = model_with(load_encoder(vectors), tiny_model, tmp_path / "m")
    assert not (folder / ENCODER).exists()
    assert json.loads((folder / CONFIG).read_text())["encoder"]["source"] == str(vectors)
    assert load_model(folder).encoder.name == "glove.tiny"
    assert find_encoder(folder).name == "glove.tiny"


@pytest.mark.usefixtures("all_too_large")
def test_another_file_in_its_place_is_refused(
    vectors: Path, tiny_model: Path, tmp_path: Path
) -> None:
    folder = model_with(load_encoder(vectors), tiny_model, tmp_path / "m")
    vectors.write_text(vectors.read_text().replace("red", "green"))
    with pytest.raises(ModelError, match=r"'glove\.tiny'.*not with .*now at"):
        load_model(folder)


@pytest.mark.usefixtures("all_too_large")
def test_one_that_was_moved_is_given_by_name_or_path(
    vectors: Path, tiny_model: Path, tmp_path: Path
) -> None:
    folder = model_with(load_encoder(vectors), tiny_model, tmp_path / "m")
    moved = vectors.rename(tmp_path / "moved.txt")
    with pytest.raises(ModelError, match=r"which was at .*glove\.tiny\.txt.*--encoder") as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)
    assert load_model(folder, encoder=moved).encoder.dim == 16
    assert StackGAN.from_pretrained(folder, "cpu", str(moved)).encoder.dim == 16
    with pytest.raises(ModelError, match=r"'glove\.tiny'.*'tiny-0'"):
        load_model(folder, encoder=tiny_model)


@pytest.mark.usefixtures("all_too_large")
def test_a_runs_own_encoder_moves_with_the_run(tiny_model: Path, tmp_path: Path) -> None:
    own = tmp_path / "run" / "encoder"
    own.mkdir(parents=True)
    shutil.copy(tiny_model / ENCODER, own)
    model_with(load_encoder(own), tiny_model, tmp_path / "run" / "model")
    (tmp_path / "run").rename(tmp_path / "moved")
    assert load_model(tmp_path / "moved").encoder.name == "tiny-0"


@pytest.mark.usefixtures("all_too_large")
def test_a_model_trained_on_embeddings_takes_the_encoder_that_made_them(
    tiny_model: Path, tmp_path: Path
) -> None:
    captions = ["a red flower", "a blue flower"]
    embed_to_file(load_encoder(tiny_model / ENCODER), captions, tmp_path / "e.npz")
    folder = model_with(load_encoder(tmp_path / "e.npz"), tiny_model, tmp_path / "m")
    by_file = StackGAN.from_pretrained(folder, "cpu")
    by_encoder = StackGAN.from_pretrained(folder, "cpu", tiny_model)
    theirs = by_encoder.embed(captions)
    torch.testing.assert_close(by_file.embed(captions), theirs, rtol=0, atol=1e-3)
    assert (theirs[0] - theirs[1]).abs().max() > 0.1
    assert by_encoder.embed(["a pink flower"]).shape == (1, 16)


@pytest.mark.usefixtures("all_too_large")
def test_generate_and_interpolate_take_the_encoder(
    vectors: Path, tiny_model: Path, tmp_path: Path, command_line: Callable[..., Any]
) -> None:
    folder = model_with(load_encoder(vectors), tiny_model, tmp_path / "m")
    moved = vectors.rename(tmp_path / "moved.txt")
    words = ["a red bird", "--model", folder, "--out", tmp_path / "one.png"]
    refused = command_line("generate", *words)
    assert refused.code == 2 and "--encoder" in refused.err and refused.err.count("\n") == 1
    assert command_line("generate", *words, "--encoder", moved).code == 0
    ends = ["a red bird", "a blue bird", "--model", folder, "--steps", 2, "--encoder", moved]
    assert command_line("interpolate", *ends, "--out", tmp_path / "row.png").code == 0
    wrong = command_line("generate", *words, "--encoder", "minilmm")
    assert wrong.code == 2 and "did you mean 'minilm'" in wrong.err


def test_inspect_tells_of_vectors_without_listing_the_words(
    vectors: Path, tmp_path: Path, command_line: Callable[..., Any]
) -> None:
    load_encoder(vectors).save(tmp_path / "kept")
    done = command_line("inspect", tmp_path / "kept")
    assert done.code == 0 and "word-vectors" in done.out and "flower" not in done.out
