"""The spectral excess: what power is, what costs and what does not."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from stackgan.config import Architecture, Settings, StageSettings, load_settings
from stackgan.data.batches import Batches
from stackgan.systems.spectrum import (
    ALLOWED,
    KEPT,
    ROUNDING,
    Spectrum,
    excess,
    power,
    reference_power,
)
from stackgan.tensors import to_images
from stackgan.training.assemble import assemble
from stackgan.training.prepare import photographs_power
from stackgan.training.steps import Stage, StepBatch, train_step

PX = 32


def random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grey(brightness: Tensor) -> Tensor:
    """[B, H, W] as images of three equal colours."""
    return brightness[:, None].expand(-1, 3, -1, -1)


def wave(rows: int, columns: int, px: int = PX) -> Tensor:
    """[1, 3, px, px]: a cosine of so many periods down and across."""
    places = torch.arange(px) * (2 * math.pi / px)
    return grey(torch.cos(rows * places[:, None] + columns * places[None, :])[None])


def like_photographs(count: int, seed: int) -> Tensor:
    """Noise whose amplitude falls as 1 / frequency, as photographs' does."""
    white = torch.fft.rfft2(torch.randn(count, PX, PX, generator=random(seed)))
    down, across = torch.fft.fftfreq(PX)[:, None], torch.fft.rfftfreq(PX)[None, :]
    frequency = (down.square() + across.square()).sqrt().clamp_min(1 / PX)
    made = torch.fft.irfft2(white / frequency)
    return grey(0.3 * made / made.std())


@pytest.fixture(scope="module")
def reference() -> Tensor:
    return power(like_photographs(2000, seed=1))


def test_white_noise_has_its_variance_at_every_frequency() -> None:
    noise = grey(0.2 * torch.randn(4000, PX, PX, generator=random(0)))
    found = power(noise) / 0.2**2
    assert_close(found[2:-1, 2:], torch.ones(PX - 3, PX // 2 - 1), rtol=0, atol=0.1)
    assert_close(found.mean(), torch.tensor(1.0), rtol=0, atol=0.01)
    # brightness is the mean of the colours: independent ones have a third of the variance
    apart = power(0.2 * torch.randn(1000, 3, PX, PX, generator=random(1))) / 0.2**2
    assert_close(apart.mean(), torch.tensor(1 / 3), rtol=0, atol=0.01)


@pytest.mark.parametrize("place", [(0, 16), (16, 0), (16, 16), (5, 9), (-7, 3)])
def test_a_wave_s_peak_lies_at_its_frequency_and_costs(
    place: tuple[int, int], reference: Tensor
) -> None:
    photographs = like_photographs(64, seed=2)
    found = power(photographs + 0.3 * wave(*place)) / reference
    assert divmod(int(found.argmax()), found.shape[1]) == (place[0] % PX, place[1])
    costs = [
        float(excess(power(photographs + a * wave(*place)), reference)) for a in (0.0, 0.1, 0.3)
    ]
    assert costs[0] < 1e-3 and costs[0] + 0.01 < costs[1] < costs[2]


def test_photographs_cost_nothing_against_themselves(reference: Tensor) -> None:
    assert excess(power(like_photographs(64, seed=3)), reference) < 1e-3
    assert excess(power(like_photographs(16, seed=3)), reference) < 5e-3


def test_a_level_s_mean_has_no_power_and_no_cost(reference: Tensor) -> None:
    flat = torch.full((2, 3, PX, PX), 0.7)
    assert power(flat).max() < 1e-9 and excess(power(flat), reference) == 0
    photographs = like_photographs(4, seed=4)
    assert_close(power(photographs + 0.2), power(photographs))


def test_what_rounding_makes_costs_nothing() -> None:
    nothing = torch.zeros(PX, PX // 2 + 1)
    stripe = wave(0, 16) * (0.4 * ROUNDING / power(wave(0, 16)).max()).sqrt()
    assert excess(power(stripe), nothing) == 0 and excess(power(2 * stripe), nothing) > 0
    assert excess(power(wave(0, 16) * 10 / 255), nothing) > 0.01
    levels = torch.randint(0, 2, (64, 1, PX, PX), generator=random(5)).float()
    assert power(levels.expand(-1, 3, -1, -1) * 2 / 255).mean() / ROUNDING > 1  # a level is


def test_the_excess_of_a_known_power() -> None:
    # twice what is allowed at every frequency: log 2 squared; half of it: nothing
    noise = 0.01 * like_photographs(8, seed=6)  # rounding counts beside it
    known = (power(noise) + ROUNDING) / ALLOWED - ROUNDING
    for share, expected in ((1.0, 0.0), (0.5, math.log(2) ** 2), (2.0, 0.0)):
        allowed = (known + ROUNDING) * share - ROUNDING
        assert_close(excess(power(noise), allowed), torch.tensor(expected), rtol=1e-3, atol=1e-6)


def test_following_the_gradient_takes_the_peak_away(reference: Tensor) -> None:
    images = (like_photographs(8, seed=7) + 0.3 * wave(0, 16)).requires_grad_(True)
    before = power(images.detach())[0, 16]
    optimizer = torch.optim.Adam([images], 1e-2)
    costs = []
    for _ in range(60):
        optimizer.zero_grad()
        cost = excess(power(images), reference)
        cost.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        costs.append(cost.item())
    assert costs[-1] < 0.05 * costs[0]
    assert power(images.detach())[0, 16] < 0.01 * before


def test_one_batch_of_photographs_pushes_nothing_down(reference: Tensor) -> None:
    # sixteen at a time vary: each batch alone would cost, the mean of the last ones does not
    spectrum, alone, together = Spectrum(reference), [], []
    for seed in range(100, 160):
        images = like_photographs(3, seed=seed)
        alone.append(float(excess(power(images), reference)))
        together.append(float(spectrum.excess(images)))
    assert sum(together[20:]) < 0.05 * sum(alone[20:])


def test_the_running_power_is_the_mean_of_the_last_batches(reference: Tensor) -> None:
    first, second = like_photographs(4, seed=1), 2 * like_photographs(4, seed=2)
    spectrum = Spectrum(reference)
    assert_close(spectrum.excess(first), excess(power(first), reference))
    cost = spectrum.excess(second)
    mean = KEPT * power(first) + (1 - KEPT) * power(second)
    assert spectrum.seen is not None
    assert_close(spectrum.seen, mean)
    assert_close(cost, excess(mean, reference))


def test_the_newest_batch_takes_the_whole_gradient(reference: Tensor) -> None:
    images = (like_photographs(8, seed=7) + 0.3 * wave(0, 16)).requires_grad_(True)
    spectrum = Spectrum(reference)
    (alone,) = torch.autograd.grad(excess(power(images), reference), images)
    assert alone.abs().max() > 0
    for _ in range(2):  # the same pictures again: the mean stays, and so must the slope
        assert_close(torch.autograd.grad(spectrum.excess(images), images)[0], alone)
    assert spectrum.seen is not None and not spectrum.seen.requires_grad


def test_the_reference_does_not_know_how_it_was_split() -> None:
    pixels = torch.randint(0, 256, (150, 3, 16, 16), dtype=torch.uint8, generator=random(8))
    assert_close(reference_power(pixels), power(to_images(pixels)))
    parts = [reference_power(part) * len(part) for part in (pixels[:7], pixels[7:90], pixels[90:])]
    assert_close(sum(parts) / 150, reference_power(pixels))


def batches() -> Batches:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 128, 128, 3), dtype=np.uint8)
    embeddings = torch.eye(10)
    rows = [(place,) for place in range(10)]
    return Batches(pixels, embeddings, rows, ["ab"[k % 2] for k in range(10)], 3, 128, seed=4)


def test_the_photographs_power_is_that_of_whole_batches_of_the_first_epoch() -> None:
    drawn = batches()
    parts = [drawn.batch(0, index).pixels for index in range(3)]
    assert_close(photographs_power(drawn, 0), power(to_images(torch.cat(parts))))
    assert_close(photographs_power(drawn, 0, count=4), power(to_images(torch.cat(parts[:2]))))


def test_the_photographs_power_is_of_crops_where_crops_are_judged() -> None:
    found = photographs_power(batches(), 64)
    assert found.shape == (64, 33)
    assert torch.equal(found, photographs_power(batches(), 64))  # of the seed alone
    assert_close(found.mean(), photographs_power(batches(), 0).mean(), rtol=0.1, atol=0)


def test_no_preset_of_the_paper_s_pays_for_it() -> None:
    for name in ("paper", "authors-pt", "authors-tf"):
        settings = load_settings([name])
        assert settings.stage1.spectrum_weight == settings.stage2.spectrum_weight == 0


def stage_of(weight: float) -> Stage:
    tiny = Architecture(
        embedding_dim=12, condition_dim=6, noise_dim=5, stage1_generator_width=8,
        stage1_discriminator_width=4, normalisation="none",
    )  # fmt: skip
    settings = StageSettings(steps=9, batch_size=4, loss="logistic", spectrum_weight=weight)
    stage = assemble(Settings(architecture=tiny, stage1=settings), 1, 0, random(1))
    stage.spectrum = Spectrum(torch.zeros(64, 33)) if weight else None
    return stage


def test_the_generator_pays_for_its_own_excess_by_the_weight(
    last_gradient: Callable[..., Callable[[], Tensor]],
) -> None:
    pixels = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8, generator=random(2))
    batch = StepBatch(pixels, *torch.randn(2, 4, 12, generator=random(3)))
    slopes, reports, critics = [], [], []
    for weight in (0.0, 1.0, 3.0):
        stage = stage_of(weight)
        painted: list[Tensor] = []
        stage.generator.register_forward_hook(
            lambda *seen, painted=painted: painted.append(seen[-1].images.detach())
        )
        last = last_gradient(stage.generator)
        reports.append(train_step(stage, batch, random(4)))
        slopes.append(last())
        critics.append(stage.discriminator.joint.score.weight)
        if weight:
            assert_close(reports[-1]["spectrum"], excess(power(painted[0]), torch.zeros(64, 33)))
    none, once, thrice = slopes
    assert (once - none).abs().max() > 1e-6 and "spectrum" not in reports[0]
    assert_close(thrice - none, 3 * (once - none), rtol=1e-3, atol=1e-5)
    assert torch.equal(critics[0], critics[2])  # it is the generator's alone
