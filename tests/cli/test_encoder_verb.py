"""``stackgan encoder``: train, embed, caption, in process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stackgan.data import read_examples
from stackgan.text import load_encoder

LEVELS = {"red": (220, 20, 20), "yellow": (230, 220, 10), "blue": (20, 30, 220)}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photographs")
    rows = []
    for place in range(12):
        name = list(LEVELS)[place % 3]
        Image.new("RGB", (64, 64), LEVELS[name]).save(root / f"{place:02}.png")
        rows.append({"file_name": f"{place:02}.png", "text": [f"this flower is {name}"]})
    lines = [json.dumps({**row, "split": "train"}) for row in rows]
    (root / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def encoder(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from stackgan.cli.main import run

    out = tmp_path_factory.mktemp("encoder")
    words = ["encoder", "train", "--data", "folder", "--root", str(photographs), "--out", str(out)]
    assert run([*words, "--steps", "2", "--image-network", "small"]) == 0
    return out


def test_train_writes_an_encoder_and_says_where(
    photographs: Path, tmp_path: Path, command_line: Callable[..., Any]
) -> None:
    out = tmp_path / "enc"
    words = ["--data", "folder", "--root", photographs, "--out", out, "--steps", 2]
    done = command_line("encoder", "train", *words, "--image-network", "small", "--json")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    loaded = load_encoder(out)
    assert answer["sha256"] == loaded.sha256 and answer["steps"] == 2
    assert "flower" in loaded.vocabulary and loaded.name == "char-cnn-rnn-folder"


def test_embed_writes_what_encode_gives(
    encoder: Path, tmp_path: Path, command_line: Callable[..., Any]
) -> None:
    captions = ["this flower is red", "a yellow one"]
    (tmp_path / "captions.txt").write_text("\n".join(captions) + "\n\n")
    out = tmp_path / "e.npz"
    words = ["--encoder", encoder, "--captions", tmp_path / "captions.txt", "--out", out]
    done = command_line("encoder", "embed", *words)
    assert done.code == 0 and "2 embeddings of 1024" in done.out
    loaded = load_encoder(encoder)
    with np.load(out) as arrays:
        np.testing.assert_array_equal(arrays["embeddings"], loaded.encode(captions).numpy())
        assert arrays["captions"].tolist() == captions
        assert arrays["encoder"].tolist() == [loaded.name, loaded.sha256]
    assert {path.name for path in tmp_path.iterdir()} == {"captions.txt", "e.npz"}


def test_embed_takes_the_encoder_of_a_model_folder(
    tiny_model: Path, tmp_path: Path, command_line: Callable[..., Any]
) -> None:
    (tmp_path / "captions.txt").write_text("a flower\n")
    words = ["--captions", tmp_path / "captions.txt", "--out", tmp_path / "e.npz"]
    assert command_line("encoder", "embed", "--encoder", tiny_model, *words).code == 0


def test_caption_writes_metadata_that_the_folder_reader_takes(
    photographs: Path, encoder: Path, tmp_path: Path, command_line: Callable[..., Any]
) -> None:
    root = tmp_path / "mine"
    (root / "garden").mkdir(parents=True)
    Image.new("RGB", (80, 70), LEVELS["blue"]).save(root / "garden" / "one.png")
    out = root / "metadata.jsonl"
    source = ["--from", "folder", "--from-root", photographs]
    words = ["--encoder", encoder, *source, "--root", root, "--out", out, "--top", 2]
    done = command_line("encoder", "caption", *words)
    assert done.code == 0, done.err
    row = json.loads(out.read_text())
    assert row["file_name"] == "garden/one.png" and row["class"] == "garden"
    assert len(row["text"]) == 2
    assert [list(e.captions) for e in read_examples("folder", root, "all")] == [row["text"]]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "--data", "oxford", "--root", ".", "--out", "x"], "oxford102"),
        (["embed", "--encoder", "nowhere", "--captions", "-", "--out", "x.txt"], ".npz"),
        (["embed", "--encoder", "no-such", "--captions", "C", "--out", "x.npz"], "no-such"),
        (["train", "--data", "folder", "--root", "."], "--out"),
        (["train", "--data", "folder", "--root", ".", "--out", "x", "--steps", "0"], "steps"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_2(
    words: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command_line: Callable[..., Any],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "C").write_text("a flower\n")
    done = command_line("encoder", *words)
    assert done.code == 2 and done.out == ""
    assert sentence in done.err and done.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["C"]


def test_a_broken_class_map_is_refused(
    photographs: Path, encoder: Path, tmp_path: Path, command_line: Callable[..., Any]
) -> None:
    (tmp_path / "map.json").write_text('{"garden": "rose"}')
    source = ["--from", "folder", "--from-root", photographs]
    words = ["--encoder", encoder, *source, "--root", photographs, "--out", tmp_path / "m.jsonl"]
    done = command_line("encoder", "caption", *words, "--class-map", tmp_path / "map.json")
    assert done.code == 2 and "map.json" in done.err
