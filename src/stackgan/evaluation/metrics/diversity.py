"""How far pictures of one set lie apart."""

from __future__ import annotations

import torch

from stackgan.errors import InputError
from stackgan.evaluation.metrics.sides import Features


def diversity(features: Features) -> float:
    """Return the mean Euclidean distance over all pairs of pictures, 0 where all are one.

    In units of the features, [N, D] with N at least 2: it says something only as a share of the
    diversity of photographs by the same network.

    Raises:
        InputError: for fewer than two pictures.
    """
    if len(features) < 2:
        raise InputError(f"diversity needs at least 2 pictures, not {len(features)}")
    return float(torch.pdist(features.to(torch.float64)).mean())
