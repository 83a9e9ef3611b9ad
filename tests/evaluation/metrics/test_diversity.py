"""Diversity against distances known beforehand."""

import pytest
import torch

from stackgan.errors import InputError
from stackgan.evaluation.metrics.diversity import diversity


def test_diversity_is_the_mean_over_pairs():
    corners = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    assert diversity(corners) == pytest.approx((3 + 4 + 5) / 3)
    assert diversity(corners[:1].repeat(3, 1)) == 0
    with pytest.raises(InputError, match="at least 2"):
        diversity(corners[:1])


def test_diversity_is_in_units_of_the_features_and_of_no_order():
    features = torch.randn(9, 5, generator=torch.Generator().manual_seed(0))
    assert diversity(features.flip(0) + 7) == pytest.approx(diversity(features), rel=1e-6)
    assert diversity(3 * features) == pytest.approx(3 * diversity(features), rel=1e-6)
