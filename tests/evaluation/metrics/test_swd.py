"""SWD against closed forms, and what it may not depend on."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from stackgan.errors import InputError
from stackgan.evaluation.metrics.swd import laplacian_pyramid, swd


def photographs(count=6, size_px=64, seed=0):
    """Smooth coloured shapes with some noise: patches with structure at every level."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 5, 5, generator=random)
    smooth = functional.interpolate(coarse, size=(size_px, size_px), mode="bilinear")
    noise = 0.2 * torch.rand(count, 3, size_px, size_px, generator=random)
    return ((0.8 * smooth + noise) * 255).to(torch.uint8)


def blurred(pixels):
    soft = functional.avg_pool2d(pixels.float(), 5, stride=1, padding=2, count_include_pad=False)
    return soft.round().to(torch.uint8)


def test_swd_of_equal_sets_is_zero_in_any_order():
    pixels = photographs()
    assert swd(pixels, pixels.flip(0)) == {64: 0, 32: 0, 16: 0}


def test_swd_sees_blur_at_the_finest_level_and_not_at_the_coarsest():
    pixels = photographs()
    other = swd(photographs(seed=1), pixels)
    soft = swd(blurred(pixels), pixels)
    softer = swd(blurred(blurred(pixels)), pixels)
    assert 0 < soft[64] < softer[64]
    assert other[64] < soft[64]
    assert soft[16] < soft[64] / 4


def test_swd_sees_a_wrong_colour_at_the_coarsest_level():
    pixels = photographs()
    darker = swd((pixels // 2), pixels)
    turned = swd(pixels.flip(1), pixels)  # red and blue exchanged
    assert darker[16] > 100
    assert turned[16] > 20


def test_swd_of_a_shift_at_the_coarsest_level_is_the_closed_form():
    """A constant added moves each normalised patch by one vector; projections of it average so."""
    pixels = photographs(size_px=16, count=40)
    shift_levels = 100
    pale = pixels.clamp(0, 150)
    moved = pale + shift_levels
    windows = pale.float().unfold(2, 7, 1).unfold(3, 7, 1)  # the patches lie anywhere among these
    deviation = windows.std(dim=(0, 2, 3, 4, 5))
    length = float((49 * (shift_levels / deviation).square()).sum().sqrt())
    expected = 1000 * length * (2 / (torch.pi * 147)) ** 0.5
    assert swd(moved, pale)[16] == pytest.approx(expected, rel=0.1)


def test_swd_measures_in_the_deviation_of_the_reference():
    pale = photographs(size_px=16, count=40) // 2
    strong = pale * 2  # the same pictures with twice the deviation
    assert swd(strong, pale)[16] == pytest.approx(2 * swd(pale, strong)[16], rel=0.1)


def test_swd_draws_its_directions_from_its_seed():
    random = torch.Generator().manual_seed(0)
    levels = torch.randint(0, 256, (2, 30, 3, 1, 1), dtype=torch.uint8, generator=random)
    one, other = levels.expand(-1, -1, -1, 16, 16)  # flat: any patch of a picture is the same
    assert swd(one, other, 1) == swd(one, other, 1)
    assert swd(one, other, 1) != swd(one, other, 2)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_swd_is_a_function_of_its_seed(seed):
    one, other = photographs(2), photographs(2, seed=1)
    assert swd(one, other, seed) == swd(one, other, seed)
    assert swd(one, other, seed) != swd(one, other, seed + 1)


def test_swd_of_nothing_is_refused():
    with pytest.raises(InputError, match="there is none"):
        swd(photographs(2)[:0], photographs(2)[:0])


@pytest.mark.parametrize(
    ("channel", "name"), [(0, "red"), (1, "green"), (2, "blue"), (slice(None), "red|green|blue")]
)
@pytest.mark.parametrize("level", [0, 37, 255])
def test_swd_of_photographs_without_deviation_is_refused(channel, name, level):
    reference = photographs(3)
    reference[:, channel] = level
    with pytest.raises(InputError, match=f"the ({name}) of the 3 photographs is flat at 64 px"):
        swd(photographs(3), reference)
    assert swd(reference, photographs(3))[64] > 0  # the model's own flatness is what it measures


def test_swd_refuses_sides_that_differ_and_sizes_that_do_not_halve_to_16():
    with pytest.raises(InputError, match="as many"):
        swd(photographs(3), photographs(4))
    with pytest.raises(InputError, match="64, 128"):
        swd(photographs(2, 48), photographs(2, 48))


def test_the_levels_of_the_pyramid_add_up_to_the_picture():
    pixels = photographs(2)
    fine, middle, rest = laplacian_pyramid(pixels)
    assert [level.shape[-1] for level in (fine, middle, rest)] == [64, 32, 16]

    def enlarged(level):
        line = torch.tensor([1.0, 4, 6, 4, 1]) / 8
        spread = torch.zeros(*level.shape[:2], level.shape[2] * 2, level.shape[3] * 2)
        spread[..., ::2, ::2] = level
        padded = functional.pad(spread, (2, 2, 2, 2), mode="reflect")
        kernel = torch.outer(line, line).expand(3, 1, 5, 5)
        return functional.conv2d(padded, kernel, groups=3)

    torch.testing.assert_close(
        fine + enlarged(middle + enlarged(rest)), pixels.float(), atol=1e-3, rtol=0
    )
    flat = laplacian_pyramid(torch.full((1, 3, 64, 64), 77, dtype=torch.uint8))
    torch.testing.assert_close(flat[2], torch.full((1, 3, 16, 16), 77.0))
    assert flat[0].abs().max() < 1e-4
