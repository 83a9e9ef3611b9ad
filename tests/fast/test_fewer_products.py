"""Convolutions of many maps by fewer multiplications are the same functions, with their gradients.

In bfloat16 the rounding of values and gradients is at most four times the plain convolution's.
"""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from stackgan.fast import doubling, halving, winograd
from stackgan.networks.layers import Conv2d, Conv3x3, JoinConv, UpConv, store_up_kernels

SIZES = [(4, 4), (8, 12), (12, 4)]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def plain_up(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(F.interpolate(x, scale_factor=2), weight, padding=1)


def plain_tiles(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(x, weight, padding=1)


def plain_halving(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(x, weight, stride=2, padding=1)


WAYS = {
    "tiles": (winograd.convolve, plain_tiles, 3),
    "doubling": (doubling.convolve_doubling, plain_up, 3),
    "halving": (halving.convolve_halving, plain_halving, 4),
}
MODULES = {"tiles": winograd, "doubling": doubling, "halving": halving}
Way = Callable[[Tensor, Tensor], Tensor]


def with_gradients(function: Way, x: Tensor, weight: Tensor) -> list[Tensor]:
    y = function(x, weight)
    chosen = (y.double() * draw(*y.shape, seed=7)).sum()
    return [y, *torch.autograd.grad(chosen, [x, weight])]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("way", WAYS)
def test_values_and_gradients_are_the_plain_ones(way: str, size: tuple[int, int]) -> None:
    fast, plain, side = WAYS[way]
    x, weight = draw(3, 5, *size), draw(7, 5, side, side, seed=1)
    pair = x.requires_grad_(True), weight.requires_grad_(True)
    assert_close(with_gradients(fast, *pair), with_gradients(plain, *pair))
    assert fast(*pair).is_contiguous(memory_format=torch.channels_last)


def test_an_up_sampled_map_of_one_place() -> None:
    x, weight = draw(1, 3, 1, 1).requires_grad_(True), draw(2, 3, 3, 3).requires_grad_(True)
    fast, plain = (with_gradients(way, x, weight) for way in WAYS["doubling"][:2])
    assert_close(fast, plain)


@pytest.mark.parametrize("way", WAYS)
def test_in_bfloat16_rounding_is_at_most_four_times_the_plain_one(way: str) -> None:
    fast, plain, side = WAYS[way]
    x = draw(2, 256, 16, 16).float()
    weight = 0.02 * draw(256, 256, side, side, seed=1).float()
    pair = x.requires_grad_(True), weight.requires_grad_(True)
    exact = with_gradients(plain, *pair)
    with torch.autocast("cpu", torch.bfloat16):
        found, usual = with_gradients(fast, *pair), with_gradients(plain, *pair)
    assert [part.dtype for part in found] == [torch.bfloat16, torch.float32, torch.float32]
    for mine, theirs, right in zip(found, usual, exact, strict=True):
        mistake, bound = ((part.double() - right).norm() for part in (mine, theirs))
        assert 0 < mistake < 4 * bound


@pytest.mark.parametrize("way", WAYS)
def test_kernels_are_made_in_float32_whatever_the_surrounding_precision(way: str) -> None:
    module, side = MODULES[way], WAYS[way][2]
    weight = draw(4, 4, side, side).float()
    exact = module.kernel_places(weight, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(module.kernel_places(weight, torch.float32), exact)


@pytest.mark.parametrize("way", WAYS)
def test_the_gradient_has_no_gradient(way: str) -> None:
    fast, _, side = WAYS[way]
    x, weight = draw(1, 2, 4, 4).requires_grad_(True), draw(2, 2, side, side).requires_grad_(True)
    with pytest.raises(RuntimeError, match="no second gradient"):
        torch.autograd.grad(fast(x, weight).sum(), x, create_graph=True)


def layers(maps: int) -> list[nn.Module]:
    return [
        Conv3x3(maps, maps),
        UpConv(maps, maps),
        JoinConv(maps, 3, maps),
        Conv2d(maps - 64, maps, 4, 2, 1),
    ]


def kind_of(layer: nn.Module, side: int, bf16: bool = True) -> str:
    """Name of the way by which the layer's result was made, for images of ``side``."""
    batch = -(-16 * halving.ROWS // side**2) if isinstance(layer, Conv2d) else 1
    x = torch.ones(batch, next(layer.parameters()).shape[1], side, side)
    given = [x[:, :-3], torch.ones(1, 3)] if isinstance(layer, JoinConv) else [x]
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        y = layer(*given)
    names, ahead = set(), [y.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is not None:
            names.add(type(node).__name__)
            ahead += [before for before, _ in node.next_functions]
    return (
        "fewer"
        if names & {"_WinogradBackward", "_DoublingBackward", "_HalvingBackward"}
        else "plain"
    )


@pytest.mark.parametrize("which", range(4))
def test_only_many_maps_in_bfloat16_take_the_way_of_fewer_products(which: int) -> None:
    assert kind_of(layers(winograd.MAPS)[which], 12) == "fewer"
    assert kind_of(layers(winograd.MAPS - 1)[which], 12) == "plain"
    assert kind_of(layers(winograd.MAPS)[which], 12, bf16=False) == "plain"
    literal = layers(winograd.MAPS)[which]
    literal.literal = True  # type: ignore[assignment]
    assert kind_of(literal, 12) == "plain"


def test_tiles_must_be_whole() -> None:
    assert kind_of(Conv3x3(winograd.MAPS, winograd.MAPS), 9) == "plain"
    assert kind_of(Conv2d(192, 256, 4, 2, 1), 10) == "plain"
    assert kind_of(Conv2d(192, 256, 4, 2, 1), 12) == "fewer"
    for size, whole in (((12, 16), True), ((10, 16), False), ((16, 10), False)):
        assert halving.can(torch.ones(1, 1, *size)) == whole


def test_few_tiles_are_halved_the_plain_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halving, "ROWS", 12 * 12 * 22 / 16 + 1)
    layer, x = Conv2d(192, 256, 4, 2, 1), torch.ones(22, 192, 12, 12)
    with torch.autocast("cpu", torch.bfloat16):
        assert not halving.pays(x, layer.weight)
        assert halving.pays(torch.cat([x, x]), layer.weight)


@pytest.mark.parametrize("form", [(4, 1, 1), (4, 2, 0), (3, 2, 1)])
def test_halving_is_of_one_form(form: tuple[int, int, int]) -> None:
    assert kind_of(Conv2d(192, 256, *form), 32) == "plain"


@pytest.mark.parametrize("which", range(4))
def test_layers_of_many_maps_are_the_plain_ones(
    which: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = layers(winograd.MAPS)[which]
    maps = layer.in_channels - 3 * isinstance(layer, JoinConv)  # type: ignore[operator]
    given = [draw(2, maps, 8, 8).float()]
    monkeypatch.setattr(halving, "ROWS", 8)
    if isinstance(layer, JoinConv):
        given.append(draw(2, 3, seed=1).float())
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(*given).detach().float()
    plain = layer.plain(*given).detach()  # type: ignore[operator]
    assert float((found - plain).norm() / plain.norm()) < 0.02


@pytest.mark.parametrize("layer", [Conv3x3(256, 256, bias=True), Conv2d(256, 256, 4, 2, 1)])
def test_a_layer_s_bias_is_added(layer: nn.Conv2d, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halving, "ROWS", 1)
    nn.init.ones_(layer.bias)  # type: ignore[arg-type]
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(torch.zeros(1, 256, 4, 4)).float()
    assert_close(found, torch.ones_like(found))


@pytest.mark.parametrize("way", WAYS)
def test_a_stored_weight_has_its_gradient_stored_alike(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else autograd would copy it."""
    monkeypatch.setattr(halving, "ROWS", 1)
    kinds = {
        "tiles": Conv3x3,
        "doubling": UpConv,
        "halving": partial(Conv2d, kernel_size=4, stride=2, padding=1),
    }
    layer: nn.Conv2d = kinds[way](256, 256)
    network = nn.Sequential(layer).to(memory_format=torch.channels_last)
    store_up_kernels(network)
    with torch.autocast("cpu", torch.bfloat16):
        total = network(torch.ones(1, 256, 4, 4)).sum()
    (slope,) = torch.autograd.grad(total, layer.weight)
    assert slope.stride() == layer.weight.stride()
