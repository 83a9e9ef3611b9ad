"""What no score of two sides of features may depend on, and what each refuses."""

import pytest
import torch

from stackgan.errors import InputError
from stackgan.evaluation.metrics.frechet import frechet_distance
from stackgan.evaluation.metrics.kid import kid


def normal(count, dim=8, shift=0.0, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(count, dim, generator=random) + shift


def test_scores_are_summed_in_float64():
    x, y = normal(50, shift=40.0), normal(50, shift=40.0, seed=1)
    assert kid(x, y) == kid(x.double(), y.double())
    assert frechet_distance(x, y) == frechet_distance(x.double(), y.double())


@pytest.mark.parametrize("score", [kid, frechet_distance])
def test_the_order_of_the_pictures_changes_nothing(score):
    x, y = normal(31), normal(29, shift=0.3, seed=1)
    turned = score(x.flip(0), y.roll(5, 0))
    assert turned == pytest.approx(score(x, y), rel=1e-9)


@pytest.mark.parametrize("score", [kid, frechet_distance])
def test_features_that_cannot_be_compared_are_refused(score):
    with pytest.raises(InputError, match="cannot be compared"):
        score(normal(4, 8), normal(4, 9))
    with pytest.raises(InputError, match="at least 2"):
        score(normal(1), normal(4))
    with pytest.raises(InputError, match="not finite"):
        score(normal(4) / 0, normal(4))


@pytest.mark.parametrize("score", [kid, frechet_distance])
@pytest.mark.parametrize("level", [0.0, 1.0, 1e6])
@pytest.mark.parametrize("count", [2, 30])
def test_a_side_without_spread_is_refused(score, level, count):
    alike = torch.full((count, 8), level)
    rounded = alike * (1 + 1e-8 * torch.arange(count, dtype=torch.float64)[:, None])
    for side in (alike, rounded):
        for pair in ((side, normal(9)), (normal(9), side), (side, side)):
            with pytest.raises(InputError, match=f"all {count} pictures of one side are alike"):
                score(*pair)
    spread = alike.clone()
    spread[0, 0] += 0.1 * max(level, 1)
    assert score(spread, normal(9)) != 0


@pytest.mark.parametrize("score", [kid, frechet_distance])
@pytest.mark.parametrize("counts", [(0, 4), (4, 0), (0, 0), (1, 1)])
def test_scores_of_no_picture_or_one_are_refused(score, counts):
    with pytest.raises(InputError, match="at least 2"):
        score(*map(normal, counts))
