"""The maps trained against are the network's own, and so are their gradients."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from stackgan.fast.frozen_maps import FrozenMaps, _Layer, _layer
from stackgan.networks.features import EfficientNetLite

STRIDES = (2, 4, 8, 16, 32)


@pytest.fixture(scope="module", params=[0, 1])
def network(request: pytest.FixtureRequest) -> EfficientNetLite:
    return EfficientNetLite(request.param)


def images(px: int, count: int = 2) -> Tensor:
    return torch.rand(count, 3, px, px, generator=torch.Generator().manual_seed(px)) * 2 - 1


def own_maps(own: Any, inputs: Tensor) -> list[Tensor]:
    """By the package's own blocks, the last of each size."""
    x = own._swish(own._bn0(own._conv_stem(inputs)))
    found: dict[int, Tensor] = {}
    for block in own._blocks:
        x = block(x)
        found[x.shape[-1]] = x
    return list(found.values())


@pytest.mark.parametrize("px", [32, 64, 97])
def test_maps_and_gradients_are_those_of_the_package_s_blocks(
    network: EfficientNetLite, px: int
) -> None:
    own = copy.deepcopy(network.network).double()  # so that no rounding tips a ReLU6
    ours, theirs = (images(px).double().requires_grad_(True) for _ in range(2))
    places = network._last_blocks(STRIDES)
    maps, expected = FrozenMaps(own)(ours, places), own_maps(own, theirs)
    assert len(maps) == len(expected) == len(STRIDES)
    weights = [torch.randn(x.shape, generator=torch.Generator().manual_seed(1)) for x in maps]
    slopes = []
    for each, start in ((maps, ours), (expected, theirs)):
        score = torch.stack([(w * x).mean() for w, x in zip(weights, each, strict=True)]).sum()
        slopes += torch.autograd.grad(score, start)
    for found, wanted in zip(maps, expected, strict=True):
        assert_close(found, wanted)
    assert_close(*slopes)


def test_images_enter_as_the_network_knows_them(network: EfficientNetLite) -> None:
    shown = images(64)
    expected = own_maps(network.network, shown * (127.5 / 128) + 0.5 / 128)
    for found, wanted in zip(network.maps(shown, STRIDES), expected, strict=True):
        assert_close(found, wanted, rtol=1e-3, atol=1e-3)


def test_no_gradient_asked_for_none_kept(network: EfficientNetLite) -> None:
    with torch.no_grad():
        found = network.maps(images(64), (8, 32))
    assert [x.shape[-1] for x in found] == [8, 2]
    assert not any(x.requires_grad for x in network.maps(images(64), (8, 32)))


def test_the_weights_and_what_is_judged_with_them_stay(network: EfficientNetLite) -> None:
    pixels = ((images(64) + 1) * 127.5).to(torch.uint8)
    before = network(pixels)
    network.maps(images(64), (8,))
    assert torch.equal(network(pixels), before)


def test_a_padding_of_another_network_is_refused() -> None:
    conv = nn.Conv2d(2, 2, 3)
    conv.static_padding = nn.ZeroPad2d((2, 0, 2, 0))
    with pytest.raises(ValueError, match="padding"):
        _layer(conv, nn.BatchNorm2d(2), rectified=True)
    with pytest.raises(ValueError, match="running statistics"):
        _layer(conv, nn.BatchNorm2d(2, track_running_stats=False), rectified=True)


@pytest.mark.parametrize("px", [32, 64, 97])
def test_in_bfloat16_they_are_the_same_maps_rounded(network: EfficientNetLite, px: int) -> None:
    own, places = network.network, network._last_blocks(STRIDES)
    rounded = FrozenMaps(own)(images(px).bfloat16(), places)
    for found, wanted in zip(rounded, own_maps(own, images(px)), strict=True):
        assert found.dtype == torch.bfloat16
        assert float((found.float() - wanted).norm() / wanted.norm()) < 0.05


def every_shape(network: EfficientNetLite) -> list[_Layer]:
    """The rectified layers of the network: one of each kernel, stride and number of groups."""
    maps = FrozenMaps(network.network)
    ((stem, blocks),) = maps._of.values()
    layers = [stem, *(layer for block in blocks for layer in block.layers)]
    kinds = {
        (x.weight.shape[2], x.stride, x.padding, x.groups > 1): x for x in layers if x.rectified
    }
    assert len(kinds) > 5
    return list(kinds.values())


@pytest.mark.parametrize("px", [8, 13])
def test_a_bfloat16_layer_s_gradient_is_torch_s(network: EfficientNetLite, px: int) -> None:
    for layer in (each.to(torch.bfloat16) for each in every_shape(network)):
        channels = layer.weight.shape[1] * layer.groups
        random = torch.Generator().manual_seed(px)
        x = torch.randn(2, channels, px, px, generator=random).bfloat16()
        inputs = [x.clone().requires_grad_(True) for _ in range(2)]
        ours = layer(inputs[0])
        wide = layer.to(torch.float32)
        exact = nn.functional.conv2d(
            inputs[1].float(), wide.weight, wide.bias, wide.stride, wide.padding, 1, wide.groups
        )
        assert_close(ours.float(), exact.clamp(0, 6), rtol=0.01, atol=0.01)
        paid = torch.randn(ours.shape, generator=random).bfloat16()
        slope = torch.autograd.grad(ours, inputs[0], paid)[0].float()
        bent = (ours > 0) & (ours < 6)  # by the rounded result: an edge may fall to either side
        wanted = torch.autograd.grad(exact, inputs[1], paid.float() * bent)[0].float()
        assert slope.shape == x.shape
        assert float((slope - wanted).norm() / wanted.norm()) < 0.01
