"""Stage-I: from a caption's embedding and noise to a 64x64 sketch. Paper: section 3.3."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from stackgan.networks.arranged import Arranged, Normalised
from stackgan.networks.blocks import UpBlock
from stackgan.networks.conditioning import (
    ConditioningAugmentation,
    ConditioningKind,
    EpsKind,
    Gaussian,
)
from stackgan.tensors import Condition, Embedding, FeatureMap, Images, Noise


class Generated(NamedTuple):
    """What a generator returns: the images and the Gaussian its condition was drawn from."""

    images: Images
    gaussian: Gaussian | None  # None where a Stage-II reads no text


class Stage1Generator(Normalised, Arranged):
    """Embedding and noise to a 64x64 sketch. Paper: section 3.3, figure 2 (upper half).

    [condition, noise] -> fully connected -> 8 ``width`` maps of 4x4 -> four up blocks that halve
    the maps -> RGB. The modern preset's is ``modern.ModulatedStage1``, TF's
    ``authors.BottleneckStage1``.

    ``image_px=256`` is the one-stage baseline: six up blocks, no fewer than 16 maps.
    """

    NORMS: ClassVar[dict[str, str]] = {"project": "project_norm"}
    from_4x4 = "blocks.0.conv"
    project_bias = False

    def __init__(
        self,
        embedding_dim: int,
        condition_dim: int,
        noise_dim: int,
        width: int,
        conditioning: ConditioningKind = "linear",
        image_px: int = 64,
        eps: EpsKind = "normal",
        standardised: bool = False,
    ) -> None:
        super().__init__()
        self.noise_dim = noise_dim
        self.condition_dim = condition_dim
        self.conditioning = ConditioningAugmentation(
            embedding_dim, condition_dim, conditioning, eps, standardised
        )
        places = 8 * width * 4 * 4
        self.project = nn.Linear(condition_dim + noise_dim, places, bias=self.project_bias)
        self.project_norm = nn.BatchNorm1d(places)
        self.build(stage1_widths(width, image_px))

    def build(self, widths: list[int]) -> None:
        """What follows the 4x4 maps: up blocks from each of ``widths`` to the next, then RGB."""
        self.blocks = nn.ModuleList(UpBlock(i, o) for i, o in pairwise(widths))
        self.rgb: nn.Conv2d = nn.Conv2d(widths[-1], 3, 3, padding=1, bias=False)

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
        condition = gaussian.sample(self.conditioning.chance(eps))  # [B, C]
        latent = torch.cat([condition, noise], dim=1)  # [B, C + Z]
        x = self.project_norm(self._project(latent))  # [B, 8 W * 4 * 4]
        x = self.start(x)  # [B, 8 W, 4, 4]
        x = self.grow(x, latent)  # [B, W / 2, P, P]
        return Generated(torch.tanh(self.rgb(x).float()), gaussian)  # [B, 3, P, P]

    def start(self, projected: Tensor) -> FeatureMap:
        """The first maps [B, 8 W, 4, 4] of what was projected, [B, 8 W * 4 * 4]."""
        return self.as_maps(torch.relu(projected))

    def grow(self, x: Tensor, latent: Tensor) -> Tensor:
        """From [B, 8 W, 4, 4] to [B, W / 2, P, P]; ``latent`` is read by variants."""
        for block in self.blocks:
            x = self.through(block, x)  # twice the size, half the maps
        return x

    def as_maps(self, x: Tensor) -> FeatureMap:
        """[B, F * 4 * 4] as maps [B, F, 4, 4]."""
        return x.view(len(x), -1, 4, 4).contiguous(memory_format=self.layout)

    def _project(self, latent: Tensor) -> Tensor:
        """The fully connected layer; as published its sums begin with the noise."""
        if not self.literal:
            projected: Tensor = self.project(latent)
            return projected
        shift = self.noise_dim
        weight = self.project.weight.roll(shift, 1)
        return nn.functional.linear(latent.roll(shift, 1), weight, self.project.bias)


def stage1_widths(width: int, image_px: int) -> list[int]:
    """Maps from 4x4 on, a number for each size: 8 ``width``, then half of it at each doubling."""
    if image_px == 256:
        return [max(16, 8 * width // 2**k) for k in range(7)]
    return [8 * width, 4 * width, 2 * width, width, width // 2]
