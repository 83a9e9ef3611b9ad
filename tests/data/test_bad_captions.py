"""Captions as people have them: every encoding, script and oddity read or named in a sentence."""

from __future__ import annotations

import json
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stackgan.cli.answer import printable
from stackgan.data import read_examples
from stackgan.data.check import report
from stackgan.data.examples import decode_text, plain
from stackgan.errors import DataError

NOISE = bytes(range(256)) * 8
PHOTOGRAPH = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde"
LONG = "a red cup on a table " * 500

READ = {
    "line endings of Windows": (b"one\r\ntwo\r\n\r\n", ("one", "two")),
    "line endings of old": (b"one\rtwo", ("one", "two")),
    "a mark": (b"\xef\xbb\xbfone", ("one",)),
    "UTF-16 with its mark": ("un café 🍵".encode("utf-16"), ("un café 🍵",)),
    "UTF-16, big end first": (b"\xfe\xff" + "caf\xe9".encode("utf-16-be"), ("café",)),
    "UTF-16 without a mark": ("a red cup on it".encode("utf-16-le"), ("a red cup on it",)),
    "UTF-16 without a mark, big": ("a red cup on it".encode("utf-16-be"), ("a red cup on it",)),
    "UTF-32": ("a cup".encode("utf-32"), ("a cup",)),
    "Latin-1": ("na\xefve caf\xe9".encode("latin-1"), ("naïve café",)),
    "Windows quotes": (b"\x93its\x94 \x96 it\x92s", ("\u201cits\u201d \u2013 it\u2019s",)),
    "other scripts": ("чашка\n红色的杯子\nलाल कप".encode(), ("чашка", "红色的杯子", "लाल कप")),
    "emoji": ("👩🏽‍🌾🍵".encode(), ("👩🏽‍🌾🍵",)),
    "a hyphen first": (b"-a cup", ("-a cup",)),
    "10,000 characters": (LONG.encode(), (LONG.strip(),)),
    "one word of 10,000": (b"x" * 10_000, ("x" * 10_000,)),
    "duplicate lines": (b"one\ntwo\none\n", ("one", "two")),
    "white space": (b" \n\t\n\x0b\none\n", ("one",)),
    "a terminal's escapes": (b"a \x1b[31mred\x1b[0m cup\x07", ("a  [31mred [0m cup",)),
    "a zero byte": (b"a\0cup", ("a cup",)),
}  # fmt: skip
"""What stands in a caption file, and the captions read of it."""


def put(root, content: bytes) -> None:
    Image.new("RGB", (4, 4)).save(root / "a.png")
    (root / "a.txt").write_bytes(content)


@pytest.mark.parametrize("name", READ)
def test_a_caption_file_is_read_whatever_wrote_it(tmp_path, name):
    content, expected = READ[name]
    put(tmp_path, content)
    assert read_examples("folder", tmp_path, "all")[0].captions == expected
    assert report("folder", tmp_path) == (1, [])


@pytest.mark.parametrize("content", [b"", b" \n\t\r\n", b"\0\0\n", b"\xef\xbb\xbf"])
def test_a_file_of_nothing_is_no_caption(tmp_path, content):
    put(tmp_path, content)
    usable, faults = report("folder", tmp_path)
    assert usable == 0 and ("a.png", "has no caption") in [(f.path.name, f.problem) for f in faults]


@pytest.mark.parametrize("content", [NOISE, PHOTOGRAPH * 3], ids=["noise", "photograph"])
def test_a_caption_file_that_is_no_text_is_named_once_and_its_image_is_not_blamed(
    tmp_path, content
):
    put(tmp_path, content)
    Image.new("RGB", (4, 4)).save(tmp_path / "b.png")
    (tmp_path / "b.txt").write_text("fine")
    usable, faults = report("folder", tmp_path)
    assert usable == 1
    assert [(f.path.name, f.problem) for f in faults] == [
        ("a.txt", "is not text; expected a sentence a line")
    ]
    with pytest.raises(DataError, match=r"a\.txt is not text; .*; `stackgan data check"):
        read_examples("folder", tmp_path)


def test_the_endings_of_names_may_be_in_capitals(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "IMG.JPG")
    (tmp_path / "IMG.TXT").write_text("a cup")
    assert report("folder", tmp_path) == (1, [])


def test_without_any_caption_the_folder_says_what_it_has_instead(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "captions.json").write_text("[]")
    said = {fault.path: fault.problem for fault in report("folder", tmp_path).faults}
    assert said[tmp_path / "a.png"] == "has no caption"
    assert said[tmp_path].endswith("captions.json is none of these names")
    with pytest.raises(DataError, match=r"captions\.json is none of these names"):
        read_examples("folder", tmp_path)


def test_links_to_folders_are_named_and_not_followed(tmp_path):
    put(tmp_path, b"a cup")
    (tmp_path / "circle").symlink_to(tmp_path)
    usable, faults = report("folder", tmp_path)
    assert usable == 1 and [fault.path.name for fault in faults] == ["circle"]
    assert "is a link to a folder, which is not followed" in faults[0].problem


def test_a_link_to_an_image_is_that_image(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    root = tmp_path / "root"
    root.mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "elsewhere" / "a.png")
    (root / "a.png").symlink_to(tmp_path / "elsewhere" / "a.png")
    (root / "a.txt").write_text("a cup")
    assert report("folder", root) == (1, [])


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
@pytest.mark.parametrize(
    "name", [b"new\nline", b"\x1b[2J", b"latin\xe9", "日本 🍵".encode(), b"-n", b"%s{}'\"", b" b "]
)
def test_a_name_of_any_characters_is_read_and_shown_without_obeying_it(
    tmp_path, name, command_line
):
    path = os.path.join(os.fsencode(tmp_path), name)
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    os.rename(tmp_path / "a.png", path + b".png")
    with open(path + b".txt", "wb") as file:
        file.write(b"a cup")
    assert len(read_examples("folder", tmp_path, "all")) == 1
    assert len(read_examples("folder", tmp_path, test_fraction=0)) == 1
    assert report("folder", tmp_path) == (1, [])
    with open(path + b".png", "wb"):
        pass
    done = command_line("data", "check", "folder", "--root", tmp_path)
    assert done.code == 1 and done.out.endswith(": is empty (0 bytes)\n")
    assert done.out.count("\n") == 1 and done.out[:-1].isprintable()
    told = json.loads(command_line("data", "check", "folder", "--root", tmp_path, "--json").out)
    assert os.fsencode(told["faults"][0]["path"]) == path + b".png"


def put_metadata(root, *rows: object) -> None:
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (4, 4)).save(root / name)
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (root / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")


def problems(root) -> list[str]:
    return [f"{fault.path.name} {fault.problem}" for fault in report("folder", root).faults]


def test_an_image_whose_line_is_faulty_is_not_said_to_have_none(tmp_path):
    put_metadata(
        tmp_path,
        {"file_name": "a.png"},
        '{"file_name": "b.png", "text": ',
        {"file_name": "C.PNG", "text": "x"},
    )
    first, second, third = problems(tmp_path)
    assert first == "C.PNG is missing; metadata.jsonl, line 3 names it, the folder has c.png"
    assert second == "metadata.jsonl line 1 has no text; it has file_name"
    assert third.startswith("metadata.jsonl line 2 is not JSON")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"file_name": "a cup " * 3000, "text": "a.png"}, "expected the name of an image"),
        ({"file_name": "../" * 5000 + "a.png", "text": "x"}, "not inside the folder"),
        ({"file_name": "a\0.png", "text": "x"}, "expected the name of an image"),
        ({"file_name": ["a.png"], "text": "x"}, "expected the name of an image"),
        ({"file_name": "a.png", "text": {"en": "x"}}, "expected a sentence or a list"),
        ({"file_name": "a.png", "text": "x", "split": "validation" * 50}, "expected train or test"),
        ("[" * 100_000, "is not JSON"),
        ('{"file_name": "a.png", "text": ' + "9" * 5000 + "}", "is not JSON"),
    ],
)
def test_a_line_of_anything_is_named_in_a_short_sentence(tmp_path, line, words):
    put_metadata(tmp_path, {"file_name": "b.png", "text": "x"}, line)
    found = [problem for problem in problems(tmp_path) if "line 2" in problem]
    assert len(found) == 1 and words in found[0] and len(found[0]) < 300


def test_what_other_programs_write_for_nothing_is_nothing(tmp_path):
    put_metadata(
        tmp_path,
        {"file_name": "a.png", "text": ["one", "one", "\x00", "two"], "class": float("nan")},
        {"file_name": "b.png", "text": float("nan"), "class": 3.0},
        {"file_name": "c.png", "text": "[" * 10_000, "split": "Test"},
    )
    examples = read_examples("folder", tmp_path, "all")
    assert [example.captions for example in examples] == [("one", "two"), ("[" * 10_000,)]
    assert problems(tmp_path) == ["b.png has no caption"]
    assert [e.image.name for e in read_examples("folder", tmp_path, "test")] == ["c.png"]


def test_one_json_list_is_one_fault(tmp_path):
    put_metadata(tmp_path, "[", '{"file_name": "a.png", "text": "x"}', "]")
    assert problems(tmp_path) == [
        "metadata.jsonl line 1 begins one JSON list; expected an object a line, without brackets"
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.png,a red cup\nb.png,a cup\n", "line 1 names no column file_name; it has a.png, a red"),
        ("file_name,caption\na.png,x\n", "line 1 names no column text; it has file_name, caption"),
        ("file_name,text,text\na.png,x,y\n", "line 1 names the column text 2 times"),
        ('file_name,text\na.png,"x\nb.png,y\n', "is a double quote never closed?"),
        ("file_name,text\na.png," + "x" * 200_000 + "\n", "field larger than field limit"),
    ],
)
def test_a_csv_that_cannot_be_read_is_one_fault_with_its_line(tmp_path, text, words):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "metadata.csv").write_text(text)
    found = problems(tmp_path)
    assert len(found) == 1 and found[0].startswith("metadata.csv line ") and words in found[0]


def test_a_spreadsheets_capitals_and_empty_rows_are_no_faults(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "metadata.csv").write_bytes(b"File_Name;Text;Class\r\na.png;a cup;\r\n;;\r\n;;\r\n")
    assert report("folder", tmp_path) == (1, [])


def test_metadata_that_is_a_folder_is_said(tmp_path):
    (tmp_path / "metadata.jsonl").mkdir()
    with pytest.raises(DataError, match=r"metadata\.jsonl is a folder; expected a file"):
        report("folder", tmp_path)


def test_a_letter_and_its_accent_may_stand_apart_in_a_name(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "cafe\u0301.png")
    line = json.dumps({"file_name": "caf\u00e9.png", "text": "a cup"})
    (tmp_path / "metadata.jsonl").write_text(line)
    assert report("folder", tmp_path) == (1, [])


def test_a_class_that_is_the_only_one_tells_nothing_apart(tmp_path):
    put_metadata(
        tmp_path, *({"file_name": f"{name}.png", "text": "x", "class": "cup"} for name in "abc")
    )
    assert {example.class_name for example in read_examples("folder", tmp_path, "all")} == {None}


@given(st.text(st.characters(codec=None, categories=None)))
def test_plain_text_can_be_shown_stored_and_has_as_many_characters(text):
    shown = plain(text)
    assert len(shown) == len(text) and plain(shown) == shown
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown)


@given(st.text(st.characters(codec=None, categories=None)))
def test_what_is_printed_is_one_line_that_no_terminal_obeys(text):
    assert printable(text).isprintable() and printable(printable(text)) == printable(text)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_survives_each_encoding_that_says_what_it_is(encoding, text):
    assert decode_text(f"a {text}".encode(encoding)) == f"a {text}"


@given(st.binary(max_size=400))
def test_any_bytes_are_text_or_not_but_never_an_error(data):
    assert isinstance(decode_text(data), str | None)
