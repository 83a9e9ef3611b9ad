"""The toy set: drawn from its seed alone, some pairs held out, judged exactly."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from stackgan.data import read_examples
from stackgan.data.check import report
from stackgan.data.readers import read_conditioned
from stackgan.data.shapes import COLOURS, PARTS, SHAPES, coverage, extent, parts
from stackgan.data.toy import PLACES, SIZES, draw, draw_one, held_out, judge
from stackgan.errors import DataError, InputError

COUNT = 210


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp("toy") / "set"
    draw(root, 5, COUNT)
    return root


@pytest.fixture(scope="module")
def pictures():
    """Pictures of every colour and shape, and what they show."""
    drawn = [draw_one(11, number) for number in range(280)]
    shown = [(entry["colour"], entry["shape"]) for _, entry in drawn]
    return np.stack([picture for picture, _ in drawn]), shown


def files(root) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_the_judge_is_right_on_every_drawn_picture(pictures):
    pixels, shown = pictures
    assert judge(pixels) == shown
    assert len(set(shown)) == len(COLOURS) * len(SHAPES)


def test_the_judge_forgives_a_little_blur_and_noise(pictures):
    pixels, shown = pictures
    blurred = np.stack(
        [
            np.asarray(Image.fromarray(each).filter(ImageFilter.GaussianBlur(1)))
            for each in pixels[:140]
        ]
    )
    noisy = blurred + np.random.default_rng(0).normal(0, 5, blurred.shape)
    found = judge(np.clip(noisy, 0, 255).astype(np.uint8))
    right = [
        [one[part] == other[part] for one, other in zip(found, shown, strict=False)]
        for part in (0, 1)
    ]
    assert np.mean(right[0]) == 1
    assert np.mean(right[1]) > 0.98


def test_the_judge_reads_larger_pictures(pictures):
    pixels, shown = pictures
    assert judge(pixels[:20].repeat(4, 1).repeat(4, 2)) == shown[:20]


def test_the_judge_sees_nothing_where_nothing_is():
    random = np.random.default_rng(0)
    plain = random.integers(55, 66, (1, 64, 64, 3))
    assert judge(plain.astype(np.uint8)) == [("none", "none")]


def test_the_judge_gives_no_shape_to_scattered_dots():
    picture = np.full((1, 64, 64, 3), 40, dtype=np.uint8)
    picture[0, 4:60:8, 4:60:8] = COLOURS["red"]
    picture[0, 5:60:8, 4:60:8] = COLOURS["red"]
    assert judge(picture) == [("red", "none")]


@pytest.mark.parametrize("shape", [(64, 64, 3), (1, 60, 60, 3), (1, 64, 32, 3), (1, 3, 64, 64)])
def test_the_judge_refuses_arrays_of_another_form(shape):
    with pytest.raises(InputError, match="expected"):
        judge(np.zeros(shape, dtype=np.uint8))


def test_an_ideal_circle_covers_its_area():
    assert coverage("circle", (32.0, 30.0), 20.0).sum() == pytest.approx(np.pi * 400, rel=2e-3)
    assert coverage("square", (32.0, 30.0), 20.0).sum() == pytest.approx(36.0**2, rel=2e-2)


def test_every_shape_lies_wholly_inside_the_picture():
    for (right, down), _ in PLACES.values():
        for shape in SHAPES:
            radius = max(size for size, _ in SIZES.values()) + 0.8
            mask = coverage(shape, (33.0 + right, 33.0 + down), radius)
            assert not mask[[0, -1]].any()
            assert not mask[:, [0, -1]].any()


def test_a_picture_is_a_function_of_seed_and_number(drawn, tmp_path):
    draw(tmp_path / "again", 5, COUNT)
    assert files(tmp_path / "again") == files(drawn)
    draw(tmp_path / "fewer", 5, 40)
    fewer = files(tmp_path / "fewer")
    assert all(data == files(drawn)[name] for name, data in fewer.items() if name.endswith(".png"))
    one, other = draw_one(5, 0)[0], draw_one(6, 0)[0]
    assert not np.array_equal(one[:4, :4], other[:4, :4])  # nor is the background the same


@pytest.mark.parametrize("seed", range(4))
def test_one_pair_of_each_shape_is_held_out_and_no_colour_twice(seed):
    pairs = held_out(seed)
    assert len(pairs) == len(SHAPES)
    assert {shape for _, shape in pairs} == set(SHAPES)
    assert len({colour for colour, _ in pairs}) == len(pairs)
    assert pairs == held_out(seed)
    assert any(held_out(other) != pairs for other in range(10, 14))


def test_held_out_pairs_are_absent_from_the_training_split(drawn):
    apart = {f"{colour} {shape}" for colour, shape in held_out(5)}
    train, test = (read_examples("toy", drawn, split) for split in ("train", "test"))
    assert {example.class_name for example in test} == apart
    classes = Counter(example.class_name for example in train)
    assert not apart & set(classes)
    assert len(train) + len(test) == COUNT
    assert all(classes[f"{c} {s}"] for c in COLOURS for s in SHAPES if f"{c} {s}" not in apart)
    for word in [*COLOURS, *SHAPES]:
        assert sum(count for name, count in classes.items() if word in name.split()) >= 15


def test_captions_are_several_and_true(drawn):
    for example in read_examples("toy", drawn, "all"):
        colour, shape = example.class_name.split()
        assert len(set(example.captions)) == 5
        for caption in example.captions:
            words = caption.split()
            assert colour in words
            assert shape in words
            assert not (set(COLOURS) - {colour} | set(SHAPES) - {shape}) & set(words)
            assert "a orange" not in caption


def test_sizes_and_places_in_the_metadata_are_those_of_the_picture(drawn):
    lines = [json.loads(line) for line in (drawn / "metadata.jsonl").read_text().splitlines()]
    assert len({line["size"] for line in lines}) == len(SIZES)
    for line in lines:
        picture = np.asarray(Image.open(drawn / line["file_name"]), dtype=float)
        rows, columns = np.nonzero(np.ptp(picture, axis=2) > 60)
        if line["colour"] == "white":
            rows, columns = np.nonzero(picture.min(axis=2) > 180)
        width = np.ptp(columns)
        radius = SIZES[line["size"]][0]
        assert abs(width / 2 - radius) < 3.2
        right, down = PLACES[line["place"]][0]
        assert abs((columns.min() + columns.max() + 1) / 2 - 32 - right) < 2.5
        assert abs((rows.min() + rows.max() + 1) / 2 - 32 - down) < 4.5


@pytest.mark.parametrize("shape", list(SHAPES))
def test_a_shapes_box_and_points_lie_where_it_ends(shape):
    left, top, width, height = extent(shape)
    mask = coverage(shape, (32.0, 32.0), 28.0, 16) > 0
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    told = 32 + 28 * np.array([left, top, left + width, top + height])
    assert np.abs(told - found).max() <= 1  # the last pixel may be covered by a sliver

    def inside(x, y):
        return bool(SHAPES[shape](np.float64(x), np.float64(y)))

    points = dict(zip(PARTS, parts(shape), strict=True))
    assert points.pop("centre") == (0, 0, True)
    for name, (x, y, visible) in points.items():
        if visible:
            assert inside(0.999 * x, 0.999 * y), name
            assert not inside(1.001 * x, 1.001 * y), name
        assert visible or (x, y) == (0, 0)
        mirrored = name.replace("left", "L").replace("right", "left")
        assert points[mirrored.replace("L", "right")] == (-x, y, visible)
    corners = [name for name, point in points.items() if "corner" in name and point[2]]
    assert len(corners) == {"square": 4, "triangle": 2}.get(shape, 0)
    assert all(abs(points[name][0]) == left + width for name in corners)


def test_boxes_and_points_are_those_of_the_picture(drawn):
    examples = read_conditioned("toy", drawn, "all", ("box", "points"))
    assert len(examples) == COUNT
    for example in examples:
        picture = np.asarray(Image.open(example.image), dtype=float)
        shape = np.ptp(picture, axis=2) > 60
        if example.class_name.startswith("white"):
            shape = picture.min(axis=2) > 160
        rows, columns = np.nonzero(shape)
        left, top, width, height = example.box
        seen = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert np.abs(np.array([left, top, left + width, top + height]) - seen).max() < 1.2
        x, y = example.points.x, example.points.y
        assert x[0] == pytest.approx(left + width / 2)
        assert (y[1], y[2]) == pytest.approx((top, top + height))


def test_who_asks_for_no_box_gets_none(drawn):
    plain, told = read_examples("toy", drawn), read_conditioned("toy", drawn, "train", ("box",))
    assert all(example.box is None and example.points is None for example in plain)
    assert [replace(example, box=None, points=None) for example in told] == plain


def test_a_set_drawn_before_boxes_were_kept_is_drawn_again(tmp_path):
    draw(tmp_path / "set", 1, 40)
    before = files(tmp_path / "set")
    table = tmp_path / "set" / "metadata.jsonl"
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    for row in rows:
        del row["radius"]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert len(read_examples("toy", tmp_path / "set", "all")) == 40
    with pytest.raises(DataError, match=r"by an older version; `stackgan data toy --root .*/set`"):
        read_conditioned("toy", tmp_path / "set", "all", ("points",))
    draw(tmp_path / "set", 1, 40)
    assert files(tmp_path / "set") == before


def test_it_is_a_folder_data_set_without_faults(drawn):
    assert report("toy", drawn) == (COUNT, [])
    assert read_examples("folder", drawn, "test") == read_examples("toy", drawn, "test")


def test_a_toy_set_that_was_not_drawn_to_its_end_is_refused_and_can_be_drawn_again(tmp_path):
    class Stop(Exception):
        pass

    def stop(done, total):
        if done == 10:
            raise Stop

    with pytest.raises(Stop):
        draw(tmp_path / "set", 1, 40, stop)
    with pytest.raises(DataError, match="not a whole toy set; draw one with"):
        read_examples("toy", tmp_path / "set")
    draw(tmp_path / "set", 1, 40)
    assert report("toy", tmp_path / "set").usable == 40


def test_nothing_else_is_drawn_over(tmp_path):
    (tmp_path / "precious.txt").touch()
    with pytest.raises(InputError, match="holds other files; --root names a new"):
        draw(tmp_path, 0, 40)
    with pytest.raises(InputError, match="is a file"):
        draw(tmp_path / "precious.txt", 0, 40)
    draw(tmp_path / "set", 0, 40)
    with pytest.raises(InputError, match=r"the toy set of .*'seed': 0"):
        draw(tmp_path / "set", 1, 40)


def test_too_few_pictures_or_a_negative_seed_are_refused(tmp_path):
    with pytest.raises(InputError, match="at least 35"):
        draw(tmp_path / "set", 0, 34)
    with pytest.raises(InputError, match="seed is -1"):
        draw(tmp_path / "set", -1, 40)
    assert not (tmp_path / "set").exists()
