"""What passes through the networks of a model that draws: chance in, pixels out."""

from __future__ import annotations

from typing import NamedTuple

from stackgan.tensors import Condition, Noise, PixelRows, Pixels


class Drawn(NamedTuple):
    """Pixels of both stages; ``pictures`` is None where only Stage-I was asked for."""

    sketches: Pixels
    pictures: PixelRows | None


class Chance(NamedTuple):
    """All that is random in a batch of pictures."""

    noise: Noise
    eps1: Condition
    eps2: Condition
