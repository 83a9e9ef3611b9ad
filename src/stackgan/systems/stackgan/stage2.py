"""Stage-II: reads the caption again and refines a 64x64 sketch. Paper: section 3.4."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stackgan.networks.arranged import Arranged, Normalised
from stackgan.networks.blocks import ResidualBlock, UpBlock
from stackgan.networks.conditioning import (
    ConditioningAugmentation,
    ConditioningKind,
    EpsKind,
    Gaussian,
)
from stackgan.networks.layers import Conv2d, JoinConv
from stackgan.systems.stackgan.stage1 import Generated
from stackgan.tensors import Condition, Embedding, Images, Strengths


class Stage2Generator(Normalised, Arranged):
    """A sketch and the caption's embedding to a 256x256 (or 128x128) picture.

    Paper: section 3.4, figure 2 (lower half): the sketch is down-sampled to 16x16, joined with this
    stage's own condition, sent through residual blocks and up blocks (four to 256, three to 128).
    The modern preset's is ``modern.ResidualStage2``.

    Args:
        text: whether it reads the caption (without: the paper's ablation).
        first_bias: whether the first convolution has a bias.
    """

    NORMS: ClassVar[dict[str, str]] = {"join": "join_norm"}
    sketch_planes = 3
    """Planes of what is read: a sketch's colours, and what variants are told beside them."""

    def __init__(
        self,
        embedding_dim: int,
        condition_dim: int,
        width: int,
        image_px: int = 256,
        residual_blocks: int = 4,
        conditioning: ConditioningKind = "linear",
        eps: EpsKind = "normal",
        standardised: bool = False,
        text: bool = True,
        first_bias: bool = True,
    ) -> None:
        super().__init__()
        self.image_px = image_px
        self.condition_dim = condition_dim
        self.conditioning = (
            ConditioningAugmentation(embedding_dim, condition_dim, conditioning, eps, standardised)
            if text
            else None
        )
        first = Conv2d(self.sketch_planes, width, 3, 1, padding=1, bias=first_bias)
        self.encode = nn.ModuleList(
            [
                nn.Sequential(first, nn.ReLU(inplace=True)),
                _down(width, 2 * width),
                _down(2 * width, 4 * width),
            ]
        )
        self.join = JoinConv(4 * width, condition_dim if text else 0, 4 * width)
        self.join_norm = nn.BatchNorm2d(4 * width)
        self.residual = nn.Sequential(*(ResidualBlock(4 * width) for _ in range(residual_blocks)))
        self.build(width, ups={128: 3, 256: 4}[image_px])

    def build(self, width: int, ups: int) -> None:
        """What follows the residual blocks: ``ups`` up blocks that halve the maps, then RGB."""
        widths = [4 * width // 2**k for k in range(ups + 1)]
        self.up = nn.ModuleList(UpBlock(i, o) for i, o in pairwise(widths))
        self.rgb = nn.Conv2d(widths[-1], 3, 3, padding=1, bias=False)

    def forward(
        self,
        sketches: Images,
        embedding: Embedding,
        eps: Condition | None = None,
        strengths: Strengths | None = None,
    ) -> Generated:
        """Refine one picture for each row.

        Args:
            sketches: [B, 3, 64, 64] in [-1, 1], or crops of sketches.
            embedding: [B, E]; eps: [B, C] or None as in Stage-I.
            strengths: how much noise and blur the sketches carry, each from 0 (none) to 1 (as much
                as in training); None: none. Read by ``modern.ResidualStage2`` where it is told.

        Returns:
            images [B, 3, P, P] in [-1, 1], P = ``image_px`` (of crops as many times their side),
            and the Gaussian over conditions (None where the network was built without ``text``).
        """
        first, *downs = self.encode
        x = early = first(self.told(sketches, strengths))  # [B, W, 64, 64]
        for down in downs:
            x = down(x)  # [B, 4 W, 16, 16] at the end
        gaussian, condition = self._condition(embedding, eps)  # [B, C]
        x = F.relu(self.join_norm(self.join(x, condition)), inplace=True)  # [B, 4 W, 16, 16]
        for block in (*self.residual, *list(self.up)[:2]):
            x = self.through(block, x)  # [B, W, 64, 64] at the end
        return Generated(self.finish(x, early, sketches), gaussian)  # [B, 3, P, P]

    def told(self, sketches: Images, strengths: Strengths | None) -> Tensor:
        """What the first convolution reads: the sketches."""
        return sketches

    def finish(self, x: Tensor, early: Tensor, sketches: Images) -> Tensor:
        """[B, 3, P, P] of maps [B, W, 64, 64]; ``early`` maps and sketches are read by variants."""
        return self.through(self._paint, x, large=True)

    def _condition(
        self, embedding: Embedding, eps: Condition | None
    ) -> tuple[Gaussian | None, Condition | None]:
        if self.conditioning is None:
            return None, None
        gaussian = self.conditioning(embedding)
        return gaussian, gaussian.sample(self.conditioning.chance(eps))

    def _paint(self, x: Tensor) -> Tensor:
        """From 64x64 maps to [B, 3, P, P], float32: most of the memory."""
        for block in list(self.up)[2:]:
            x = block(x)
        return torch.tanh(self.rgb(x).float())


def _down(in_channels: int, out_channels: int) -> nn.Module:
    """Half the size, twice the maps."""
    conv = Conv2d(in_channels, out_channels, 4, 2, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))
