"""What crops and flips do to boxes and key points: closed forms and laws, no pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from stackgan.data.examples import KeyPoints
from stackgan.data.geometry import (
    as_numbers,
    boxes_within,
    flipped_boxes,
    flipped_points,
    partners_of,
    points_problem,
    points_within,
    window,
)
from stackgan.errors import InputError

NAMES = ("beak", "left eye", "right eye", "tail")
PARTNERS = partners_of(NAMES)
SHARE = st.floats(0, 1)


@st.composite
def boxes(draw):
    """A box in a square of side 1, no thinner than a hundredth."""
    width, height = draw(st.floats(0.01, 1)), draw(st.floats(0.01, 1))
    return np.array([draw(SHARE) * (1 - width), draw(SHARE) * (1 - height), width, height])


@st.composite
def points(draw):
    """Four points in a square of side 1, some of them invisible and then zeros."""
    rows = [(draw(SHARE), draw(SHARE), 1.0) if draw(st.booleans()) else (0, 0, 0) for _ in NAMES]
    return np.array(rows, dtype=np.float64)


@st.composite
def windows(draw):
    """A window that may reach out of the square of side 1, as a shifted picture does."""
    side = draw(st.floats(0.2, 1.1))
    return np.array([draw(st.floats(-0.2, 0.5)), draw(st.floats(-0.2, 0.5)), side, side])


def mirrored(part: np.ndarray) -> np.ndarray:
    """The window of the mirrored square that shows what ``part`` shows of the square."""
    return np.array([1 - part[0] - part[2], *part[1:]])


def near_an_edge(found: np.ndarray) -> bool:
    """Whether rounding may decide that a point is seen."""
    return bool((np.abs(found[found[:, 2] > 0, :2] % 1) < 1e-9).any())


def test_a_window_is_where_a_part_begins_and_how_large_it_is():
    assert window((20.0, 10.0, 130.0, 100.0)) == (20.0, 10.0, 110.0, 90.0)


def test_a_box_becomes_shares_of_the_window_and_is_clipped():
    box, part = np.array([20.0, 30.0, 40.0, 20.0]), np.array([10.0, 20.0, 100.0, 50.0])
    assert_allclose(boxes_within(box, part), [0.1, 0.2, 0.4, 0.4])
    assert_allclose(boxes_within(box, np.array([30.0, 40.0, 20.0, 100.0])), [0, 0, 1, 0.1])
    assert_allclose(boxes_within(box, np.array([50.0, 45.0, 100.0, 100.0])), [0, 0, 0.1, 0.05])


@pytest.mark.parametrize("part", [(60, 0, 10, 90), (0, 50, 90, 10), (0, 0, 20, 20), (70, 0, 9, 9)])
def test_a_box_of_which_nothing_is_left_is_none(part):
    box = np.array([20.0, 30.0, 40.0, 20.0])
    assert not boxes_within(box, np.array(part, dtype=float)).any()
    assert not flipped_boxes(np.zeros(4)).any()


def test_a_point_outside_or_hidden_is_zeros_and_the_border_is_inside():
    seen = np.array([[10.0, 20, 1], [9.9, 20, 1], [60, 70, 1], [60, 70.1, 1], [30, 30, 0]])
    found = points_within(seen, np.array([10.0, 20.0, 50.0, 50.0]))
    assert found.tolist() == [[0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("column", range(8))
def test_a_flip_brings_column_i_to_the_last_but_i(column):
    pixel = np.array([column / 8, 0.0, 1 / 8, 1.0])
    assert_allclose(flipped_boxes(pixel), [(8 - 1 - column) / 8, 0, 1 / 8, 1], atol=1e-15)
    middle = np.array([[(column + 0.5) / 8, 0.25, 1.0]])
    assert_allclose(flipped_points(middle, [0]), [[(8 - 1 - column + 0.5) / 8, 0.25, 1]])


def test_left_and_right_parts_are_exchanged_by_a_flip_and_others_mirrored():
    seen = np.array([[0.5, 0.1, 1], [0.25, 0.2, 1], [0.0, 0.0, 0], [0.9, 0.8, 1]])
    expected = [[0.5, 0.1, 1], [0, 0, 0], [0.75, 0.2, 1], [0.1, 0.8, 1]]
    assert_allclose(flipped_points(seen, PARTNERS), expected, atol=1e-15)


def test_partners_are_told_by_the_words_left_and_right_alone():
    assert PARTNERS == (0, 2, 1, 3)
    assert partners_of(("Left eye", "right Eye", "cleft", "cright")) == (1, 0, 2, 3)
    assert partners_of(("upper left corner", "upper right corner", "lower left corner")) == (
        1,
        0,
        2,
    )
    assert partners_of(("left_wing", "right_wing", "left leg")) == (1, 0, 2)
    assert partners_of(("eye left", "eye right")) == (1, 0)
    assert partners_of(()) == ()


@given(boxes(), points())
def test_two_flips_are_none(box, seen):
    assert_allclose(flipped_boxes(flipped_boxes(box)), box, atol=1e-12)
    assert_allclose(flipped_points(flipped_points(seen, PARTNERS), PARTNERS), seen, atol=1e-12)


@given(boxes(), points(), windows())
def test_crop_then_flip_is_flip_then_the_mirrored_crop(box, seen, part):
    one = flipped_boxes(boxes_within(box, part))
    assert_allclose(one, boxes_within(flipped_boxes(box), mirrored(part)), atol=1e-9)
    cropped = points_within(seen, part)
    other = points_within(flipped_points(seen, PARTNERS), mirrored(part))
    if not near_an_edge(cropped) and not near_an_edge(other):
        assert_allclose(flipped_points(cropped, PARTNERS), other, atol=1e-9)


@given(boxes(), points(), st.floats(0, 0.4), st.floats(0, 0.4), st.floats(0.3, 0.6))
def test_two_crops_are_the_one_that_both_leave(box, seen, left, top, side):
    first, then = np.array([0.1, 0.05, 0.8, 0.9]), np.array([left, top, side, side])
    both = np.array([0.1 + 0.8 * left, 0.05 + 0.9 * top, 0.8 * side, 0.9 * side])
    twice = boxes_within(boxes_within(box, first), then)
    assert_allclose(twice, boxes_within(box, both), atol=1e-9)
    twice, once = points_within(points_within(seen, first), then), points_within(seen, both)
    if not near_an_edge(twice) and not near_an_edge(once):
        assert_allclose(twice, once, atol=1e-9)


@given(boxes(), windows(), st.floats(1, 900), st.floats(1, 900))
def test_shares_do_not_depend_on_the_unit_nor_on_a_squeeze(box, part, across, along):
    unit = np.array([across, along, across, along])
    assert_allclose(boxes_within(box * unit, part * unit), boxes_within(box, part), atol=1e-9)


@given(boxes(), windows(), st.booleans())
def test_what_is_told_lies_in_the_square(box, part, flip):
    found = boxes_within(box, part)
    found = flipped_boxes(found) if flip else found
    assert (found >= 0).all()
    assert (found[:2] + found[2:] <= 1 + 1e-12).all()
    assert (found[2:] > 0).all() or not found.any()


@given(boxes(), windows())
def test_a_boxs_corners_go_where_points_go(box, part):
    found = boxes_within(box, part)
    corners = np.array([[*box[:2], 1], [*(box[:2] + box[2:]), 1]])
    places = points_within(corners, part)
    if (places[:, 2] > 0).all() and found.any():
        assert_allclose(places[:, :2], [found[:2], found[:2] + found[2:]], atol=1e-9)


def test_inputs_are_left_as_they_were():
    box, seen = np.array([0.2, 0.3, 0.4, 0.2]), np.array([[0.2, 0.3, 1.0]])
    flipped_boxes(box), flipped_points(seen, [0])
    assert box.tolist() == [0.2, 0.3, 0.4, 0.2]
    assert seen.tolist() == [[0.2, 0.3, 1.0]]


def told(*places: tuple[float, float]) -> KeyPoints:
    names = tuple(f"part {n}" for n in range(len(places) + 1))
    x, y = ((*each, -900.0) for each in zip(*places, strict=True))  # the last is hidden
    return KeyPoints(names, tuple(x), tuple(y), (True,) * len(places) + (False,))


def test_key_points_are_rows_of_x_y_and_whether_seen():
    assert as_numbers(told((1.5, 2.5))).tolist() == [[1.5, 2.5, 1.0], [-900.0, -900.0, 0.0]]


def test_key_points_of_another_copy_are_told_and_one_that_sticks_out_is_not():
    assert points_problem((40, 30), told((0.0, 0.0), (40.0, 30.0))) is None
    assert points_problem((40, 30), told((41.0, 2.0), (3.0, 4.0))) is None
    problem = points_problem((40, 30), told((90.0, 2.0), (3.0, 40.0), (3.0, 4.0)))
    assert "is 40x30 pixels and 2 of its 3 visible key points lie outside" in (problem or "")
    assert points_problem((40, 30), KeyPoints(("a",), (99.0,), (99.0,), (False,))) is None


def test_lists_of_unlike_length_are_no_key_points():
    with pytest.raises(InputError, match="2 names of parts, 1 and 2 coordinates and 2 words"):
        KeyPoints(("a", "b"), (1.0,), (1.0, 2.0), (True, False))
