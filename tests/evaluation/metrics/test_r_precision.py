"""R-precision against draws of captions, and where its answer is known."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stackgan.errors import InputError
from stackgan.evaluation.metrics.r_precision import r_precision


def fits(count=3, pool=7, seed=0):
    random = torch.Generator().manual_seed(seed)
    own, others = torch.rand(count, generator=random), torch.rand(count, pool, generator=random)
    return own, others, torch.ones(count, pool, dtype=torch.bool)


def test_a_caption_that_always_fits_best_carries_all_and_worst_nothing():
    _, pool, other = fits(4, 120)
    best, worst = (
        r_precision(torch.full((4,), 2.0), pool, other),
        r_precision(torch.full((4,), -1.0), pool, other),
    )
    assert (best.top1, best.top10, best.auc, best.se, best.auc_se, best.n) == (1, 1, 1, 0, 0, 4)
    assert (worst.top1, worst.top10, worst.auc) == (0, 0, 0)


@pytest.mark.parametrize("others", [1, 2, 4])
def test_it_is_the_mean_over_all_draws(others):
    own, pool, other = fits(6, 8, seed=1)
    other[:, 2] = False
    other[0, 5] = False
    found = r_precision(own, pool, other, others)
    shares, aucs = [], []
    for mine, row, may in zip(own.tolist(), pool, other, strict=True):
        values = [float(one) for one, allowed in zip(row, may, strict=True) if allowed]
        draws = list(itertools.combinations(values, others))
        shares.append(sum(all(one < mine for one in draw) for draw in draws) / len(draws))
        aucs.append(sum(one < mine for one in values) / len(values))
    assert found.top1 == pytest.approx(sum(shares) / 6, rel=1e-12)
    assert found.auc == pytest.approx(sum(aucs) / 6, rel=1e-12)
    assert found.se == pytest.approx(float(torch.tensor(shares).std()) / 6**0.5, rel=1e-5)
    assert found.auc_se == pytest.approx(float(torch.tensor(aucs).std()) / 6**0.5, rel=1e-5)
    assert 0 < found.top1 < 1


def test_the_ten_that_fit_best_are_the_own_and_nine_better():
    own, pool = torch.zeros(2), torch.full((2, 99), -1.0)
    pool[0, :9], pool[1, :10] = 1.0, 1.0
    found = r_precision(own, pool, torch.ones(2, 99, dtype=torch.bool))
    assert (found.top1, found.top10) == (0.0, 0.5)


def test_by_chance_it_is_one_in_a_hundred_and_a_half():
    own, pool, other = fits(2000, 300)
    found = r_precision(own, pool, other)
    assert abs(found.top1 - 0.01) < 4 * found.se
    assert abs(found.auc - 0.5) < 4 * found.auc_se
    assert found.top10 == pytest.approx(0.1, abs=0.03)


def test_a_caption_that_fits_as_well_is_none_that_fits_worse():
    own, other = torch.ones(2), torch.ones(2, 3, dtype=torch.bool)
    assert r_precision(own, torch.ones(2, 3), other, 1).auc == 0


def test_captions_of_the_own_class_are_never_drawn():
    own, pool, other = fits(5, 120)
    pool[:, 7] = 9.0
    assert r_precision(own, pool, other).top1 < 0.2
    other[:, 7] = False
    pool[:, :7] = pool[:, 8:] = -1
    assert r_precision(own, pool, other).top1 == 1


def test_it_agrees_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    own, pool, other = fits(50, 300, seed=3)
    own, other = own / 20 + 0.95, other & (torch.arange(300) % 7 != 0)
    better = ((pool >= own[:, None]) & other).sum(1).numpy()
    law = stats.hypergeom(other.sum(1).numpy(), better, 99)
    found = r_precision(own, pool, other)
    assert found.top1 == pytest.approx(law.cdf(0).mean(), rel=1e-11)
    assert found.top10 == pytest.approx(law.cdf(9).mean(), rel=1e-11)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_only_the_order_of_the_fits_counts(seed):
    own, pool, other = fits(5, 20, seed)
    plain = r_precision(own, pool, other, 9)
    wide = own.double().exp(), pool.double().exp()  # in float32 two near ones may become equal
    assert r_precision(*wide, other, 9) == plain
    assert r_precision(own, pool.flip(1), other, 9) == plain
    assert math.isclose(r_precision(own.flip(0), pool.flip(0), other, 9).top1, plain.top1)


def test_what_cannot_be_ranked_is_refused():
    own, pool, other = fits()
    for none in (own[:0], pool[:0], other[:0]), (own[:1], pool[:1], other[:1]):
        with pytest.raises(InputError, match="N at least 2"):
            r_precision(*none, 2)
    with pytest.raises(InputError, match="do not fit"):
        r_precision(own, pool[:, 1:], other, 2)
    with pytest.raises(InputError, match="do not fit"):
        r_precision(own, pool[1:], other[1:], 2)
    with pytest.raises(InputError, match="not finite"):
        r_precision(own / 0, pool, other, 2)
    with pytest.raises(InputError, match="asked for 8 other captions; the pool holds 7"):
        r_precision(own, pool, other, 8)
    with pytest.raises(InputError, match="asked for 0"):
        r_precision(own, pool, other, 0)
