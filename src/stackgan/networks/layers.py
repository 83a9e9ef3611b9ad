"""Layers of the networks: what ``fast`` computes, or literally, operation by operation.

The only user of ``fast`` among the networks: which form computes a layer is not their concern.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stackgan.fast.convolutions import conv2d, conv3x3, text_conv2d, up_conv2d
from stackgan.fast.replicated import replicate
from stackgan.fast.up_kernels import as_stored
from stackgan.networks.arranged import Arranged

Normalisation = Literal["batch", "spectral", "none"]


class Conv2d(Arranged, nn.Conv2d):
    """``nn.Conv2d`` with a square kernel and no groups, fast where its maps are small or many."""

    def forward(self, input: Tensor) -> Tensor:
        """Map [B, in, H, W] to [B, out, H', W']."""
        if self.literal:
            return self.plain(input)
        return conv2d(input, self.weight, self.bias, self.stride[0], int(self.padding[0]))

    def plain(self, input: Tensor) -> Tensor:
        """The same function by torch's convolution: the reference of the tests."""
        return super().forward(input)


class Conv3x3(Arranged, nn.Conv2d):
    """A 3x3 convolution of stride 1, padded by 1 and without groups; by tiles where that is faster.

    Its gradient has none itself: for generators only.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = False) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """Map [B, in, H, W] to [B, out, H, W]."""
        return self.plain(input) if self.literal else conv3x3(input, self.weight, self.bias)

    def plain(self, input: Tensor) -> Tensor:
        """The same function by torch's convolution: the reference of the tests."""
        return super().forward(input)


class UpConv(Arranged, nn.Conv2d):
    """Nearest x2, then a 3x3 convolution (:func:`~stackgan.fast.convolutions.up_conv2d`).

    Paper: section 3.5, "nearest-neighbor upsampling followed by a 3x3 stride 1 convolution".
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """Map [B, in, H, W] to [B, out, 2H, 2W]."""
        return self.plain(input) if self.literal else up_conv2d(input, self.weight, self.bias)

    def plain(self, input: Tensor) -> Tensor:
        """The same function as the paper words it: the reference of the tests."""
        return F.conv2d(F.interpolate(input, scale_factor=2), self.weight, self.bias, padding=1)


def store_up_kernels(network: nn.Module) -> None:
    """Lay the up blocks' weights in memory as their kernels are read; their values stay."""
    for module in network.modules():
        if isinstance(module, UpConv) and not module.literal:
            module.weight.data = as_stored(module.weight.data)


class JoinConv(Arranged, nn.Conv2d):
    """A 3x3 convolution over feature maps and a replicated code (``fast``'s ``text_conv2d``).

    Paper: section 3.4: the condition is "spatially replicated" and concatenated with the features
    along the channel dimension. One weight [out, features + code, 3, 3].
    """

    def __init__(self, features: int, code_dim: int, out_channels: int) -> None:
        super().__init__(features + code_dim, out_channels, 3, padding=1, bias=False)
        self.features, self.codes = features, code_dim
        self.codes_alone = False
        """Whether each code is multiplied by itself (``inference.fold.ask_alone``)."""

    def forward(self, input: Tensor, code: Tensor | None = None) -> Tensor:
        """Map [B, F, H, W] and a code [B, N] to [B, out, H, W]; without a code, N is 0."""
        if code is None or self.literal:
            return self.plain(input, code)
        return text_conv2d(input, code, self.weight, self.bias, self.codes_alone)

    def plain(self, input: Tensor, code: Tensor | None = None) -> Tensor:
        """The same function as the paper words it: the reference of the tests."""
        if code is not None:
            spread = replicate(code, input.shape[2:]).to(input.dtype)
            input = torch.cat([input, spread], dim=1)  # [B, F + N, H, W]
        return super().forward(input)


def spectral(layer: nn.Module, normalisation: Normalisation) -> nn.Module:
    """Wrap ``layer`` in spectral normalisation where that is the discriminator's normalisation."""
    if normalisation != "spectral":
        return layer
    return nn.utils.parametrizations.spectral_norm(layer)
