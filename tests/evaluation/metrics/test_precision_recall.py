"""Precision and recall of points whose neighbours are known."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stackgan.errors import InputError
from stackgan.evaluation.metrics.precision_recall import precision_recall


def test_precision_and_recall_of_points_on_a_line():
    line = torch.arange(10.0)[:, None]  # each reaches its third neighbour: 2, at the ends 3
    heap = 4.5 + torch.arange(10.0)[:, None] / 1000
    far = torch.tensor([[-2.5], [-3.5], [11.5], [12.5]])
    assert precision_recall(heap, line) == (1.0, 0.0)
    assert precision_recall(line, heap) == (0.0, 1.0)
    assert precision_recall(line, line) == (1.0, 1.0)
    assert precision_recall(far, line)[0] == 0.5


def test_a_few_photographs_repeated_recall_themselves_alone():
    random = torch.Generator().manual_seed(0)
    photographs = 10 + torch.randn(100, 1280, generator=random)
    repeated = photographs[:20].repeat(5, 1)
    assert precision_recall(repeated, photographs) == (1.0, 0.2)


def test_too_few_pictures_for_a_third_neighbour_are_refused():
    with pytest.raises(InputError, match="more than 3"):
        precision_recall(torch.randn(3, 2), torch.randn(9, 2))


def rows(count, seed=0, dim=6):
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(4, 30), st.integers(1, 3))
def test_a_set_lies_among_itself_and_far_ones_do_not(seed, count, neighbours):
    own = rows(count, seed)
    assert precision_recall(own, own.flip(0), neighbours) == (1.0, 1.0)
    assert precision_recall(own + 1e3, own, neighbours) == (0.0, 0.0)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_sides_exchanged_are_precision_and_recall_exchanged(seed):
    one, other = rows(12, seed), 0.7 * rows(17, seed + 1)
    there, back = precision_recall(one, other), precision_recall(other, one)
    assert (there.precision, there.recall) == (back.recall, back.precision)


def test_precision_and_recall_are_those_of_loops():
    mine, theirs = rows(15), 1.5 * rows(11, 1)

    def among(point, others, k=3):
        for own in others:
            reach = sorted(float((own - one).double().norm()) for one in others)[k]
            if float((own - point).double().norm()) <= reach:
                return True
        return False

    found = precision_recall(mine, theirs)
    assert found.precision == pytest.approx(sum(among(x, theirs) for x in mine) / 15)
    assert found.recall == pytest.approx(sum(among(x, mine) for x in theirs) / 11)
    assert 0 < found.recall < 1 and 0 < found.precision <= 1


def test_the_order_of_the_pictures_changes_nothing():
    mine, theirs = rows(40), 1.3 * rows(31, 1)
    assert precision_recall(mine.flip(0), theirs.roll(3, 0)) == precision_recall(mine, theirs)


@pytest.mark.parametrize("counts", [(0, 9), (9, 0), (3, 9), (9, 3)])
def test_nothing_and_too_few_are_refused_on_either_side(counts):
    with pytest.raises(InputError, match="more than 3"):
        precision_recall(*(rows(count) for count in counts))


def test_what_cannot_be_compared_is_refused_too():
    with pytest.raises(InputError, match="cannot be compared"):
        precision_recall(rows(9, dim=3), rows(9, dim=4))
    with pytest.raises(InputError, match="not finite"):
        precision_recall(rows(9) / 0, rows(9))
    with pytest.raises(InputError, match="neighbours is 0"):
        precision_recall(rows(9), rows(9), 0)
