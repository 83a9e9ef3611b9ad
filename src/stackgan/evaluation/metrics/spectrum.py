"""Do pictures hold patterns that photographs do not? The peaks of one spectrum over the other.

The power spectrum of the luminance (.299 R + .587 G + .114 B, in levels), averaged over all
windows of 64 x 64 pixels that lie half over each other (one of a sketch, 49 of a picture of 256 px)
and over all pictures. From each window its mean is taken and a Hann window laid over it, so that
borders cast no cross. The ratio of two such spectra at a frequency says how many times the power of
the photographs there the pictures have; stripes, dots and honeycombs are peaks of it.

A frequency counts where the photographs' power is not negligible: at least that of white noise of a
deviation of one level, which no eye sees (27 times the noise of rounding). At 64 px that is every
frequency, at 256 px all but the 1.6 % next to the corner, of periods under 1.5 px. Beside it stands
the largest ratio where the photographs have at least 1e-4 of their largest power: at 64 px all but
the very corner (a checker of single pixels), at 256 px periods of more than about 2.3 px. Halves of
800 photographs have a largest ratio of 1.4 at 64 px and of 1.2 at 256: fewer pictures, more chance.

The averaged windows are Welch's (1967, "The use of fast Fourier transform for the estimation of
power spectra"); the ratio, its limit and what counts are this project's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stackgan.errors import InputError
from stackgan.tensors import PixelRows, Pixels

PowerRows = Float[Tensor, "64 33"]

WINDOW_PX = 64
NEGLIGIBLE_DEVIATION = 1.0
STRONG_SHARE = 1e-4
LIMIT = 2.5
LUMINANCE = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Peak:
    """A frequency, and how the pictures' power there compares with the photographs'."""

    ratio: float
    """Pictures' power over photographs', 0 and up; 1 where they are alike."""
    period_px: float
    """Length of the pattern in pixels, 2 ** .5 and up."""
    direction_degrees: float
    """0 for a pattern that changes from left to right (upright stripes), 90 from top to bottom, 45
    along the diagonal that falls to the right; -90..90."""
    photographs_share: float
    """The photographs' power here, of their largest, 0..1."""


@dataclass(frozen=True)
class Ring:
    """All directions of about one period."""

    period_px: float
    ratio: float


@dataclass(frozen=True)
class Peaks:
    """Where pictures have more power than photographs."""

    largest: Peak
    """Over all frequencies that count."""
    over_limit: bool
    limit: float
    """A larger ratio is a pattern that the photographs do not hold."""
    frequencies_over_limit: int
    frequencies: int
    """How many count."""
    largest_where_strong: Peak
    """Over those with at least 1e-4 of the photographs' largest power."""
    rings: list[Ring]
    """By period, the longest first."""


def power(pixels: Pixels) -> PowerRows:
    """Return the mean power at each frequency of a window, float64 [64, 33] as of ``rfft2``.

    ``pixels`` are [N, 3, H, W], N at least 1, H and W at least 64; power is in squared levels of
    0..255, not divided by the window's.

    Raises:
        InputError: where there is no picture, or none holds a window.
    """
    if not len(pixels) or min(pixels.shape[-2:]) < WINDOW_PX:
        raise InputError(
            f"pictures are {tuple(pixels.shape)}; a spectrum needs at least one, of {WINDOW_PX} px "
            "or more"
        )
    hann = torch.hann_window(WINDOW_PX, periodic=True)
    window = hann[:, None] * hann[None, :]
    weights = torch.tensor(LUMINANCE).view(1, 3, 1, 1)
    total = torch.zeros(WINDOW_PX, WINDOW_PX // 2 + 1, dtype=torch.float64)
    count = 0
    for part in torch.split(pixels, 32):
        luminance = (part.float() * weights).sum(dim=1)  # [B, H, W]
        half = WINDOW_PX // 2
        windows = luminance.unfold(1, WINDOW_PX, half).unfold(2, WINDOW_PX, half).flatten(0, 2)
        mean = (windows * window).sum(dim=(1, 2), keepdim=True) / window.sum()
        total += torch.fft.rfft2((windows - mean) * window).abs().double().square().sum(dim=0)
        count += len(windows)
    return total / count


def peaks(pixels: Pixels, photographs: PixelRows) -> Peaks:
    """Return the largest ratios of the pictures' power to the photographs', and where they are.

    The two sides, [N, 3, H, W] each, may differ in number.

    Raises:
        InputError: as :func:`power`, and where the photographs are flat.
    """
    mine, theirs = power(pixels), power(photographs)
    hann = torch.hann_window(WINDOW_PX, periodic=True, dtype=torch.float64)
    noise = float(hann.square().sum()) ** 2 * NEGLIGIBLE_DEVIATION**2
    counted = theirs >= noise
    counted[0, 0] = False
    if not counted.any():
        raise InputError("the photographs are flat: there is no power to compare with")
    strongest = float(theirs[counted].max())
    ratio = mine / theirs.clamp_min(1e-9)
    largest = _largest(ratio, counted, theirs / strongest)
    return Peaks(
        largest=largest,
        over_limit=largest.ratio > LIMIT,
        limit=LIMIT,
        frequencies_over_limit=int((ratio[counted] > LIMIT).sum()),
        frequencies=int(counted.sum()),
        largest_where_strong=_largest(
            ratio, counted & (theirs >= STRONG_SHARE * strongest), theirs / strongest
        ),
        rings=_rings(mine, theirs, counted),
    )


def _frequencies() -> tuple[Float[Tensor, "64 1"], Float[Tensor, "1 33"]]:
    """Return cycles a pixel down and across."""
    down = torch.fft.fftfreq(WINDOW_PX, dtype=torch.float64)[:, None]
    return down, torch.fft.rfftfreq(WINDOW_PX, dtype=torch.float64)[None, :]


def _largest(ratio: PowerRows, counted: Bool[Tensor, "64 33"], share: PowerRows) -> Peak:
    """Return the largest ratio among the frequencies that count."""
    place = int(torch.where(counted, ratio, -1.0).argmax())
    row, column = divmod(place, ratio.shape[1])
    down, across = (
        float(axis.flatten()[at]) for axis, at in zip(_frequencies(), (row, column), strict=True)
    )
    return Peak(
        ratio=float(ratio[row, column]),
        period_px=1 / math.hypot(down, across),
        direction_degrees=math.degrees(math.atan2(down, across)),
        photographs_share=float(share[row, column]),
    )


def _rings(mine: PowerRows, theirs: PowerRows, counted: Bool[Tensor, "64 33"]) -> list[Ring]:
    """Return the ratio of the powers summed over rings one frequency wide."""
    down, across = _frequencies()
    ring = (torch.hypot(down, across) * WINDOW_PX).round().long()
    found = []
    for number in range(1, int(ring.max()) + 1):
        inside = counted & (ring == number)
        if inside.any():
            ratio = float(mine[inside].sum() / theirs[inside].sum())
            found.append(Ring(WINDOW_PX / number, ratio))
    return found
