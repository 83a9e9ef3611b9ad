"""Convolutions equal to torch's: the one place where a form is chosen.

Each function says which of the forms (``winograd``, ``doubling``, ``halving``, ``small_maps``,
torch's own) can compute a call, and which one does where no table was measured (``forms``).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from stackgan.fast import doubling, halving, winograd
from stackgan.fast.forms import TORCH, choose
from stackgan.fast.replicated import convolve_replicated
from stackgan.fast.small_maps import NINE, ROWS, SMALL_PX, convolve_small, transpose_small
from stackgan.fast.up_kernels import transposed_kernel
from stackgan.fast.winograd import TILES
from stackgan.tensors import FeatureMap


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0
) -> Tensor:
    """``F.conv2d``, faster where maps are small or many; twice differentiable by torch's form.

    Args:
        input: [B, in, H, W].
        weight: [out, in, k, k], free of copies where it is channels-last.

    Returns:
        [B, out, H', W'].
    """
    kernel = weight.shape[2]
    if input.device.type != "cpu" or kernel % stride != 0:
        return F.conv2d(input, weight, bias, stride, padding)
    halves = (kernel, stride, padding) == (4, 2, 1) and halving.can(input)
    side = (input.shape[2] + 2 * padding - kernel) // stride + 1
    rule = ROWS if side <= SMALL_PX else TORCH
    if halves and halving.pays(input, weight):
        rule = NINE
    form = choose(f"conv{kernel}s{stride}p{padding}", input, len(weight), rule)
    if form == NINE and halves:
        return halving.convolve_halving(input, weight, bias)
    if form == ROWS:
        return convolve_small(input, weight, bias, stride, padding)
    return F.conv2d(input, weight, bias, stride, padding)


def conv3x3(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``F.conv2d(input, weight, bias, padding=1)``, by tiles where that is faster.

    By tiles its gradient has none itself: for generators only.

    Args:
        input: [B, in, H, W].
        weight: [out, in, 3, 3].

    Returns:
        [B, out, H, W].
    """
    whole = input.shape[2] % 2 == input.shape[3] % 2 == 0
    if input.device.type == "cpu" and whole:
        rule = TILES if winograd.pays(input, weight) else TORCH
        if choose("conv3x3", input, len(weight), rule) == TILES:
            return winograd.convolve(input, weight, bias)
    return F.conv2d(input, weight, bias, padding=1)


def up_conv2d(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``F.conv2d(F.interpolate(input, scale_factor=2), weight, bias, padding=1)``.

    Paper: section 3.5, "nearest-neighbor upsampling followed by a 3x3 stride 1 convolution".
    Differs: computed from the 3x3 kernel as a 4x4 stride-2 transposed convolution because that is
    the same function 1.4 to 3 times faster.

    Args:
        input: [B, in, H, W].
        weight: [out, in, 3, 3], free of copies where it lies as [in, 3, 3, out].

    Returns:
        [B, out, 2H, 2W].
    """
    form = TORCH
    if input.device.type == "cpu":
        rule = ROWS if 2 * input.shape[2] <= SMALL_PX else TORCH
        rule = NINE if doubling.pays(input, weight) else rule
        form = choose("up3x3", input, len(weight), rule)
    if form == NINE and bias is None:
        return doubling.convolve_doubling(input, weight)
    kernel = transposed_kernel(weight)
    if form == ROWS:
        return transpose_small(input, kernel, bias)
    return F.conv_transpose2d(input, kernel, bias, stride=2, padding=1)


def text_conv2d(
    input: FeatureMap,
    code: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    row_by_row: bool = False,
) -> Tensor:
    """A 3x3 convolution, padded by 1, over maps and a code that stands at every place of them.

    Paper: section 3.4: the condition is "spatially replicated" and concatenated with the features
    along the channel dimension.
    Differs: computed as a convolution of the maps plus :func:`convolve_replicated` because that is
    the same function without the concatenated map and with fewer multiply-adds.

    Args:
        input: [B, F, H, W].
        code: [B, N].
        weight: [out, F + N, 3, 3].
        row_by_row: multiply each code by itself, so that its sums do not know the batch.

    Returns:
        [B, out, H, W].
    """
    features, size = input.shape[1], input.shape[2:]
    joined = conv3x3(input, weight[:, :features], bias)
    codes = [row.clone() for row in code.chunk(len(code))] if row_by_row else [code]
    of_code = [convolve_replicated(each, weight[:, features:], size) for each in codes]
    return joined + torch.cat(of_code).to(joined.dtype)
