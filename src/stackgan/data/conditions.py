"""What a batch tells beside captions: boxes and key points, where the pixels of a step have them.

``require`` says whether examples have what is asked for, ``conditions_of`` finds it in the stored
squares, ``Conditions.of`` follows it through the crop and the flip of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stackgan.data.crop import Fit, region
from stackgan.data.examples import Example
from stackgan.data.geometry import (
    Numbers,
    as_numbers,
    boxes_within,
    flipped_boxes,
    flipped_points,
    partners_of,
    points_within,
    window,
)
from stackgan.data.images import threaded, upright_size
from stackgan.errors import InputError, nearest

CONDITIONS = {"box": "boxes", "points": "key points"}
"""What can be asked for, and what a data set has to have for it."""


class Crops(NamedTuple):
    """What a batch's pixels are of the stored squares."""

    windows: Numbers  # [B, 4] (left, top, width, height) as shares of the stored square
    flipped: NDArray[np.bool_]  # [B], mirrored left to right after the crop


@dataclass(frozen=True)
class Conditions:
    """Where the boxes and key points of N examples lie in their stored squares, as shares of them.

    Attributes:
        boxes: [N, 4], (left, top, width, height) in 0..1, zeros for none; None: not asked for.
        points: [N, parts, 3], (x, y, visible) in 0..1, zeros for none; None: not asked for.
        parts: the names of the points.
    """

    boxes: Numbers | None = None
    points: Numbers | None = None
    parts: tuple[str, ...] = ()

    def __len__(self) -> int:
        """How many examples they are of."""
        return next((len(each) for each in (self.boxes, self.points) if each is not None), 0)

    def of(self, chosen: NDArray[np.int64], crops: Crops) -> dict[str, NDArray[np.float32]]:
        """The conditions of a batch, float32, as shares of the squares that ``crops`` cut out.

        Returns:
            "box" [B, 4], (left, top, width, height) in 0..1, clipped; zeros where there is none.
            "points" [B, parts, 3], (x, y, visible) in 0..1; zeros where a part is not seen.
        """
        found = {}
        if self.boxes is not None:
            boxes = boxes_within(self.boxes[chosen], crops.windows)
            boxes = np.where(crops.flipped[:, None], flipped_boxes(boxes), boxes)
            found["box"] = boxes.astype(np.float32)
        if self.points is not None:
            points = points_within(self.points[chosen], crops.windows)
            mirrored = flipped_points(points, partners_of(self.parts))
            points = np.where(crops.flipped[:, None, None], mirrored, points)
            found["points"] = points.astype(np.float32)
        return found


def require(asked: Sequence[str], examples: Sequence[Example], data: str) -> None:
    """Raise :class:`InputError` unless ``examples`` of the data set ``data`` tell what is asked.

    One of them that tells it is enough: a photograph may well be without. Key points have to be of
    the same parts for all.
    """
    for name in asked:
        if name not in CONDITIONS:
            raise InputError(f"condition {name!r} is unknown; {nearest(name, list(CONDITIONS))}")
    missing = [CONDITIONS[name] for name in asked if not any(_told(e, name) for e in examples)]
    if missing:
        what = " and no ".join(missing)
        raise InputError(
            f"{data} has no {what}, which are asked for as conditions; of the data sets here cub "
            "and toy have boxes and key points (cub's key points are in its folder parts/)"
        )
    if "points" in asked:
        _parts(examples, data)


def conditions_of(
    asked: Sequence[str],
    examples: Sequence[Example],
    fit: Fit = "crop",
    data: str = "the data set",
) -> Conditions | None:
    """Where what is asked for lies in the squares that ``fit`` makes; None where nothing is asked.

    They are the squares of :func:`stackgan.data.cache.prepare_cache` with the same ``fit``, of any
    size: each photograph's size is read from its header. A large JPEG that is decoded at a part of
    its size may lie up to a quarter of a stored pixel beside them. Raises :class:`InputError` as
    :func:`require`, which names the data set as ``data``, and :class:`DataError` naming a file
    whose header cannot be read.
    """
    require(asked, examples, data)
    if not asked:
        return None

    def window_of(example: Example) -> tuple[float, ...]:
        return window(region(upright_size(example.image), fit, example.box))

    with threaded(window_of, examples) as found:
        windows = np.array(list(found))
    boxes = points = None
    parts: tuple[str, ...] = ()
    if "box" in asked:
        boxes = np.array([example.box or (0.0, 0.0, 0.0, 0.0) for example in examples])
        boxes = boxes_within(boxes, windows)
    if "points" in asked:
        parts = _parts(examples, data)
        none = np.zeros((len(parts), 3))
        points = np.stack([none if e.points is None else as_numbers(e.points) for e in examples])
        points = points_within(points, windows)
    return Conditions(boxes, points, parts)


def _told(example: Example, name: str) -> bool:
    return (example.box if name == "box" else example.points) is not None


def _parts(examples: Sequence[Example], data: str) -> tuple[str, ...]:
    """The parts whose places all examples with key points tell."""
    told = [example for example in examples if example.points is not None]
    named = {example.points.names: example for example in told if example.points is not None}
    if len(named) > 1:
        (one, first), (other, second) = list(named.items())[:2]
        raise InputError(
            f"{data} has key points of different parts: {len(one)} of {first.image.name} "
            f"({', '.join(one[:3])}, ...) and {len(other)} of {second.image.name} "
            f"({', '.join(other[:3])}, ...); expected the same parts in the same order"
        )
    return next(iter(named))
