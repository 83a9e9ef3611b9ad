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
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from stackgan.errors import InputError

WINDOW_PX = 64
NEGLIGIBLE_DEVIATION = 1.0
STRONG_SHARE = 1e-4
LIMIT = 2.5
LUMINANCE = (0.299, 0.587, 0.114)


def power(pixels: Tensor) -> Tensor:
    """Return the mean power at each frequency of a window, float64 [64, 33] as of ``rfft2``."""
    hann = torch.hann_window(WINDOW_PX, periodic=True)
    window = hann[:, None] * hann[None, :]
    weights = torch.tensor(LUMINANCE).view(1, 3, 1, 1)
    total = torch.zeros(WINDOW_PX, WINDOW_PX // 2 + 1, dtype=torch.float64)
    count = 0
    for part in pixels.split(32):
        luminance = (part.float() * weights).sum(dim=1)  # [B, H, W]
        half = WINDOW_PX // 2
        windows = luminance.unfold(1, WINDOW_PX, half).unfold(2, WINDOW_PX, half).flatten(0, 2)
        mean = (windows * window).sum(dim=(1, 2), keepdim=True) / window.sum()
        total += torch.fft.rfft2((windows - mean) * window).abs().double().square().sum(dim=0)
        count += len(windows)
    return total / count


def peaks(pixels: Tensor, photographs: Tensor) -> dict[str, Any]:
    """Return the largest ratios of the pictures' power to the photographs', and where they are.

    ``largest`` over all frequencies that count, ``largest_where_strong`` over those with 1e-4 of
    the photographs' largest power, ``rings`` by period, over all directions together.
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
    return {
        "largest": largest,
        "over_limit": largest["ratio"] > LIMIT,
        "limit": LIMIT,
        "frequencies_over_limit": int((ratio[counted] > LIMIT).sum()),
        "frequencies": int(counted.sum()),
        "largest_where_strong": _largest(
            ratio, counted & (theirs >= STRONG_SHARE * strongest), theirs / strongest
        ),
        "rings": _rings(mine, theirs, counted),
    }


def _frequencies() -> tuple[Tensor, Tensor]:
    """Return cycles a pixel down [64, 1] and across [1, 33]."""
    down = torch.fft.fftfreq(WINDOW_PX, dtype=torch.float64)[:, None]
    return down, torch.fft.rfftfreq(WINDOW_PX, dtype=torch.float64)[None, :]


def _largest(ratio: Tensor, counted: Tensor, share: Tensor) -> dict[str, float]:
    """Return the largest ratio with its period in pixels and its direction.

    Degrees: 0 for a pattern that changes from left to right (upright stripes), 90 from top to
    bottom, 45 along the diagonal that falls to the right.
    """
    place = int(torch.where(counted, ratio, -1.0).argmax())
    row, column = divmod(place, ratio.shape[1])
    down, across = (float(axis.flatten()[at]) for axis, at in
                    zip(_frequencies(), (row, column), strict=True))  # fmt: skip
    return {
        "ratio": float(ratio[row, column]),
        "period_px": 1 / math.hypot(down, across),
        "direction_degrees": math.degrees(math.atan2(down, across)),
        "photographs_share": float(share[row, column]),
    }


def _rings(mine: Tensor, theirs: Tensor, counted: Tensor) -> list[dict[str, float]]:
    """Return the ratio of the powers summed over rings one frequency wide."""
    down, across = _frequencies()
    ring = (torch.hypot(down, across) * WINDOW_PX).round().long()
    found = []
    for number in range(1, int(ring.max()) + 1):
        inside = counted & (ring == number)
        if inside.any():
            ratio = float(mine[inside].sum() / theirs[inside].sum())
            found.append({"period_px": WINDOW_PX / number, "ratio": ratio})
    return found
