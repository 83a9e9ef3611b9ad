"""What Stage-II refines in training: crops of one place, and noise and blur it is told of."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from stackgan.config import Architecture, StageSettings
from stackgan.networks.initialise import initialise
from stackgan.systems.losses import shrink
from stackgan.systems.stackgan.build import build_discriminator, build_stage1, build_stage2
from stackgan.systems.stackgan.sketches import blurred, draw_crops, wear
from stackgan.systems.stackgan.step import _worn
from stackgan.tensors import to_images
from stackgan.training.steps import Stage, StepBatch, make_stage, train_step

TINY = Architecture(
    embedding_dim=12, condition_dim=6, noise_dim=5, text_dim=7, image_px=128,
    stage1_generator_width=8, stage1_discriminator_width=4,
    stage2_generator_width=8, stage2_discriminator_width=4,
    normalisation="none", unconditional=True, patches=True, output="residual",
    crop_px=64, sketch_strengths=True,
)  # fmt: skip
WHOLE = TINY.model_copy(update={"crop_px": 0, "sketch_strengths": False})
SETTINGS = StageSettings(steps=10, batch_size=4, loss="hinge")
WORN = {"sketch_noise": 0.2, "sketch_blur": 1.0}


def random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stage_of(a: Architecture = TINY, **changes: Any) -> Stage:
    networks = (build_stage2(a), build_discriminator(a, 2), build_stage1(a))
    for number, each in enumerate(networks):
        initialise(each, random(number))
    generator, discriminator, sketcher = networks
    torch.nn.init.normal_(generator.rgb.weight, 0, 0.05, generator=random(9))
    settings = SETTINGS.model_copy(update=changes)
    return make_stage(generator, discriminator, settings, sketcher, crop_px=a.crop_px)


def batch(seed: int = 3, px: int = 128) -> StepBatch:
    small = torch.rand(4, 3, 16, 16, generator=random(seed))
    pixels = (F.interpolate(small, (px, px), mode="bilinear") * 255).to(torch.uint8)
    return StepBatch(pixels, *torch.randn(2, 4, 12, generator=random(seed + 1)))


def seen_by(network: torch.nn.Module) -> list[tuple[Any, ...]]:
    """What ``network`` is called with from now on."""
    calls: list[tuple[Any, ...]] = []
    network.register_forward_pre_hook(lambda _, given: calls.append(given))
    return calls


def judged_by(stage: Stage) -> list[Tensor]:
    """The images that the discriminator is shown from now on: real, fake, fake."""
    shown: list[Tensor] = []
    first = stage.discriminator.down[0]
    first.register_forward_pre_hook(lambda _, x: shown.extend(x[0].detach().clone().split(4)))
    return shown


# ---- crops


@pytest.mark.parametrize(("px", "crop_px"), [(128, 64), (256, 128), (256, 64)])
def test_a_picture_is_cropped_where_its_sketch_is(px: int, crop_px: int) -> None:
    scale = px // 64
    rows = torch.arange(64.0)[:, None].expand(64, 64)
    sketch = torch.stack([rows, rows.T, torch.zeros(64, 64)]).expand(5, -1, -1, -1)  # its places
    picture = sketch.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    crops = draw_crops(5, scale, crop_px, random(1))
    small, large = crops.of_sketches(sketch), crops.of_pictures(picture)
    assert small.shape == (5, 3, crop_px // scale, crop_px // scale)
    assert large.shape == (5, 3, crop_px, crop_px)
    assert torch.equal(large, small.repeat_interleave(scale, 2).repeat_interleave(scale, 3))
    top, left = small[:, 0, 0, 0], small[:, 1, 0, 0]
    assert torch.equal(torch.stack([top, left], 1).long(), crops.corners)
    assert len({*map(tuple, crops.corners.tolist())}) > 1  # each picture its own


def test_all_places_are_equally_likely_and_the_borders_are_reached() -> None:
    places = 64 - 32 + 1
    corners = draw_crops(330_000 // places, 4, 128, random(2)).corners
    for axis in (0, 1):
        counts = torch.bincount(corners[:, axis], minlength=places).double()
        assert len(counts) == places
        expected = len(corners) / places
        deviation = ((counts - expected).square() / expected).sum()  # chi-square, 32 degrees
        assert deviation < 32 + 4 * math.sqrt(64)
    both = (corners.double() - 16) / corners.double().std()
    assert abs(float((both[:, 0] * both[:, 1]).mean())) < 0.05  # down tells nothing of across


def test_a_step_judges_the_crops_of_which_the_generator_refines_the_sketches() -> None:
    stage, drawn = stage_of(pair_steps=10), batch()
    given, shown = seen_by(stage.generator), judged_by(stage)
    train_step(stage, drawn, random(0))
    (sketches, *_), (real, fake, again) = given[0], shown
    assert sketches.shape == (4, 3, 32, 32) and real.shape == fake.shape == (4, 3, 64, 64)
    assert_close(shrink(to_images(drawn.pixels), 64).unfold(2, 32, 1).unfold(3, 32, 1).sub(
        sketches[:, :, None, None]).abs().amax((1, 4, 5)).amin((1, 2)), torch.zeros(4))  # fmt: skip
    # away from the borders, at which shrinking a crop sees less
    assert_close(shrink(real, 32)[:, :, 3:-3, 3:-3], sketches[:, :, 3:-3, 3:-3], atol=0.02, rtol=0)
    assert torch.equal(fake, again)


def test_every_step_crops_elsewhere_and_its_parts_each_by_themselves() -> None:
    stage = stage_of(pair_steps=10, accumulate=2)
    shown = judged_by(stage)
    same = batch()
    same = StepBatch(*(field[:1].repeat(4, *[1] * (field.dim() - 1)) for field in same[:3]))  # type: ignore[union-attr]
    for step in range(2):
        train_step(stage, same, random(step))
    reals = torch.cat([shown[0][:2], shown[1][:2]])
    assert len({tuple(image.flatten()[:50].tolist()) for image in reals}) == 4


def test_other_photographs_are_cropped_too() -> None:
    stage = stage_of(wrong_pair="image")
    shown = judged_by(stage)
    drawn = batch()
    report = train_step(stage, drawn._replace(wrong_pixels=drawn.pixels.flip(0)), random(0))
    assert {image.shape[2] for image in shown} == {64} and torch.isfinite(report["d_wrong"])


def test_a_crop_of_a_whole_sketch_is_refined_as_large_as_the_crop_of_the_picture() -> None:
    a = TINY.model_copy(update={"image_px": 256, "crop_px": 64})
    stage = stage_of(a)
    shown = judged_by(stage)
    report = train_step(stage, batch(px=256), random(0))
    assert shown[0].shape == shown[1].shape == (4, 3, 64, 64)
    assert all(torch.isfinite(value) for value in report.values())


def test_whole_pictures_draw_what_they_drew_before_there_were_crops() -> None:
    stage = stage_of(WHOLE)
    asked: list[tuple[int, int]] = []

    def draw(rows: int, dim: int) -> Tensor:
        asked.append((rows, dim))
        return torch.randn(rows, dim, generator=random(len(asked)))

    given, shown, generator = seen_by(stage.generator), judged_by(stage), random(5)
    before = generator.get_state()
    drawn = batch()
    train_step(stage, drawn, generator, draw)
    assert asked == [(4, 5), (4, 6), (4, 6)]  # z and eps of the sketch, eps of the picture
    assert torch.equal(generator.get_state(), before)
    assert torch.equal(shown[0], to_images(drawn.pixels)) and given[0][0].shape[2] == 64


# ---- noise and blur


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=random(seed))


def test_strengths_of_nothing_leave_a_sketch_as_it_is() -> None:
    sketches, settings = draw(3, 3, 16, 16).tanh(), SETTINGS.model_copy(update=WORN)
    for context in (torch.autocast("cpu", torch.bfloat16, enabled=half) for half in (False, True)):
        with context:
            worn = wear(sketches, settings, torch.zeros(3, 2), draw(3, 3, 16, 16, seed=1))
        assert_close(worn.sketches, sketches, rtol=0, atol=1e-6)


def test_noise_has_the_deviation_that_is_told() -> None:
    sketches, noise = draw(3, 3, 16, 16).tanh(), draw(3, 3, 16, 16, seed=1)
    settings = SETTINGS.model_copy(update=WORN)
    strengths = torch.tensor([[1.0, 0.0], [0.5, 0.0], [0.0, 0.0]])
    worn = wear(sketches, settings, strengths, noise)
    for row, deviation in enumerate((0.2, 0.1, 0.0)):
        assert_close(worn.sketches[row] - sketches[row], deviation * noise[row], atol=1e-6, rtol=0)
    assert worn.strengths is strengths


def test_blur_is_the_gaussian_that_is_told() -> None:
    point = torch.zeros(3, 3, 17, 17)
    point[:, :, 8, 8] = 1.0
    found = blurred(point, torch.tensor([0.0, 0.6, 1.2]))
    assert_close(found[0], point[0])
    places = torch.arange(17.0) - 8
    for row, sigma in ((1, 0.6), (2, 1.2)):
        across = found[row, 0].sum(0)
        assert_close(across, found[row, 0].sum(1))
        assert_close(across.sum(), torch.tensor(1.0))
        if sigma > 1:  # sampled at whole pixels a narrower one has another variance
            assert_close(
                (across * places.square()).sum(), torch.tensor(sigma**2), rtol=0.02, atol=0
            )
        assert_close(across[9] / across[8], torch.tensor(math.exp(-0.5 / sigma**2)))
        assert_close(found[row, 0], across[:, None] * across[None, :])


def test_a_constant_image_stays_constant_under_any_blur() -> None:
    flat = torch.tensor([0.3, -0.7])[:, None, None, None].expand(2, 3, 16, 16)
    assert_close(blurred(flat, torch.tensor([1.5, 0.4])), flat)


def test_colours_and_images_are_blurred_apart() -> None:
    images = draw(2, 3, 16, 16)
    found = blurred(images, torch.tensor([0.8, 0.0]))
    for colour in range(3):
        alone = images[:1, colour : colour + 1].expand(1, 3, -1, -1)
        assert_close(found[0, colour], blurred(alone, torch.tensor([0.8]))[0, colour])
    assert_close(found[1], images[1])
    widest = blurred(images, torch.tensor([1.5, 1.5]))
    assert widest.var() < found[0].var() < images.var()


def test_strengths_are_drawn_evenly_and_a_quarter_is_left_clean() -> None:
    stage = stage_of(**WORN)
    sketches = torch.zeros(4000, 3, 6, 6)
    worn = _worn(stage, sketches, lambda dim: draw(4000, dim, seed=dim))
    clean = (worn.strengths == 0).all(1)
    assert abs(float(clean.float().mean()) - 0.25) < 0.03
    assert torch.equal(worn.sketches[clean], sketches[clean])
    told = worn.strengths[~clean]
    assert told.min() > 0 and told.max() < 1
    for column in told.T:
        assert_close(column.mean(), torch.tensor(0.5), atol=0.02, rtol=0)
        assert_close(column.std(), torch.tensor(1 / math.sqrt(12)), atol=0.02, rtol=0)
    assert abs(float(torch.corrcoef(told.T)[0, 1])) < 0.05
    # each is as noisy as it is told
    deviations = worn.sketches.std((1, 2, 3))
    assert_close(deviations, 0.2 * worn.strengths[:, 0], atol=0.05, rtol=0.3)


@pytest.mark.parametrize("other", ["sketch_noise", "sketch_blur"])
def test_what_a_run_does_not_put_on_is_told_as_none(other: str) -> None:
    stage = stage_of(**{other: 0.5})
    sketches = draw(50, 3, 16, 16)
    worn = _worn(stage, sketches, lambda dim: draw(50, dim, seed=dim))
    column = 1 if other == "sketch_noise" else 0
    assert not worn.strengths[:, column].any() and worn.strengths[:, 1 - column].any()
    assert not torch.equal(worn.sketches, sketches)


def test_the_generator_is_given_worn_sketches_and_told_but_held_to_the_clean_ones() -> None:
    stage = stage_of(**WORN, pair_share=1.0, sketch_weight=1.0)
    given = seen_by(stage.generator)
    report = train_step(stage, batch(), random(0))
    clean = stage_of(pair_share=1.0, sketch_weight=1.0)
    others = seen_by(clean.generator)
    train_step(clean, batch(), random(0))
    worn, _, _, strengths = given[0]
    sketches = others[0][0]
    assert not others[0][3].any() and strengths.shape == (4, 2) and strengths.any()
    for row, told in enumerate(strengths):
        assert torch.equal(worn[row], sketches[row]) == (not told.any())
    pictures = stage_of(**WORN).generator(*given[0]).images
    assert_close(report["sketch"], (shrink(pictures, 32) - sketches).abs().mean().detach())


def test_discriminator_and_generator_s_turn_see_the_same_noise() -> None:
    stage = stage_of(**WORN, accumulate=2)
    given = seen_by(stage.generator)
    train_step(stage, batch(), random(0))
    first, second, third, fourth = given  # two parts, then both again
    for one, two in ((first, third), (second, fourth)):
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("name", ["sketch_noise", "sketch_blur"])
def test_noise_and_blur_change_what_is_learnt(name: str) -> None:
    ends = []
    for change in ({}, {name: 0.5}):
        stage = stage_of(**change)
        train_step(stage, batch(), random(0))
        ends.append(stage.generator.rgb.weight)
    assert not torch.equal(*ends)
