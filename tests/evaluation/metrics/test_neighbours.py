"""Neighbours in chunks against all distances at once."""

import pytest
import torch

from stackgan.errors import InputError
from stackgan.evaluation.metrics import neighbours
from stackgan.evaluation.metrics.neighbours import nearest, nearest_other


def rows(count, seed, dim=6):
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("chunk", [1, 3, 1024])
def test_neighbours_are_those_of_brute_force(monkeypatch, chunk):
    monkeypatch.setattr(neighbours, "CHUNK", chunk)
    queries, reference = rows(7, 0), rows(11, 1)
    apart = (queries[:, None].double() - reference[None].double()).norm(dim=2)
    found = nearest(queries, reference, count=3)
    expected = apart.sort(dim=1)
    torch.testing.assert_close(found.indices, expected.indices[:, :3])
    torch.testing.assert_close(found.distances, expected.values[:, :3])


def test_a_copy_is_at_distance_zero_even_far_from_the_origin():
    reference = rows(9, 0) + 1e4
    found = nearest(reference[4:6], reference)
    assert found.indices[:, 0].tolist() == [4, 5]
    assert found.distances.max() == 0


def test_small_distances_are_exact_even_far_from_the_origin():
    reference = rows(9, 0).double() + 1e4
    found = nearest(reference[4:6] + 1e-3, reference)
    expected = torch.full((2, 1), 1e-3 * 6**0.5, dtype=torch.float64)
    torch.testing.assert_close(found.distances, expected, rtol=1e-6, atol=0)


def test_of_equal_rows_the_earlier_comes_first():
    reference = rows(3, 0).repeat(2, 1)
    assert nearest(reference, reference, count=2).indices.tolist() == [[0, 3], [1, 4], [2, 5]] * 2


@pytest.mark.parametrize("chunk", [2, 1024])
def test_the_nearest_other_is_never_the_picture_itself(monkeypatch, chunk):
    monkeypatch.setattr(neighbours, "CHUNK", chunk)
    features = torch.tensor([[0.0], [1.0], [5.0], [5.0], [9.0]])
    assert nearest_other(features).tolist() == [1, 1, 0, 0, 4]


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(InputError, match="cannot be compared"):
        nearest(rows(2, 0, dim=3), rows(2, 0, dim=4))
    with pytest.raises(InputError, match="asked for 5 neighbours among 3"):
        nearest(rows(2, 0), rows(3, 1), count=5)
    with pytest.raises(InputError, match="asked for 0"):
        nearest(rows(2, 0), rows(3, 1), count=0)
    with pytest.raises(InputError, match="at least 2"):
        nearest_other(rows(1, 0))
