"""The authors' data files: told apart by what they hold, joined image by image."""

import pickle

import numpy as np
import pytest
import torch

from stackgan.errors import DataError, InputError
from stackgan.legacy import pickles
from stackgan.legacy.pickles import joined, read_captions, read_pickle
from stackgan.legacy.torch7 import read_t7

NAMES = ["001.Auk/Auk_1_22", "001.Auk/Auk_2_33", "002.Gull/Gull_3_44"]
ROWS = [np.full((2, 4), k + 1, np.float32) + np.eye(2, 4, dtype=np.float32) for k in range(3)]


def write(folder, name, value, protocol=2):
    path = folder / name
    path.write_bytes(pickle.dumps(value, protocol))
    return path


def texts(folder):
    for number, name in enumerate(NAMES):
        file = folder / "text" / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"bird {number} so {k}\n\n" for k in range(3)))
    return folder / "text"


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value, kind", [(NAMES, "filenames"), ([3, 3, 5], "classes"),
                                         (ROWS, "embeddings"), (np.stack(ROWS), "embeddings"),
                                         ([list(rows) for rows in ROWS], "embeddings"),
                                         (np.array(NAMES), "filenames"),
                                         (np.array([3, 3, 5]), "classes")])  # fmt: skip
def test_each_pickle_is_told_by_what_it_holds(tmp_path, value, kind, protocol):
    found_kind, found = read_pickle(write(tmp_path, "anything.pickle", value, protocol))
    assert found_kind == kind and len(found) == 3
    if kind == "embeddings":
        np.testing.assert_array_equal(np.stack(found), np.stack(ROWS))
    else:
        assert list(found) == list(value)


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1}, [], 7, [1, "a"], [True, False], ["../out"], ["/etc/passwd"], ["a", "a"],
        ["a/../../b"], ["c:\\windows"], [b"\xff"], [".hidden"],
        [np.zeros((2, 3)), np.zeros((2, 4))],
        [np.array([[np.nan]])], [np.zeros((2, 0))], [np.zeros((1, 2, 3))], [["a"]],
        [np.zeros((2, 2), np.int64)],
    ],
)  # fmt: skip
def test_what_is_none_of_them_is_refused_by_name(tmp_path, value):
    path = write(tmp_path, "other.pickle", value)
    with pytest.raises(DataError) as told:
        read_pickle(path)
    assert str(path) in str(told.value) and "\n" not in str(told.value)


def test_images_with_their_classes_and_the_first_captions_of_their_files(tmp_path):
    images = joined(
        (tmp_path / "f", NAMES),
        (tmp_path / "e", ROWS),
        (tmp_path / "c", [1, 1, 2]),
        texts(tmp_path),
    )
    assert [image.file_name for image in images] == [f"{name}.jpg" for name in NAMES]
    assert [image.class_name for image in images] == ["001.Auk", "001.Auk", "002.Gull"]
    assert images[1].captions == ("bird 1 so 0", "bird 1 so 1")
    rows = pickles.to_precomputed("e", images, ROWS)
    found = rows.encode(["bird 2 so 1", "bird 0 so 0"])
    assert torch.equal(found, torch.from_numpy(np.stack([ROWS[2][1], ROWS[0][0]])))


def test_flowers_have_their_class_from_class_info_and_captions_by_name(tmp_path):
    (tmp_path / "class_00007").mkdir()
    (tmp_path / "class_00007" / "image_00001.txt").write_text("a lily\na flower\n")
    (image,) = joined((tmp_path / "f", ["jpg/image_00001"]), None, (tmp_path / "c", [7]), tmp_path)
    assert image.class_name == "class_00007" and image.captions == ("a lily", "a flower")
    assert image.file_name == "jpg/image_00001.jpg"


def test_without_texts_captions_are_names(tmp_path):
    images = joined((tmp_path / "f", NAMES), (tmp_path / "e", ROWS), None, None)
    assert images[2].captions == ("002.Gull/Gull_3_44, caption 1", "002.Gull/Gull_3_44, caption 2")


def test_files_of_two_splits_and_missing_captions_are_named(tmp_path):
    names = (tmp_path / "f.pickle", NAMES)
    with pytest.raises(DataError, match=r"names 3 images and .*e\.pickle has 2 entries"):
        joined(names, (tmp_path / "e.pickle", ROWS[:2]), None, None)
    with pytest.raises(DataError, match=r"names 3 images and .*c\.pickle has 1 entries"):
        joined(names, None, (tmp_path / "c.pickle", [1]), None)
    folder = texts(tmp_path)
    with pytest.raises(DataError, match="has 3 captions for 4 embeddings"):
        joined(names, (tmp_path / "e", [np.ones((4, 2), np.float32)] * 3), None, folder)
    (folder / f"{NAMES[0]}.txt").unlink()
    with pytest.raises(DataError, match=r"no captions of 001\.Auk/Auk_1_22"):
        joined(names, None, None, folder)
    with pytest.raises(DataError, match="is not there"):
        joined(names, None, None, tmp_path / "gone")


def test_a_caption_with_two_rows_says_that_the_files_do_not_fit(tmp_path):
    images = [pickles.ImageCaptions("a.jpg", None, ("same", "same"))]
    with pytest.raises(InputError, match="two different rows"):
        pickles.to_precomputed("e", images, [ROWS[0]])


@pytest.mark.parametrize("ascii_form", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_captions_of_a_t7_file(write_t7, tmp_path, ascii_form, nested):
    captions = ["a  bird", "a small bird", "é"]
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    value = {"raw_txt": captions, "fea_txt": [rows[:2], rows[2]], "char": [1, 2]}
    if nested:
        value |= {"raw_txt": [captions[:2], captions[2:]], "fea_txt": rows}
    path = write_t7(tmp_path / "val_captions.t7", value, ascii_form)
    found = read_captions(path, read_t7(path))
    assert found.name == "val_captions" and found.captions == ["a bird", "a small bird", "é"]
    assert torch.equal(found.encode(["é", "a bird"]), torch.from_numpy(rows[[2, 0]]))


@pytest.mark.parametrize(
    "change", [{"raw_txt": None}, {"fea_txt": None}, {"raw_txt": ["one"]}, {"fea_txt": [1, 2]},
               {"raw_txt": []}]
)  # fmt: skip
def test_captions_that_do_not_fit_are_refused(write_t7, tmp_path, change):
    value = {"raw_txt": ["a", "b"], "fea_txt": [np.ones((2, 4), np.float32)]} | change
    path = write_t7(tmp_path / "val.t7", {k: v for k, v in value.items() if v is not None})
    with pytest.raises(DataError, match=r"val\.t7"):
        read_captions(path, read_t7(path))
