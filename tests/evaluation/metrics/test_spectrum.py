"""Peaks of spectra of pictures whose figures are known beforehand."""

import math

import numpy as np
import pytest
import torch

from stackgan.errors import InputError
from stackgan.evaluation.metrics.spectrum import peaks, power


def waves(size_px, period_px, degrees, amplitude):
    """A grey wave: 0 degrees changes from left to right, 90 from top to bottom."""
    rows, columns = np.mgrid[:size_px, :size_px]
    angle = math.radians(degrees)
    way = columns * math.cos(angle) + rows * math.sin(angle)
    return amplitude * np.cos(2 * np.pi * way / period_px)


def grey(levels):
    """[N, H, W] in levels -> uint8 [N, 3, H, W]."""
    rounded = np.clip(np.round(levels), 0, 255).astype(np.uint8)
    return torch.from_numpy(np.repeat(rounded[:, None], 3, axis=1))


def noise(count, size_px, deviation=20.0, seed=0):
    shape = (count, size_px, size_px)
    return 128 + np.random.default_rng(seed).normal(0, deviation, shape)


def test_white_noise_of_one_level_has_the_power_that_is_called_negligible():
    found = power(grey(noise(200, 64, 20.0))) / 400
    hann = torch.hann_window(64, periodic=True, dtype=torch.float64)
    assert float(found[8:24, 8:24].mean()) == pytest.approx(
        float(hann.square().sum()) ** 2, rel=0.02
    )


@pytest.mark.parametrize("size_px", [64, 256])
@pytest.mark.parametrize("row, column", [(0, 16), (16, 0), (12, 12), (-12, 12), (0, 32)])
def test_a_wave_is_found_with_its_period_direction_and_power(size_px, row, column):
    period = 64 / math.hypot(row, column)
    direction = math.degrees(math.atan2(row, column))
    plain = noise(40 if size_px == 64 else 4, size_px)
    found = peaks(grey(plain + waves(size_px, period, direction, 12.0)), grey(plain)).largest
    assert found.period_px == pytest.approx(period)
    assert found.direction_degrees == pytest.approx(direction)
    hann = torch.hann_window(64, periodic=True, dtype=torch.float64)
    share = 1 if column == 32 else 4  # at the highest frequency a wave is its own mirror image
    of_wave = 144 / share * float(hann.sum()) ** 4
    of_noise = 400 * float(hann.square().sum()) ** 2
    assert found.ratio == pytest.approx(1 + of_wave / of_noise, rel=0.25)


def test_what_photographs_have_next_to_nothing_of_does_not_count():
    smooth = 128 + waves(64, 16, 0, 60.0)[None].repeat(4, axis=0)
    checker = smooth + 4 * waves(64, math.sqrt(2), 45, 1.0)
    found = peaks(grey(checker), grey(smooth))
    assert found.largest.ratio == pytest.approx(1, abs=0.05)
    assert not found.over_limit and not found.frequencies_over_limit
    assert found.frequencies < 20


def test_halves_of_the_same_noise_have_no_peak():
    both = grey(noise(1600, 64))
    found = peaks(both[::2], both[1::2])
    assert found.largest.ratio < 1.4 and not found.over_limit
    assert found.frequencies == 64 * 33 - 1
    assert all(ring.ratio == pytest.approx(1, abs=0.1) for ring in found.rings)


def test_twice_the_deviation_is_four_times_the_power_in_every_ring():
    found = peaks(grey(noise(200, 64, 30)), grey(noise(200, 64, 15, seed=1)))
    assert found.over_limit and found.frequencies_over_limit > 2000
    assert [ring.ratio for ring in found.rings] == pytest.approx([4.0] * 45, rel=0.2)


def test_flat_photographs_are_refused():
    flat = torch.full((2, 3, 64, 64), 9, dtype=torch.uint8)
    with pytest.raises(InputError, match="flat"):
        peaks(flat, flat)


@pytest.mark.parametrize("size_px", [64, 128])
def test_the_same_pictures_have_no_pattern_of_their_own(size_px):
    same = grey(noise(6, size_px))
    found = peaks(same, same.flip(0))
    assert found.largest.ratio == found.largest_where_strong.ratio == pytest.approx(1, rel=1e-9)
    assert [ring.ratio for ring in found.rings] == pytest.approx([1.0] * len(found.rings))
    assert not found.over_limit and found.frequencies_over_limit == 0


def test_spectra_of_nothing_and_of_less_than_a_window_are_refused():
    some = grey(noise(2, 64))
    for pixels in (some[:0], some[..., :63]):
        with pytest.raises(InputError, match="at least one, of 64 px"):
            peaks(pixels, some)
        with pytest.raises(InputError, match="at least one, of 64 px"):
            peaks(some, pixels)
