"""What the authors' TensorFlow networks have beside the paper's: bottleneck residual blocks."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from stackgan.networks.arranged import Normalised
from stackgan.networks.blocks import UpBlock
from stackgan.networks.layers import Conv2d, UpConv
from stackgan.networks.together import BatchNorm2d
from stackgan.systems.stackgan.stage1 import Stage1Generator
from stackgan.tensors import FeatureMap


class BottleneckBlock(Normalised, nn.Module):
    """1x1 to ``inner`` maps, 3x3, 3x3 back, each normalised; a skip, then (Leaky)ReLU.

    Differs: not in the paper, whose blocks are plain; the authors' TensorFlow networks have it at
    4x4 and 8x8 (``architecture.stage1_generator`` and the discriminators' settings).
    ``slope`` is the activation's below zero: 0 in generators, 0.2 in discriminators.
    """

    NORMS: ClassVar[dict[str, str]] = {"conv1": "norm1", "conv2": "norm2", "conv3": "norm3"}

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


class BottleneckUpBlock(Normalised, nn.Module):
    """x2 up-sampling and batch normalisation without ReLU, then a bottleneck residual block."""

    NORMS: ClassVar[dict[str, str]] = {"conv": "norm"}

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = UpConv(in_channels, out_channels)
        self.norm = nn.BatchNorm2d(out_channels)
        self.bottleneck = BottleneckBlock(out_channels, out_channels // 4, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, in, H, W] to [B, out, 2H, 2W]."""
        refined: Tensor = self.bottleneck(self.norm(self.conv(x)))
        return refined


class BottleneckStage1(Stage1Generator):
    """TF's Stage-I: no ReLU after the fully connected layer, bottlenecks at 4x4 and 8x8.

    Differs: its last up block is the one to RGB, which has no block of its own.
    """

    project_bias = True

    def build(self, widths: list[int]) -> None:
        """A bottleneck block at 4x4, up blocks (the first with one at 8x8), an up block to RGB."""
        self.first = BottleneckBlock(widths[0], widths[2], 0.0)
        widths = widths[:-1]
        self.blocks = nn.ModuleList(
            BottleneckUpBlock(i, o) if k == 0 else UpBlock(i, o)
            for k, (i, o) in enumerate(pairwise(widths))
        )
        self.rgb = UpConv(widths[-1], 3)

    def start(self, projected: Tensor) -> FeatureMap:
        """The first maps [B, 8 W, 4, 4] of what was projected, [B, 8 W * 4 * 4]."""
        maps: FeatureMap = self.first(self.as_maps(projected))
        return maps
