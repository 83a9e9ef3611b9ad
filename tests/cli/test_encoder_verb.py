"""``stackgan encoder``: train, embed, caption, in process."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import stackgan.text.precomputed as precomputed
from stackgan.data import read_examples
from stackgan.errors import RunFailed
from stackgan.text import CharCnnRnn, load_encoder
from stackgan.training.encoder_settings import EncoderSettings

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


def test_train_takes_the_batch_and_the_rate(
    photographs: Path,
    tmp_path: Path,
    command_line: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []

    def train(captions: Any, classes: Any, images: Any, settings: Any, **_: Any) -> None:
        seen.append(settings)
        raise RunFailed("enough")

    monkeypatch.setattr("stackgan.training.encoder.train_encoder", train)
    words = ["--data", "folder", "--root", photographs, "--out", tmp_path / "enc"]
    words += ["--image-network", "small"]
    for more in ([], ["--batch", 7, "--learning-rate", "1e-3"]):
        assert command_line("encoder", "train", *words, *more).err == "stackgan: enough\n"
    assert [(each.batch, each.learning_rate) for each in seen] == [(40, 7e-4), (7, 1e-3)]
    assert (EncoderSettings().batch, EncoderSettings().learning_rate) == (40, 7e-4)


@pytest.mark.parametrize(
    "words",
    [
        ["--batch", 1],
        ["--batch", 0],
        ["--batch", -3],
        ["--batch", "many"],
        ["--learning-rate", 0],
        ["--learning-rate", "-1e-3"],
        ["--learning-rate", "nan"],
        ["--learning-rate", "inf"],
    ],
)
def test_batches_and_rates_out_of_range_are_refused(
    photographs: Path, tmp_path: Path, command_line: Callable[..., Any], words: list[Any]
) -> None:
    train = ["encoder", "train", "--data", "folder", "--root", photographs, "--out", tmp_path / "e"]
    done = command_line(*train, *words)
    assert done.code == 2 and done.err.count("\n") == 1 and words[0] in done.err
    assert not (tmp_path / "e").exists()


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


@pytest.mark.parametrize("name", ["c.txt", "c.txt.gz", "c.jsonl", "c.jsonl.gz"])
def test_embed_reads_every_kind_of_captions_file(
    name: str, tiny_model: Path, tmp_path: Path, command_line: Callable[..., Any]
) -> None:
    text = "\ufeffa red  flower\n\na blue one\r\na red flower\n"
    if "jsonl" in name:
        rows = [{"image": "1", "captions": ["a red  flower", " "]}, {"text": "a blue one"}]
        rows.append({"caption": "a red\nflower"})
        text = "\n".join(map(json.dumps, rows))
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
    words = ["--captions", tmp_path / name, "--out", tmp_path / "e.npz", "--json"]
    done = command_line("encoder", "embed", "--encoder", tiny_model, *words)
    assert done.code == 0 and json.loads(done.out)["captions"] == 3, done.err
    with np.load(tmp_path / "e.npz") as arrays:
        assert arrays["captions"].tolist() == ["a red flower", "a blue one", "a red flower"]
        np.testing.assert_array_equal(arrays["embeddings"][0], arrays["embeddings"][2])


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("c.jsonl", b'{"captions": ["a"]}\n{"captions": 3}', "line 2 has no captions"),
        ("c.jsonl", b'{"captions": ["a"]}\n\n{', "line 3 is not JSON"),
        ("c.jsonl", b"[1]", "line 1 has no captions"),
        ("c.txt", b" \n\n", "holds no caption"),
        ("c.txt", b"a \xe9\n", "is not UTF-8"),
        ("c.txt.gz", gzip.compress(b"a red bird\n" * 99, mtime=0)[:20], "cannot be read"),
        ("no.txt", None, "cannot be read"),
    ],
)
def test_captions_files_that_cannot_be_read_are_named(
    name: str,
    data: bytes | None,
    sentence: str,
    tiny_model: Path,
    tmp_path: Path,
    command_line: Callable[..., Any],
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    words = ["--captions", tmp_path / name, "--out", tmp_path / "e.npz"]
    done = command_line("encoder", "embed", "--encoder", tiny_model, *words)
    assert done.code == 2 and done.out == "" and sentence in done.err and name in done.err
    assert done.err.count("\n") == 1 and not (tmp_path / "e.npz").exists()


def test_embed_goes_on_and_says_so(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    command_line: Callable[..., Any],
) -> None:  # fmt: skip
    monkeypatch.setattr(precomputed, "CHUNK", 1)
    (tmp_path / "c.txt").write_text("a red flower\na blue one\n")
    words = ["--encoder", tiny_model, "--captions", tmp_path / "c.txt", "--out", tmp_path / "e.npz"]
    real = CharCnnRnn.encode

    def stop_at_blue(self: CharCnnRnn, captions: list[str]) -> Any:
        if captions == ["a blue one"]:
            raise KeyboardInterrupt
        return real(self, captions)

    monkeypatch.setattr(CharCnnRnn, "encode", stop_at_blue)
    stopped = command_line("encoder", "embed", *words)
    assert stopped.code == 130 and not (tmp_path / "e.npz").exists()
    monkeypatch.setattr(CharCnnRnn, "encode", real)
    done = command_line("encoder", "embed", *words)
    assert done.code == 0 and "went on" in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.txt", "e.npz"]


def test_embeddings_from_a_file_embed_its_captions_alone(
    tiny_model: Path, tmp_path: Path, command_line: Callable[..., Any]
) -> None:
    (tmp_path / "c.txt").write_text("a red flower\na blue one\n")
    words = ["--captions", tmp_path / "c.txt", "--out"]
    table = tmp_path / "e.npz"
    assert command_line("encoder", "embed", "--encoder", tiny_model, *words, table).code == 0
    again = tmp_path / "again.npz"
    assert command_line("encoder", "embed", "--encoder", table, *words, again).code == 0
    assert again.read_bytes() == table.read_bytes()
    (tmp_path / "c.txt").write_text("a blue onion\n")
    done = command_line("encoder", "embed", "--encoder", table, *words, tmp_path / "x.npz")
    assert done.code == 2 and "'a blue one'" in done.err and done.err.count("\n") == 1
    assert not list(tmp_path.glob("x.npz*"))


def test_caption_needs_an_encoder_with_an_image_side(
    photographs: Path, tmp_path: Path, command_line: Callable[..., Any]
) -> None:
    (tmp_path / "v.txt").write_text("red 1 2\nblue 2 1\n")
    source = ["--from", "folder", "--from-root", photographs, "--root", photographs]
    words = ["--encoder", tmp_path / "v.txt", *source, "--out", tmp_path / "m.jsonl"]
    done = command_line("encoder", "caption", *words)
    assert done.code == 2 and "no image side" in done.err


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
