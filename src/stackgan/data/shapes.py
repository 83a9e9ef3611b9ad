"""The shapes and colours of the toy set, as ideal masks: what is drawn and what the judge fits."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.float32]
Inside = NDArray[np.bool_]

SIDE_PX = 64

# Right and down from the centre, in units of the radius: is the point inside?
SHAPES: dict[str, Callable[[Levels, Levels], Inside]] = {
    "circle": lambda x, y: x**2 + y**2 <= 1,
    "square": lambda x, y: np.maximum(np.abs(x), np.abs(y)) <= 0.9,
    "triangle": lambda x, y: (y <= 0.8) & (np.abs(x) <= (y + 1) / 1.8),
    "cross": lambda x, y: (
        (np.maximum(np.abs(x), np.abs(y)) <= 1) & (np.minimum(np.abs(x), np.abs(y)) <= 0.34)
    ),
    "ring": lambda x, y: (x**2 + y**2 <= 1) & (x**2 + y**2 >= 0.55**2),
}

PARTS = (
    "centre",
    "top",
    "bottom",
    "left side",
    "right side",
    "upper left corner",
    "upper right corner",
    "lower left corner",
    "lower right corner",
)
"""The key points of a shape; left and right are the picture's."""

# For each shape in units of the radius how far it reaches up, down and sideways from its centre
# along the lines through it, and the corners it has: right of the centre, up and down.
_REACH: dict[str, tuple[float, float, float]] = {
    "circle": (1.0, 1.0, 1.0),
    "square": (0.9, 0.9, 0.9),
    "triangle": (1.0, 0.8, 1 / 1.8),
    "cross": (1.0, 1.0, 1.0),
    "ring": (1.0, 1.0, 1.0),
}
_CORNERS: dict[str, tuple[tuple[float, float], ...]] = {
    "square": ((0.9, -0.9), (0.9, 0.9)),
    "triangle": ((1.0, 0.8),),
}

# RGB levels 0..255; hues are at least 24 degrees apart.
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 35, 35),
    "orange": (245, 140, 20),
    "yellow": (245, 230, 45),
    "green": (45, 180, 65),
    "blue": (45, 85, 225),
    "purple": (160, 60, 200),
    "white": (245, 245, 245),
}


def coverage(shape: str, centre: tuple[float, float], radius_px: float, samples: int = 4) -> Levels:
    """Return how much of each pixel of a 64x64 picture the shape covers: [64, 64], 0 to 1.

    ``centre`` is (right, down) in pixels from the upper left corner; ``samples`` points are tried
    along each side of a pixel.
    """
    places = (np.arange(SIDE_PX * samples, dtype=np.float32) + 0.5) / samples
    x = ((places - centre[0]) / radius_px).astype(np.float32)[None, :]
    y = ((places - centre[1]) / radius_px).astype(np.float32)[:, None]
    inside = SHAPES[shape](x, y).reshape(SIDE_PX, samples, SIDE_PX, samples)
    return np.asarray(inside.mean(axis=(1, 3), dtype=np.float32))


@lru_cache
def parts(shape: str) -> tuple[tuple[float, float, bool], ...]:
    """Return (right, down, visible) of each of ``PARTS``, from the centre in units of the radius.

    Top, bottom and sides lie where the lines through the centre leave the shape. A corner that a
    shape does not have is not visible.
    """
    up, down, aside = _REACH[shape]
    corners = {y > 0: (x, y) for x, y in _CORNERS.get(shape, ())}
    found = [(0.0, 0.0, True), (0.0, -up, True), (0.0, down, True)]
    found += [(-aside, 0.0, True), (aside, 0.0, True)]
    for below in (False, True):
        x, y = corners.get(below, (0.0, 0.0))
        found += [(-x, y, below in corners), (x, y, below in corners)]
    return tuple(found)


@lru_cache
def extent(shape: str) -> tuple[float, float, float, float]:
    """Return its box (left, top, width, height), from the centre in units of the radius."""
    seen = [(x, y) for x, y, visible in parts(shape) if visible]
    left, right = min(x for x, _ in seen), max(x for x, _ in seen)
    top, bottom = min(y for _, y in seen), max(y for _, y in seen)
    return (left, top, right - left, bottom - top)


@lru_cache
def area_and_drop(shape: str) -> tuple[float, float]:
    """Return the area and how far below the centre the centre of mass lies, for a radius of 1."""
    mask = coverage(shape, (32.0, 32.0), 28.0, 8)
    rows = np.arange(SIDE_PX) + 0.5
    drop = float((mask.sum(axis=1) * (rows - 32.0)).sum() / mask.sum())
    return float(mask.sum()) / 28.0**2, drop / 28.0
