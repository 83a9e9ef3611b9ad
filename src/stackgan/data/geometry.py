"""What a crop, a resize and a flip do to boxes and key points: exact geometry, no pixels.

A box is (left, top, width, height), a point (x, y, visible); x goes right and y down from the upper
left corner. Coordinates are continuous: pixel column i of a square of P spans i to i + 1, its
middle is i + 1/2, and a flip that brings column i to P - 1 - i brings x to P - x. What is not there
is zeros: a box of which nothing is left, a point that is hidden or outside.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stackgan.data.crop import Box
from stackgan.data.examples import KeyPoints

Numbers = NDArray[np.float64]

_SIDES = {"left": "right", "right": "left"}


def window(part: Box) -> Box:
    """A part of a photograph, (left, top, right, bottom), as (left, top, width, height)."""
    left, top, right, bottom = part
    return (left, top, right - left, bottom - top)


def boxes_within(boxes: Numbers, windows: Numbers) -> Numbers:
    """Boxes [..., 4] as shares of the windows [..., 4] that become squares: 0..1, clipped.

    Boxes and windows are (left, top, width, height) in one unit, whichever; what lies outside its
    window is cut off, and a box of which nothing is left becomes zeros. Cropping, squeezing to a
    square and resizing are this and nothing else.
    """
    start = (boxes[..., :2] - windows[..., :2]) / windows[..., 2:]
    end = start + boxes[..., 2:] / windows[..., 2:]
    start, end = np.clip(start, 0.0, 1.0), np.clip(end, 0.0, 1.0)
    left_over = (end > start).all(axis=-1, keepdims=True)
    return np.where(left_over, np.concatenate([start, end - start], axis=-1), 0.0)


def points_within(points: Numbers, windows: Numbers) -> Numbers:
    """Points [..., parts, 3] as shares of the windows [..., 4]: 0..1, both ends included.

    Points and windows are in one unit, whichever. A point outside its window becomes invisible.
    """
    places = (points[..., :2] - windows[..., None, :2]) / windows[..., None, 2:]
    inside = ((places >= 0.0) & (places <= 1.0)).all(axis=-1)
    visible = ((points[..., 2] > 0.0) & inside)[..., None]
    return np.where(visible, np.concatenate([places, np.ones_like(visible, float)], axis=-1), 0.0)


def flipped_boxes(boxes: Numbers) -> Numbers:
    """Boxes [..., 4], shares of a square, after the square was mirrored left to right."""
    there = (boxes[..., 2:] > 0.0).all(axis=-1)
    mirrored = boxes.copy()
    mirrored[..., 0] = np.where(there, np.maximum(1.0 - boxes[..., 0] - boxes[..., 2], 0.0), 0.0)
    return mirrored


def flipped_points(points: Numbers, partners: Sequence[int]) -> Numbers:
    """Points [..., parts, 3], shares of a square, after the square was mirrored left to right.

    What was the left eye is the right one of the mirrored picture: a part takes the mirrored place
    of its partner, as :func:`partners_of` names them.

    Differs: left and right parts change names with a flip, because mirrored birds are as good as
    birds; the code of GAWWN, whose conditions these are, mirrors the places and keeps the names.
    """
    mirrored = points[..., list(partners), :]
    mirrored[..., 0] = np.where(mirrored[..., 2] > 0.0, 1.0 - mirrored[..., 0], 0.0)
    return mirrored


def partners_of(names: Sequence[str]) -> tuple[int, ...]:
    """For each part the place of the one that a mirror makes of it.

    "left eye" and "right eye" are partners: their names differ in the words left and right alone,
    small or large. A part of neither side is its own partner, and so is a left one without a right.
    """
    places = {name.lower(): place for place, name in enumerate(names)}
    mirrored = (
        re.sub(r"(?<![a-z])(left|right)(?![a-z])", lambda side: _SIDES[side[1]], name.lower())
        for name in names
    )
    return tuple(places.get(name, place) for place, name in enumerate(mirrored))


def as_numbers(points: KeyPoints) -> Numbers:
    """Key points as [parts, 3]: x and y in pixels of the photograph, visible as 1 or 0."""
    return np.array([points.x, points.y, points.visible], dtype=np.float64).T


def points_problem(size: tuple[int, int], points: KeyPoints) -> str | None:
    """What is wrong with key points: a phrase that follows the photograph's name; None: nothing.

    A few may lie a little outside, as clicked ones do; points of which most lie outside were
    measured on another copy of the photograph. ``size`` is (width, height) in pixels, upright.
    """
    seen = as_numbers(points)
    seen = seen[seen[:, 2] > 0.0, :2]
    outside = int(((seen < 0.0) | (seen > np.array(size))).any(axis=1).sum())
    if 2 * outside <= len(seen):
        return None
    return (
        f"is {size[0]}x{size[1]} pixels and {outside} of its {len(seen)} visible key points lie "
        "outside; key points are in pixels of the original photographs"
    )
