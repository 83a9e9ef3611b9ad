"""Steps with the heads that name class and caption: who pays, by which weight, for which images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from stackgan.config import Architecture, Settings, StageSettings
from stackgan.training.assemble import assemble
from stackgan.training.steps import Stage, StepBatch, train_step

TINY = Architecture(
    embedding_dim=12, condition_dim=6, noise_dim=5, text_dim=7, image_px=128,
    stage1_generator_width=8, stage1_discriminator_width=4,
    normalisation="none", unconditional=True, minibatch_deviation=True,
)  # fmt: skip
WEIGHTS = ["class_weight", "contrastive_weight"]


def random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stage_of(classes: int = 3, **changes: Any) -> Stage:
    values = {"steps": 10, "batch_size": 4, "loss": "logistic", **changes}
    settings = Settings(architecture=TINY, stage1=StageSettings(**values))
    return assemble(settings, 1, classes, random(1))


def batch(seed: int = 3) -> StepBatch:
    pixels = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8, generator=random(seed))
    text = torch.randn(2, 4, 12, generator=random(seed + 1))
    return StepBatch(pixels, *text, labels=torch.tensor([0, 1, 2, 0]))


@pytest.mark.parametrize("name", WEIGHTS)
def test_discriminator_and_generator_pay_by_the_weight(
    name: str, last_gradient: Callable[..., Any]
) -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    reports = []
    for weight in (1e-30, 1.0, 3.0):
        stage = stage_of(discriminator_lr=1e-30, **{name: weight})
        last = last_gradient(stage.discriminator), last_gradient(stage.generator)
        reports.append(train_step(stage, batch(), random(0)))
        seen.append((last[0](), last[1]()))
    for none, once, thrice in zip(*seen, strict=True):
        assert (once - none).abs().max() > 1e-6
        assert_close(thrice - none, 3 * (once - none), rtol=1e-2, atol=1e-5)
    assert_close(reports[2]["g_side"], 3 * reports[1]["g_side"])
    assert_close(reports[2]["g_loss"], reports[0]["g_loss"])  # told apart in the report


@pytest.mark.parametrize("name", WEIGHTS)
def test_photographs_teach_the_heads_and_pictures_are_held_to_them(name: str) -> None:
    stage = stage_of(**{name: 1.0})
    heads = stage.side_heads
    assert heads is not None
    asked: list[tuple[torch.Tensor, bool]] = []
    loss = getattr(heads, name.replace("weight", "loss"))

    def ask(features: Any, *more: Any) -> torch.Tensor:
        learns = heads.of_image.weight.requires_grad
        asked.append((features.whole.detach(), learns))
        return loss(features, *more)  # type: ignore[no-any-return]

    setattr(heads, name.replace("weight", "loss"), ask)
    drawn = batch()
    train_step(stage, drawn, random(0))
    (real, learns), (fake, stays) = asked
    assert learns and not stays and not torch.equal(real, fake)
    plain = stage_of(**{name: 1.0}).discriminator
    assert_close(real, plain.features(drawn.pixels / 127.5 - 1).whole)


def test_the_heads_come_to_know_class_and_caption() -> None:
    stage = stage_of(class_weight=1.0, contrastive_weight=1.0, discriminator_lr=2e-3)
    heads, drawn = stage.side_heads, batch()
    assert heads is not None and drawn.labels is not None
    costs = []
    for step in range(16):
        with torch.no_grad():
            features = stage.discriminator.features(drawn.pixels / 127.5 - 1)
            costs.append((
                float(heads.class_loss(features, drawn.labels)),
                float(heads.contrastive_loss(features, drawn.embedding, drawn.labels)),
            ))  # fmt: skip
        train_step(stage, drawn, random(step))
    assert costs[-1][0] < 0.7 * costs[0][0] and costs[-1][1] < 0.7 * costs[0][1], costs


def test_without_classes_only_captions_are_told_apart() -> None:
    stage = stage_of(classes=0, class_weight=1.0)
    assert stage.side_heads is not None and stage.side_heads.of_class is None
    report = train_step(stage, batch(), random(0))
    assert report["g_side"] == 0
    plain = stage_of(classes=0)
    train_step(plain, batch(), random(0))
    for mine, theirs in zip(
        stage.generator.parameters(), plain.generator.parameters(), strict=True
    ):
        assert torch.equal(mine, theirs)


def test_each_part_of_a_batch_has_its_own_labels() -> None:
    stage = stage_of(class_weight=1.0, accumulate=2)
    assert stage.side_heads is not None
    labels: list[list[int]] = []
    loss = stage.side_heads.class_loss
    stage.side_heads.class_loss = (  # type: ignore[method-assign]
        lambda features, given: (labels.append(given.tolist()), loss(features, given))[1]  # type: ignore[func-returns-value]
    )
    train_step(stage, batch(), random(0))
    assert labels == [[0, 1], [2, 0]] * 2
