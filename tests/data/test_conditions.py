"""Boxes and key points of a batch: where its pixels show them, for every fit, crop and flip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from PIL import Image

from stackgan.data.batches import Batches
from stackgan.data.cache import prepare_cache
from stackgan.data.conditions import Conditions, conditions_of, require
from stackgan.data.crop import Fit
from stackgan.data.examples import Example, KeyPoints
from stackgan.errors import DataError, InputError

NAMES = ("beak", "left eye", "right eye")
BOTH = ("box", "points")
SIZE = (150, 110)


def blots(size: tuple[int, int], *rectangles: tuple[int, int, int, int]) -> Image.Image:
    """A photograph whose red, green and blue show a rectangle each: left, top, right, bottom."""
    levels = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    for channel, (left, top, right, bottom) in enumerate(rectangles):
        levels[top:bottom, left:right, channel] = 250
    return Image.fromarray(levels)


def bird(
    path: Path,
    left_eye: tuple[int, int] = (60, 40),
    right_eye: tuple[int, int] = (84, 50),
    box: tuple[int, int, int, int] = (50, 30, 54, 46),
    size: tuple[int, int] = SIZE,
    dot: int = 8,
    **save: object,
) -> Example:
    """A red left eye, a green right eye, a blue box; no beak is seen."""
    eyes = [(x, y, x + dot, y + dot) for x, y in (left_eye, right_eye)]
    photograph = blots(size, *eyes, (box[0], box[1], box[0] + box[2], box[1] + box[3]))
    exif = save.get("exif")
    if exif is not None:
        photograph = photograph.rotate(90, expand=True)
    photograph.save(path, **save)
    x, y = (tuple(each[axis] + dot / 2 for each in (left_eye, right_eye)) for axis in (0, 1))
    points = KeyPoints(NAMES, (0.0, *x), (0.0, *y), (False, True, True))
    return Example(path, ("a bird",), None, tuple(map(float, box)), points=points)  # type: ignore[arg-type]


def batches_of(
    example: Example, folder: Path, stored: int, px: int, fit: Fit, asked=BOTH, **more
) -> Batches:
    """The real loader over the same photograph twice."""
    pair = [example, replace(example, captions=("another",))]
    pixels = prepare_cache(pair, stored, folder, fit).pixels
    conditions = conditions_of(asked, pair, fit)
    rows = [(0,), (1,)]
    embeddings = torch.eye(2)
    return Batches(pixels, embeddings, rows, [None] * 2, 2, px, 3, conditions=conditions, **more)


def middle(channel: np.ndarray) -> tuple[float, float]:
    """Where a blot's middle lies, in pixels; 0 to 1 is the first pixel."""
    light = np.clip(channel / 250.0, 0, 1)
    light[light < 0.1] = 0  # what bicubic leaves beside an edge
    places = np.arange(len(light)) + 0.5
    return float((light.sum(0) * places).sum() / light.sum()), float(
        (light.sum(1) * places).sum() / light.sum()
    )


def shown(batch) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each picture its pixels [3, P, P], its box in pixels, its points in pixels."""
    px = batch.pixels.shape[-1]
    boxes, points = (batch.conditions[name].double().numpy() for name in BOTH)
    points = points * [px, px, 1]
    return list(zip(batch.pixels.double().numpy(), boxes * px, points, strict=True))


def compare(picture: np.ndarray, box: np.ndarray, points: np.ndarray, within: float) -> bool:
    """What is told lies where the pixels show it; gives whether the picture is mirrored."""
    red, green = middle(picture[0]), middle(picture[1])
    flipped = red[0] > green[0]  # the red eye is the left one in the photograph
    assert points[0].tolist() == [0, 0, 0]
    assert points[1:, 2].tolist() == [1, 1]
    left, right = (green, red) if flipped else (red, green)
    assert_allclose(points[1, :2], left, atol=within)
    assert_allclose(points[2, :2], right, atol=within)
    assert_allclose(box[:2] + box[2:] / 2, middle(picture[2]), atol=within)
    light = np.clip(picture[2] / 250.0, 0, 1)
    across, down = (int(box[axis] + box[axis + 2] / 2) for axis in (0, 1))
    assert_allclose(box[2:], [light[down].sum(), light[:, across].sum()], atol=2 * within)
    return flipped


@pytest.mark.parametrize("stored", [76, 64], ids=["cropped", "shifted"])
@pytest.mark.parametrize("fit", get_args(Fit))
def test_what_is_told_lies_where_the_pixels_show_it(tmp_path, fit, stored):
    example = bird(tmp_path / "bird.png")
    batches = batches_of(example, tmp_path / "cache", stored, 64, fit)
    flipped = []
    for epoch in range(12):
        for picture in shown(batches.batch(epoch, 0)):
            flipped.append(compare(*picture, within=0.3))
    assert 4 < sum(flipped) < 20


def test_a_turned_photograph_and_a_large_jpeg_are_told_as_the_loader_reads_them(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    turned = bird(tmp_path / "turned.png", exif=exif)
    for place, (stored, fit) in enumerate([(76, "crop"), (64, "squeeze"), (76, "box")]):
        batches = batches_of(turned, tmp_path / f"cache{place}", stored, 64, fit)
        for picture in shown(batches.batch(0, 0)):
            compare(*picture, within=0.3)
    large = bird(  # read at half its size, which is no whole number of pixels
        tmp_path / "large.jpg",
        (400, 260),
        (560, 330),
        (340, 200, 360, 300),
        (1001, 735),
        50,
        quality=97,
        subsampling=0,
    )
    for fit in ("crop", "squeeze", "box"):
        batches = batches_of(large, tmp_path / f"large-{fit}", 76, 64, fit)
        for picture in shown(batches.batch(0, 0)):
            compare(*picture, within=0.5)


def test_a_box_that_the_crop_cuts_is_clipped_and_an_eye_outside_is_not_seen(tmp_path):
    example = bird(tmp_path / "bird.png", left_eye=(4, 40), box=(5, 30, 60, 46))
    batches = batches_of(example, tmp_path / "cache", 76, 64, "crop", flip=False)
    for epoch in range(6):
        for picture, box, points in shown(batches.batch(epoch, 0)):
            assert picture[0].max() < 30  # the centre crop begins at 20
            assert points[1].tolist() == [0, 0, 0]
            assert_allclose(points[2, :2], middle(picture[1]), atol=0.3)
            light = np.clip(picture[2] / 250.0, 0, 1)
            assert box[0] == 0
            assert_allclose(box[2], light[int(box[1] + box[3] / 2)].sum(), atol=0.3)


def test_a_bird_outside_the_square_has_no_box(tmp_path):
    example = bird(tmp_path / "bird.png", (0, 40), (8, 40), (0, 30, 18, 46))
    batches = batches_of(example, tmp_path / "cache", 76, 64, "crop")
    batch = batches.batch(0, 0)
    assert batch.pixels.max() < 30
    assert not batch.conditions["box"].any() and not batch.conditions["points"].any()


def test_conditions_are_a_function_of_seed_epoch_and_index_alone(tmp_path):
    example = bird(tmp_path / "bird.png")
    one, other = (batches_of(example, tmp_path / "cache", 76, 64, "crop") for _ in range(2))
    other.batch(3, 0)
    seen = []
    for epoch in range(4):
        for name in BOTH:
            found = one.batch(epoch, 0).conditions[name]
            assert torch.equal(found, other.batch(epoch, 0).conditions[name])
            assert found.dtype == torch.float32
        seen.append(found)
    assert seen[0].shape == (2, 3, 3)
    assert not torch.equal(seen[0], seen[1])


@pytest.mark.parametrize("pair", ["caption", "image"])
def test_asking_for_conditions_changes_nothing_else(tmp_path, pair):
    example = bird(tmp_path / "bird.png")
    cache = tmp_path / "cache"
    before = batches_of(example, cache, 76, 64, "box", (), wrong_pair=pair)
    files = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    asked = batches_of(example, cache, 76, 64, "box", wrong_pair=pair)
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == files
    for epoch in range(3):
        plain, more = before.batch(epoch, 0), asked.batch(epoch, 0)
        assert plain.conditions == {}
        assert set(more.conditions) == set(BOTH)
        for one, other in zip(plain[:-1], more[:-1], strict=True):
            assert one is other is None or torch.equal(one, other)


def test_only_what_is_asked_for_is_told(tmp_path):
    example = bird(tmp_path / "bird.png")
    for name in BOTH:
        batches = batches_of(example, tmp_path / "cache", 76, 64, "crop", (name,))
        assert list(batches.batch(0, 0).conditions) == [name]
    example.image.unlink()
    assert conditions_of((), [example]) is None  # nothing is opened for nothing
    with pytest.raises(DataError, match=r"bird\.png is missing"):
        conditions_of(BOTH, [example])


def test_a_photograph_without_is_zeros_beside_others_with(tmp_path):
    example = bird(tmp_path / "bird.png")
    found = conditions_of(BOTH, [replace(example, box=None, points=None), example])
    assert found is not None
    assert (len(found), found.parts) == (2, NAMES)
    assert not found.boxes[0].any() and not found.points[0].any()
    assert found.boxes[1].all() and found.points[1, 1:].all()


def test_a_data_set_without_is_named_with_what_it_lacks(tmp_path):
    example = Example(tmp_path / "no.png", ("a bird",))
    with pytest.raises(InputError, match="coco in photos has no boxes, which are asked for"):
        require(("box",), [example], "coco in photos")
    with pytest.raises(InputError, match="coco has no boxes and no key points, which"):
        conditions_of(BOTH, [example, example], data="coco")
    with pytest.raises(InputError, match="condition 'boxes' is unknown; did you mean 'box'"):
        require(("boxes",), [example], "coco")
    require((), [example], "coco")


def test_key_points_of_different_parts_are_refused(tmp_path):
    one = bird(tmp_path / "bird.png")
    points = KeyPoints(("beak",), (1.0,), (2.0,), (True,))
    with pytest.raises(InputError, match=r"cub has key points of different parts: 3 of bird\.png"):
        require(("points",), [one, replace(one, points=points)], "cub")


def test_conditions_of_other_examples_are_refused():
    pixels = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    of_three = Conditions(boxes=np.zeros((3, 4)))
    with pytest.raises(InputError, match="2 images and conditions of 3 examples"):
        Batches(pixels, torch.eye(2), [(0,), (1,)], [None] * 2, 2, 8, 0, conditions=of_three)
