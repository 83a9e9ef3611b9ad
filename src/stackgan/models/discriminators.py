"""Matching-aware discriminators of both stages. Paper: sections 3.3 and 3.4.

A discriminator is asked in two parts, so that the features of a real image serve both its own
caption and a wrong one: ``features(images)``, then ``conditional(features, embedding)``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from stackgan.models.blocks import (
    Arranged,
    DownBlock,
    JointLogits,
    MinibatchDeviation,
    Normalisation,
    PatchLogits,
    ScoreLogits,
    spectral,
)
from stackgan.models.bottleneck import BottleneckBlock
from stackgan.models.conditioning import Standardised
from stackgan.models.small_maps import Conv2d
from stackgan.models.together import BatchNorm2d, together
from stackgan.tensors import AnyLogits, Embedding, FeatureMap, Images, Logits

TextKind = Literal["linear", "leaky_relu", "mean"]


class Features(NamedTuple):
    """What a discriminator keeps of images."""

    whole: FeatureMap  # [B, F, 4, 4], read by the heads that judge the image
    patches: FeatureMap  # [B, F', 32, 32], read by a head that judges patches
    joint: FeatureMap  # what the head that reads text makes of ``whole``, whatever the text


class Discriminator(Arranged):
    """Image to 8 ``width`` maps of 4x4, joined with the compressed text to a logit.

    Paper: section 3.5: down blocks to 4x4, the text compressed to Nd = 128 by a fully connected
    layer, a 1x1 convolution over both, one decision node. For 128 and 256 there are more down
    blocks, followed by 3x3 convolutions back to 8 ``width`` maps.
    Differs: the paper names no convolution back and says nothing of the activation of the text's
    layer, because it leaves both open; TF's LeakyReLU there is the default, and ``text="linear"``
    the paper's words.

    Args:
        image_px: 64, 128 or 256.
        width: maps after the first down block.
        max_width: no map count grows past this many (None: no bound, as the paper).
        unconditional: also a head that judges the image alone.
        patches: that head judges each place of the 32x32 map by itself.
        plan: ``bottleneck`` is TF's: a bottleneck residual block at 4x4 (after 1x1 convolutions
            back, in place of 3x3 ones), and no LeakyReLU after Stage-I's third convolution.
        text: ``mean`` (PT) has no layer for the text: it is given the generator's mean.
        joint_kernel, alone, score_bias: as ``architecture`` names them.
        standardised: the text's layer reads standardised embeddings.
    """

    def __init__(
        self,
        embedding_dim: int,
        text_dim: int,
        width: int,
        image_px: int = 64,
        normalisation: Normalisation = "batch",
        unconditional: bool = False,
        minibatch_deviation: bool = False,
        residual: bool = False,
        max_width: int | None = None,
        patches: bool = False,
        plan: Literal["plain", "bottleneck"] = "plain",
        text: TextKind = "leaky_relu",
        joint_kernel: int = 1,
        alone: Literal["joint", "score"] = "joint",
        score_bias: bool = True,
        standardised: bool = False,
    ) -> None:
        super().__init__()
        self.image_px = image_px
        self.text_kind: TextKind = text
        bottleneck = plan == "bottleneck"
        downs = {64: 4, 128: 5, 256: 6}[image_px]
        widths = [3] + [min(width * 2**k, max_width or width * 2**k) for k in range(downs)]
        self.down = nn.Sequential(
            *(
                DownBlock(
                    i,
                    o,
                    normalisation,
                    first=k == 0,
                    residual=residual,
                    activated=not (bottleneck and image_px == 64 and k > 1),
                )
                for k, (i, o) in enumerate(pairwise(widths))
            )
        )
        compress: list[nn.Module] = []
        channels = widths[-1]
        while channels > 8 * width:
            compress += _compress(channels, channels // 2, normalisation, 1 if bottleneck else 3)
            channels //= 2
        if bottleneck:  # it adds before it activates
            compress = [*compress[:-1], BottleneckBlock(channels, channels // 4, 0.2)]
        self.compress = nn.Sequential(*compress)
        self.channels = channels
        self.deviation = MinibatchDeviation() if minibatch_deviation else None
        channels += int(minibatch_deviation)
        self.standard = (
            Standardised(embedding_dim) if standardised and text != "mean" else nn.Identity()
        )
        self.text = (
            None if text == "mean" else spectral(nn.Linear(embedding_dim, text_dim), normalisation)
        )
        self.joint = JointLogits(
            channels, text_dim, normalisation, 8 * width, joint_kernel, score_bias
        )
        self.alone: JointLogits | ScoreLogits | PatchLogits | None = None
        if unconditional and patches:
            self.alone = PatchLogits(widths[downs - 3], normalisation)
        elif unconditional and alone == "score":
            self.alone = ScoreLogits(channels, normalisation, score_bias)
        elif unconditional:
            self.alone = JointLogits(
                channels, 0, normalisation, 8 * width, joint_kernel, score_bias
            )

    def features(self, images: Images) -> Features:
        """Map images [B, 3, H, W] in [-1, 1] to :class:`Features`; no text is read."""
        x = images.contiguous(memory_format=self.layout)
        down = list(self.down)
        for block in down[:-3]:
            x = self.through(block, x)
        patches = x  # [B, F', 32, 32]
        for block in down[-3:]:
            x = self.through(block, x)
        x = self.compress(x)
        whole = x if self.deviation is None else self.deviation(x)
        return Features(whole, patches, self.joint.of_image(whole))

    def features_of(self, *batches: Images) -> list[Features]:
        """The :class:`Features` of several batches of images, each [B, 3, H, W].

        They pass the convolutions together, so that each weight is read once and has one gradient,
        and are normalised each by itself: the same function as one call for each.
        """
        if self.literal or len({x.shape for x in batches}) > 1:
            return [self.features(x) for x in batches]
        with together(self, len(batches)):
            found = self.features(torch.cat(batches))
        parts = (maps.chunk(len(batches)) for maps in found)
        return [Features(*part) for part in zip(*parts, strict=True)]

    def conditional(self, features: Features, embedding: Embedding) -> Logits:
        """The logit [B] of "this image is real and fits this caption".

        ``embedding`` is [B, E]; with ``text="mean"`` the generator's mean [B, C] in its place.
        """
        code = embedding if self.text is None else self.text(self.standard(embedding))
        if self.text_kind == "leaky_relu":
            code = F.leaky_relu(code, 0.2)
        logits: Logits = self.joint(features.whole, code, features.joint)
        return logits

    def unconditional(self, features: Features) -> AnyLogits | None:
        """The logits of "this is real", [B] or one for each patch; None without such a head."""
        if self.alone is None:
            return None
        logits: AnyLogits
        if isinstance(self.alone, PatchLogits):
            logits = self.alone(features.patches)
        else:
            logits = self.alone(features.whole, None)
        return logits

    def forward(self, images: Images, embedding: Embedding) -> Logits:
        """The conditional logit of images with captions, in one call."""
        return self.conditional(self.features(images), embedding)


def _compress(
    in_channels: int, out_channels: int, normalisation: Normalisation, kernel: int
) -> list[nn.Module]:
    batch = normalisation == "batch"
    conv = spectral(
        Conv2d(in_channels, out_channels, kernel, 1, kernel // 2, bias=not batch), normalisation
    )
    norm = BatchNorm2d(out_channels) if batch else nn.Identity()
    return [conv, norm, nn.LeakyReLU(0.2, inplace=True)]
