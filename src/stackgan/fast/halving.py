"""A 4x4 convolution of stride 2 with nine multiplications for sixteen.

Split by the parity of their places, rows and columns each, padded maps become four of half the
side, and the convolution a 2x2 one of stride 1 over all of them. Along an axis two of its results
read three places

    first  = w0 (x0 - x1) + (w0 + w1) x1
    second = (w0 + w1) x1 + w1 (x2 - x1)

three products in place of four (Winograd's F(2, 2)). Each of the nine is one matrix product over
the maps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from stackgan.fast.doubling import gather, spread
from stackgan.fast.forms import precision
from stackgan.fast.winograd import refuse_second_gradient
from stackgan.tensors import FeatureMap

MAPS_OUT, MAPS_IN = 256, 192
"""Fewest maps written and read for which it is faster."""
ROWS = 192
"""Fewest tiles for which what is spared is worth making the kernels anew."""


def can(input: Tensor) -> bool:
    """Whether :func:`convolve_halving` can do it: whole tiles."""
    return input.shape[2] % 4 == 0 and input.shape[3] % 4 == 0


def pays(input: Tensor, weight: Tensor) -> bool:
    """Whether it was faster where that was not measured: many maps and places, in bf16."""
    batch, channels, height, width = input.shape
    many = len(weight) >= MAPS_OUT and channels >= MAPS_IN
    enough = batch * height * width >= 16 * ROWS
    return many and enough and precision(input) == torch.bfloat16


def convolve_halving(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> FeatureMap:
    """``F.conv2d(input, weight, bias, stride=2, padding=1)``, channels-last.

    Args:
        input: [B, in, H, W], sides multiples of 4, read in autocast's precision where that is on.
        weight: [out, in, 4, 4], free of copies where it is channels-last.
    """
    result: Tensor = _Halving.apply(input.to(precision(input)), weight)  # type: ignore[no-untyped-call]
    return result if bias is None else result + bias.to(result.dtype).view(-1, 1, 1)


def kernel_places(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """A kernel [out, in, 4, 4] as those of the nine products: [9, out, 4 * in]."""
    out_channels, in_channels = weight.shape[:2]
    taps = weight.permute(0, 2, 3, 1).reshape(out_channels, 2, 2, 2, 2 * in_channels)
    places = weight.new_empty(3, 3, out_channels, 2, 2 * in_channels, dtype=dtype)
    first, second = taps[:, 0], taps[:, 1]  # [out, parity, 2, parity * in]
    for line, out in zip((first, first + second, second), places, strict=True):
        out[0].copy_(line[:, :, 0])
        torch.add(line[:, :, 0], line[:, :, 1], out=out[1])
        out[2].copy_(line[:, :, 1])
    return places.view(9, out_channels, -1)


def _kernel_gradient(places: Tensor, dtype: torch.dtype) -> Tensor:
    """The transpose of :func:`kernel_places`: [9, out, 4 * in] to [out, in, 4, 4]."""
    out_channels = places.shape[1]
    places = places.view(3, 3, out_channels, 2, -1)
    taps = places.new_empty(out_channels, 2, 2, 2, places.shape[-1], dtype=dtype)
    for row in range(2):
        line = places[row].to(dtype) + places[row + 1]
        for column in range(2):
            torch.add(line[column], line[column + 1], out=taps[:, row, :, column])
    return taps.view(out_channels, 4, 4, -1).permute(0, 3, 1, 2)


def tiles(maps: FeatureMap) -> Tensor:
    """What the nine products read of [B, C, H, W]: [9, B H W / 16, 4 * C]."""
    batch, channels, height, width = maps.shape
    rows, columns = height // 4, width // 4
    padded = F.pad(maps.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    padded = padded.view(batch, 2 * rows + 1, 2, 2 * columns + 1, 2 * channels)
    lines = padded.new_empty(3, batch, rows, 2, 2 * columns + 1, 2 * channels)
    _spread_tile(padded, 1, lines)
    both = padded.new_empty(3, 3, batch, rows, columns, 2, 2 * channels)
    _spread_tile(lines, 4, both.permute(1, 0, 2, 3, 5, 4, 6))
    return both.view(9, -1, 4 * channels)


def _spread_tile(x: Tensor, axis: int, out: Tensor) -> None:
    """Every three places along ``axis``, two apart, as the three products read them."""
    first, middle, last = _threes(x, axis)
    torch.sub(first, middle, out=out[0])
    out[1].copy_(middle)
    torch.sub(last, middle, out=out[2])


def _threes(x: Tensor, axis: int) -> list[Tensor]:
    """The first, second and third of every three places along ``axis``, two apart."""
    ahead = x.movedim(axis, 0)
    count = len(ahead) - 1
    return [ahead[k : k + count : 2].movedim(0, axis) for k in range(3)]


def _untile(parts: Tensor, axis: int) -> Tensor:
    """The transpose of :func:`_spread_tile`: [3, ...] to [...]."""
    first, middle, last = parts
    size = list(first.shape)
    size[axis] = 2 * size[axis] + 1
    result = parts.new_empty(size)
    at_first, at_middle, at_last = _threes(result, axis)
    torch.sub(middle, first, out=at_middle)
    at_middle.sub_(last)
    result.select(axis, -1).zero_()
    at_first.copy_(first)
    at_last.add_(last)
    return result


class _Halving(torch.autograd.Function):
    """:func:`convolve_halving` and its gradients."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor) -> Tensor:
        kernel = kernel_places(weight, input.dtype)
        ctx.save_for_backward(input, weight)  # the kernel would be kept for every layer at once
        batch, _, height, width = input.shape
        products = torch.bmm(tiles(input), kernel.transpose(1, 2))
        return gather(products, (batch, height // 4, width // 4))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        refuse_second_gradient()
        input, weight = ctx.saved_tensors
        batch, channels, height, width = input.shape
        of_products = spread(gradients[0].to(input.dtype))
        of_input = of_weight = None
        if ctx.needs_input_grad[0]:
            parts = torch.bmm(of_products, kernel_places(weight, input.dtype))
            parts = parts.view(3, 3, batch, height // 4, width // 4, 2, 2 * channels)
            lines = _untile(parts.permute(1, 0, 2, 3, 5, 4, 6), 4)
            padded = _untile(lines, 1).view(batch, height + 2, width + 2, channels)
            of_input = padded[:, 1:-1, 1:-1].permute(0, 3, 1, 2)
        if ctx.needs_input_grad[1]:
            places = torch.bmm(of_products.transpose(1, 2), tiles(input))
            of_weight = _kernel_gradient(places, weight.dtype)
        return of_input, of_weight
