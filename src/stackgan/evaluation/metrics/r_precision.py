"""Does a picture carry its caption? Ranks among captions of other classes, without any draw.

R-precision is the share of pictures whose own caption fits best among it and 99 others (Xu et al.,
2018, AttnGAN, section 4). Which 99 is chance; here it is the expectation over all draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stackgan.errors import InputError

OTHERS = 99
TOP = 10


@dataclass(frozen=True)
class RPrecision:
    """How well pictures carry their captions; all shares 0..1, higher is better."""

    top1: float
    """How often the own caption fits best of itself and the others drawn; 1 / 100 by chance."""
    se: float
    """Standard error of ``top1`` over pictures."""
    top10: float
    """How often it is among the ten that fit best; 10 / 100 by chance."""
    auc: float
    """How often the own caption fits better than one of another class; 1 / 2 by chance."""
    auc_se: float
    """Standard error of ``auc`` over pictures."""
    n: int
    """Pictures."""


def r_precision(
    own: Float[Tensor, " N"],
    pool: Float[Tensor, "P M"],
    other: Bool[Tensor, "Q K"],
    others: int = OTHERS,
) -> RPrecision:
    """Return how well pictures carry their captions, in expectation over all draws of ``others``.

    Xu et al., 2018 (AttnGAN), section 4, draw once; here the chance that none (of ``top10``: fewer
    than ten) of the captions drawn without replacement fits better is the hypergeometric one, in
    exact fractions. A caption that fits exactly as well counts as better.

    Args:
        own: how well each picture's own caption fits it, [N], on any scale, higher is better.
        pool: how well each caption of a pool fits it, [N, M], on the same scale.
        other: which of the pool are of another class and may be drawn for a picture, [N, M].
        others: how many are drawn, 1 or more; 99 as in the source.

    Raises:
        InputError: for fewer than two pictures, shapes that do not fit, values that are not finite,
            ``others`` below 1, or a picture with fewer than ``others`` captions of other classes.
    """
    if own.ndim != 1 or len(own) < 2 or len(pool) != len(own) or pool.shape != other.shape:
        raise InputError(
            f"own {tuple(own.shape)}, pool {tuple(pool.shape)} and other {tuple(other.shape)} do "
            "not fit; expected [N], [N, M] and [N, M], N at least 2"
        )
    if not (torch.isfinite(own).all() and torch.isfinite(pool).all()):
        raise InputError("how well captions fit holds values that are not finite")
    total = other.sum(dim=1).numpy()
    if not 1 <= others <= int(total.min()):
        raise InputError(
            f"asked for {others} other captions; the pool holds {int(total.min())} of other "
            "classes for one picture"
        )
    better = ((pool >= own[:, None]) & other).sum(dim=1).numpy()
    pairs = [(int(t), int(b)) for t, b in zip(total, better, strict=True)]
    top1 = np.array([_fewer(1, t, b, others) for t, b in pairs])
    top10 = np.array([_fewer(TOP, t, b, others) for t, b in pairs])
    worse = better / total
    return RPrecision(
        top1=float(top1.mean()),
        se=float(top1.std(ddof=1) / len(own) ** 0.5),
        top10=float(top10.mean()),
        auc=float((1 - worse).mean()),
        auc_se=float(worse.std(ddof=1) / len(own) ** 0.5),
        n=len(own),
    )


def _fewer(than: int, total: int, better: int, drawn: int) -> float:
    """Return the chance that fewer than ``than`` of ``drawn`` of ``total`` are among ``better``."""
    ways = sum(
        math.comb(better, k) * math.comb(total - better, drawn - k)
        for k in range(min(than, drawn + 1))
    )
    return ways / math.comb(total, drawn)
