"""The reader of CUB-200-2011: its folders, its splits, its boxes, and what is missing of it."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from PIL import Image

from stackgan.data import Example, read_examples
from stackgan.data.check import remarks, report
from stackgan.data.cub import TEST_CLASSES, read
from stackgan.data.readers import read_conditioned
from stackgan.errors import DataError, InputError

NAMES = [
    "002.Laysan_Albatross/Laysan_Albatross_0002_1027",
    "002.Laysan_Albatross/Laysan_Albatross_0001_545",
    "001.Black_footed_Albatross/Black_Footed_Albatross_0046_18",
    "003.Sooty_Albatross/Sooty_Albatross_0001_1071",
]
TRAIN, TEST = [NAMES[0], NAMES[1], NAMES[3]], [NAMES[2]]


def write_lists(folder: Path, train: list[str], test: list[str]) -> None:
    """Pickles of protocol 0, as Python 2 wrote the published ones."""
    for split, names in (("train", train), ("test", test)):
        (folder / split).mkdir(exist_ok=True)
        (folder / split / "filenames.pickle").write_bytes(pickle.dumps(names, protocol=0))


@pytest.fixture
def birds(tmp_path) -> Path:
    """Four photographs of 40x30 in three classes; classes 2 and 3 train, as published."""
    root = tmp_path / "cub"
    home = root / "CUB_200_2011"
    tables: dict[str, list[str]] = {"images.txt": [], "bounding_boxes.txt": []}
    for number, name in enumerate(NAMES, start=1):
        image, text = home / "images" / f"{name}.jpg", root / "text" / f"{name}.txt"
        for path in (image, text):
            path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (number, 0, 0)).save(image)
        text.write_text(f"bird {number}\n\n another of {number} \n")
        tables["images.txt"].append(f"{number} {name}.jpg")
        tables["bounding_boxes.txt"].append(f"{number} {number}.0 2.0 20.5 10.0")
    for name, lines in tables.items():
        (home / name).write_text("\n".join(lines) + "\n")
    write_lists(root, TRAIN, TEST)
    return root


def told(found) -> list[tuple[str, str]]:
    return [(fault.path.name, fault.problem) for fault in found.faults]


def test_splits_follow_the_pickles_sorted_with_captions_class_and_box(birds):
    train, test = (read_examples("cub", birds, split) for split in ("train", "test"))
    images = birds / "CUB_200_2011" / "images"
    assert [example.image for example in train] == sorted(images / f"{name}.jpg" for name in TRAIN)
    assert test == [
        Example(
            images / f"{NAMES[2]}.jpg",
            ("bird 3", "another of 3"),
            "001.Black_footed_Albatross",
            (3.0, 2.0, 20.5, 10.0),
            "black footed albatross",
        )
    ]
    assert {example.class_name for example in train}.isdisjoint({test[0].class_name})
    both = read_examples("cub", birds, "all")
    assert both == sorted(train + test, key=lambda example: str(example.image))


def test_the_folder_that_holds_it_and_the_folder_itself_are_the_same_set(birds, monkeypatch):
    inside = read_examples("cub", birds / "CUB_200_2011", "all")
    assert inside == read_examples("cub", birds, "all")
    monkeypatch.chdir(birds / "CUB_200_2011")
    here = read_examples("cub", Path(), "all")
    assert [example.captions for example in here] == [example.captions for example in inside]


@pytest.mark.parametrize("place", ["text_c10", "cvpr2016_cub/text_c10", "CUB_200_2011/text"])
def test_captions_are_found_where_their_archives_put_them(birds, place):
    (birds / place).parent.mkdir(exist_ok=True)
    (birds / "text").rename(birds / place)
    assert len(read_examples("cub", birds, "all")) == 4


def test_pickles_come_before_class_lists_and_these_before_the_published_numbers(birds):
    (birds / "trainvalclasses.txt").write_text("003.Sooty_Albatross\n")
    (birds / "testclasses.txt").write_text("002.Laysan_Albatross\n001.Black_footed_Albatross\n")
    assert len(read_examples("cub", birds, "train")) == 3
    (birds / "train" / "filenames.pickle").unlink()
    assert [example.class_name for example in read_examples("cub", birds, "train")] == [
        "003.Sooty_Albatross"
    ]
    assert len(read_examples("cub", birds, "test")) == 3
    (birds / "testclasses.txt").unlink()
    assert len(read_examples("cub", birds, "train")) == 3
    assert read_examples("cub", birds, "test")[0].class_name == "001.Black_footed_Albatross"


def test_the_published_test_classes_are_fifty_of_two_hundred():
    assert len(TEST_CLASSES) == 50
    assert min(TEST_CLASSES) == 1
    assert max(TEST_CLASSES) == 197
    assert not TEST_CLASSES & {2, 3, 5}


def test_a_whole_set_has_no_fault(birds):
    assert report("cub", birds) == (4, [])


def test_what_is_missing_is_counted_and_a_class_without_photographs_named_once(birds):
    others = [f"004.Groove_billed_Ani/Groove_Billed_Ani_{number}" for number in range(50)]
    write_lists(birds, TRAIN, TEST + others)
    (birds / "CUB_200_2011" / "images" / f"{NAMES[0]}.jpg").unlink()
    found = report("cub", birds)
    assert found.usable == 3
    lists = "train/filenames.pickle and test/filenames.pickle"
    assert told(found) == [
        ("images", f"holds 3 of the 54 photographs listed in {lists}"),
        ("Laysan_Albatross_0002_1027.jpg", f"is missing; it is listed in {lists}"),
        ("004.Groove_billed_Ani", "holds none of its 50 photographs"),
    ]


def test_a_missing_photograph_stops_the_reading_or_is_left_out_on_demand(birds):
    (birds / "CUB_200_2011" / "images" / f"{NAMES[0]}.jpg").unlink()
    with pytest.raises(DataError, match=r"holds 2 of the 3 .*data check cub --root .*missing=skip"):
        read_examples("cub", birds)
    left = read_examples("cub", birds, missing="skip")
    assert [example.captions[0] for example in left] == ["bird 2", "bird 4"]
    assert len(read_examples("cub", birds, "test")) == 1  # nothing is missing there
    with pytest.raises(InputError, match="missing is 'skpi'; did you mean 'skip'"):
        read_examples("cub", birds, missing="skpi")


@pytest.mark.parametrize("empty", [False, True])
def test_a_photograph_without_captions_is_treated_as_a_missing_one(birds, empty):
    text = birds / "text" / f"{NAMES[3]}.txt"
    text.write_text("\n \n") if empty else text.unlink()
    with pytest.raises(DataError, match=r"Sooty_Albatross_0001_1071\.txt holds no caption"):
        read_examples("cub", birds)
    assert len(read_examples("cub", birds, missing="skip")) == 2
    found = report("cub", birds)
    assert found.usable == 3
    assert [name for name, _ in told(found)] == ["Sooty_Albatross_0001_1071.txt"]


def test_each_planted_fault_is_found_and_no_usable_file_is_blamed(birds):
    home = birds / "CUB_200_2011"
    (home / "images" / f"{NAMES[0]}.jpg").write_bytes(b"no image")
    boxes = ["1 1 2 20 10", "2 1 2 20 0", "3 1 2 wide 10", "4 100 100 20 10"]
    (home / "bounding_boxes.txt").write_text("\n".join(boxes))
    names = (home / "images.txt").read_text() + "5 ../../secret.jpg\n"
    (home / "images.txt").write_text(names)
    write_lists(birds, TRAIN, [TRAIN[1]])
    found = report("cub", birds)
    assert found.usable == 0
    expected = "expected a number, left, top, width and height"
    assert sorted(told(found)) == [
        ("Black_Footed_Albatross_0046_18.jpg", "has no line in bounding_boxes.txt"),
        (
            "Black_Footed_Albatross_0046_18.jpg",
            "is in no split: it is not listed in train/filenames.pickle and test/filenames.pickle",
        ),
        ("Laysan_Albatross_0001_545.jpg", "has no line in bounding_boxes.txt"),
        ("Laysan_Albatross_0002_1027.jpg", "is not an image that can be read"),
        (
            "Sooty_Albatross_0001_1071.jpg",
            "is 40x30 pixels and its box (left 100, top 100, width 20, height 10) lies outside; "
            "boxes are in pixels of the original photographs",
        ),
        ("bounding_boxes.txt", f"line 2 is '2 1 2 20 0'; {expected}"),
        ("bounding_boxes.txt", f"line 3 is '3 1 2 wide 10'; {expected}"),
        (
            "filenames.pickle",
            f"names {TRAIN[1]}.jpg, as {birds}/train/filenames.pickle does",
        ),
        ("images.txt", "line 5 is '5 ../../secret.jpg'; expected a number and CLASS/IMAGE.jpg"),
    ]
    with pytest.raises(DataError, match=r"images\.txt line 5 .*`stackgan data check cub --root"):
        read_examples("cub", birds)


def test_a_damaged_photograph_is_not_counted_as_usable(birds):
    damaged = birds / "CUB_200_2011" / "images" / f"{NAMES[0]}.jpg"
    damaged.write_bytes(damaged.read_bytes()[:200])
    found = report("cub", birds)
    assert found.usable == 3
    assert [fault.path for fault in found.faults] == [damaged]


def test_a_turned_photograph_is_measured_upright(birds):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise: 30x90 upright
    where = birds / "CUB_200_2011" / "images" / f"{NAMES[0]}.jpg"
    Image.new("RGB", (90, 30)).save(where, exif=exif)
    boxes = birds / "CUB_200_2011" / "bounding_boxes.txt"
    lines = boxes.read_text().splitlines()
    boxes.write_text("\n".join(["1 5 50 20 30", *lines[1:]]))
    assert report("cub", birds) == (4, [])
    boxes.write_text("\n".join(["1 50 5 30 20", *lines[1:]]))
    assert "is 30x90 pixels" in report("cub", birds).faults[0].problem


def test_a_photograph_without_a_box_is_not_read_as_one_with(birds):
    boxes = birds / "CUB_200_2011" / "bounding_boxes.txt"
    boxes.write_text("".join(boxes.read_text().splitlines(keepends=True)[:3]))
    with pytest.raises(DataError, match=r"Sooty_Albatross_0001_1071\.jpg has no line in bounding"):
        read_examples("cub", birds)


@pytest.mark.parametrize("gone", ["images.txt", "images", "bounding_boxes.txt"])
def test_another_folder_is_refused_by_what_it_lacks(birds, gone):
    (birds / "CUB_200_2011" / gone).rename(birds / "elsewhere")
    for call in (read_examples, report):
        with pytest.raises(DataError, match=f"not a CUB-200-2011 folder: {gone} is missing"):
            call("cub", birds)


def test_a_folder_without_captions_is_told_so(birds):
    (birds / "text").rename(birds / "words")
    with pytest.raises(DataError, match=r"has no captions: expected a folder text/ or text_c10/"):
        read_examples("cub", birds)


class _Harm:
    def __reduce__(self):
        return (print, ("harm",))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (pickle.dumps(_Harm()), "print"),
        (pickle.dumps({"a": 1}), "holds no list of names"),
        (pickle.dumps(["../../etc/passwd"]), r"names '\.\./\.\./etc/passwd\.jpg'"),
        (b"\x80\x02", "train/filenames.pickle"),
    ],
)
def test_a_pickle_of_anything_but_names_is_refused_and_never_run(birds, capsys, content, said):
    (birds / "train" / "filenames.pickle").write_bytes(content)
    with pytest.raises(DataError, match=said) as raised:
        read_examples("cub", birds)
    assert "\n" not in str(raised.value)
    assert capsys.readouterr().out == ""


def test_an_empty_split_is_told(birds):
    write_lists(birds, TRAIN, [])
    with pytest.raises(DataError, match="no captioned photograph for the split 'test'"):
        read_examples("cub", birds, "test")


PARTS = "1 beak\n2 left eye\n7 right eye\n"
PLACES = "1 1 5.5 6.0 1\n1 7 30.0 8.25 1\n1 2 0.0 0.0 0\n3 2 20.0 10.0 1\n4 1 2 3 1\n2 1 4 5 1\n"


@pytest.fixture
def parts(birds) -> Path:
    """The folder of the parts: of photograph 1 all three are told, of the others one."""
    folder = birds / "CUB_200_2011" / "parts"
    folder.mkdir()
    (folder / "parts.txt").write_text(PARTS)
    (folder / "part_locs.txt").write_text(PLACES)
    return folder


def test_key_points_are_each_photographs_own_in_the_order_of_the_parts(birds, parts):
    train = read_conditioned("cub", birds, "train", ("box", "points"))
    found = {example.captions[0]: example.points for example in train}
    assert set(found) == {"bird 1", "bird 2", "bird 4"}
    points = found["bird 1"]
    assert points.names == ("beak", "left eye", "right eye")
    assert (points.x, points.y) == ((5.5, 0.0, 30.0), (6.0, 0.0, 8.25))
    assert points.visible == (True, False, True)
    assert found["bird 4"].visible == (True, False, False)
    test = read_conditioned("cub", birds, "test", ("points",))
    assert test[0].points.visible == (False, True, False)
    assert test[0].box == read_examples("cub", birds, "test")[0].box


def test_who_asks_for_no_key_points_does_not_read_them(birds, parts):
    (parts / "part_locs.txt").write_text("nothing of use")
    assert all(example.points is None for example in read_examples("cub", birds, "all"))
    assert all(each.points is None for each in read_conditioned("cub", birds, "all", ("box",)))
    with pytest.raises(DataError, match=r"part_locs\.txt line 1 is 'nothing of use'"):
        read_conditioned("cub", birds, "all", ("points",))
    with pytest.raises(InputError, match="no option 'conditions'"):
        read_examples("cub", birds, conditions="points")


@pytest.mark.parametrize("gone", ["part_locs.txt", ""])
def test_without_the_parts_there_are_no_key_points_and_no_fault(birds, parts, gone):
    (parts / gone).rename(birds / "elsewhere")
    assert all(example.points is None for example in read(birds, "all", conditions=("points",)))
    assert report("cub", birds) == (4, [])
    assert remarks("cub", birds) == []
    with pytest.raises(InputError, match=r"^cub in .* has no key points, which are asked for"):
        read_conditioned("cub", birds, "all", ("points",))


def test_places_without_the_parts_names_are_told(birds, parts):
    (parts / "parts.txt").unlink()
    assert told(report("cub", birds)) == [
        ("parts.txt", "is missing; part_locs.txt names parts by its numbers")
    ]


def test_each_line_of_the_parts_that_cannot_be_used_is_found(birds, parts):
    (parts / "parts.txt").write_text(PARTS + "8\n7 tail\n9 beak\n")
    wrong = ["1 3 5 6 1", "1 1 5 6", "1 1 five 6 1", "1 1 nan 6 1", "1 1 5 6 2", "1 1 5 6 1 1"]
    (parts / "part_locs.txt").write_text(PLACES + "\n".join(wrong))
    found = told(report("cub", birds))
    expected = "expected a photograph's number, a part's of parts.txt, x, y and 1 or 0"
    assert found == [
        ("part_locs.txt", f"line {line} is {text!r}; {expected}")
        for line, text in sorted(enumerate(wrong, start=7), key=lambda each: str(each[0]))
    ] + [
        (
            "parts.txt",
            f"line {line} is {text!r}; expected a number and the name of a part, each once",
        )
        for line, text in ((4, "8"), (5, "7 tail"), (6, "9 beak"))
    ]


def test_key_points_of_another_copy_are_told_by_a_check(birds, parts):
    (parts / "part_locs.txt").write_text(PLACES + "1 1 500 6 1\n1 7 300 8.25 1\n")
    found = report("cub", birds)
    assert found.usable == 3
    assert told(found) == [
        (
            "Laysan_Albatross_0002_1027.jpg",
            "is 40x30 pixels and 2 of its 2 visible key points lie outside; key points are in "
            "pixels of the original photographs",
        )
    ]


def test_a_check_says_how_many_photographs_have_no_key_points(birds, parts, command_line):
    assert remarks("cub", birds) == []
    (parts / "part_locs.txt").write_text(PLACES.replace("4 1 2 3 1\n", ""))
    checked = command_line("data", "check", "cub", "--root", birds)
    assert checked.code == 0
    assert "parts/part_locs.txt tells key points of 3 of the 4 photographs of images" in checked.out
    assert f"{NAMES[3]}.jpg has none" in checked.out


def test_check_and_prepare_from_the_command_line(birds, command_line):
    assert command_line("data", "check", "cub", "--root", birds).code == 0
    (birds / "CUB_200_2011" / "images" / f"{NAMES[0]}.jpg").unlink()
    checked = command_line("data", "check", "cub", "--root", birds)
    assert checked.code == 1
    assert "holds 3 of the 4 photographs" in checked.out
    words = ("data", "prepare", "cub", "--root", birds, "--size", 16)
    refused = command_line(*words)
    assert refused.code == 2
    assert "--option missing=skip" in refused.err
    assert not (birds / ".stackgan").exists()
    prepared = command_line(*words, "--option", "missing=skip")
    assert prepared.code == 0
    assert "pixels-16-box-" in prepared.out
    assert ": 2 images of 16x16" in prepared.out
