"""Nearest neighbours in a feature space: what a generator has memorised shows here."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stackgan.errors import InputError

CHUNK = 1024


class Neighbours(NamedTuple):
    """The nearest rows of a reference for each query, the nearest first."""

    indices: Int[Tensor, "N K"]
    distances: Float[Tensor, "N K"]  # Euclidean


def nearest(
    queries: Float[Tensor, "N D"], reference: Float[Tensor, "M L"], count: int = 1
) -> Neighbours:
    """Return the ``count`` nearest rows of ``reference`` for each query, in float64, in chunks.

    Of two rows at the same distance the earlier comes first. Distances are Euclidean, in units of
    the features, 0 and up.

    Paper: section 4.2, figure 6: the nearest training photographs, by D's features there.
    Differs: by the features of a network that trained nothing, which the caller takes.

    Raises:
        InputError: where the two differ in length of features, or ``count`` is not in 1..M.
    """
    if queries.ndim != 2 or reference.ndim != 2 or queries.shape[1] != reference.shape[1]:
        raise InputError(
            f"features {tuple(queries.shape)} cannot be compared with {tuple(reference.shape)}; "
            "expected two matrices [N, D] of one D"
        )
    if not 1 <= count <= len(reference):
        raise InputError(f"asked for {count} neighbours among {len(reference)} pictures")
    indices, distances = [], []
    known = reference.to(torch.float64)
    for start in range(0, len(queries), CHUNK):
        apart = _distances(queries[start : start + CHUNK].to(torch.float64), known)
        order = apart.argsort(dim=1, stable=True)[:, :count]
        indices.append(order)
        distances.append(apart.gather(1, order))
    return Neighbours(torch.cat(indices), torch.cat(distances))


def nearest_other(features: Float[Tensor, "N D"]) -> Float[Tensor, " N"]:
    """Return each picture's distance to the nearest *other* picture of the same set.

    Its mean falls where a generator repeats itself; a picture drawn twice has distance 0.

    Raises:
        InputError: for fewer than two pictures.
    """
    if len(features) < 2:
        raise InputError(f"a nearest other picture needs at least 2, not {len(features)}")
    rows = features.to(torch.float64)
    found = []
    for start in range(0, len(rows), CHUNK):
        apart = _distances(rows[start : start + CHUNK], rows)
        own = torch.arange(len(apart))
        apart[own, own + start] = torch.inf
        found.append(apart.min(dim=1).values)
    return torch.cat(found)


def _distances(x: Float[Tensor, "N D"], y: Float[Tensor, "M D"]) -> Float[Tensor, "N M"]:
    # Without matrix products: those lose the small distances, which are the ones looked for.
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
