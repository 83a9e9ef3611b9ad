"""The Frechet distance against closed forms."""

import pytest
import torch

from stackgan.evaluation.metrics.frechet import frechet_distance


def normal(count, dim=8, shift=0.0, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(count, dim, generator=random) + shift


def test_frechet_distance_of_diagonal_gaussians_is_the_closed_form():
    # Plus and minus each axis: the mean is exact and the covariance is diagonal.
    dim = 4
    axes = torch.cat([torch.eye(dim), -torch.eye(dim)]).double()
    scale = torch.tensor([1.0, 2.0, 3.0, 4.0]).double()
    shift = torch.tensor([1.0, 0.0, -2.0, 0.5]).double()
    deviation = (2 / (2 * dim - 1)) ** 0.5
    expected = float(shift.square().sum() + ((scale - 1) * deviation).square().sum())
    assert frechet_distance(axes * scale + shift, axes) == pytest.approx(expected, rel=1e-12)


def test_frechet_distance_is_the_textbook_formula_on_full_covariances():
    x = normal(60, 5) @ normal(5, 5, seed=3)
    y = normal(40, 5, shift=0.4, seed=1) @ normal(5, 5, seed=4)
    s, t = torch.cov(x.T.double()), torch.cov(y.T.double())
    roots = torch.linalg.eigvals(s @ t).real.clamp_min(0).sqrt().sum()
    means = (x.double().mean(0) - y.double().mean(0)).square().sum()
    expected = float(means + s.trace() + t.trace() - 2 * roots)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_a_set_to_itself_is_zero_with_fewer_pictures_than_features():
    x = normal(6, 30)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
