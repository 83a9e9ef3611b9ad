"""Every reader of captions takes lines and encodings alike, and says what it had to guess."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from types import SimpleNamespace

import pytest
from PIL import Image

from stackgan.cli.encoder import _class_map
from stackgan.cli.options import read_captions
from stackgan.config import given_settings
from stackgan.data.check import report
from stackgan.errors import DataError, InputError
from stackgan.legacy.pickles import joined
from stackgan.plain_text import not_utf8
from stackgan.text.captions import read_caption_file
from stackgan.training.captioning import photographs

ODD = "a cup\u2028on\u2029a\x85shelf\x0bor\x0ca\x1ctable"
"""One line, which ``str.splitlines`` makes seven of."""
LINES = f"one\r\n\r\n{ODD}\nthree"


def words(captions):
    return [" ".join(caption.split()) for caption in captions]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["captions.txt", "captions.txt.gz"])
def test_a_captions_file_of_an_encoder_ends_its_lines_at_line_feeds(tmp_path, name, encoding):
    data = LINES.encode(encoding)
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert len(read_caption_file(tmp_path / name)) == 3
    assert words(read_caption_file(tmp_path / name))[::2] == ["one", "three"]


def test_a_prompts_file_and_standard_input_end_their_lines_alike(tmp_path, monkeypatch, capsys):
    (tmp_path / "prompts.txt").write_bytes(LINES.encode())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(LINES.encode())))
    for path in (str(tmp_path / "prompts.txt"), "-"):
        found = read_captions(path)
        assert len(found) == 3 and words(found)[1] == "a cup on a shelf or a table"
    assert capsys.readouterr().err == ""


def test_prompts_whose_letters_were_guessed_are_read_and_it_is_said(tmp_path, monkeypatch, capsys):
    data = "pink\n\n\ntr\xe8s rose".encode("latin-1")
    (tmp_path / "prompts.txt").write_bytes(data)
    assert read_captions(str(tmp_path / "prompts.txt")) == ["pink", "tr\xe8s rose"]
    said = "is not UTF-8 (line 4): read as Western European (Windows-1252)\n"
    assert capsys.readouterr().err == f"stackgan: {tmp_path / 'prompts.txt'} {said}"
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert read_captions("-")[1] == "tr\xe8s rose"
    assert capsys.readouterr().err == f"stackgan: standard input {said}"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a\n\nb \xe9\n", r"c\.txt: it is not UTF-8 \(line 3\); save it as UTF-8"),
        (bytes(range(256)) * 8, r"c\.txt: it is not text"),
        (gzip.compress(b"a" * 99, mtime=0)[:12] + b"\0" * 30, r"c\.txt cannot be read"),
        ("a cup".encode("utf-16") + b"\0", r"c\.txt: it is not text"),
    ],
)
def test_an_encoders_captions_are_never_guessed(tmp_path, data, said):
    (tmp_path / "c.txt").write_bytes(data)
    with pytest.raises(InputError, match=said):
        read_caption_file(tmp_path / "c.txt")


@pytest.mark.parametrize("data", [b"", b"a cup", "caf\xe9".encode(), "caf\xe9".encode("utf-16")])
def test_of_text_that_is_known_nothing_is_said(data):
    assert not_utf8(data) is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_settings_and_maps_may_have_a_mark(tmp_path, encoding):
    (tmp_path / "s.toml").write_bytes("[stage1]\r\nsteps = 7\r\n".encode(encoding))
    assert given_settings(tmp_path / "s.toml") == {"stage1": {"steps": 7}}
    (tmp_path / "map.json").write_bytes('{"caf\xe9": ["a"]}'.encode(encoding))
    assert _class_map(tmp_path / "map.json") == {"caf\xe9": ["a"]}


def test_settings_and_maps_are_never_guessed(tmp_path):
    (tmp_path / "file").write_bytes(b"# a\n# caf\xe9\n")
    for read in (given_settings, _class_map):
        with pytest.raises(InputError, match=r"cannot be read.*: it is not UTF-8 \(line 2\)"):
            read(tmp_path / "file")


def test_captions_beside_the_authors_pickles_are_read_as_a_folders_are(tmp_path):
    texts = tmp_path / "text"
    (texts / ".ipynb_checkpoints").mkdir(parents=True)
    (texts / "__MACOSX").mkdir()
    (texts / "a.txt").write_bytes(f"one\r\n{ODD}\n".encode("utf-16"))
    for junk in (".ipynb_checkpoints/a.txt", "__MACOSX/a.txt"):
        (texts / junk).write_text("of nobody")
    (image,) = joined((tmp_path / "names.pickle", ["a"]), None, None, texts)
    assert len(image.captions) == 2 and image.captions[0] == "one"
    (texts / "a.txt").write_bytes(bytes(range(256)) * 8)
    with pytest.raises(DataError, match=r"a\.txt is not text"):
        joined((tmp_path / "names.pickle", ["a"]), None, None, texts)


def test_hidden_photographs_get_no_captions(tmp_path):
    for name in ("a.png", "._a.png", ".ipynb_checkpoints/b.png", "__MACOSX/a.png", "deep/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    assert photographs(tmp_path) == [tmp_path / "a.png", tmp_path / "deep/c.png"]


def test_what_systems_leave_in_a_flowers_folder_is_no_fault(tmp_path):
    for name in ("jpg", "text_c10/class_00001/.ipynb_checkpoints", "text_c10/.ipynb_checkpoints"):
        (tmp_path / name).mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(tmp_path / "jpg/image_00001.jpg")
    (tmp_path / "jpg/._image_00001.jpg").write_bytes(b"\0\5\26\7")
    (tmp_path / "text_c10/class_00001/image_00001.txt").write_text("a flower")
    (tmp_path / "text_c10/class_00001/._image_00001.txt").write_bytes(b"\0\5\26\7")
    (tmp_path / "trainvalclasses.txt").write_text("class_00001\n")
    (tmp_path / "testclasses.txt").write_text("")
    assert report("oxford102", tmp_path) == (1, [])


def test_a_damaged_archive_of_captions_is_one_sentence(tmp_path):
    damaged = bytearray(gzip.compress(b"a red bird\n" * 99, mtime=0))
    damaged[14] ^= 255
    (tmp_path / "c.txt.gz").write_bytes(damaged)
    with pytest.raises((OSError, zlib.error)):
        gzip.decompress(bytes(damaged))
    with pytest.raises(InputError, match="cannot be read"):
        read_caption_file(tmp_path / "c.txt.gz")
