"""One training step: what moves, what must not, and what the settings do."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from stackgan.config import Architecture, StageSettings
from stackgan.networks.initialise import initialise
from stackgan.systems.augment import cut_out, translate
from stackgan.systems.losses import (
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    unconditional_loss,
)
from stackgan.systems.stackgan.build import build_discriminator, build_stage1, build_stage2
from stackgan.systems.stackgan.discriminators import Discriminator
from stackgan.tensors import to_images
from stackgan.training.ema import average_decay, update_average
from stackgan.training.schedule import learning_rate, set_learning_rate
from stackgan.training.steps import (
    Stage,
    StepBatch,
    make_stage,
    train_step,
)

TINY = Architecture(
    embedding_dim=12,
    condition_dim=6,
    noise_dim=5,
    text_dim=7,
    stage1_generator_width=8,
    stage1_discriminator_width=4,
    stage2_generator_width=8,
    stage2_discriminator_width=4,
    image_px=128,
    conditioning="bounded",
    normalisation="none",
    unconditional=True,
)
SETTINGS = StageSettings(steps=10, batch_size=4, loss="logistic", kl_weight=0.1, average=0.9)


def random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stage_of(number: int, settings: StageSettings = SETTINGS, a: Architecture = TINY) -> Stage:
    generator = build_stage1(a) if number == 1 else build_stage2(a)
    discriminator = build_discriminator(a, number)  # type: ignore[arg-type]
    sketcher = None
    for network in (generator, discriminator):
        initialise(network, random(1))
    if number == 2:
        sketcher = build_stage1(a)
        initialise(sketcher, random(5))
    return make_stage(generator, discriminator, settings, sketcher)


def batch(px: int, seed: int = 3) -> StepBatch:
    pixels = torch.randint(0, 256, (4, 3, px, px), dtype=torch.uint8, generator=random(seed))
    embedding, wrong = torch.randn(2, 4, 12, generator=random(seed + 1))
    return StepBatch(pixels, embedding, wrong)


def state(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def run(stage: Stage, px: int, steps: int = 2) -> dict[str, float]:
    report = {}
    for _ in range(steps):
        report = train_step(stage, batch(px), random(stage.step))
    return {name: float(value) for name, value in report.items()}


def shown_to(discriminator: Discriminator) -> list[torch.Tensor]:
    """What the discriminator is shown from now on, in order."""
    shown: list[torch.Tensor] = []
    first = discriminator.down[0]
    first.register_forward_pre_hook(lambda _, x: shown.extend(x[0].detach().clone().split(4)))
    return shown


@pytest.mark.parametrize("number", [1, 2])
def test_a_step_moves_generator_discriminator_and_average(number: int) -> None:
    stage = stage_of(number)
    assert stage.average is not None
    networks = (stage.generator, stage.discriminator, stage.average)
    before = [state(network) for network in networks]
    run(stage, 64 if number == 1 else 128)
    for network, old in zip(networks, before, strict=True):
        still = [
            name for name, value in network.named_parameters() if torch.equal(value, old[name])
        ]
        assert not still


def test_a_frozen_stage1_is_bit_equal_after_two_steps_its_statistics_included() -> None:
    stage = stage_of(2)
    assert stage.sketcher is not None
    before = state(stage.sketcher)
    run(stage, 128)
    assert not stage.sketcher.training
    assert_close(state(stage.sketcher), before, rtol=0, atol=0)


def test_the_discriminator_keeps_its_gradients_after_the_generator_step() -> None:
    stage = stage_of(1)
    run(stage, 64, steps=1)
    assert all(p.requires_grad for p in stage.discriminator.parameters())


@pytest.mark.parametrize("number", [1, 2])
def test_a_step_pays_for_what_the_discriminator_says_of_its_images(number: int) -> None:
    change = {"conditional_weight": 0.5, "discriminator_lr": 1e-30}  # the critic stays as it is
    settings = SETTINGS.model_copy(update=change)
    stage, drawn = stage_of(number, settings), batch(64 if number == 1 else 128)
    critic = stage.discriminator
    shown = shown_to(critic)
    report = train_step(stage, drawn, random(0))
    real, fake, fake_again = shown
    assert_close(real, to_images(drawn.pixels), rtol=0, atol=0)
    assert_close(fake, fake_again, rtol=0, atol=0)
    with torch.no_grad():
        of_real, of_fake = critic.features(real), critic.features(fake)
        answers = (
            critic.conditional(of_real, drawn.embedding),
            critic.conditional(of_real, drawn.wrong_embedding),
            critic.conditional(of_fake, drawn.embedding),
        )
        alone, fake_alone = critic.unconditional(of_real), critic.unconditional(of_fake)
    assert alone is not None and fake_alone is not None
    graded = 0.5 * discriminator_loss(*answers, "logistic").total()
    graded = graded + unconditional_loss(alone, fake_alone, "logistic")
    assert_close(report["d_loss"], graded)
    paid = 0.5 * generator_loss(answers[2], "logistic") + generator_loss(fake_alone, "logistic")
    assert_close(report["g_loss"], paid)
    for name, logits in zip(("d_real", "d_wrong", "d_fake"), answers, strict=True):
        assert_close(report[name], logits.sigmoid().mean())


def test_whatever_the_discriminator_sees_is_augmented() -> None:
    stage = stage_of(1, SETTINGS.model_copy(update={"augment": ("cutout",)}))
    shown = shown_to(stage.discriminator)
    train_step(stage, batch(64), random(0))
    blanks = [(images == 0).all(dim=1) for images in shown]
    assert len(blanks) == 3  # real, fake, and the fake that the generator pays for
    for blank in blanks:
        assert blank.float().mean(dim=(1, 2)).min() > 0.05
    assert not torch.equal(blanks[0], blanks[1])


def test_the_discriminator_learns_real_wrong_and_fake_apart() -> None:
    settings = SETTINGS.model_copy(update={"discriminator_lr": 3e-3, "generator_lr": 1e-9})
    stage = stage_of(1, settings)
    report = run(stage, 64, steps=40)
    assert report["d_real"] > 0.8
    assert report["d_wrong"] < 0.2
    assert report["d_fake"] < 0.2


def test_the_generator_follows_the_discriminator() -> None:
    settings = SETTINGS.model_copy(update={"discriminator_lr": 1e-9, "generator_lr": 3e-3})
    stage = stage_of(1, settings)
    first, last = run(stage, 64, steps=1)["g_loss"], run(stage, 64, steps=30)["g_loss"]
    assert last < first - 0.3


@pytest.mark.parametrize(
    ("change", "reported"),
    [
        ({"kl_weight": 50.0}, None),
        ({"conditional_weight": 0.1}, None),
        ({"r1_weight": 10.0, "r1_every": 1}, "r1"),
        ({"augment": ("translation",)}, None),
        ({"augment": ("cutout",)}, None),
        ({"loss": "hinge"}, None),
        ({"loss": "minimax"}, None),
        ({"betas": (0.9, 0.9)}, None),
        ({"generator_lr": 1e-3}, None),
        ({"pixel_weight": 5.0, "pair_share": 0.5}, "pixel"),
        ({"pair_steps": 10}, None),
        ({"sketch_weight": 5.0}, "sketch"),
        ({"pixel_steps": 10, "pixel_weight": 1.0, "pair_steps": 10}, "pixel"),
    ],
)
def test_every_setting_of_a_stage_changes_the_weights(
    change: dict[str, object], reported: str | None
) -> None:
    plain, changed = stage_of(2), stage_of(2, SETTINGS.model_copy(update=change))
    run(plain, 128)
    report = run(changed, 128)
    weight = "conditioning.layer.weight"
    assert not torch.equal(state(plain.generator)[weight], state(changed.generator)[weight])
    assert reported is None or reported in report


@pytest.mark.parametrize("name", ["kl_weight", "pixel_weight", "sketch_weight"])
def test_each_part_of_the_generators_loss_has_its_weight(name: str) -> None:
    def gradient(weight: float) -> float:
        change = {"kl_weight": 0.0, "pixel_steps": 10, "pair_steps": 10, name: weight}
        stage = stage_of(2, SETTINGS.model_copy(update=change))
        return run(stage, 128, steps=1)["g_gradient"]

    one = gradient(1.0)
    assert one > 0 and gradient(3.0) == pytest.approx(3 * one, rel=1e-4)


def test_r1_has_its_weight_at_its_steps(last_gradient: Callable[..., Any]) -> None:
    def gradient(step: int, **change: object) -> torch.Tensor:
        stage = stage_of(1, SETTINGS.model_copy(update=change))
        stage.step = step
        last: Callable[[], torch.Tensor] = last_gradient(stage.discriminator)
        train_step(stage, batch(64), random(0))
        return last()

    critic, drawn = stage_of(1).discriminator, batch(64)
    images = to_images(drawn.pixels).requires_grad_(True)
    features = critic.features(images)
    alone = critic.unconditional(features)
    assert alone is not None
    penalty = gradient_penalty(images, critic.conditional(features, drawn.embedding))
    penalty = penalty + gradient_penalty(images, alone)
    parts = torch.autograd.grad(penalty, list(critic.parameters()), materialize_grads=True)
    of_penalty = torch.cat([part.flatten() for part in parts])
    plain = gradient(8)
    taken = gradient(8, r1_weight=2.0, r1_every=4)
    assert_close(taken - plain, 0.5 * 2.0 * 4 * of_penalty, rtol=1e-3, atol=1e-5)
    assert_close(gradient(9, r1_weight=2.0, r1_every=4), plain, rtol=0, atol=0)


def test_pixels_alone_leave_the_discriminator_untouched() -> None:
    change = {"pixel_steps": 10, "pixel_weight": 1.0, "pair_steps": 10}
    stage = stage_of(2, SETTINGS.model_copy(update=change))
    before = state(stage.discriminator)
    assert "g_loss" not in run(stage, 128)
    assert_close(state(stage.discriminator), before, rtol=0, atol=0)


def test_the_average_moves_by_one_minus_its_decay() -> None:
    average, moved = build_stage1(TINY), build_stage1(TINY)
    before = state(average)["rgb.weight"]
    update_average(average, moved, 0.75)
    expected = 0.75 * before + 0.25 * moved.rgb.weight
    assert_close(state(average)["rgb.weight"], expected)
    moved.project_norm.running_mean += 4.0  # type: ignore[operator]
    update_average(average, moved, 0.75)
    assert_close(average.project_norm.running_mean, torch.ones(8 * 8 * 16))


def test_the_average_follows_quickly_at_first() -> None:
    settings = SETTINGS.model_copy(update={"average": 0.75})
    assert average_decay(settings, 8, 4) == (1 + 8) / (10 + 8)
    assert average_decay(settings, 10_000, 4) == 0.75


def test_a_half_life_halves_an_images_share_in_so_many_images() -> None:
    settings = SETTINGS.model_copy(update={"average_half_life": 800, "average_ramp": 0.0})
    steps = 800 // 16
    assert average_decay(settings, 1, 16) ** steps == pytest.approx(0.5)
    assert average_decay(settings, 1_000_000, 16) == average_decay(settings, 1, 16)


def test_the_half_life_is_no_more_than_the_ramps_share_of_the_images_so_far() -> None:
    settings = SETTINGS.model_copy(update={"average_half_life": 800, "average_ramp": 0.05})
    at_least_ten_steps = average_decay(settings, 1, 16)
    assert at_least_ten_steps**10 == pytest.approx(0.5)
    assert average_decay(settings, 400, 16) ** (0.05 * 400) == pytest.approx(0.5)
    assert average_decay(settings, 1000, 16) ** (800 / 16) == pytest.approx(0.5)  # the bound


def test_rates_halve_at_the_epoch_and_decay_to_a_hundredth() -> None:
    settings = StageSettings(steps=1000, halve_every_epochs=2)
    factors = [learning_rate(settings, step, steps_per_epoch=5) for step in (0, 9, 10, 19, 20)]
    assert factors == [1, 1, 0.5, 0.5, 0.25]
    settings = StageSettings(steps=100, halve_every_epochs=0, decay_from=0.5)
    factors = [learning_rate(settings, step, 5) for step in (0, 50, 75, 99, 100)]
    assert factors == [1, 1, 0.5, 0.02, 0.01]


def test_rates_reach_both_optimizers() -> None:
    stage = stage_of(1, SETTINGS.model_copy(update={"discriminator_lr": 4e-4}))
    set_learning_rate(stage, 0.5)
    assert stage.generator_optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)
    assert stage.discriminator_optimizer.param_groups[0]["lr"] == pytest.approx(2e-4)


def test_half_precision_agrees_with_single_within_a_few_percent() -> None:
    single, half = stage_of(1), stage_of(1)
    half.bf16 = True
    one, two = run(single, 64, steps=1), run(half, 64, steps=1)
    for name in ("d_loss", "g_loss", "kl"):
        assert two[name] == pytest.approx(one[name], rel=0.03)


def test_translation_moves_by_whole_pixels_and_fills_with_grey() -> None:
    images = torch.rand(64, 3, 16, 16, generator=random(0)) + 1
    moved = translate(images, random(1))
    shifts = set()
    for image, copy in zip(images, moved, strict=True):
        found = []
        for dy in range(-2, 3):
            for dx in range(-2, 3):
                expected = torch.zeros(3, 20, 20)
                expected[:, 2 + dy : 18 + dy, 2 + dx : 18 + dx] = image
                if torch.equal(expected[:, 2:18, 2:18], copy):
                    found.append((dy, dx))
        assert len(found) == 1
        shifts.add(found[0])
    assert {dy for dy, _ in shifts} == {dx for _, dx in shifts} == {-2, -1, 0, 1, 2}


def test_cutout_blanks_a_square_and_nothing_else() -> None:
    images = torch.rand(64, 3, 16, 16, generator=random(0)) + 1
    cut = cut_out(images, random(1))
    blank = (cut == 0).all(dim=1)
    assert torch.equal(torch.where(blank[:, None], images, cut), images)
    assert 0.1 < blank.float().mean() < 0.25 and blank.flatten(1).any(dim=1).all()


def test_augmentation_lets_gradients_through() -> None:
    images = torch.rand(2, 3, 16, 16, requires_grad=True)
    translate(images, random(1)).sum().backward()
    assert images.grad is not None and set(images.grad.unique().tolist()) <= {0.0, 1.0}
