"""The heads that name class and caption: closed forms, and what they read."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from stackgan.networks.initialise import initialise
from stackgan.systems.side_heads import SHARPNESS, SideHeads
from stackgan.systems.stackgan.discriminators import Features


def features(whole: Tensor) -> Features:
    return Features(whole, whole, whole)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def heads(channels: int = 6, classes: int = 5, embedding_dim: int = 4) -> SideHeads:
    made = SideHeads(channels, classes, embedding_dim)
    initialise(made, torch.Generator().manual_seed(1))
    return made


def silenced(*layers: torch.nn.Module | None) -> None:
    for layer in layers:
        assert layer is not None
        for parameter in layer.parameters():
            torch.nn.init.zeros_(parameter)


def test_without_an_opinion_each_class_costs_the_logarithm_of_their_number() -> None:
    made = heads(classes=7)
    silenced(made.of_class)
    loss = made.class_loss(features(draw(3, 6, 4, 4)), torch.tensor([0, 3, 6]))
    assert_close(loss, torch.tensor(math.log(7)))


def test_the_class_loss_is_the_cross_entropy_of_the_mean_features() -> None:
    made, maps, labels = heads(), draw(3, 6, 4, 4), torch.tensor([4, 0, 2])
    assert made.of_class is not None
    logits = maps.mean((2, 3)) @ made.of_class.weight.T + made.of_class.bias
    expected = -logits.log_softmax(1)[torch.arange(3), labels].mean()
    assert_close(made.class_loss(features(maps), labels), expected)


@pytest.mark.parametrize("classes", [0, 1])
def test_where_there_is_nothing_to_tell_apart_there_is_no_class_head(classes: int) -> None:
    made = heads(classes=classes)
    assert made.of_class is None
    assert made.class_loss(features(draw(3, 6, 4, 4)), torch.tensor([0, 1, 2])) == 0


def test_captions_that_cannot_be_told_apart_cost_the_logarithm_of_their_number() -> None:
    made, maps, text = heads(), features(draw(4, 6, 4, 4)), draw(4, 4, seed=1)
    silenced(made.of_image)
    apart = made.contrastive_loss(maps, text, torch.arange(4))
    assert_close(apart, torch.tensor(math.log(4)))
    alike = made.contrastive_loss(maps, text, torch.tensor([7, 7, 2, 3]))  # 3, 3, 4 and 4 are left
    assert_close(alike, torch.tensor((math.log(3) + math.log(4)) / 2))


def test_pairs_of_one_class_are_left_out() -> None:
    made, maps, text = heads(), draw(3, 6, 4, 4), draw(3, 4, seed=1)
    one = made.contrastive_loss(features(maps), text, torch.tensor([5, 5, 5]))
    assert_close(one, torch.tensor(0.0))
    moved = text.clone()
    moved[1] = -text[1]  # of image 0's class: it costs image 0 nothing, its own image something
    labels = torch.tensor([5, 5, 9])

    def rows(captions: Tensor) -> Tensor:
        image = torch.nn.functional.normalize(made.of_image(maps.mean((2, 3))), dim=1)
        said = torch.nn.functional.normalize(made.of_text(made.standard(captions)), dim=1)
        scores = SHARPNESS * image @ said.T
        scores[0, 1] = scores[1, 0] = -math.inf
        own = scores.diagonal()
        return torch.stack([scores.logsumexp(1) - own, scores.logsumexp(0) - own]).mean(0)

    for captions in (text, moved):
        found = made.contrastive_loss(features(maps), captions, labels)
        assert_close(found, rows(captions).mean())


def test_both_sides_of_a_perfect_match_are_near_zero_and_of_a_swapped_one_are_not() -> None:
    made = heads(channels=4)
    for layer in (made.of_image, made.of_text):
        torch.nn.init.zeros_(layer.bias)
        layer.weight.data = torch.eye(128, 4)
    maps = torch.eye(4)[:, :, None, None].expand(-1, -1, 4, 4)
    right = made.contrastive_loss(features(maps), torch.eye(4), torch.arange(4))
    assert_close(right, torch.tensor(math.log(1 + 3 * math.exp(-SHARPNESS))))
    wrong = made.contrastive_loss(features(maps), torch.eye(4).roll(1, 0), torch.arange(4))
    assert_close(wrong, torch.tensor(SHARPNESS) + right)


def test_captions_are_read_standardised() -> None:
    made, maps, text = heads(), features(draw(4, 6, 4, 4)), draw(4, 4, seed=1)
    before = made.contrastive_loss(maps, text, torch.arange(4))
    made.standard.measure(3 * text + 50)
    again = made.contrastive_loss(maps, 3 * text + 50, torch.arange(4))
    made.standard.measure(text)
    assert_close(again, made.contrastive_loss(maps, text, torch.arange(4)), atol=1e-4, rtol=1e-4)
    assert not torch.isclose(before, again)


def test_a_batch_deviation_s_channel_is_not_read() -> None:
    made, maps, labels = heads(), draw(3, 7, 4, 4), torch.tensor([0, 1, 2])
    other = maps.clone()
    other[:, 6] += 3
    for loss in (
        lambda x: made.class_loss(features(x), labels),
        lambda x: made.contrastive_loss(features(x), draw(3, 4), labels),
    ):
        assert torch.equal(loss(maps), loss(other))
        assert not torch.equal(loss(maps), loss(maps.roll(1, 1)))
