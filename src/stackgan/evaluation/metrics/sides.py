"""The two sides that a score compares: features of pictures and those of a reference."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from stackgan.errors import InputError

Features = Float[Tensor, "N D"]
# Axes of their own: the sides may differ in number, and where they may not a score says so itself.
Reference = Float[Tensor, "M K"]


def comparable(features: Features, reference: Reference, least: int = 2) -> None:
    """Check two sets of features that are to be compared.

    Raises:
        InputError: for fewer than ``least`` pictures on a side, or features of different lengths or
            not finite.
    """
    for side in (features, reference):
        if side.ndim != 2 or len(side) < least or side.shape[1:] != reference.shape[1:]:
            raise InputError(
                f"features {tuple(features.shape)} cannot be compared with "
                f"{tuple(reference.shape)}; expected two matrices [N, D] of one D, N at least "
                f"{least}"
            )
        if not torch.isfinite(side).all():
            raise InputError("the features hold values that are not finite")


def spread_out(features: Features, reference: Reference) -> tuple[Features, Reference]:
    """Return both sides in float64, each of pictures that differ.

    Raises:
        InputError: as :func:`comparable`, and for a side whose pictures are all alike.
    """
    comparable(features, reference)
    for side in (features, reference):
        if float((side - side[0]).abs().max()) <= 1e-6 * float(side.abs().max()):
            raise InputError(
                f"all {len(side)} pictures of one side are alike; the score compares how two sets "
                "spread, and of a set without spread it says nothing"
            )
    return features.to(torch.float64), reference.to(torch.float64)
