"""The reader of MS-COCO: its years and halves, its captions, and what is wrong with them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from stackgan.data import read_examples
from stackgan.data.check import report
from stackgan.errors import DataError, InputError

ROOT = Path(__file__).resolve().parents[2]


def program():
    where = ROOT / "benchmarks" / "make_coco.py"
    spec = importlib.util.spec_from_file_location("make_coco", where)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def scenes(tmp_path) -> Path:
    """Five photographs to train and three to test in 2014; four and two in 2017."""
    make_half = program().make_half
    root = tmp_path / "coco"
    for year, train, val in ((2014, 5, 3), (2017, 4, 2)):
        make_half(root, "train", year, range(train), 0)
        make_half(root, "val", year, range(train, train + val), 0)
    return root


def change(root: Path, edit, half: str = "train", year: int = 2017) -> Path:
    """Apply ``edit`` to the content of a captions file."""
    path = root / "annotations" / f"captions_{half}{year}.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    return path


def told(found) -> list[tuple[str, str]]:
    return [(fault.path.name, fault.problem) for fault in found.faults]


def test_each_photograph_has_its_own_captions_and_neither_class_nor_box(scenes):
    examples = read_examples("coco", scenes)
    assert [example.image for example in examples] == sorted((scenes / "train2017").iterdir())
    for number, example in enumerate(examples):
        captions = program().photograph(0, number)[1]
        assert sorted(example.captions) == sorted(" ".join(each.split()) for each in captions)
        assert (example.class_name, example.box) == (None, None)


def test_the_training_half_is_train_and_the_validation_half_test(scenes):
    train, test, both = (read_examples("coco", scenes, split) for split in ("train", "test", "all"))
    assert (len(train), len(test)) == (4, 2)
    assert {example.image.parent.name for example in test} == {"val2017"}
    assert both == sorted(train + test, key=lambda example: str(example.image))


def test_the_newest_year_is_read_unless_one_is_named(scenes):
    assert len(read_examples("coco", scenes)) == 4
    named = read_examples("coco", scenes, year=2014)
    assert [example.image.name[:15] for example in named] == ["COCO_train2014_"] * 5
    with pytest.raises(InputError, match=r"year is 2015 and .* has captions of 2014, 2017"):
        read_examples("coco", scenes, year=2015)


def test_a_year_of_which_the_photographs_are_there_comes_before_a_newer_one(scenes):
    (scenes / "train2017").rename(scenes / "train elsewhere")
    assert len(read_examples("coco", scenes)) == 5
    assert report("coco", scenes) == (8, [])
    (scenes / "train2014").rename(scenes / "elsewhere")
    with pytest.raises(DataError, match="train2017 holds 0 of the 4 photographs"):
        read_examples("coco", scenes)  # as much of both is there: the newer


def test_folders_may_lie_in_images(scenes):
    (scenes / "images").mkdir()
    for half in ("train2017", "val2017"):
        (scenes / half).rename(scenes / "images" / half)
    assert len(read_examples("coco", scenes, "all")) == 6


def test_a_whole_set_has_no_fault_and_half_a_set_is_no_fault_either(scenes):
    assert report("coco", scenes) == (6, [])
    (scenes / "annotations" / "captions_val2014.json").unlink()
    (scenes / "annotations" / "captions_train2017.json").unlink()
    (scenes / "annotations" / "captions_val2017.json").unlink()
    assert report("coco", scenes) == (5, [])
    with pytest.raises(DataError, match=r"captions_val2014\.json is missing; split 'test'"):
        read_examples("coco", scenes, "test")


def test_a_missing_photograph_is_named_stops_the_reading_or_is_left_out(scenes):
    gone = sorted((scenes / "train2017").iterdir())[1]
    gone.unlink()
    with pytest.raises(DataError, match=r"holds 3 of the 4 .*check coco --root .*missing=skip"):
        read_examples("coco", scenes)
    assert len(read_examples("coco", scenes, missing="skip")) == 3
    found = report("coco", scenes)
    assert found.usable == 5
    assert told(found) == [
        ("train2017", "holds 3 of the 4 photographs listed in captions_train2017.json"),
        (gone.name, "is missing; it is listed in captions_train2017.json"),
    ]


def test_captions_are_one_line_each_and_a_photograph_without_any_is_left_out(scenes):
    def edit(content):
        first, second = (row["id"] for row in content["images"][:2])
        for row in content["annotations"]:
            if row["image_id"] == first:
                row["caption"] = " \n"
            elif row["image_id"] == second:
                row["caption"] = "A man\non  a horse. \n"

    change(scenes, edit)
    examples = read_examples("coco", scenes)
    assert len(examples) == 3
    assert set(examples[0].captions) == {"A man on a horse."}
    found = report("coco", scenes)
    assert found.usable == 5
    assert told(found) == [("000000000009.jpg", "has no caption in captions_train2017.json")]


def drop(key, place, field):
    return lambda content: content[key][place].pop(field)


def put(key, place, field, value):
    return lambda content: content[key][place].__setitem__(field, value)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (drop("images", 1, "id"), r"images\[1\] has no id; it is "),
        (drop("images", 1, "file_name"), r"images\[1\] has no file_name; it is "),
        (put("images", 1, "id", 9), r"images\[1\] has the id 9 of 000000000009\.jpg"),
        (put("images", 1, "file_name", "000000000009.jpg"), r"images\[1\] names .* again"),
        (put("images", 1, "file_name", "../a.jpg"), r"images\[1\] names '\.\./a\.jpg', which is"),
        (put("images", 1, "file_name", ".."), r"images\[1\] names '\.\.', which is not the name"),
        (drop("annotations", 3, "caption"), r"annotations\[3\] has no caption; it is "),
        (put("annotations", 3, "caption", 5), r"annotations\[3\] has no caption; it is "),
        (drop("annotations", 3, "image_id"), r"annotations\[3\] is of image_id None, which no"),
        (put("annotations", 3, "image_id", 5), r"annotations\[3\] is of image_id 5, which no"),
        (put("annotations", 3, "image_id", []), r"annotations\[3\] is of image_id \[\], which no"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_by_its_place(scenes, edit, said):
    path = change(scenes, edit)
    with pytest.raises(DataError, match=said) as raised:
        read_examples("coco", scenes)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)
    assert any(fault.path == path for fault in report("coco", scenes).faults)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON, or not all of it is there"),
        ('{"images": [', "is not JSON, or not all of it is there"),
        ("[" * 100_000, "is not JSON, or not all of it is there"),
        ("[]", "has no list 'images'"),
        ('{"images": []}', "has no list 'annotations'"),
        ('{"images": [], "annotations": 3}', "has no list 'annotations'"),
        ('{"images": [], "annotations": []}', "holds no captioned photograph of 2017"),
    ],
)
def test_a_file_that_is_not_cocos_is_refused(scenes, text, said):
    (scenes / "annotations" / "captions_train2017.json").write_text(text)
    with pytest.raises(DataError, match=said) as raised:
        read_examples("coco", scenes)
    assert "\n" not in str(raised.value)


def test_another_folder_is_refused(tmp_path):
    for call in (read_examples, report):
        with pytest.raises(DataError, match=r"not a COCO folder: annotations/captions_train2014"):
            call("coco", tmp_path)


def test_check_prepare_and_a_dry_run_from_the_command_line(scenes, command_line, tmp_path):
    assert command_line("data", "check", "coco", "--root", scenes).code == 0
    prepared = command_line(
        *("data", "prepare", "coco", "--root", scenes, "--size", 16, "--option", "year=2014")
    )
    assert (prepared.code, "pixels-16-crop-" in prepared.out) == (0, True)
    small = ("--set", "architecture.stage1_generator_width=8", "--set", "stage1.batch_size=2")
    small += ("--set", "architecture.stage1_discriminator_width=4")
    words = ("--data", "coco", "--root", scenes, "--run", tmp_path / "run", "--stage", "1")
    dry = command_line("train", *words, *small, "--dry-run")
    assert dry.code == 0, dry.err
    assert "encoder.objective = contrastive" in dry.out  # of the preset coco
    assert not (tmp_path / "run").exists()
