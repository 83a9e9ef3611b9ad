"""A step in parts, and one that computes its maps again: less memory, the same step."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from stackgan.config import Architecture, StageSettings, validate_settings
from stackgan.errors import InputError
from stackgan.networks.initialise import initialise
from stackgan.systems.parts import split
from stackgan.systems.stackgan.build import build_discriminator, build_stage1, build_stage2
from stackgan.training.steps import Stage, StepBatch, make_stage, train_step

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
    unconditional=True,
)
SETTINGS = StageSettings(steps=10, batch_size=4, loss="logistic", average=0.9)


def stage_of(number: int, a: Architecture = TINY, **change: object) -> Stage:
    networks = (
        build_stage1(a) if number == 1 else build_stage2(a),
        build_discriminator(a, number),  # type: ignore[arg-type]
        build_stage1(a),
    )
    for seed, network in enumerate(networks):
        initialise(network, torch.Generator().manual_seed(seed))
    generator, discriminator, sketcher = networks
    settings = SETTINGS.model_copy(update=change)
    return make_stage(
        generator,
        discriminator,
        settings,
        sketcher=sketcher if number == 2 else None,  # type: ignore[arg-type]
    )


def numbers(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def batch(number: int, same: bool) -> StepBatch:
    """Four examples; with ``same``, the last two are the first two again."""
    side = 64 if number == 1 else 128
    random = torch.Generator().manual_seed(3)
    pixels = torch.randint(0, 256, (4, 3, side, side), dtype=torch.uint8, generator=random)
    embedding, wrong = numbers(4, 12, seed=4), numbers(4, 12, seed=5)
    if same:
        pixels, embedding, wrong = (torch.cat([x[:2], x[:2]]) for x in (pixels, embedding, wrong))
    return StepBatch(pixels, embedding, wrong)


def test_every_part_has_its_own_examples_conditions() -> None:
    box, points = numbers(4, 4, seed=1), numbers(4, 15, 3, seed=2)
    whole = batch(1, False)._replace(conditions={"box": box, "points": points})
    assert split(whole, 1) == [whole]
    for count in (2, 4):
        parts = split(whole, count)
        assert [set(part.conditions) for part in parts] == [{"box", "points"}] * count
        for name, each in (("box", box), ("points", points)):
            assert torch.equal(torch.cat([part.conditions[name] for part in parts]), each)
            assert [len(part.conditions[name]) for part in parts] == [4 // count] * count
        assert torch.equal(torch.cat([part.pixels for part in parts]), whole.pixels)
    assert [part.conditions for part in split(batch(1, False), 2)] == [{}, {}]


def drawing() -> tuple[Callable[[int, int], Tensor], list[tuple[int, int]]]:
    """Numbers by their place in the order of drawing, the same for every two rows."""
    asked: list[tuple[int, int]] = []

    def draw(rows: int, dim: int) -> Tensor:
        seed = sum(d == dim for _, d in asked) * (rows == 4)
        asked.append((rows, dim))
        return numbers(2, dim, seed=100 * dim + seed).repeat(rows // 2, 1)

    return draw, asked


@pytest.mark.parametrize("number", [1, 2])
def test_parts_add_up_to_the_whole_step(number: int, last_gradient: Callable[..., Any]) -> None:
    """With parts that are alike batch normalisation too sees the same."""
    found = []
    for count in (1, 2):
        stage = stage_of(number, accumulate=count)
        of_critic = last_gradient(stage.discriminator)
        of_generator = last_gradient(stage.generator)

        def draw(rows: int, dim: int) -> Tensor:
            return numbers(2, dim, seed=dim).repeat(rows // 2, 1)

        report = train_step(stage, batch(number, True), torch.Generator(), draw)
        found.append((of_critic(), of_generator(), report))
    (critic, generator, report), (critic2, generator2, report2) = found
    assert_close(critic2, critic, rtol=1e-3, atol=1e-5 * float(critic.norm()))
    assert_close(generator2, generator, rtol=1e-3, atol=1e-4 * float(generator.norm()))
    assert report.keys() == report2.keys()
    for name in report:
        assert float(report2[name]) == pytest.approx(float(report[name]), rel=1e-3), name


def test_every_part_is_judged_and_paid_for_with_its_own_numbers() -> None:
    stage = stage_of(1, accumulate=2)
    judged: list[Tensor] = []
    first = stage.discriminator.down[0]
    first.register_forward_pre_hook(lambda _, inputs: judged.append(inputs[0].detach().clone()))
    train_step(stage, batch(1, False), torch.Generator().manual_seed(0))
    assert [len(x) for x in judged] == [4, 4, 2, 2]
    (real, fake), (real2, fake2) = (both.chunk(2) for both in judged[:2])
    paid, paid2 = judged[2:]
    assert not torch.equal(real, real2) and not torch.equal(fake, fake2)
    assert_close(fake, paid)  # made again of the same numbers
    assert_close(fake2, paid2)


def test_fakes_are_drawn_anew_for_the_generator_where_they_are_to_be() -> None:
    stage = stage_of(1, accumulate=2, fakes="redrawn")
    draw, asked = drawing()
    train_step(stage, batch(1, False), torch.Generator().manual_seed(0), draw)
    assert asked == [(2, 5), (2, 6)] * 4
    stage = stage_of(1, accumulate=2)
    draw, asked = drawing()
    train_step(stage, batch(1, False), torch.Generator().manual_seed(0), draw)
    assert asked == [(2, 5), (2, 6)] * 2


@pytest.mark.parametrize("normalisation", ["batch", "spectral"])
@pytest.mark.parametrize("number", [1, 2])
def test_what_is_computed_again_is_the_same_to_the_last_bit(
    number: int, normalisation: str
) -> None:
    a = TINY.model_copy(update={"normalisation": normalisation, "modulated": number == 1})
    ends = []
    for again in ("none", "largest", "all"):
        stage = stage_of(number, a, recompute=again)
        for step in range(2):
            random = torch.Generator().manual_seed(step)
            train_step(stage, batch(number, False), random)
        networks = (stage.generator, stage.discriminator, stage.average)
        ends.append([n.state_dict() for n in networks if n is not None])
    for end in ends[1:]:
        assert_close(end, ends[0], rtol=0, atol=0)  # statistics that moved once, too


def test_recomputing_keeps_fewer_maps() -> None:
    kept = []
    for again in ("none", "largest", "all"):
        stage = stage_of(2, recompute=again)
        seen: dict[int, int] = {}

        def pack(x: Tensor, seen: dict[int, int] = seen) -> Tensor:
            seen[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
            return x

        sketches, embedding = numbers(2, 3, 64, 64, seed=0), numbers(2, 12, seed=1)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            stage.generator(sketches, embedding, numbers(2, 6, seed=2))
            kept.append(sum(seen.values()))
    assert kept[2] < 0.7 * kept[0] and kept[1] < 0.8 * kept[0], kept  # weights and all


@pytest.mark.parametrize(("batch_size", "accumulate"), [(4, 3), (4, 4), (2, 2)])
def test_a_batch_that_has_no_such_parts_is_refused(batch_size: int, accumulate: int) -> None:
    stage = {"batch_size": batch_size, "accumulate": accumulate}
    with pytest.raises(InputError, match=f"has no {accumulate} equal parts"):
        validate_settings({"stage1": stage})
