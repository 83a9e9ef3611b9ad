"""Folders as people and other programs lay them out: splits, tables below, names, odd lines."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from stackgan.data import read_examples
from stackgan.data.check import check, remarks, report
from stackgan.data.listing import split_of_folder
from stackgan.errors import DataError, InputError


def put_images(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(root / name)


def put_captioned(root: Path, *names: str, ending: str = ".txt") -> None:
    put_images(root, *names)
    for name in names:
        (root / name).with_suffix(ending).write_text(f"a photograph of {name}")


def put_rows(file: Path, *rows: dict[str, object]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def put_cells(root: Path, *cells: str) -> None:
    """A CSV of a row for each image 0.png, 1.png ..."""
    put_images(root, *(f"{number}.png" for number in range(len(cells))))
    with (root / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "text"])
        writer.writerows([f"{number}.png", cell] for number, cell in enumerate(cells))


def names(root: Path, split: str = "all", **options: object) -> list[str]:
    return [
        example.image.relative_to(root).as_posix()
        for example in read_examples("folder", root, split, **options)
    ]


def captions(root: Path, **options: object) -> list[tuple[str, ...]]:
    return [example.captions for example in read_examples("folder", root, "all", **options)]


def faults(root: Path) -> list[str]:
    return [
        f"{fault.path.relative_to(root).as_posix()} {fault.problem}"
        for fault in check("folder", root)
    ]


# Splits by folders.


@pytest.mark.parametrize(
    "held_out",
    [
        "test", "val", "valid", "validation", "Test", "TESTING", "dev", "eval", "test_set",
        "test-images", "val2017", "seg_test", "images/val", "cats/test", "test/cats", "train/test",
    ],
)  # fmt: skip
def test_what_lies_in_a_test_folder_is_never_trained_on(tmp_path, held_out):
    trained = [f"train/{number}.png" for number in range(12)]
    tested = [f"{held_out}/{number}.png" for number in range(6)]
    put_captioned(tmp_path, *trained, *tested, "loose.png")
    assert names(tmp_path, "train") == sorted([*trained, "loose.png"])
    assert names(tmp_path, "test") == tested
    (said,) = remarks("folder", tmp_path)
    assert said.startswith("13 images are to train on; 6 are held out as the split test, by")
    assert said.endswith(f"their folders ({held_out})")


@pytest.mark.parametrize(
    "folder", ["tests", "testify", "contest", "value", "valley", "trains", "cats", "devil", "test1"]
)
def test_other_folders_say_nothing_of_splits(folder):
    assert split_of_folder(f"{folder}/a.png") is None and split_of_folder("test.png") is None


def test_a_folder_of_training_images_alone_holds_nothing_out(tmp_path):
    put_captioned(tmp_path, *(f"train/{number}.png" for number in range(40)))
    assert 0 < len(names(tmp_path, "test")) < 15  # by the hash, as without folders
    assert len(names(tmp_path, "train", test_fraction=0)) == 40
    assert remarks("folder", tmp_path) == []


def test_a_folder_of_test_images_alone_says_what_takes_it(tmp_path):
    put_captioned(tmp_path, "test/a.png", "test/b.png")
    with pytest.raises(DataError) as raised:
        names(tmp_path)
        names(tmp_path, "train")
    assert str(raised.value).endswith(
        f"none of them is in the split 'train', as their folders say; --root {tmp_path / 'test'} "
        "takes one alone"
    )
    assert len(names(tmp_path / "test", test_fraction=0)) == 2


def test_a_column_decides_before_the_folders_which_decide_where_it_is_empty(tmp_path):
    put_images(tmp_path, "test/a.png", "test/b.png", "train/c.png", "train/d.png")
    put_rows(
        tmp_path / "metadata.jsonl",
        {"file_name": "test/a.png", "text": "a", "split": "train"},
        {"file_name": "test/b.png", "text": "b"},
        {"file_name": "train/c.png", "text": "c", "split": "test"},
        {"file_name": "train/d.png", "text": "d"},
    )
    assert names(tmp_path, "train") == ["test/a.png", "train/d.png"]
    assert names(tmp_path, "test") == ["test/b.png", "train/c.png"]


# Tables in sub-folders, captions of other endings.


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_tables_of_sub_folders_name_images_beside_them(tmp_path, ending):
    for split in ("train", "test"):
        put_images(tmp_path, f"{split}/0.png", f"{split}/deep/1.png")
        table = tmp_path / split / f"metadata.{ending}"
        if ending == "csv":
            table.write_text(f"file_name,text\n0.png,{split}\ndeep/1.png,{split} below\n")
        else:
            put_rows(
                table,
                {"file_name": "0.png", "text": split},
                {"file_name": "deep/1.png", "text": f"{split} below"},
            )
    assert names(tmp_path, "train") == ["train/0.png", "train/deep/1.png"]
    assert captions(tmp_path) == [("test",), ("test below",), ("train",), ("train below",)]
    assert report("folder", tmp_path) == (4, [])


def test_each_folder_may_have_its_own_way(tmp_path):
    put_captioned(tmp_path, "a.png", "cups/b.png")
    put_captioned(tmp_path, "cups/c.png", ending=".caption")
    put_images(tmp_path, "mugs/d.png", "mugs/e.png")
    put_rows(tmp_path / "mugs/metadata.jsonl", {"file_name": "d.png", "text": "a mug"})
    assert names(tmp_path) == ["a.png", "cups/b.png", "cups/c.png", "mugs/d.png"]
    assert faults(tmp_path) == ["mugs/e.png has no line in the metadata"]


def test_a_table_may_name_images_of_other_folders_and_none_outside(tmp_path):
    root = tmp_path / "root"
    put_images(root, "images/a.png")
    put_images(tmp_path, "out.png")
    put_rows(root / "tables/metadata.jsonl", {"file_name": "../images/a.png", "text": "a"})
    assert names(root) == ["images/a.png"]
    put_rows(root / "tables/metadata.jsonl", {"file_name": "../../out.png", "text": "a"})
    with pytest.raises(DataError, match=r"tables/metadata\.jsonl line 1 names .* not inside"):
        names(root)


def test_a_faulty_line_of_a_sub_folder_is_named_and_blames_no_other(tmp_path):
    put_images(tmp_path, "one/a.png", "one/b.png", "two/c.png")
    (tmp_path / "one/metadata.csv").write_text("name,words\na.png,x\n")
    put_rows(
        tmp_path / "two/metadata.jsonl",
        {"file_name": "c.png", "text": "c"},
        {"file_name": "gone.png", "text": "d"},
    )
    header, missing = faults(tmp_path)
    assert header.startswith(
        "one/metadata.csv line 1 names no column file_name; it has name, words"
    )
    assert missing == "two/gone.png is missing; two/metadata.jsonl, line 2 names it"


def test_a_broken_header_excuses_no_image_of_another_folder(tmp_path):
    put_images(tmp_path, "one/a.png", "two/b.png", "two/c.png")
    (tmp_path / "one/metadata.csv").write_text("name,words\na.png,x\n")
    put_rows(tmp_path / "two/metadata.jsonl", {"file_name": "b.png", "text": "b"})
    found = faults(tmp_path)
    assert len(found) == 2 and found[1] == "two/c.png has no line in the metadata"


def test_two_tables_of_one_folder_are_not_passed_over_in_silence(tmp_path):
    put_cells(tmp_path, "of the csv")
    put_rows(tmp_path / "metadata.jsonl", {"file_name": "0.png", "text": "of the jsonl"})
    assert captions(tmp_path) == [("of the jsonl",)]
    assert faults(tmp_path) == ["metadata.csv is not read, as other metadata is beside"]


def test_captions_of_both_endings_are_joined(tmp_path):
    put_captioned(tmp_path, "a.png")
    (tmp_path / "a.caption").write_text("another\n")
    assert captions(tmp_path) == [("a photograph of a.png", "another")]
    (tmp_path / "lone.caption").write_text("of nothing")
    assert faults(tmp_path) == ["lone.caption is a caption file without an image beside it"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("metadata.json1", "metadata.json1 is none of these names"),
        ("train/metadata.json", "train/metadata.json is none of these names"),
        ("metadata.xlsx", "metadata.xlsx is none of these names"),
        ("metadata", "metadata is none of these names"),
        ("captions.txt", "captions.txt is none of these names"),
        ("metadata.parquet", "metadata.parquet is a Parquet table, which is not read: write it as"),
        ("data/train-00000-of-00001.parquet", "is a Parquet table, which is not read"),
    ],
)
def test_without_captions_what_was_meant_for_them_is_named(tmp_path, name, said):
    put_images(tmp_path, "a.png", "train/b.png")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"PAR1")
    with pytest.raises(DataError) as raised:
        names(tmp_path)
    assert said in str(raised.value) and "\n" not in str(raised.value)
    assert any(said in fault for fault in faults(tmp_path))


def test_a_parquet_table_beside_captions_is_a_fault(tmp_path):
    put_captioned(tmp_path, "a.png")
    (tmp_path / "metadata.parquet").write_bytes(b"PAR1")
    assert [fault.split(":")[0] for fault in faults(tmp_path)] == [
        "metadata.parquet is a Parquet table, which is not read"
    ]


# Columns of other names.


def test_other_columns_are_read_by_an_option_and_named_without_it(tmp_path, command_line):
    put_images(tmp_path, "a.png")
    put_rows(tmp_path / "metadata.jsonl", {"image": "a.png", "prompt": "a cup", "text": "no"})
    with pytest.raises(DataError, match=r"no file_name; .*; `--option image_column=image` reads"):
        names(tmp_path)
    assert captions(tmp_path, image_column="image", caption_column="prompt") == [("a cup",)]
    options = ["--option", "image_column=image", "--option", "caption_column=prompt"]
    done = command_line("data", "check", "folder", "--root", tmp_path, *options)
    assert done.code == 1 and "1 captioned images can be used" in done.err  # one trains nothing
    done = command_line(
        "data", "check", "folder", "--root", tmp_path, "--option", "test_fraction=0"
    )
    assert done.code == 2 and "'test_fraction' is not of a check of 'folder'" in done.err


def test_other_columns_of_a_csv_are_named_in_any_case(tmp_path):
    put_images(tmp_path, "a.png")
    (tmp_path / "metadata.csv").write_text("file_name,Caption\na.png,a cup\n")
    with pytest.raises(DataError, match=r"no column text; .* `--option caption_column=caption`"):
        names(tmp_path)
    assert captions(tmp_path, caption_column="Caption") == [("a cup",)]


def test_one_column_cannot_be_both(tmp_path):
    with pytest.raises(InputError, match="expected two columns"):
        names(tmp_path, caption_column="file_name")


# Lists that Python printed into a cell.


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (str(["a red mug", "mug 1's handle"]), ("a red mug", "mug 1's handle")),
        (str(["one"]), ("one",)),
        (str(("one", "two")), ("one", "two")),
        (str([]), ()),
        ("['a red mug' 'a blue one']", ("a red mug", "a blue one")),
        ("['a red mug'\n 'a blue one'\n 'third']", ("a red mug", "a blue one", "third")),
        ('["of JSON", "two"]', ("of JSON", "two")),
        (" ['spaces around', 'it'] ", ("spaces around", "it")),
        (r"['it\'s', 'a \"cup\"']", ("it's", 'a "cup"')),
        (r"['a back\slash']", (r"a back\slash",)),
        (r"['caf\xe9']", ("café",)),
        ("[sic] a bird", ("[sic] a bird",)),
        ("[sic] a [bird]", ("[sic] a [bird]",)),
        ("(a cup)", ("(a cup)",)),
        ("('a cup')", ("('a cup')",)),
        ("[a cup]", ("[a cup]",)),
        ("{'a': 1}", ("{'a': 1}",)),
        ("__import__('os').getcwd()", ("__import__('os').getcwd()",)),
    ],
)
def test_a_list_as_python_prints_it_is_its_sentences(tmp_path, cell, expected):
    put_cells(tmp_path, cell, "other")
    assert captions(tmp_path) == [*([expected] if expected else []), ("other",)]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("['cut short, 'here']", "has the list ['cut short, 'here'], which cannot be read"),
        ("['a', nan]", "has the list ['a', nan], which cannot be read"),
        ("['a', __import__('os').getcwd()]", "which cannot be read; expected a JSON list"),
        ("['a', None]", "has the text ['a', None]; expected a sentence or a list of sentences"),
        ("[1, 2]", "has the text [1, 2]; expected a sentence or a list of sentences"),
    ],
)
def test_a_list_that_is_none_is_named_and_no_caption(tmp_path, cell, said):
    put_cells(tmp_path, "fine", cell)
    found = [fault for fault in faults(tmp_path) if "metadata.csv line 3" in fault]
    assert len(found) == 1 and said in found[0]


# Absolute names.


def test_whole_paths_that_lie_inside_are_the_folders_own(tmp_path):
    root = tmp_path / "photos"
    put_images(root, "cups/a.png", "b.png")
    (tmp_path / "link").symlink_to(root)
    for given in (root, tmp_path / "link"):
        put_rows(
            given / "metadata.jsonl",
            {"file_name": str(tmp_path / "link" / "cups/a.png"), "text": "a"},
            {"file_name": f"/{root}//cups/../b.png", "text": "b"},
        )
        assert names(given) == ["b.png", "cups/a.png"]
        assert report("folder", given) == (2, [])


def test_whole_paths_in_a_sub_folders_table_lie_inside_the_whole_folder(tmp_path):
    put_images(tmp_path, "images/a.png")
    path = str(tmp_path / "images/a.png")
    put_rows(tmp_path / "train/metadata.jsonl", {"file_name": path, "text": "a"})
    assert names(tmp_path) == ["images/a.png"]


@pytest.mark.parametrize(
    "name", ["{root}-other/a.png", "{root}/../a.png", "/data/a.png", "D:\\photos\\a.png", "{root}"]
)
@pytest.mark.parametrize("folder", ["", "train"])
def test_whole_paths_outside_are_refused_with_the_folder_named(tmp_path, name, folder):
    root = tmp_path / "photos"
    put_images(tmp_path, "photos-other/a.png", "a.png")
    put_captioned(root, "b.png")
    row = {"file_name": name.format(root=root), "text": "x"}
    put_rows(root / folder / "metadata.jsonl", row)
    with pytest.raises(DataError, match=r"metadata\.jsonl line 1 names .* not inside the folder"):
        names(root)


def test_an_address_is_no_name(tmp_path):
    put_rows(tmp_path / "metadata.jsonl", {"file_name": "https://a.org/b.jpg", "text": "x"})
    assert "an address; fetch the image and name it" in faults(tmp_path)[0]


# What systems leave behind.


def test_what_systems_and_tools_leave_is_passed_over(tmp_path):
    put_captioned(tmp_path, "a.png", "cups/b.png")
    for name in (
        ".DS_Store", "._a.png", "cups/._b.txt", ".ipynb_checkpoints/a-checkpoint.png",
        "__MACOSX/cups/b.png", "__MACOSX/metadata.jsonl", "Thumbs.db", "cups/desktop.ini",
        "@eaDir/a.png", "$RECYCLE.BIN/c.png", ".git/metadata.csv", "cups/.ipynb_checkpoints/d.txt",
        ".metadata.jsonl.swp", "._metadata.jsonl",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"\0\5\26\7 not for people")
    assert names(tmp_path) == ["a.png", "cups/b.png"]
    assert report("folder", tmp_path) == (2, [])


# Encodings and lines.

LINES = {
    "LF": ("one\ntwo\n", ("one", "two")),
    "CRLF": ("one\r\ntwo\r\n", ("one", "two")),
    "CR and CRLF": ("one\r\r\ntwo\r\n", ("one", "two")),
    "CR inside": ("a\rcup\ntwo", ("a cup", "two")),
    "a line separator": ("a cup\u2028on a table\ntwo", ("a cup\u2028on a table", "two")),
    "a paragraph separator": ("a\u2029cup\n", ("a\u2029cup",)),
    "a next line": ("a\x85cup\ntwo", ("a cup", "two")),
    "a vertical tab": ("a\x0bcup\ntwo", ("a cup", "two")),
    "a form feed": ("a\x0ccup\ntwo", ("a cup", "two")),
    "separators of data": ("a\x1ccup\x1d b\x1e c\ntwo", ("a cup  b  c", "two")),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be mark"])
@pytest.mark.parametrize("name", LINES)
def test_lines_end_at_line_feeds_and_nowhere_else(tmp_path, name, encoding):
    text, expected = LINES[name]
    put_images(tmp_path, "a.png")
    if encoding.endswith("mark"):
        text, encoding = f"\ufeff{text}", encoding.split()[0]
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    assert captions(tmp_path) == [expected]


def test_a_separator_inside_a_table_ends_no_line(tmp_path):
    put_cells(tmp_path, "a cup\u2028on\x85a\x0btable", "two")
    assert captions(tmp_path) == [("a cup on a table",), ("two",)]
    (tmp_path / "metadata.csv").unlink()
    line = '{"file_name": "0.png", "text": "a cup\u2028on\u2029it"}\n'
    (tmp_path / "metadata.jsonl").write_text(line, encoding="utf-8")
    assert captions(tmp_path) == [("a cup on it",)]


@pytest.mark.parametrize("how", ["a caption file", "a table"])
def test_letters_that_had_to_be_guessed_are_said(tmp_path, how, command_line):
    put_images(tmp_path, "a.png", "b.png")
    if how == "a table":
        content, file = b"file_name,text\na.png,a cup\nb.png,a caf\xe9\n", "metadata.csv"
    else:
        content, file = b"a cup\n\na caf\xe9\n", "b.txt"
        (tmp_path / "a.txt").write_bytes("un café".encode("utf-16"))
    (tmp_path / file).write_bytes(content)
    said = f"{tmp_path / file} is not UTF-8 (line 3): read as Western European (Windows-1252)"
    assert remarks("folder", tmp_path) == [said]
    done = command_line("data", "check", "folder", "--root", tmp_path)
    assert done.code == 0 and done.out.endswith(f"{said}\n")
    told = json.loads(command_line("data", "check", "folder", "--root", tmp_path, "--json").out)
    assert told["remarks"] == [said] and told["faults"] == []
