"""The table of readers, and Oxford-102's folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from stackgan.data import Example, read_examples
from stackgan.data.check import check, report
from stackgan.data.examples import check_split
from stackgan.data.readers import READERS
from stackgan.errors import DataError, InputError


@pytest.fixture
def flowers(tmp_path) -> Path:
    """Classes 1, 2 (training) and 3 (test); image 5 has no captions, as in the real data set."""
    root = tmp_path / "flowers"
    (root / "jpg").mkdir(parents=True)
    for number in range(1, 6):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(root / "jpg" / f"image_0000{number}.jpg")
    for class_number, number in ((2, 1), (1, 4), (1, 2), (3, 3)):
        text = root / "text_c10" / f"class_0000{class_number}" / f"image_0000{number}.txt"
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_bytes(f"flower {number}\r\n\r\n  another of {number} \r\n".encode())
    (root / "trainvalclasses.txt").write_text("class_00001\nclass_00002\n")
    (root / "testclasses.txt").write_text("class_00003\n")
    return root


def problems(faults) -> list[tuple[str, str]]:
    return [(fault.path.name, fault.problem) for fault in faults]


def test_the_splits_follow_the_class_lists_sorted_by_image(flowers):
    train, test = (read_examples("oxford102", flowers, split) for split in ("train", "test"))
    assert [example.image.name[6:11] for example in train] == ["00001", "00002", "00004"]
    assert [example.class_name for example in train] == [f"class_0000{n}" for n in (2, 1, 1)]
    assert test == [
        Example(
            flowers / "jpg" / "image_00003.jpg", ("flower 3", "another of 3"), "class_00003", None
        )
    ]
    everything = read_examples("oxford102", flowers, "all")
    assert everything == sorted(train + test, key=lambda example: example.image.name)


def test_a_whole_folder_has_no_fault_though_a_photograph_has_no_captions(flowers):
    assert report("oxford102", flowers) == (4, [])


def test_each_planted_fault_is_found_and_no_usable_file_is_blamed(flowers):
    (flowers / "jpg" / "image_00004.jpg").unlink()
    (flowers / "jpg" / "image_00001.jpg").write_bytes(b"no image")
    (flowers / "text_c10" / "class_00003" / "image_00003.txt").write_text(" \n")
    (flowers / "text_c10" / "class_00009").mkdir()
    (flowers / "text_c10" / "class_00009" / "image_00005.txt").write_text("a flower")
    (flowers / "testclasses.txt").write_text("class_00003\nclass_00007\nclass_00002\n")
    found = report("oxford102", flowers)
    assert found.usable == 1  # image 2
    assert sorted(problems(found.faults)) == [
        ("class_00009", "is a class that neither class list names"),
        ("image_00001.jpg", "is not an image that can be read"),
        ("image_00003.txt", "holds no caption"),
        (
            "image_00004.jpg",
            f"is missing; {flowers}/text_c10/class_00001/image_00004.txt describes it",
        ),
        ("testclasses.txt", "class_00002 is in the training list too"),
        ("testclasses.txt", "lists class_00007, which has no folder in text_c10"),
    ]


def test_flowers_are_called_as_the_list_beside_them_says(flowers):
    everything = read_examples("oxford102", flowers, "all")
    assert {example.subject for example in everything} == {None}  # no list: no names
    names = {"1": " pink primrose", "2": "colt's foot", "3": "globe\tthistle", "99": "unused"}
    (flowers / "cat_to_name.json").write_text(json.dumps(names))
    named = {e.class_name: e.subject for e in read_examples("oxford102", flowers, "all")}
    assert named == {
        "class_00001": "pink primrose", "class_00002": "colt's foot",
        "class_00003": "globe thistle",
    }  # fmt: skip
    assert report("oxford102", flowers) == (4, [])
    (flowers / "cat_to_name.json").write_text('{"1": "pink primrose"}')
    named = {e.class_name: e.subject for e in read_examples("oxford102", flowers, "all")}
    assert named["class_00001"] == "pink primrose" and named["class_00002"] is None
    assert problems(check("oxford102", flowers)) == [
        ("cat_to_name.json", "does not name class_00002"),
        ("cat_to_name.json", "does not name class_00003"),
    ]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "null", '["rose"]', '{"rose": "1"}', '{"1": null}', '{"1": 3}',
     '{"1": " "}', '{"1": ["rose"]}', "[" * 100_000],
)  # fmt: skip
def test_a_damaged_list_of_names_is_one_sentence(flowers, text):
    (flowers / "cat_to_name.json").write_text(text)
    with pytest.raises(DataError, match=r"cat_to_name\.json holds no names of classes") as caught:
        read_examples("oxford102", flowers)
    assert "\n" not in str(caught.value)
    ((name, problem),) = problems(check("oxford102", flowers))
    assert name == "cat_to_name.json" and problem.startswith("holds no names of classes; expected")


def test_a_photograph_described_in_two_classes_is_a_fault(flowers):
    (flowers / "text_c10" / "class_00002" / "image_00003.txt").write_text("a flower")
    assert [name for name, _ in problems(check("oxford102", flowers))] == ["image_00003.txt"]


@pytest.mark.parametrize("what", ["image", "captions"])
def test_reading_stops_at_a_broken_pair_and_tells_the_command(flowers, what):
    if what == "image":
        (flowers / "jpg" / "image_00002.jpg").unlink()
    else:
        (flowers / "text_c10" / "class_00001" / "image_00002.txt").write_text("")
    with pytest.raises(DataError, match=r"image_00002\.txt .*`stackgan data check oxford102"):
        read_examples("oxford102", flowers)


@pytest.mark.parametrize("gone", ["jpg", "text_c10", "trainvalclasses.txt", "testclasses.txt"])
def test_another_folder_is_refused_by_what_it_lacks(flowers, gone):
    (flowers / gone).rename(flowers / "elsewhere")
    for call in (read_examples, check):
        with pytest.raises(DataError, match=f"not an Oxford-102 folder: {gone} is missing"):
            call("oxford102", flowers)


@pytest.mark.parametrize("name", list(READERS))
def test_a_root_that_is_no_folder_is_refused(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file; --root"):
        read_examples(name, tmp_path / "file")
    for call in (read_examples, check):
        with pytest.raises(DataError, match="does not exist; --root"):
            call(name, tmp_path / "nowhere")


def test_an_unknown_name_option_or_split_names_the_nearest(tmp_path):
    with pytest.raises(InputError, match="did you mean 'oxford102'"):
        read_examples("oxford-102", tmp_path)
    with pytest.raises(InputError, match="did you mean 'test_fraction'"):
        read_examples("folder", tmp_path, test_fractoin=0.2)
    with pytest.raises(InputError, match="no option 'colour'; it takes none"):
        read_examples("oxford102", tmp_path, colour="red")
    with pytest.raises(InputError, match="did you mean 'train'"):
        check_split("trian")
