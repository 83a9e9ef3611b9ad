"""The kernel inception distance (Binkowski et al., 2018, "Demystifying MMD GANs")."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from stackgan.evaluation.metrics.sides import Features, Reference, spread_out


def kid(features: Features, reference: Reference) -> float:
    """Return the kernel inception distance: unbiased squared MMD, all pictures as one subset.

    The kernel is (x.y / D + 1)^3 (Binkowski et al., 2018, section 4). Two samples of one
    distribution give about 0, on either side of it; there is no upper end. The two sides may differ
    in number. Named after its extractor, e.g. KID(EffLite0).

    Args:
        features: of the pictures, [N, D], N at least 2, of any float type.
        reference: of the photographs, [M, D], M at least 2.

    Raises:
        InputError: for fewer than two pictures on a side, features of different lengths or not
            finite, or a side whose pictures are all alike.
    """
    x, y = spread_out(features, reference)
    m, n = len(x), len(y)
    same_x = _kernel(x, x)
    same_y = _kernel(y, y)
    within_x = (same_x.sum() - same_x.diagonal().sum()) / (m * (m - 1))
    within_y = (same_y.sum() - same_y.diagonal().sum()) / (n * (n - 1))
    return float(within_x + within_y - 2 * _kernel(x, y).mean())


def _kernel(x: Features, y: Float[Tensor, "M D"]) -> Float[Tensor, "N M"]:
    products: Tensor = x @ y.T / x.shape[1]
    return products.add(1).pow(3)
