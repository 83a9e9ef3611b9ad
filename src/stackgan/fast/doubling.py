"""Nearest x2 and a 3x3 convolution with four times fewer multiplications than written.

Along an axis the two results about place i are

    even = w0 (x[i-1] - x[i]) + (w0 + w1 + w2) x[i]
    odd  = (w0 + w1 + w2) x[i] + w2 (x[i+1] - x[i])

three products, of which the middle one serves both: nine for four pixels, where the transposed
convolution (``up_kernels``) takes sixteen and the plain form thirty-six. Each is one
matrix product over the maps.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from stackgan.fast.forms import precision
from stackgan.fast.winograd import MAPS, refuse_second_gradient
from stackgan.precision import in_own_precision
from stackgan.tensors import FeatureMap

# One axis: from 3 taps to the kernels of the three products.
_TAPS = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0]])


def pays(input: Tensor, weight: Tensor) -> bool:
    """Whether it was faster where that was not measured: many maps, in bf16."""
    return min(weight.shape[:2]) >= MAPS and precision(input) == torch.bfloat16


def convolve_doubling(input: Tensor, weight: Tensor) -> FeatureMap:
    """``F.conv2d(F.interpolate(input, scale_factor=2), weight, padding=1)``, channels-last.

    Args:
        input: [B, in, H, W], read in autocast's precision where that is on.
        weight: [out, in, 3, 3], free of copies where it is stored as [in, 3, 3, out].

    Returns:
        [B, out, 2H, 2W].
    """
    result: Tensor = _Doubling.apply(input.to(precision(input)), weight)  # type: ignore[no-untyped-call]
    return result


@cache
def _kernel_map(device: torch.device, dtype: torch.dtype) -> Tensor:
    """The map [9, 9] of :func:`kernel_places`."""
    with torch.inference_mode(False):
        return torch.kron(_TAPS, _TAPS).to(device, dtype)


def kernel_places(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """A kernel [out, in, 3, 3] as those of the nine products: [9, in, out], a view."""
    with in_own_precision(weight.device.type):
        rows = weight.permute(1, 2, 3, 0).reshape(weight.shape[1], 9, -1)
        places = _kernel_map(weight.device, weight.dtype) @ rows
    return places.to(dtype).transpose(0, 1)


def differences(maps: FeatureMap) -> Tensor:
    """What the nine products read of [B, C, H, W]: [9, B H W, C]."""
    batch, channels, height, width = maps.shape
    x = maps.permute(0, 2, 3, 1)
    both = x.new_empty(3, 3, batch, height, width, channels)
    lines = x.new_empty(2, batch, height, width, channels)
    _from_neighbours(x, lines, 1)
    for source, out in zip((lines[0], x, lines[1]), both, strict=True):
        out[1].copy_(source)
        _from_neighbours(source, out[::2], 2)
    return both.view(9, -1, channels)


def _from_neighbours(x: Tensor, out: Tensor, axis: int) -> None:
    """x[i-1] - x[i] and x[i+1] - x[i] along ``axis`` to ``out``; beyond the border x is zero."""
    length = x.shape[axis]
    ahead, behind = x.narrow(axis, 1, length - 1), x.narrow(axis, 0, length - 1)
    torch.sub(behind, ahead, out=out[0].narrow(axis, 1, length - 1))
    torch.sub(ahead, behind, out=out[1].narrow(axis, 0, length - 1))
    for side, place in ((out[0], 0), (out[1], length - 1)):
        torch.neg(x.narrow(axis, place, 1), out=side.narrow(axis, place, 1))


def _to_neighbours(parts: Tensor, axis: int) -> Tensor:
    """The transpose of :func:`_from_neighbours` and of the middle: [3, ...] to [...]."""
    before, middle, after = parts
    length = middle.shape[axis]
    result: Tensor = (middle - before).sub_(after)
    result.narrow(axis, 0, length - 1).add_(before.narrow(axis, 1, length - 1))
    result.narrow(axis, 1, length - 1).add_(after.narrow(axis, 0, length - 1))
    return result


def gather(products: Tensor, shape: tuple[int, int, int]) -> FeatureMap:
    """Nine products [9, B H W, O] to maps [B, O, 2H, 2W]; ``shape`` is (B, H, W)."""
    batch, height, width = shape
    products = products.view(3, 3, batch, height, width, -1)
    maps = products.new_empty(batch, height, 2, width, 2, products.shape[-1])
    for row in range(2):
        line = products[row] + products[row + 1]
        for column in range(2):
            torch.add(line[column], line[column + 1], out=maps[:, :, row, :, column])
    whole: Tensor = maps.view(batch, 2 * height, 2 * width, -1)
    return whole.permute(0, 3, 1, 2)


def spread(maps: FeatureMap) -> Tensor:
    """The transpose of :func:`gather`: [B, O, 2H, 2W] to [9, B H W, O]."""
    batch, channels, height, width = maps.shape
    pairs = maps.permute(0, 2, 3, 1).reshape(batch, height // 2, 2, width // 2, 2, channels)
    both = pairs.new_empty(3, 3, batch, height // 2, width // 2, channels)
    even, odd = pairs[:, :, 0], pairs[:, :, 1]  # [B, H, W, 2, O]
    for line, out in zip((even, even + odd, odd), both, strict=True):
        out[0].copy_(line[..., 0, :])
        torch.add(line[..., 0, :], line[..., 1, :], out=out[1])
        out[2].copy_(line[..., 1, :])
    return both.view(9, -1, channels)


class _Doubling(torch.autograd.Function):
    """:func:`convolve_doubling` and its gradients."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor) -> Tensor:
        kernel = kernel_places(weight, input.dtype)
        ctx.save_for_backward(input, weight)  # the kernel would be kept for every layer at once
        batch, _, height, width = input.shape
        return gather(torch.bmm(differences(input), kernel), (batch, height, width))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        refuse_second_gradient()
        input, weight = ctx.saved_tensors
        batch, channels, height, width = input.shape
        of_products = spread(gradients[0].to(input.dtype))
        of_input = of_weight = None
        if ctx.needs_input_grad[0]:
            kernel = kernel_places(weight, input.dtype)
            parts = torch.bmm(of_products, kernel.transpose(1, 2))
            parts = parts.view(3, 3, batch, height, width, channels)
            lines = _to_neighbours(parts.transpose(0, 1), 3)
            of_input = _to_neighbours(lines, 1).permute(0, 3, 1, 2)
        if ctx.needs_input_grad[1]:
            places = torch.bmm(differences(input).transpose(1, 2), of_products)  # [9, in, out]
            dtype = weight.dtype
            back = _kernel_map(input.device, dtype).t() @ places.transpose(0, 1).to(dtype)
            of_weight = back.view(channels, 3, 3, -1).permute(3, 0, 1, 2)
        return of_input, of_weight
