"""Your own folder: three layouts, the words of each error, splits that stay."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from stackgan.data import read_examples
from stackgan.data.check import check, report
from stackgan.errors import DataError, InputError


def put_images(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(root / name)


def put_lines(root: Path, *rows: object) -> None:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (root / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def row(name: str, text: object = "a caption", **more: object) -> dict[str, object]:
    return {"file_name": name, "text": text, **more}


def everything(root: Path):
    return read_examples("folder", root, "all")


def captions(root: Path) -> dict[str, tuple[str, ...]]:
    return {
        example.image.relative_to(root).as_posix(): example.captions for example in everything(root)
    }


def faults(root: Path) -> list[tuple[str, str]]:
    return [(fault.path.name, fault.problem) for fault in check("folder", root)]


def test_json_lines_give_captions_classes_and_splits(tmp_path):
    put_images(tmp_path, "b.png", "sub/a.jpg", "c.png")
    put_lines(
        tmp_path,
        row("sub/a.jpg", ["one", " two\n words ", ""], label=3, split="test"),
        "",
        row("b.png", "only one", **{"class": "bird"}),
        row("c.png", split="train"),
    )
    assert captions(tmp_path) == {
        "b.png": ("only one",),
        "c.png": ("a caption",),
        "sub/a.jpg": ("one", "two words"),
    }
    assert [example.class_name for example in everything(tmp_path)] == ["bird", None, "3"]
    names = [
        [e.image.name for e in read_examples("folder", tmp_path, s)] for s in ("train", "test")
    ]
    assert names == [["b.png", "c.png"], ["a.jpg"]]
    assert report("folder", tmp_path) == (3, [])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_csv_as_spreadsheets_write_it(tmp_path, delimiter, encoding):
    put_images(tmp_path, "a.png", "b.png")
    rows = [
        ["file_name", "text", "class"],
        ["a.png", '"one, with ; and\tquotes ""so"""', "thé"],
        ["a.png", "two", "thé"],
        ["b.png", "café", ""],
    ]
    text = "\r\n".join(delimiter.join(each) for each in rows) + "\r\n"
    (tmp_path / "metadata.csv").write_bytes(text.encode(encoding))
    assert captions(tmp_path) == {
        "a.png": ('one, with ; and quotes "so"', "two"),
        "b.png": ("café",),
    }
    assert [example.class_name for example in everything(tmp_path)] == ["thé", None]


def test_a_csv_field_may_hold_a_list(tmp_path):
    put_images(tmp_path, "a.png", "b.png")
    (tmp_path / "metadata.csv").write_text(
        'file_name,text\na.png,"[""one"", ""two""]"\nb.png,[sic] a bird\n', encoding="utf-8"
    )
    assert captions(tmp_path) == {"a.png": ("one", "two"), "b.png": ("[sic] a bird",)}


def test_text_files_beside_the_images(tmp_path):
    put_images(tmp_path, "a.png", "deep/er/b.JPG", ".hidden/x.png", "no_caption.png")
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\n\r\ntwo\r\n")
    (tmp_path / "deep/er/b.txt").write_bytes("un café".encode("latin-1"))
    (tmp_path / "README.txt").write_text("about these photographs")
    assert captions(tmp_path) == {"a.png": ("one", "two"), "deep/er/b.JPG": ("un café",)}
    assert faults(tmp_path) == [("no_caption.png", "has no caption")]


def test_a_split_by_seed_stays_when_files_are_added(tmp_path):
    def split_of(count: int, **options: object) -> dict[str, str]:
        names = [f"{number}.png" for number in range(count)]
        put_images(tmp_path, *names)
        put_lines(tmp_path, *map(row, names))
        return {
            example.image.name: split
            for split in ("train", "test")
            for example in read_examples("folder", tmp_path, split, **options)
        }

    few, many = split_of(100), split_of(150)
    assert len(few) == 100  # each in one split
    assert many.items() >= few.items()
    assert 5 <= list(many.values()).count("test") <= 30
    assert split_of(150, split_seed=1) != many
    assert list(split_of(150, test_fraction=0.5).values()).count("test") > 50
    assert many == split_of(150)


@pytest.mark.parametrize("test_fraction", [-0.1, 1, 1.5])
def test_a_test_fraction_out_of_range_is_refused(tmp_path, test_fraction):
    with pytest.raises(InputError, match="test_fraction"):
        read_examples("folder", tmp_path, test_fraction=test_fraction)


def test_a_test_fraction_of_nothing_leaves_no_test_split(tmp_path):
    put_images(tmp_path, "a.png")
    put_lines(tmp_path, row("a.png"))
    assert len(read_examples("folder", tmp_path, test_fraction=0)) == 1
    with pytest.raises(DataError, match=r"1 captioned images and none of them .* 'test'"):
        read_examples("folder", tmp_path, "test", test_fraction=0)


@pytest.mark.parametrize(
    "name",
    ["../a.png", "sub/../../a.png", "/etc/a.png", "..\\a.png", "C:\\a.png", "C:a.png", "..", "."],
)
def test_a_path_that_leaves_the_folder_is_refused(tmp_path, name):
    root = tmp_path / "root"
    put_images(root, "b.png")
    put_images(tmp_path, "a.png")
    put_lines(root, row("b.png"), row(name))
    with pytest.raises(DataError, match=r"metadata\.jsonl line 2 names .* not inside the folder"):
        everything(root)
    assert [name for name, _ in faults(root)] == ["metadata.jsonl"]


def test_a_path_may_wander_inside_the_folder(tmp_path):
    put_images(tmp_path, "a.png", "sub/b.png")
    put_lines(tmp_path, row("./sub/../a.png"), row("sub\\b.png"))
    assert set(captions(tmp_path)) == {"a.png", "sub/b.png"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{'file_name': 'a.png'}", "is not JSON"),
        ("[1, 2]", "expected an object with file_name and text"),
        ({"file_name": "a.png", "caption": "x"}, "has no text; it has file_name, caption"),
        ({"text": "x"}, "has no file_name; it has text"),
        (row("a.png", 7), "has the text 7; expected a sentence"),
        (row("a.png", ["x", None]), "expected a sentence or a list"),
        (row(""), "expected the name of an image"),
        (row("a.png", split="valid"), "has the split 'valid'; expected train or test"),
        (row("a.png", label=[1]), "expected a word or a number"),
        (
            row("b.png", label="other"),
            "gives b.png the class 'other'; metadata.jsonl, line 1: None",
        ),
    ],
)
def test_a_line_that_cannot_be_used_is_named_by_number(tmp_path, line, words):
    put_images(tmp_path, "a.png", "b.png")
    put_lines(tmp_path, row("b.png"), "", line)
    with pytest.raises(DataError) as raised:
        everything(tmp_path)
    assert f"{tmp_path / 'metadata.jsonl'} line 3 " in str(raised.value)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "metadata.jsonl" in [name for name, _ in faults(tmp_path)]


def test_a_caption_with_a_comma_and_no_quotes_is_explained(tmp_path):
    put_images(tmp_path, "a.png")
    (tmp_path / "metadata.csv").write_text("file_name,text\na.png,red, and blue\n")
    with pytest.raises(DataError, match=r"metadata\.csv line 2 .* in double quotes"):
        everything(tmp_path)


def test_a_short_row_of_a_csv_has_no_caption(tmp_path):
    put_images(tmp_path, "a.png", "b.png")
    (tmp_path / "metadata.csv").write_text("file_name,text\na.png\nb.png,fine\n")
    assert captions(tmp_path) == {"b.png": ("fine",)}
    assert faults(tmp_path) == [("a.png", "has no caption")]


def test_a_missing_image_is_named_with_its_line(tmp_path):
    put_images(tmp_path, "a.png")
    put_lines(tmp_path, row("a.png"), row("gone.png"), row("gone too.png"))
    with pytest.raises(DataError, match=r"gone\.png is missing; metadata\.jsonl, line 2 .*1 more"):
        everything(tmp_path)


def test_each_planted_fault_is_found_and_no_usable_file_is_blamed(tmp_path):
    put_images(tmp_path, *(f"{name}.png" for name in "abcdef"))
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:40])
    put_lines(
        tmp_path,
        row("a.png"),
        row("b.png"),
        row("c.png", "  "),
        row("gone.png"),
        "nonsense",
        row("../d.png"),
        row("e.png"),
    )
    found = report("folder", tmp_path)
    assert found.usable == 2  # a and e
    by_file = [fault.path.name for fault in found.faults]
    assert by_file == [
        "b.png", "c.png", "d.png", "f.png", "gone.png", "metadata.jsonl", "metadata.jsonl",
    ]  # fmt: skip
    said = " ".join(fault.problem for fault in found.faults)
    for words in ("not an image", "no caption", "no line", "is missing", "line 5 is not JSON"):
        assert words in said


def test_text_files_without_images_and_empty_ones_are_found(tmp_path):
    put_images(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "a.txt").write_text("fine")
    (tmp_path / "b.txt").write_text("\n \n")
    (tmp_path / "lone.txt").write_text("of nothing")
    assert faults(tmp_path) == [
        ("b.png", "has no caption"),
        ("c.png", "has no caption"),
        ("lone.txt", "is a caption file without an image beside it"),
    ]
    assert report("folder", tmp_path).usable == 1
    assert captions(tmp_path) == {"a.png": ("fine",)}


def test_a_folder_without_images_or_captions_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no images; expected"):
        everything(tmp_path)
    put_images(tmp_path, "a.png")
    with pytest.raises(DataError, match=r"no captioned image; expected .* metadata\.jsonl"):
        everything(tmp_path)
