"""Pixels and images: the one pair of functions between them."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from stackgan.tensors import to_images, to_pixels

LEVELS = torch.arange(256, dtype=torch.uint8).repeat(3).view(1, 3, 16, 16)


def test_every_level_survives_the_round_trip():
    assert torch.equal(to_pixels(to_images(LEVELS)), LEVELS)


def test_the_ends_of_the_range_are_black_and_white():
    images = to_images(LEVELS)
    assert images.min() == -1 and images.max() == 1
    assert images.dtype == torch.float32


def test_halfway_levels_are_rounded_not_truncated():
    images = torch.full((1, 3, 2, 2), (100.75 / 127.5) - 1)
    assert int(to_pixels(images)[0, 0, 0, 0]) == 101


def test_what_lies_outside_is_clipped_and_does_not_wrap():
    images = torch.tensor([-3.0, -1.01, 1.01, 3.0]).view(1, 1, 2, 2).repeat(1, 3, 1, 1)
    assert to_pixels(images)[0, 0].flatten().tolist() == [0, 0, 255, 255]


def test_the_input_is_left_as_it_was():
    images = to_images(LEVELS)
    before = images.clone()
    to_pixels(images)
    assert torch.equal(images, before)


@given(st.floats(-2, 2, width=32))
def test_a_pixel_is_the_nearest_level(value):
    level = int(to_pixels(torch.full((1, 3, 1, 1), value))[0, 0, 0, 0])
    exact = min(max((value + 1) * 127.5, 0), 255)
    assert abs(level - exact) <= 0.5001
