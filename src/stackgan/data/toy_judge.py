"""The judge of toy pictures: which shape, of which colour, does a picture show?

It is right on every picture that ``stackgan data toy`` draws, and made to be fair on generated
ones: it asks how well an ideal shape of the picture's own size and place covers what stands out
from the background, and which colour most of those pixels have.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stackgan.data.shapes import COLOURS, SHAPES, SIDE_PX, Levels, area_and_drop, coverage
from stackgan.errors import InputError

NOTHING = "none"
LEAST_CONTRAST = 40.0  # levels between shape and background, as a distance in RGB
LEAST_OVERLAP = 0.5  # intersection over union with the best ideal shape
LEAST_SATURATION = 0.3  # below it a colour is white


def judge(pixels: NDArray[np.uint8]) -> list[tuple[str, str]]:
    """Return (colour, shape) for each picture of ``pixels``, uint8 [N, H, W, 3], H = W = 64 k.

    Both are "none" where nothing stands out from the background, the shape alone where what
    stands out covers less than half of the best ideal shape. Larger pictures are averaged down to
    64x64 first. Raises :class:`InputError` for arrays of another form.
    """
    if pixels.ndim != 4 or pixels.shape[1] != pixels.shape[2] or pixels.shape[3] != 3:
        raise InputError(f"pixels have the shape {pixels.shape}; expected [N, H, H, 3]")
    if pixels.dtype != np.uint8 or pixels.shape[1] % SIDE_PX or not pixels.shape[1]:
        raise InputError(
            f"pixels are {pixels.dtype} of {pixels.shape[1]} px; expected uint8 of 64, 128, 192, "
            "256 ... px"
        )
    times = pixels.shape[1] // SIDE_PX
    return [_judge_one(_shrunk(picture, times)) for picture in pixels]


def _shrunk(picture: NDArray[np.uint8], times: int) -> Levels:
    blocks = picture.reshape(SIDE_PX, times, SIDE_PX, times, 3)
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32))


def _judge_one(picture: Levels) -> tuple[str, str]:
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    contrast = np.linalg.norm(picture - np.median(border, axis=0), axis=2)  # [64, 64]
    # The smallest shape covers 4 % of the picture: the mean of the highest 2 % is all shape.
    highest = float(np.sort(contrast, axis=None)[-SIDE_PX * SIDE_PX // 50 :].mean())
    if highest < LEAST_CONTRAST:
        return NOTHING, NOTHING
    # Blurred edges are made steeper about their middle; what is under a quarter is background.
    mask = np.clip((contrast / highest - 0.25) / 0.5, 0.0, 1.0)
    return _colour(picture[contrast > 0.7 * highest]), _shape(mask)


def _colour(levels: Levels) -> str:
    """Return the colour that most of these pixels have: [P, 3] levels."""
    high, low = levels.max(axis=1), levels.min(axis=1)
    saturation = (high - low) / np.maximum(high, 1.0)
    names = [name for name in COLOURS if name != "white"]
    hues = np.array([_hue(np.array([COLOURS[name]], dtype=np.float32))[0] for name in names])
    apart = np.abs(_hue(levels)[:, None] - hues[None, :])  # [P, colours], degrees
    nearest = np.minimum(apart, 360.0 - apart).argmin(axis=1)
    nearest[saturation < LEAST_SATURATION] = len(names)
    votes = np.bincount(nearest, minlength=len(names) + 1)
    return [*names, "white"][int(votes.argmax())]


def _hue(levels: Levels) -> Levels:
    """Return the hue of RGB levels [P, 3] in degrees, 0 to 360: red 0, green 120, blue 240."""
    red, green, blue = levels.T
    angle = np.arctan2(np.sqrt(3.0) * (green - blue), 2.0 * red - green - blue)
    return np.asarray(np.degrees(angle) % 360.0, dtype=np.float32)


def _shape(mask: Levels) -> str:
    """Return the shape whose ideal mask, of the same area and centre of mass, overlaps most."""
    area = float(mask.sum())
    places = np.arange(SIDE_PX) + 0.5
    centre_x = float(mask.sum(axis=0) @ places) / area
    centre_y = float(mask.sum(axis=1) @ places) / area
    overlaps = {}
    for shape in SHAPES:
        unit_area, drop = area_and_drop(shape)
        radius = (area / unit_area) ** 0.5
        overlaps[shape] = max(
            _overlap(mask, coverage(shape, (centre_x, centre_y - drop * size), size, 2))
            for size in (0.93 * radius, radius, 1.07 * radius)
        )
    best = max(overlaps, key=lambda shape: overlaps[shape])
    return best if overlaps[best] >= LEAST_OVERLAP else NOTHING


def _overlap(mask: Levels, ideal: Levels) -> float:
    """Return intersection over union of two soft masks, 0 to 1."""
    return float(np.minimum(mask, ideal).sum() / np.maximum(mask, ideal).sum())
