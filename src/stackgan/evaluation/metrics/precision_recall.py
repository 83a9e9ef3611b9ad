"""Improved precision and recall (Kynkaanniemi et al., 2019, section 2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from stackgan.errors import InputError
from stackgan.evaluation.metrics.sides import Features, Reference, comparable

NEIGHBOURS = 3


class PrecisionRecall(NamedTuple):
    """Two shares, 0..1, higher is better."""

    precision: float  # pictures that lie among the reference: are they believable?
    recall: float  # of the reference, what lies among the pictures: is all of it there?


def precision_recall(
    features: Features, reference: Reference, neighbours: int = NEIGHBOURS
) -> PrecisionRecall:
    """Return the share of pictures that lie among the reference, and the reverse.

    A point lies among a set that has a member at most as far from it as that member's third
    nearest other member is (Kynkaanniemi et al., 2019, section 2, equations 1 and 2). Euclidean, in
    float64. Fewer pictures reach further: compare figures of like numbers only, and recall falls
    with the number of pictures.

    Args:
        features: of the pictures, [N, D], of any float type.
        reference: of the photographs, [M, D].
        neighbours: which neighbour ends a member's reach, 1 or more; 3 as in the source.

    Raises:
        InputError: for no more than ``neighbours`` pictures on a side, features of different
            lengths or not finite, or ``neighbours`` below 1.
    """
    if neighbours < 1:
        raise InputError(f"neighbours is {neighbours}; expected 1 or more")
    if min(len(features), len(reference)) <= neighbours:
        raise InputError(f"precision and recall need more than {neighbours} pictures")
    comparable(features, reference)
    mine, theirs = features.to(torch.float64), reference.to(torch.float64)
    apart = torch.cdist(mine, theirs)
    precision = (apart <= _reach(theirs, neighbours)[None, :]).any(dim=1).double().mean()
    recall = (apart <= _reach(mine, neighbours)[:, None]).any(dim=0).double().mean()
    return PrecisionRecall(float(precision), float(recall))


def _reach(rows: Features, neighbours: int) -> Float[Tensor, " N"]:
    """Return how far each row's neighbour of that order is."""
    apart = torch.cdist(rows, rows)
    apart.fill_diagonal_(torch.inf)
    return apart.kthvalue(neighbours, dim=1).values
