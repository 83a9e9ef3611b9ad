"""Closed forms of the losses."""

import math

import pytest
import torch
from torch.testing import assert_close

from stackgan.systems.losses import (
    DiscriminatorLoss,
    called_fake,
    called_real,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    shrink,
    unconditional_loss,
)

TWO = torch.full((4,), 2.0)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_cross_entropy_at_plus_and_minus_two() -> None:
    assert_close(called_real(TWO, "logistic"), torch.tensor(softplus(-2)))
    assert_close(called_real(-TWO, "logistic"), torch.tensor(softplus(2)))
    assert_close(called_fake(TWO, "logistic"), torch.tensor(softplus(2)))
    assert_close(called_fake(-TWO, "logistic"), torch.tensor(softplus(-2)))


def test_hinge_is_zero_past_its_margin() -> None:
    assert_close(called_real(TWO, "hinge"), torch.tensor(0.0))
    assert_close(called_real(-TWO, "hinge"), torch.tensor(3.0))
    assert_close(called_fake(TWO, "hinge"), torch.tensor(3.0))
    assert_close(called_fake(-TWO, "hinge"), torch.tensor(0.0))


def test_real_wrong_and_fake_are_graded_each_in_its_place() -> None:
    loss = discriminator_loss(
        torch.full((3,), 1.0), torch.full((3,), 2.0), torch.full((3,), 3.0), "logistic"
    )
    assert_close(loss.real, torch.tensor(softplus(-1)))
    assert_close(loss.wrong, torch.tensor(softplus(2)))
    assert_close(loss.fake, torch.tensor(softplus(3)))


def test_both_negatives_together_weigh_as_much_as_the_positive() -> None:
    loss = DiscriminatorLoss(torch.tensor(1.0), torch.tensor(10.0), torch.tensor(100.0))
    assert_close(loss.total(), torch.tensor(56.0))


def test_the_unconditional_head_is_graded_on_real_and_fake() -> None:
    loss = unconditional_loss(TWO, 3 * TWO, "logistic")
    assert_close(loss, torch.tensor(softplus(-2) + softplus(6)))


@pytest.mark.parametrize(
    ("kind", "at_two"), [("minimax", -softplus(2)), ("logistic", softplus(-2)), ("hinge", -2.0)]
)
def test_what_the_generator_pays(kind: str, at_two: float) -> None:
    assert_close(generator_loss(TWO, kind), torch.tensor(at_two))  # type: ignore[arg-type]
    better = generator_loss(TWO + 1, kind)  # type: ignore[arg-type]
    assert better < generator_loss(TWO, kind)  # type: ignore[arg-type]


def test_penalty_of_a_linear_critic_is_its_squared_norm() -> None:
    weight = torch.arange(12.0).view(1, 3, 2, 2) / 10
    images = torch.randn(5, 3, 2, 2, requires_grad=True)
    penalty = gradient_penalty(images, (images * weight).sum(dim=(1, 2, 3)))
    assert_close(penalty, weight.square().sum())


def test_penalty_of_patches_is_that_of_their_mean() -> None:
    images = torch.randn(5, 3, 2, 2, requires_grad=True)
    patches = images.sum(dim=1).flatten()  # four logits an image
    assert_close(gradient_penalty(images, patches), torch.tensor(12 / 16))


def test_shrinking_keeps_a_constant_and_the_range() -> None:
    assert_close(shrink(torch.full((1, 3, 32, 32), 0.25), 8), torch.full((1, 3, 8, 8), 0.25))
    hard = torch.where(torch.rand(1, 3, 32, 32) < 0.5, -1.0, 1.0)
    assert shrink(hard, 16).abs().max() <= 1
