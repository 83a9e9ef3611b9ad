"""Which part of a photograph becomes the square."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stackgan.data.cache import prepare_cache
from stackgan.data.crop import box_problem, framed, framed_by_the_authors, region, used_fit
from stackgan.data.examples import Example
from stackgan.data.images import to_square
from stackgan.errors import DataError


@st.composite
def boxed(draw):
    """A photograph's size and a box that lies in it."""
    size = (draw(st.integers(8, 600)), draw(st.integers(8, 600)))
    left, top = (draw(st.floats(0, length - 4)) for length in size)
    width = draw(st.floats(2, size[0] - left))
    height = draw(st.floats(2, size[1] - top))
    return size, (left, top, width, height)


@given(boxed())
def test_the_box_is_whole_and_at_least_three_quarters_of_what_is_cut_out(case):
    size, (left, top, width, height) = case
    x, y, right, bottom = framed(size, (left, top, width, height))
    assert 0 <= x <= left + 1e-6
    assert 0 <= y <= top + 1e-6
    assert left + width - 1e-6 <= right <= size[0]
    assert top + height - 1e-6 <= bottom <= size[1]
    assert max(width / (right - x), height / (bottom - y)) >= 0.75 - 1e-6


@given(boxed())
def test_what_is_cut_out_is_a_square_wherever_the_box_fits_into_one(case):
    size, box = case
    x, y, right, bottom = framed(size, box)
    if max(box[2:]) <= min(size):
        assert right - x == pytest.approx(bottom - y)
        assert right - x == pytest.approx(min(max(box[2:]) / 0.75, *size))


@pytest.mark.parametrize(
    ("size", "box", "expected"),
    [
        ((100, 80), (40.0, 30.0, 15.0, 30.0), (27.5, 25.0, 67.5, 65.0)),  # about the centre
        ((100, 80), (0.0, 70.0, 30.0, 10.0), (0.0, 40.0, 40.0, 80.0)),  # moved inside
        ((100, 60), (20.0, 10.0, 50.0, 40.0), (15.0, 0.0, 75.0, 60.0)),  # as large as it can be
        ((100, 60), (10.0, 40.0, 80.0, 20.0), (10.0, 0.0, 90.0, 60.0)),  # longer than that
    ],
)
def test_the_papers_crop_in_closed_form(size, box, expected):
    assert region(size, "box", box) == pytest.approx(expected)


@given(boxed())
def test_the_authors_crop_is_that_of_their_code(case):
    """Three lines of `custom_crop` in the authors' code, in numpy as there."""
    (width, height), box = case
    reach = max(1, int(np.maximum(box[2], box[3]) * 0.75))
    x, y = int((2 * box[0] + box[2]) / 2), int((2 * box[1] + box[3]) / 2)
    expected = (
        np.maximum(0, x - reach),
        np.maximum(0, y - reach),
        np.minimum(width, x + reach),
        np.minimum(height, y + reach),
    )
    assert framed_by_the_authors((width, height), box) == expected


def test_the_authors_crop_is_clipped_at_the_border():
    assert region((100, 80), "box_authors", (10.0, 20.0, 30.0, 15.0)) == (3.0, 5.0, 47.0, 49.0)
    assert region((100, 80), "box_authors", (0.0, 0.0, 30.0, 15.0)) == (0.0, 0.0, 37.0, 29.0)


def test_without_a_box_the_papers_way_crops_and_the_authors_squeezes():
    assert region((100, 60), "box") == region((100, 60), "crop") == (20.0, 0.0, 80.0, 60.0)
    assert region((100, 60), "box_authors") == region((100, 60), "squeeze") == (0.0, 0.0, 100.0, 60)
    box = (1.0, 2.0, 30.0, 40.0)
    assert region((100, 60), "crop", box) == region((100, 60), "crop")
    assert region((100, 60), "squeeze", box) == region((100, 60), "squeeze")
    assert used_fit([None, None], "box") == "crop"
    assert used_fit([None, None], "box_authors") == "squeeze"
    assert used_fit([None, box], "box") == "box"
    assert used_fit([None, box], "crop") == "crop"


def test_a_box_of_another_copy_is_told_and_one_that_sticks_out_is_not():
    assert box_problem((500, 333), (5.0, 127.0, 496.0, 131.0)) is None  # a pixel over, as published
    assert box_problem((100, 100), (60.0, 0.0, 80.0, 50.0)) is None  # half of it inside
    assert "is 100x100 pixels" in (box_problem((100, 100), (61.0, 0.0, 80.0, 50.0)) or "")
    assert "lies outside" in (box_problem((64, 64), (200.0, 100.0, 90.0, 90.0)) or "")


@given(boxed(), st.floats(-900, 900), st.floats(-900, 900))
def test_no_box_leads_out_of_the_photograph(case, right, down):
    size, (left, top, width, height) = case
    for fit in ("box", "box_authors"):
        x, y, end, below = region(size, fit, (left + right, top + down, width, height))
        assert 0 <= x < end <= size[0]
        assert 0 <= y < below <= size[1]


@pytest.fixture
def bird(tmp_path) -> Example:
    """A green photograph of 120x80 with a red box of 30x30."""
    photograph = Image.new("RGB", (120, 80), (0, 200, 0))
    photograph.paste((200, 0, 0), (80, 40, 110, 70))
    photograph.save(tmp_path / "bird.png")
    return Example(tmp_path / "bird.png", ("a bird",), "birds", (80.0, 40.0, 30.0, 30.0))


@pytest.mark.parametrize(("fit", "share"), [("box", 0.75), ("box_authors", 30 / 44)])
def test_the_cache_holds_what_the_box_frames(bird, tmp_path, fit, share):
    pixels = prepare_cache([bird], 64, tmp_path / "cache", fit).pixels[0]
    red = pixels[..., 0] > pixels[..., 1]
    middle = (80 + 110) / 2
    assert red.mean() == pytest.approx(share**2 if fit == "box" else 0.5, abs=0.05)
    assert red[32, 32]
    assert middle > 64  # the centre crop would have cut through it
    with Image.open(bird.image) as photograph:
        assert (np.asarray(to_square(photograph, 64, fit, bird.box)) == pixels).all()


def test_a_box_that_changed_rebuilds_the_cache_and_only_where_it_is_used(bird, tmp_path):
    moved = Example(bird.image, bird.captions, "birds", (0.0, 0.0, 30.0, 30.0))
    first = prepare_cache([bird], 16, tmp_path / "cache", "box")
    assert first.pixels[0, 8, 8, 0] == 200
    again = prepare_cache([moved], 16, tmp_path / "cache", "box")
    assert again.path == first.path
    assert again.pixels[0, 8, 8, 0] == 0
    centre = prepare_cache([bird], 16, tmp_path / "cache", "crop").path
    record = centre.with_suffix(".json").read_text()
    assert prepare_cache([moved], 16, tmp_path / "cache", "crop").path == centre
    assert centre.with_suffix(".json").read_text() == record


def test_a_cache_without_boxes_is_the_crops(bird, tmp_path):
    plain = Example(bird.image, bird.captions)
    assert prepare_cache([plain], 16, tmp_path / "cache", "box").path.name.startswith("pixels-16-c")
    crop = prepare_cache([plain], 16, tmp_path / "cache", "crop")
    assert prepare_cache([plain], 16, tmp_path / "cache", "box").path == crop.path


def test_a_photograph_that_its_box_does_not_lie_in_is_named(bird, tmp_path):
    with Image.open(bird.image) as photograph:
        photograph.resize((64, 43)).save(bird.image)
    with pytest.raises(DataError, match=r"bird\.png is 64x43 pixels and its box .*data check"):
        prepare_cache([bird], 16, tmp_path / "cache", "box")
    assert prepare_cache([bird], 16, tmp_path / "cache", "crop").size_px == 16


def test_a_large_photograph_is_not_halved_under_its_box(tmp_path):
    photograph = Image.new("RGB", (800, 600), (0, 200, 0))
    photograph.paste((200, 0, 0), (600, 400, 720, 520))
    photograph.save(tmp_path / "large.jpg", quality=95)
    example = Example(tmp_path / "large.jpg", ("a bird",), None, (600.0, 400.0, 120.0, 120.0))
    pixels = prepare_cache([example], 16, tmp_path / "cache", "box").pixels[0]
    assert (pixels[..., 0] > pixels[..., 1]).mean() == pytest.approx(0.75**2, abs=0.08)


def test_a_box_is_of_the_upright_photograph(tmp_path):
    upright = Image.new("RGB", (60, 120), (0, 200, 0))
    upright.paste((200, 0, 0), (20, 80, 50, 110))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    upright.rotate(90, expand=True).save(tmp_path / "turned.png", exif=exif)
    example = Example(tmp_path / "turned.png", ("a bird",), None, (20.0, 80.0, 30.0, 30.0))
    pixels = prepare_cache([example], 16, tmp_path / "cache", "box").pixels[0]
    assert (pixels[..., 0] > pixels[..., 1]).mean() == pytest.approx(0.75**2, abs=0.08)
