"""Stage-I: from a caption's embedding and noise to a 64x64 sketch. Paper: section 3.3."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from stackgan.models.blocks import Arranged, ModulatedUpBlock, UpBlock, UpConv
from stackgan.models.bottleneck import BottleneckBlock, BottleneckUpBlock
from stackgan.models.conditioning import (
    ConditioningAugmentation,
    ConditioningKind,
    EpsKind,
    Gaussian,
)
from stackgan.tensors import Condition, Embedding, Images, Noise

Plan = Literal["plain", "bottleneck"]


class Generated(NamedTuple):
    """What a generator returns: the images and the Gaussian its condition was drawn from."""

    images: Images
    gaussian: Gaussian | None  # None where a Stage-II reads no text


class Stage1Generator(Arranged):
    """Embedding and noise to a 64x64 sketch. Paper: section 3.3, figure 2 (upper half).

    [condition, noise] -> fully connected -> 8 ``width`` maps of 4x4 -> four up blocks that halve
    the maps -> RGB. ``modulated`` (the modern preset) gives every block the latent again and the
    8x8 and 16x16 blocks a second convolution.

    ``image_px=256`` is the one-stage baseline: six up blocks, no fewer than 16 maps.
    ``plan="bottleneck"`` is TF's: no ReLU after the fully connected layer, bottleneck residual
    blocks at 4x4 and 8x8, the last up block straight to RGB.
    """

    def __init__(
        self,
        embedding_dim: int,
        condition_dim: int,
        noise_dim: int,
        width: int,
        conditioning: ConditioningKind = "linear",
        modulated: bool = False,
        image_px: int = 64,
        plan: Plan = "plain",
        eps: EpsKind = "normal",
        standardised: bool = False,
    ) -> None:
        super().__init__()
        self.noise_dim = noise_dim
        self.condition_dim = condition_dim
        self.first_width = 8 * width
        latent_dim = condition_dim + noise_dim
        self.conditioning = ConditioningAugmentation(
            embedding_dim, condition_dim, conditioning, eps, standardised
        )
        tensorflow = plan == "bottleneck"
        self.project = nn.Linear(latent_dim, self.first_width * 16, bias=tensorflow)
        self.project_norm = nn.BatchNorm1d(self.first_width * 16)
        self.first = BottleneckBlock(8 * width, 2 * width, 0.0) if tensorflow else None
        widths = [8 * width, 4 * width, 2 * width, width, width // 2]
        if image_px == 256:
            widths = [max(16, 8 * width // 2**k) for k in range(7)]
        elif tensorflow:
            del widths[-1]
        self.blocks = nn.ModuleList(
            ModulatedUpBlock(i, o, latent_dim, refine=k < 2)
            if modulated
            else BottleneckUpBlock(i, o)
            if tensorflow and k == 0
            else UpBlock(i, o)
            for k, (i, o) in enumerate(pairwise(widths))
        )
        self.modulated = modulated
        self.rgb: nn.Conv2d = (
            UpConv(widths[-1], 3)
            if tensorflow
            else nn.Conv2d(widths[-1], 3, 3, padding=1, bias=False)
        )

    def forward(
        self, embedding: Embedding, noise: Noise, eps: Condition | None = None
    ) -> Generated:
        """Draw one sketch for each row.

        Args:
            embedding: [B, E] from the text encoder.
            noise: [B, Z], z ~ N(0, I).
            eps: [B, C], eps ~ N(0, I) of the conditioning; None takes the mean (no CA).

        Returns:
            images [B, 3, P, P] in [-1, 1], P = ``image_px``, and the Gaussian over conditions.
        """
        gaussian = self.conditioning(embedding)
        eps = self.conditioning.chance(eps)
        latent = torch.cat([gaussian.sample(eps), noise], dim=1)
        x = self.project_norm(self._project(latent))
        if self.first is None:
            x = torch.relu(x)
        x = x.view(-1, self.first_width, 4, 4).contiguous(memory_format=self.layout)
        if self.first is not None:
            x = self.first(x)
        for block in self.blocks:
            x = self.through(block, x, latent) if self.modulated else self.through(block, x)
        return Generated(self._paint(x), gaussian)

    def _project(self, latent: Tensor) -> Tensor:
        """The fully connected layer; as published its sums begin with the noise."""
        if not self.literal:
            projected: Tensor = self.project(latent)
            return projected
        shift = self.noise_dim
        weight = self.project.weight.roll(shift, 1)
        return nn.functional.linear(latent.roll(shift, 1), weight, self.project.bias)

    def _paint(self, x: Tensor) -> Images:
        return torch.tanh(self.rgb(x).float())
