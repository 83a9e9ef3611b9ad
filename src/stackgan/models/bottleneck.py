"""Bottleneck residual blocks: what the authors' TensorFlow networks have beside the paper's."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from stackgan.models.blocks import UpConv
from stackgan.models.small_maps import Conv2d
from stackgan.models.together import BatchNorm2d


class BottleneckBlock(nn.Module):
    """1x1 to ``inner`` maps, 3x3, 3x3 back, each normalised; a skip, then (Leaky)ReLU.

    Differs: not in the paper, whose blocks are plain; the authors' TensorFlow networks have it at
    4x4 and 8x8 (``architecture.stage1_generator`` and the discriminators' settings).
    ``slope`` is the activation's below zero: 0 in generators, 0.2 in discriminators.
    """

    def __init__(self, channels: int, inner: int, slope: float) -> None:
        super().__init__()
        self.slope = slope
        self.conv1 = Conv2d(channels, inner, 1, bias=False)
        self.norm1 = BatchNorm2d(inner)
        self.conv2 = Conv2d(inner, inner, 3, padding=1, bias=False)
        self.norm2 = BatchNorm2d(inner)
        self.conv3 = Conv2d(inner, channels, 3, padding=1, bias=False)
        self.norm3 = BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to the same shape."""
        y = F.leaky_relu(self.norm1(self.conv1(x)), self.slope)
        y = F.leaky_relu(self.norm2(self.conv2(y)), self.slope)
        return F.leaky_relu(x + self.norm3(self.conv3(y)), self.slope)


class BottleneckUpBlock(nn.Module):
    """x2 up-sampling and batch normalisation without ReLU, then a bottleneck residual block."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = UpConv(in_channels, out_channels)
        self.norm = nn.BatchNorm2d(out_channels)
        self.bottleneck = BottleneckBlock(out_channels, out_channels // 4, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, in, H, W] to [B, out, 2H, 2W]."""
        refined: Tensor = self.bottleneck(self.norm(self.conv(x)))
        return refined
