"""Embeddings from files: found by caption, refused with the nearest, written whole or gone on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

import stackgan.text.precomputed as precomputed
from stackgan.errors import InputError, ModelError
from stackgan.text import CharCnnRnn, TextEncoder, load_encoder
from stackgan.text.char_cnn_rnn import Sizes
from stackgan.text.precomputed import Precomputed, embed_to_file

CAPTIONS = ["a red bird", "a blue bird", "this flower is pink", "a red bird", "é ü"]


def encoder(seed: int = 3) -> CharCnnRnn:
    made = CharCnnRnn(Sizes(conv1=8, conv2=12, hidden=16, dim=24), name=f"tiny-{seed}")
    made.initialise(torch.Generator().manual_seed(seed))
    return made.eval()


def rows(count: int = len(CAPTIONS), dim: int = 4) -> np.ndarray:
    table = np.random.default_rng(0).standard_normal((count, dim)).astype(np.float32)
    table[3] = table[0]
    return table


def test_a_caption_gets_its_own_row_whatever_its_spaces() -> None:
    found = Precomputed(CAPTIONS, rows(), name="mine")
    assert isinstance(found, TextEncoder) and found.dim == 4
    expected = torch.from_numpy(rows()[[2, 0, 2]])
    asked = [" this  flower\nis pink ", "a red bird", "this flower is pink"]
    assert torch.equal(found.encode(asked), expected)
    assert found.encode([]).shape == (0, 4)
    assert {"pink", "bird"} <= found.vocabulary


def test_an_unknown_caption_hears_the_nearest_known_one() -> None:
    found = Precomputed(CAPTIONS, rows(), name="mine")
    with pytest.raises(InputError, match=r"'a blue birds'.*'a blue bird'") as caught:
        found.encode(["a red bird", "a blue birds"])
    assert "\n" not in str(caught.value)


def test_two_different_rows_for_one_caption_are_refused() -> None:
    table = rows()
    table[3] += 1
    with pytest.raises(InputError, match="two different rows for 'a red bird': 1 and 4"):
        Precomputed(CAPTIONS, table, name="mine")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.zeros((4, 3), np.float32), "one row for each of 5"),
        (np.zeros(5, np.float32), "one row for each of 5"),
        (np.zeros((5, 0), np.float32), "one row for each of 5"),
        (np.zeros((5, 3), np.int64), "int64, expected finite floats"),
        (np.full((5, 3), np.nan, np.float32), "expected finite floats"),
    ],
)
def test_rows_that_are_no_embeddings_are_refused(table: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Precomputed(CAPTIONS, table, name="mine")


def test_what_an_encoder_wrote_stands_for_that_encoder(tmp_path: Path) -> None:
    made = encoder()
    assert not embed_to_file(made, CAPTIONS, tmp_path / "e.npz")
    found = load_encoder(tmp_path / "e.npz")
    assert (found.name, found.sha256, found.dim) == (made.name, made.sha256, 24)
    torch.testing.assert_close(found.encode(CAPTIONS), made.encode(CAPTIONS))
    with np.load(tmp_path / "e.npz", allow_pickle=False) as arrays:
        assert arrays["captions"].tolist() == CAPTIONS
        assert arrays["embeddings"].dtype == np.float32
    assert [path.name for path in tmp_path.iterdir()] == ["e.npz"]


def test_the_own_file_and_plain_arrays_are_read(tmp_path: Path) -> None:
    found = Precomputed(CAPTIONS, rows(), name="mine")
    saved = load_encoder(found.save(tmp_path / "own"))
    np.savez(tmp_path / "p.npz", captions=np.array(CAPTIONS), embeddings=rows())
    np.savez(
        tmp_path / "bytes.npz", captions=np.array([c.encode() for c in CAPTIONS]), embeddings=rows()
    )
    np.save(tmp_path / "n.npy", rows())
    (tmp_path / "n.txt").write_text("\n".join(CAPTIONS) + "\n")
    for other in (saved, *(load_encoder(tmp_path / n) for n in ("p.npz", "bytes.npz", "n.npy"))):
        assert other.sha256 == found.sha256, other.source
        assert torch.equal(other.encode(CAPTIONS), found.encode(CAPTIONS))


def test_who_made_the_rows_travels_with_them(tmp_path: Path) -> None:
    found = Precomputed(CAPTIONS, rows(), name="x", made_by="ab" * 32)
    assert load_encoder(found.save(tmp_path)).sha256 == "ab" * 32
    assert Precomputed(CAPTIONS, rows(), name="x").sha256 != "ab" * 32


def test_other_rows_or_captions_are_another_encoder() -> None:
    first = Precomputed(CAPTIONS, rows(), name="x")
    assert first.sha256 == Precomputed(CAPTIONS, rows(), name="y").sha256
    assert first.sha256 != Precomputed(CAPTIONS, rows() * 2, name="x").sha256
    assert first.sha256 != Precomputed([*CAPTIONS[:4], "e u"], rows(), name="x").sha256


def test_arrays_of_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "o.npz", captions=np.array(CAPTIONS, dtype=object), embeddings=rows())
    with pytest.raises(ModelError, match=r"o\.npz cannot be read"):
        load_encoder(tmp_path / "o.npz")


@pytest.mark.parametrize("name", ["e.npz", "e.npy"])
@pytest.mark.parametrize("data", [b"", b"no array at all"])
def test_files_that_hold_no_arrays_are_named(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    (tmp_path / "e.txt").write_text("a\n")
    with pytest.raises(ModelError, match=name.replace(".", r"\.")) as caught:
        load_encoder(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_an_npz_without_captions_and_an_npy_alone_say_what_is_missing(tmp_path: Path) -> None:
    np.savez(tmp_path / "e.npz", embeddings=rows())
    np.save(tmp_path / "e.npy", rows())
    with pytest.raises(ModelError, match="captions"):
        load_encoder(tmp_path / "e.npz")
    with pytest.raises(ModelError, match=r"e\.txt"):
        load_encoder(tmp_path / "e.npy")


# ---- going on after a stop


class Stopping:
    """An encoder that is interrupted after some calls."""

    def __init__(self, inner: CharCnnRnn, calls: int) -> None:
        self.inner, self.calls, self.encoded = inner, calls, 0
        self.name, self.dim, self.sha256 = inner.name, inner.dim, inner.sha256

    def encode(self, captions: Sequence[str]) -> torch.Tensor:
        if self.calls == 0:
            raise KeyboardInterrupt
        self.calls -= 1
        self.encoded += len(captions)
        return self.inner.encode(captions)


@pytest.fixture
def chunks_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precomputed, "CHUNK", 2)


@pytest.mark.usefixtures("chunks_of_two")
@pytest.mark.parametrize("calls", [0, 1, 2])
def test_gone_on_is_the_same_file_as_never_stopped(tmp_path: Path, calls: int) -> None:
    captions = [f"a {colour} bird" for colour in ("red", "blue", "pink", "grey", "red", "black")]
    out, whole = tmp_path / "e.npz", tmp_path / "whole.npz"
    embed_to_file(encoder(), captions, whole)
    with pytest.raises(KeyboardInterrupt):
        embed_to_file(Stopping(encoder(), calls), captions, out)
    assert not out.exists()
    with (tmp_path / "e.npz.part").open("ab") as part:
        part.write(b"\1" * 7)  # killed in the middle of a row
    counted: list[tuple[int, int]] = []
    again = Stopping(encoder(), 9)
    assert embed_to_file(again, captions, out, lambda *at: counted.append(at)) == (calls > 0)
    assert out.read_bytes() == whole.read_bytes()
    assert again.encoded == 5 - 2 * calls  # five are different
    assert counted[-1] == (5, 5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e.npz", "whole.npz"]


@pytest.mark.usefixtures("chunks_of_two")
def test_a_row_too_many_in_the_part_is_made_again(tmp_path: Path) -> None:
    captions = ["a red bird", "a blue bird", "a pink bird", "a grey bird"]
    out = tmp_path / "e.npz"
    with pytest.raises(KeyboardInterrupt):
        embed_to_file(Stopping(encoder(), 1), captions, out)
    with (tmp_path / "e.npz.part").open("ab") as part:
        part.write(np.zeros(24, np.float32).tobytes())  # a row that was not written whole
    embed_to_file(encoder(), captions, out)
    with np.load(out) as arrays:
        assert np.abs(arrays["embeddings"]).sum(1).min() > 0


@pytest.mark.usefixtures("chunks_of_two")
@pytest.mark.parametrize("changed", ["captions", "encoder"])
def test_a_part_of_something_else_is_begun_anew(tmp_path: Path, changed: str) -> None:
    out = tmp_path / "e.npz"
    with pytest.raises(KeyboardInterrupt):
        embed_to_file(Stopping(encoder(), 1), CAPTIONS, out)
    captions = ["b", *CAPTIONS[1:]] if changed == "captions" else CAPTIONS
    made = encoder(4) if changed == "encoder" else encoder()
    assert not embed_to_file(made, captions, out)
    with np.load(out) as arrays:
        torch.testing.assert_close(torch.from_numpy(arrays["embeddings"]), made.encode(captions))


def test_a_table_that_would_not_fit_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precomputed, "_MOST_BYTES", 100)
    with pytest.raises(InputError, match="19 characters"):
        embed_to_file(encoder(), CAPTIONS, tmp_path / "e.npz")
    assert not list(tmp_path.iterdir())
