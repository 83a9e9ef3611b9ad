"""3x3 convolutions of many maps with 2.25 times fewer multiplications.

Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray, CVPR 2016, section 4.1): a tile of 2x2
results takes 16 products in place of 36. Maps and kernels are carried to 16 places by sums and
differences, each place is one matrix product over the maps, and sums and differences carry the
products back. Its price is rounding: of bfloat16 about three times what the plain convolution has.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from stackgan.fast.forms import precision
from stackgan.precision import in_own_precision
from stackgan.tensors import FeatureMap

TILES = "tiles"
"""The form's name in a table."""
MAPS = 256
"""Fewest maps, read and written, for which it is faster (docs/performance.md)."""

# One axis: from 3 taps to 4 places.
_TAPS = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]])
_MIRRORED = (3, 1, 2, 0)
"""The places of a kernel turned around, among those of the kernel itself."""


def pays(input: Tensor, weight: Tensor) -> bool:
    """Whether it was faster where that was not measured: many maps, in bf16."""
    return min(weight.shape[:2]) >= MAPS and precision(input) == torch.bfloat16


def convolve(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> FeatureMap:
    """``F.conv2d(input, weight, bias, padding=1)`` by tiles, channels-last.

    Args:
        input: [B, in, H, W], H and W even, read in autocast's precision where that is on.
        weight: [out, in, 3, 3], free of copies where it is channels-last.
    """
    result: Tensor = _Winograd.apply(input.to(precision(input)), weight)  # type: ignore[no-untyped-call]
    return result if bias is None else result + bias.to(result.dtype).view(-1, 1, 1)


def refuse_second_gradient() -> None:
    """Raise RuntimeError where a backward pass is to be differentiated itself (create_graph)."""
    if torch.is_grad_enabled():
        raise RuntimeError(
            "a convolution by fewer products has no second gradient: compute it within "
            "forms.torch_alone(), where convolutions are torch's own"
        )


def kernel_places(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """A kernel [out, in, 3, 3] at its 16 places: [16, out, in]."""
    with in_own_precision(weight.device.type):
        rows = weight.permute(0, 2, 3, 1).reshape(len(weight), 9, -1)
        places = _kernel_map(weight.device, weight.dtype) @ rows  # [out, 16, in]
    return places.to(dtype).transpose(0, 1).contiguous()


@cache
def _kernel_map(device: torch.device, dtype: torch.dtype) -> Tensor:
    """The map [16, 9] of :func:`kernel_places`."""
    with torch.inference_mode(False):
        return torch.kron(_TAPS, _TAPS).to(device, dtype)


def tiles(maps: FeatureMap, places: tuple[int, ...] = (0, 1, 2, 3)) -> Tensor:
    """Every 4x4 tile of padded maps [B, C, H, W], two apart, at 16 places: [16, B H W / 4, C].

    ``places`` says where along each axis what belongs to 0, 1, 2 and 3 is written.
    """
    batch, channels, height, width = maps.shape
    padded = F.pad(maps.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    lines = padded.new_empty(4, batch, height // 2, width + 2, channels)
    _spread_tile([padded[:, k : k + height - 1 : 2] for k in range(4)], lines, places)
    both = padded.new_empty(4, 4, batch, height // 2, width // 2, channels)
    columns = [lines[:, :, :, k : k + width - 1 : 2] for k in range(4)]
    _spread_tile(columns, both.transpose(0, 1), places)
    return both.view(16, -1, channels)


def _spread_tile(line: list[Tensor], out: Tensor, places: tuple[int, ...]) -> None:
    """One axis of a tile's 4 entries at 4 places of ``out``."""
    torch.sub(line[0], line[2], out=out[places[0]])
    torch.add(line[1], line[2], out=out[places[1]])
    torch.sub(line[2], line[1], out=out[places[2]])
    torch.sub(line[1], line[3], out=out[places[3]])


def untile(
    products: Tensor, shape: tuple[int, int, int], places: tuple[int, ...] = (0, 1, 2, 3)
) -> FeatureMap:
    """Products at 16 places [16, B H W / 4, O] to maps [B, O, H, W]; ``shape`` is (B, H, W)."""
    batch, height, width = shape
    channels = products.shape[2]
    products = products.view(4, 4, batch, height // 2, width // 2, channels)
    a, b, c, d = (products[k] for k in places)
    maps = products.new_empty(batch, height // 2, 2, width // 2, 2, channels)
    for row, line in enumerate(((a + b).add_(c), (b - c).sub_(d))):
        a_, b_, c_, d_ = (line[k] for k in places)
        torch.add(a_ + b_, c_, out=maps[:, :, row, :, 0])
        torch.sub(b_ - c_, d_, out=maps[:, :, row, :, 1])
    return maps.view(batch, height, width, channels).permute(0, 3, 1, 2)


def _spread(maps: FeatureMap) -> Tensor:
    """The transpose of :func:`untile`: [B, O, H, W] to [16, B H W / 4, O]."""
    batch, channels, height, width = maps.shape
    tiled = maps.permute(0, 2, 3, 1).reshape(batch, height // 2, 2, width // 2, 2, channels)
    lines = tiled.new_empty(4, batch, height // 2, width // 2, 2, channels)
    _spread_results(tiled[:, :, 0], tiled[:, :, 1], lines)
    both = tiled.new_empty(4, 4, batch, height // 2, width // 2, channels)
    _spread_results(lines[..., 0, :], lines[..., 1, :], both.transpose(0, 1))
    return both.view(16, -1, channels)


def _spread_results(first: Tensor, second: Tensor, out: Tensor) -> None:
    """One axis of a tile's 2 results at the 4 places whose products are summed to them."""
    out[0].copy_(first)
    torch.add(first, second, out=out[1])
    torch.sub(first, second, out=out[2])
    torch.neg(second, out=out[3])


class _Winograd(torch.autograd.Function):
    """:func:`convolve` and its gradients, each by tiles."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor) -> Tensor:
        kernel = kernel_places(weight, input.dtype)
        ctx.save_for_backward(input, weight)  # the kernel would be kept for every layer at once
        products = torch.bmm(tiles(input), kernel.transpose(1, 2))
        batch, _, height, width = input.shape
        return untile(products, (batch, height, width))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        refuse_second_gradient()
        input, weight = ctx.saved_tensors
        gradient = gradients[0].to(input.dtype)
        of_input = of_weight = None
        batch, _, height, width = input.shape
        if ctx.needs_input_grad[0]:  # convolved by the kernel turned around
            kernel = kernel_places(weight, input.dtype)
            products = torch.bmm(tiles(gradient, _MIRRORED), kernel)
            of_input = untile(products, (batch, height, width), _MIRRORED)
        if ctx.needs_input_grad[1]:
            places = torch.bmm(_spread(gradient).transpose(1, 2), tiles(input))  # [16, out, in]
            dtype = weight.dtype
            back = _kernel_map(input.device, dtype).t() @ places.transpose(0, 1).to(dtype)
            of_weight = back.view(len(back), 3, 3, -1).permute(0, 3, 1, 2)
        return of_input, of_weight
