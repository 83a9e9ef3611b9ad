"""KID against loops over all pairs, and of one distribution."""

import pytest
import torch

from stackgan.evaluation.metrics.kid import kid


def normal(count, dim=8, shift=0.0, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(count, dim, generator=random) + shift


def kid_by_loops(x, y):
    def kernel(a, b):
        return (float(a.double() @ b.double()) / len(a) + 1) ** 3

    def within(z):
        pairs = [kernel(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j]
        return sum(pairs) / len(pairs)

    across = [kernel(a, b) for a in x for b in y]
    return within(x) + within(y) - 2 * sum(across) / len(across)


def test_kid_is_the_mean_over_all_pairs_but_a_picture_with_itself():
    x, y = normal(5), normal(7, shift=0.5, seed=1)
    assert kid(x, y) == pytest.approx(kid_by_loops(x, y), rel=1e-12)


def test_kid_agrees_with_torchmetrics():
    image_kid = pytest.importorskip("torchmetrics.image.kid", exc_type=ImportError)
    x, y = normal(12).double(), normal(12, shift=0.3, seed=1).double()
    theirs = image_kid.poly_mmd(x, y, degree=3, gamma=None, coef=1.0)
    assert kid(x, y) == pytest.approx(float(theirs), rel=1e-9)


def test_kid_of_one_distribution_is_zero_on_average_and_takes_both_signs():
    values = [kid(normal(20, seed=seed), normal(30, seed=1000 + seed)) for seed in range(200)]
    spread = torch.tensor(values).std() / len(values) ** 0.5
    assert abs(sum(values) / len(values)) < 4 * spread
    assert min(values) < 0 < max(values)


def test_kid_grows_with_the_distance_of_the_means():
    reference = normal(200)
    scores = [kid(normal(200, shift=shift, seed=1), reference) for shift in (0.0, 0.2, 0.5, 1.0)]
    assert scores == sorted(scores)
    assert scores[3] > 10 * scores[1]
