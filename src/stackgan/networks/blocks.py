"""The blocks the networks are built of: up, down, residual, and what the modern ones add.

Paper: section 3.5 (implementation details).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stackgan.networks.arranged import Normalised
from stackgan.networks.layers import Conv2d, Conv3x3, Normalisation, UpConv, spectral
from stackgan.networks.together import BatchNorm2d


class UpBlock(Normalised, nn.Module):
    """x2 up-sampling, batch normalisation, ReLU. Paper: section 3.5."""

    NORMS: ClassVar[dict[str, str]] = {"conv": "norm"}

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = UpConv(in_channels, out_channels)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, in, H, W] to [B, out, 2H, 2W]."""
        return F.relu(self.norm(self.conv(x)), inplace=True)


class ModulatedNorm(nn.Module):
    """Batch normalisation whose gain and bias are linear in the latent [condition, noise].

    Differs: not in the paper. Feeding the condition to every resolution (conditional batch
    normalisation, as BigGAN and DF-GAN do) lets the text act past the 4x4 map; both maps start at
    zero, so that the block begins as a plain one.
    """

    def __init__(self, channels: int, latent_dim: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.affine = nn.Linear(latent_dim, 2 * channels)
        nn.init.zeros_(self.affine.weight)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        """Normalise [B, C, H, W] and modulate it by latent [B, L]."""
        gain, bias = self.affine(latent).to(x.dtype)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(bias, self.norm(x), 1 + gain)


class ModulatedUpBlock(Normalised, nn.Module):
    """An up block modulated by the latent, with a second, residual convolution if ``refine``."""

    NORMS: ClassVar[dict[str, str]] = {"conv": "norm.norm", "refine": "refine_norm.norm"}

    def __init__(self, in_channels: int, out_channels: int, latent_dim: int, refine: bool) -> None:
        super().__init__()
        self.conv = UpConv(in_channels, out_channels)
        self.norm = ModulatedNorm(out_channels, latent_dim)
        self.refine = Conv3x3(out_channels, out_channels) if refine else None
        self.refine_norm = ModulatedNorm(out_channels, latent_dim) if refine else None

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        """Map [B, in, H, W] and latent [B, L] to [B, out, 2H, 2W]."""
        x = F.relu(self.norm(self.conv(x), latent))
        if self.refine is not None and self.refine_norm is not None:
            x = F.relu(x + self.refine_norm(self.refine(x), latent))
        return x


class ResidualBlock(Normalised, nn.Module):
    """Two 3x3 convolutions with batch normalisation and a skip. Paper: section 3.5."""

    NORMS: ClassVar[dict[str, str]] = {"conv1": "norm1", "conv2": "norm2"}

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Conv3x3(channels, channels)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = Conv3x3(channels, channels)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to the same shape."""
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu(x + self.norm2(self.conv2(y)), inplace=True)


class DownBlock(Normalised, nn.Module):
    """4x4 stride-2 convolution, normalisation, LeakyReLU 0.2. Paper: section 3.5.

    The first block of a discriminator has no batch normalisation. ``residual`` adds a 3x3
    convolution and an averaged skip (modern preset only). ``activated=False`` leaves LeakyReLU out,
    as TF does after the third convolution of Stage-I's discriminator.
    """

    NORMS: ClassVar[dict[str, str]] = {"conv": "norm"}

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        normalisation: Normalisation,
        first: bool = False,
        residual: bool = False,
        activated: bool = True,
    ) -> None:
        super().__init__()
        self.slope = 0.2 if activated else 1.0
        batch = normalisation == "batch" and not first
        self.conv = spectral(
            Conv2d(in_channels, out_channels, 4, 2, 1, bias=normalisation != "batch"),
            normalisation,
        )
        self.norm = BatchNorm2d(out_channels) if batch else nn.Identity()
        self.refine: nn.Module | None = None
        self.skip: nn.Module | None = None
        if residual:
            self.refine = spectral(Conv2d(out_channels, out_channels, 3, 1, 1), normalisation)
            self.skip = spectral(Conv2d(in_channels, out_channels, 1), normalisation)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, in, H, W] to [B, out, H/2, W/2]."""
        y = F.leaky_relu_(self.norm(self.conv(x)), self.slope)
        if self.refine is None or self.skip is None:
            return y
        y = F.leaky_relu_(self.refine(y), 0.2)
        joined: Tensor = (y + self.skip(F.avg_pool2d(x, 2))) * 0.5**0.5
        return joined
