"""Stage-II that is told how far its sketch can be trusted, on whole sketches and on crops."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from stackgan import StackGAN
from stackgan.config import Architecture
from stackgan.hub import load_model
from stackgan.inference import packed
from stackgan.inference.fold import fold_batchnorm
from stackgan.inference.packed import pack
from stackgan.networks.initialise import initialise
from stackgan.systems.stackgan.build import build_discriminator, build_stage2
from stackgan.systems.stackgan.stage2 import Stage2Generator

TINY = Architecture(
    embedding_dim=12, condition_dim=6, text_dim=7, image_px=128, residual_blocks=1,
    stage2_generator_width=8, stage2_discriminator_width=4, sketch_strengths=True,
)  # fmt: skip
TOLD = torch.tensor([[0.9, 0.2], [0.0, 0.7], [0.3, 0.0]])


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def built(**changes: object) -> Stage2Generator:
    network = build_stage2(TINY.model_copy(update=changes))
    initialise(network, torch.Generator().manual_seed(1))
    torch.nn.init.normal_(network.rgb.weight, 0, 0.1, generator=torch.Generator().manual_seed(2))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0  # the statistics of one pass, as if trained
    with torch.no_grad():
        network(draw(8, 3, 64, 64).tanh(), draw(8, 12, seed=1), draw(8, 6, seed=2))
    return network.eval()


def given(side: int = 64) -> dict[str, Tensor]:
    return {
        "sketches": draw(3, 3, side, side).tanh(),
        "embedding": draw(3, 12, seed=1),
        "eps": draw(3, 6, seed=2),
    }


def test_the_first_layer_reads_the_colours_and_a_plane_for_each_strength() -> None:
    network, seen = built(), []
    network.encode[0].register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    network(**given(), strengths=TOLD)
    (planes,) = seen
    assert planes.shape == (3, 5, 64, 64)
    assert torch.equal(planes[:, :3], given()["sketches"])
    assert torch.equal(planes[:, 3:], TOLD[:, :, None, None].expand(-1, -1, 64, 64))
    assert planes.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("literal", [False, True])
@pytest.mark.parametrize("output", ["rgb", "residual"])
def test_each_strength_moves_its_own_picture_and_none_is_zero(output: str, literal: bool) -> None:
    network = built(output=output, arithmetic="literal" if literal else "fast")
    plain = network(**given()).images
    assert torch.equal(plain, network(**given(), strengths=torch.zeros(3, 2)).images)
    for row, column in ((0, 0), (1, 1)):
        told = torch.zeros(3, 2)
        told[row, column] = 0.5
        moved = (network(**given(), strengths=told).images - plain).abs().amax((1, 2, 3))
        assert moved[row] > 1e-4 and moved.sum() == moved[row]


def test_a_network_that_reads_none_is_not_told() -> None:
    network = built(sketch_strengths=False)
    with_them = network(**given(), strengths=TOLD).images
    assert torch.equal(with_them, network(**given()).images)
    assert network.encode[0][0].in_channels == 3  # type: ignore[index]


@pytest.mark.parametrize("strengths", [None, TOLD])
@pytest.mark.parametrize("output", ["rgb", "residual"])
def test_folded_and_packed_pictures_are_the_plain_ones(
    output: str, strengths: Tensor | None
) -> None:
    network = built(output=output)
    with torch.inference_mode():
        plain = network(**given(), strengths=strengths).images
        folded = fold_batchnorm(copy.deepcopy(network))
        assert_close(folded(**given(), strengths=strengths).images, plain, rtol=1e-3, atol=3e-4)
        if packed.can_pack():
            ready = pack(copy.deepcopy(folded))
            assert_close(ready(**given(), strengths=strengths).images, plain, rtol=1e-3, atol=3e-4)
    assert plain.std() > 0.05


def test_recomputed_and_literal_pictures_are_the_same() -> None:
    network = built()
    other = built(arithmetic="literal")
    other.load_state_dict(network.state_dict())
    plain = network(**given(), strengths=TOLD).images
    assert_close(other(**given(), strengths=TOLD).images, plain, rtol=1e-4, atol=1e-5)
    network.recompute = "all"
    network.train()
    again = copy.deepcopy(network)
    again.recompute = "none"
    for one in (network, again):
        one(**given(), strengths=TOLD).images.square().sum().backward()
    for mine, theirs in zip(network.parameters(), again.parameters(), strict=True):
        assert (mine.grad is None) == (theirs.grad is None)
        if mine.grad is not None and theirs.grad is not None:
            assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("image_px", "crop_px"), [(128, 64), (256, 128), (256, 64)])
@pytest.mark.parametrize("output", ["rgb", "residual"])
def test_a_crop_is_painted_as_many_times_its_side(output: str, image_px: int, crop_px: int) -> None:
    network = built(output=output, image_px=image_px)
    scale = image_px // 64
    images = network(**given(crop_px // scale), strengths=TOLD).images
    assert images.shape == (3, 3, crop_px, crop_px)
    judge = build_discriminator(
        TINY.model_copy(update={"image_px": image_px, "crop_px": crop_px}), 2
    )
    assert judge.image_px == crop_px
    assert judge.features(images).whole.shape[2:] == (4, 4)


def test_sampling_tells_nothing_and_is_as_told_of_none(modern_model) -> None:  # type: ignore[no-untyped-def]
    loaded = load_model(modern_model)
    stage2 = loaded.stage2
    assert isinstance(stage2, Stage2Generator) and stage2.sketch_planes == 5
    model = StackGAN.from_pretrained(modern_model, "cpu")
    seen: list[Tensor] = []
    assert model.stage2 is not None
    model.stage2.encode[0].register_forward_pre_hook(lambda _, x: seen.append(x[0].clone()))
    model("a pink flower", 2)
    assert {x.shape[1] for x in seen} == {5}
    assert not any(x[:, 3:].any() for x in seen)
