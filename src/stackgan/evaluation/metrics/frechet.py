"""The Frechet distance of two sets of features (Heusel et al., 2017, equation 6)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from stackgan.evaluation.metrics.sides import Features, Reference, spread_out


def frechet_distance(features: Features, reference: Reference) -> float:
    """Return |mean difference|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) of two Gaussians fitted.

    Covariances with n - 1. 0 for a set and itself, in squared units of the features without an
    upper end. Named after its extractor, e.g. FD(EffLite0), and only called FID on Inception-v3
    (Heusel et al., 2017, equation 6). Biased upwards for few pictures.

    Differs: the trace of the root is the nuclear norm of R1 R2^T, where S = R^T R, because a matrix
    square root loses half its digits on the singular covariances that few pictures give.

    Args:
        features: of the pictures, [N, D], N at least 2, of any float type.
        reference: of the photographs, [M, D], M at least 2.

    Raises:
        InputError: as :func:`stackgan.evaluation.metrics.kid.kid`.
    """
    x, y = spread_out(features, reference)
    root_x, root_y = _covariance_factor(x), _covariance_factor(y)
    of_means = (x.mean(dim=0) - y.mean(dim=0)).square().sum()
    traces = root_x.square().sum() + root_y.square().sum()
    return float(of_means + traces - 2 * torch.linalg.svdvals(root_x @ root_y.T).sum())


def _covariance_factor(x: Features) -> Float[Tensor, "L D"]:
    """Return R with R^T R the covariance (n - 1), L the smaller of N and D."""
    centred = (x - x.mean(dim=0)) / (len(x) - 1) ** 0.5
    root: Tensor = torch.linalg.qr(centred, mode="r").R
    return root
