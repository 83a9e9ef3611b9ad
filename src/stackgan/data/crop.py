"""Which part of a photograph becomes the square: its centre, all of it, or what its box frames."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Fit = Literal["crop", "squeeze", "box", "box_authors"]
Resize = Literal["bicubic", "through_304", "bilinear"]
Box = tuple[float, float, float, float]

BOX_SHARE = 0.75
"""The longer side of a box is at least this share of what is cut out (paper)."""
BOX_REACH = 0.75
"""Half of what the authors' code cuts out, in longer sides of the box."""
_WITHOUT_BOX: dict[Fit, Fit] = {"box": "crop", "box_authors": "squeeze"}


def region(size: tuple[int, int], fit: Fit = "crop", box: Box | None = None) -> Box:
    """Return the (left, top, right, bottom) of a photograph of ``size`` that becomes the square.

    ``size`` is (width, height) and ``box`` (left, top, width, height), in pixels of the upright
    photograph. ``crop`` is the largest centred square, ``squeeze`` the whole photograph. ``box``
    and ``box_authors`` are :func:`framed` and :func:`framed_by_the_authors`; a photograph without
    a box is cropped by the first and squeezed by the second, as the authors' code does.
    """
    width, height = float(size[0]), float(size[1])
    if box is None:
        fit = _WITHOUT_BOX.get(fit, fit)
    elif fit == "box":
        return framed(size, box)
    elif fit == "box_authors":
        return framed_by_the_authors(size, box)
    if fit == "squeeze":
        return (0.0, 0.0, width, height)
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return (left, top, left + side, top + side)


def framed(size: tuple[int, int], box: Box) -> Box:
    """Return what lies round the box so that its longer side is at least .75 of it.

    A square about the box's centre whose side is the box's longer side / .75, moved inside where
    it leaves the photograph. Where the photograph is too narrow for that the square is as large as
    the photograph allows; the whole box stays inside, so that a box longer than the photograph is
    narrow gives a rectangle, which is squeezed.

    Paper: section 4.1, images cropped so that the bird's box is at least .75 of the image.
    """
    left, top, width, height = _inside(size, box)
    side = max(width, height) / BOX_SHARE
    across, along = min(side, float(size[0])), min(side, float(size[1]))
    across, along = min(across, max(along, width)), min(along, max(across, height))
    x = min(max(left + width / 2 - across / 2, 0.0), size[0] - across)
    y = min(max(top + height / 2 - along / 2, 0.0), size[1] - along)
    right, bottom = min(x + across, float(size[0])), min(y + along, float(size[1]))
    return (x, y, right, bottom)


def framed_by_the_authors(size: tuple[int, int], box: Box) -> Box:
    """Return the square of half-side int(.75 max(w, h)) round the box's centre, clipped.

    Differs: what the photograph's border clips is no square and is squeezed to one, and the box's
    longer side is 2/3 of what is cut out, not .75, because the authors' code does so
    (`fit = "box_authors"`).
    """
    left, top, width, height = _inside(size, box)
    reach = max(1, int(BOX_REACH * max(width, height)))
    x, y = int(left + width / 2), int(top + height / 2)
    right, bottom = min(size[0], x + reach), min(size[1], y + reach)
    return (float(max(0, x - reach)), float(max(0, y - reach)), float(right), float(bottom))


def used_fit(boxes: Iterable[Box | None], fit: Fit) -> Fit:
    """Return the fit that gives the same squares, without a box in its name where there is none."""
    return _WITHOUT_BOX.get(fit, fit) if all(box is None for box in boxes) else fit


def box_problem(size: tuple[int, int], box: Box) -> str | None:
    """Return what is wrong with a box: a phrase that follows the photograph's name; None: nothing.

    A box may stick out a little, as a few of the published ones do; one of which less than half
    lies in the photograph was measured on another copy of it.
    """
    left, top, width, height = box
    inside = [
        max(0.0, min(start + length, limit) - max(start, 0.0))
        for start, length, limit in ((left, width, size[0]), (top, height, size[1]))
    ]
    if inside[0] * inside[1] >= width * height / 2 > 0:
        return None
    return (
        f"is {size[0]}x{size[1]} pixels and its box (left {left:g}, top {top:g}, width {width:g}, "
        f"height {height:g}) lies outside; boxes are in pixels of the original photographs"
    )


def _inside(size: tuple[int, int], box: Box) -> Box:
    """Return the part of the box that lies in the photograph; at least a pixel of it."""
    left, top = (min(max(box[axis], 0.0), size[axis] - 1.0) for axis in (0, 1))
    right, bottom = (
        min(max(box[axis] + box[axis + 2], start + 1.0), float(size[axis]))
        for axis, start in ((0, left), (1, top))
    )
    return (left, top, right - left, bottom - top)
