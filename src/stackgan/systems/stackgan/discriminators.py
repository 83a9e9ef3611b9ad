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

from stackgan.networks.arranged import Arranged
from stackgan.networks.blocks import DownBlock
from stackgan.networks.conditioning import Standardised
from stackgan.networks.heads import JointLogits, MinibatchDeviation, PatchLogits, ScoreLogits
from stackgan.networks.layers import Conv2d, Normalisation, spectral
from stackgan.networks.together import BatchNorm2d, together
from stackgan.systems.stackgan.authors import BottleneckBlock
from stackgan.tensors import AnyLogits, Embedding, FeatureMap, Images, Logits

TextKind = Literal["linear", "leaky_relu", "mean"]
AloneHead = JointLogits | ScoreLogits | PatchLogits


class Features(NamedTuple):
    """What a discriminator keeps of images."""

    whole: FeatureMap  # [B, F, 4, 4], read by the heads that judge the image
    patches: FeatureMap  # [B, F', 32, 32], read by a head that judges patches
    joint: FeatureMap  # what the head that reads text makes of ``whole``, whatever the text


class Body(NamedTuple):
    """From an image to 4x4 features.

    Attributes:
        width: maps after the first down block.
        image_px: 64, 128 or 256.
        residual: down blocks with a second convolution and a skip (modern).
        max_width: no map count grows past this many (None: no bound, as the paper).
        bottleneck: TF's: a bottleneck residual block at 4x4 (after 1x1 convolutions back, in place
            of 3x3 ones), and no LeakyReLU after Stage-I's third convolution.
    """

    width: int
    image_px: int = 64
    normalisation: Normalisation = "batch"
    residual: bool = False
    max_width: int | None = None
    bottleneck: bool = False

    @property
    def widths(self) -> list[int]:
        """Maps before the first down block, and after each."""
        downs = {64: 4, 128: 5, 256: 6}[self.image_px]
        widths = [self.width * 2**k for k in range(downs)]
        return [3, *(min(width, self.max_width or width) for width in widths)]

    @property
    def channels(self) -> int:
        """Maps of the 4x4 features: halved until there are no more than 8 widths."""
        channels = self.widths[-1]
        while channels > 8 * self.width:
            channels //= 2
        return channels


class Heads(NamedTuple):
    """What is asked of the features, and how they meet the text.

    Attributes:
        text: ``mean`` (PT) has no layer for the text: it is given the generator's mean.
        joint_kernel: side of the convolution over image and text: 1 (paper) or 3 (PT).
        score_bias: whether the decision nodes have a bias.
        alone: a head that judges the image alone: ``joint`` as the other, ``score`` without a
            convolution (PT), ``patches`` each place of the 32x32 map by itself (modern).
        deviation: the features tell the batch's deviation (modern).
        standardised: the text's layer reads standardised embeddings (modern).
    """

    text: TextKind = "leaky_relu"
    joint_kernel: int = 1
    score_bias: bool = True
    alone: Literal["joint", "score", "patches"] | None = None
    deviation: bool = False
    standardised: bool = False


class Discriminator(Arranged):
    """Image to 8 ``width`` maps of 4x4, joined with the compressed text to a logit.

    Paper: section 3.5: down blocks to 4x4, the text compressed to Nd = 128 by a fully connected
    layer, a 1x1 convolution over both, one decision node. For 128 and 256 there are more down
    blocks, followed by 3x3 convolutions back to 8 ``width`` maps.
    Differs: the paper names no convolution back and says nothing of the activation of the text's
    layer, because it leaves both open; TF's LeakyReLU there is the default, and ``text="linear"``
    the paper's words.
    """

    def __init__(self, embedding_dim: int, text_dim: int, body: Body, heads: Heads) -> None:
        super().__init__()
        self.image_px = body.image_px
        self.text_kind: TextKind = heads.text
        self.channels = body.channels
        self.down = nn.Sequential(*_down_blocks(body))
        self.compress = nn.Sequential(*_back(body))
        self.deviation = MinibatchDeviation() if heads.deviation else None
        reads = heads.text != "mean"
        standard = reads and heads.standardised
        self.standard = Standardised(embedding_dim) if standard else nn.Identity()
        self.text = (
            spectral(nn.Linear(embedding_dim, text_dim), body.normalisation) if reads else None
        )
        self.joint = self._joint(text_dim, body, heads)
        self.alone: AloneHead | None = None
        if heads.alone == "patches":
            self.alone = PatchLogits(body.widths[-4], body.normalisation)
        elif heads.alone == "score":
            channels = self.channels + int(heads.deviation)
            self.alone = ScoreLogits(channels, body.normalisation, heads.score_bias)
        elif heads.alone == "joint":
            self.alone = self._joint(0, body, heads)

    def _joint(self, text_dim: int, body: Body, heads: Heads) -> JointLogits:
        channels = self.channels + int(heads.deviation)
        return JointLogits(
            channels,
            text_dim,
            body.normalisation,
            8 * body.width,
            heads.joint_kernel,
            heads.score_bias,
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


def _down_blocks(body: Body) -> list[nn.Module]:
    """Down blocks to 4x4."""
    quiet = body.bottleneck and body.image_px == 64  # TF's third and fourth of Stage-I
    return [
        DownBlock(
            i,
            o,
            body.normalisation,
            first=k == 0,
            residual=body.residual,
            activated=not (quiet and k > 1),
        )
        for k, (i, o) in enumerate(pairwise(body.widths))
    ]


def _back(body: Body) -> list[nn.Module]:
    """Convolutions that halve the 4x4 maps until there are 8 widths."""
    layers: list[nn.Module] = []
    channels = body.widths[-1]
    while channels > 8 * body.width:
        layers += _compress(
            channels, channels // 2, body.normalisation, 1 if body.bottleneck else 3
        )
        channels //= 2
    if body.bottleneck:  # it adds before it activates
        layers = [*layers[:-1], BottleneckBlock(channels, channels // 4, 0.2)]
    return layers


def _compress(
    in_channels: int, out_channels: int, normalisation: Normalisation, kernel: int
) -> list[nn.Module]:
    batch = normalisation == "batch"
    conv = spectral(
        Conv2d(in_channels, out_channels, kernel, 1, kernel // 2, bias=not batch), normalisation
    )
    norm = BatchNorm2d(out_channels) if batch else nn.Identity()
    return [conv, norm, nn.LeakyReLU(0.2, inplace=True)]
