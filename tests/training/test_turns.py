"""Whose weights move, when, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from stackgan.systems.system import Turn
from stackgan.training.turns import take


def players() -> tuple[nn.ParameterDict, dict[str, torch.optim.Optimizer]]:
    weights = nn.ParameterDict({name: nn.Parameter(torch.tensor([1.0])) for name in ("one", "two")})
    return weights, {name: torch.optim.SGD([weights[name]], lr=1.0) for name in weights}


def test_a_turn_s_parts_add_up_and_its_weights_have_moved_when_the_next_begins() -> None:
    weights, optimizers = players()
    seen: list[list[float]] = []

    def step() -> Iterator[Turn]:
        for name in weights:
            for share in (0.25, 0.5):
                seen.append([float(each.detach()) for each in weights.values()])
                yield Turn(name, share * weights[name].sum(), {"told": torch.tensor(share)})

    report = take(step(), optimizers, 2)
    assert seen == [[1.0, 1.0], [1.0, 1.0], [0.25, 1.0], [0.25, 1.0]]
    assert [float(each.detach()) for each in weights.values()] == [0.25, 0.25]
    assert float(report["o_gradient"]) == float(report["t_gradient"]) == 0.75
    assert float(report["told"]) == 0.75  # of two turns, each a mean over its parts
    assert all(each.grad is None for each in weights.values())


def test_a_turn_without_all_its_parts_is_refused() -> None:
    weights, optimizers = players()
    turns = [Turn(name, weights[name].sum(), {}) for name in ("one", "two")]
    with pytest.raises(ValueError, match="the turn of the one ended before its 2 parts"):
        take(iter(turns), optimizers, 2)
    with pytest.raises(ValueError, match="the turn of the one ended before its 2 parts"):
        take(iter(turns[:1]), optimizers, 2)


def test_a_step_of_one_player_is_one_turn() -> None:
    weights, optimizers = players()
    take(iter([Turn("two", weights["two"].sum(), {})]), optimizers, 1)
    assert [float(each.detach()) for each in weights.values()] == [1.0, 0.0]
