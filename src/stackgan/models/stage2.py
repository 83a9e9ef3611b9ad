"""Stage-II: reads the caption again and refines a 64x64 sketch. Paper: section 3.4."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stackgan.models.blocks import Arranged, ResidualBlock, UpBlock
from stackgan.models.conditioning import ConditioningAugmentation, ConditioningKind, EpsKind
from stackgan.models.replicated import JoinConv
from stackgan.models.small_maps import Conv2d
from stackgan.models.stage1 import Generated
from stackgan.precision import in_own_precision
from stackgan.tensors import Condition, Embedding, Images, Resized, Strengths

OutputKind = Literal["rgb", "residual"]


class Stage2Generator(Arranged):
    """A sketch and the caption's embedding to a 256x256 (or 128x128) picture.

    Paper: section 3.4, figure 2 (lower half): the sketch is down-sampled to 16x16, joined with this
    stage's own condition, sent through residual blocks and up blocks (four to 256, three to 128).

    ``output="residual"`` (modern preset): the picture is the enlarged sketch plus what the network
    paints, which starts at zero; the sketch's 64x64 encoder map joins again at 64x64, followed by a
    residual block, and the maps past it are halved once less, the last ones refined once more.
    Differs: the paper paints the picture from nothing; starting from the sketch saves the long
    first part of training, in which Stage-II learns to copy.
    """

    def __init__(
        self,
        embedding_dim: int,
        condition_dim: int,
        width: int,
        image_px: int = 256,
        residual_blocks: int = 4,
        conditioning: ConditioningKind = "linear",
        output: OutputKind = "rgb",
        eps: EpsKind = "normal",
        standardised: bool = False,
        text: bool = True,
        first_bias: bool = True,
        strengths: bool = False,
    ) -> None:
        super().__init__()
        self.image_px = image_px
        self.strengths = strengths
        self.output = output
        self.condition_dim = condition_dim
        self.conditioning = (
            ConditioningAugmentation(embedding_dim, condition_dim, conditioning, eps, standardised)
            if text
            else None
        )
        self.encode = nn.ModuleList(
            [
                _down(5 if strengths else 3, width, 3, 1, norm=False, bias=first_bias),
                _down(width, 2 * width, 4, 2),
                _down(2 * width, 4 * width, 4, 2),
            ]
        )
        self.join = JoinConv(4 * width, condition_dim if text else 0, 4 * width)
        self.join_norm = nn.BatchNorm2d(4 * width)
        self.residual = nn.Sequential(*(ResidualBlock(4 * width) for _ in range(residual_blocks)))
        ups = {128: 3, 256: 4}[image_px]
        widths = [4 * width, 2 * width, width, width // 2, width // 4][: ups + 1]
        if output == "residual":
            widths[3:] = [width, width // 2][: ups - 2]
        self.up = nn.ModuleList(UpBlock(i, o) for i, o in pairwise(widths))
        self.rgb = nn.Conv2d(widths[-1], 3, 3, padding=1, bias=False)
        if output == "residual":
            # Normalised: beside the up blocks' maps the small first weights would pass no detail.
            self.merge = nn.Conv2d(width, width, 3, padding=1, bias=False)
            self.merge_norm = nn.BatchNorm2d(width)
            self.detail = ResidualBlock(width)
            self.fine = nn.Conv2d(widths[-1], widths[-1], 3, padding=1, bias=False)
            self.fine_norm = nn.BatchNorm2d(widths[-1])
            nn.init.zeros_(self.rgb.weight)

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
                as in training); None: none. Read where the network was built with ``strengths``.

        Returns:
            images [B, 3, P, P] in [-1, 1], P = ``image_px`` (of crops as many times their side),
            and the Gaussian over conditions (None where the network was built without ``text``:
            the paper's ablation).
        """
        x = early = self.encode[0](self._told(sketches, strengths))
        for down in list(self.encode)[1:]:
            x = down(x)
        gaussian = condition = None
        if self.conditioning is not None:
            gaussian = self.conditioning(embedding)
            eps = self.conditioning.chance(eps)
            condition = gaussian.sample(eps)
        x = F.relu(self.join_norm(self.join(x, condition)), inplace=True)
        for block in (*self.residual, *list(self.up)[:2]):
            x = self.through(block, x)
        if self.output == "residual":
            x = self.detail(F.relu(x + self.merge_norm(self.merge(early)), inplace=True))
        painted = self.through(self._paint, x, large=True)
        if self.output == "rgb":
            return Generated(painted, gaussian)
        return Generated(clip(enlarge(sketches, painted.shape[-1]) + painted), gaussian)

    def _told(self, sketches: Images, strengths: Strengths | None) -> Tensor:
        """The sketches, with a plane for each strength where the network reads them."""
        if not self.strengths:
            return sketches
        batch, _, height, width = sketches.shape
        if strengths is None:
            strengths = sketches.new_zeros(batch, 2)
        planes = strengths.to(sketches)[:, :, None, None].expand(-1, -1, height, width)
        return torch.cat([sketches, planes], 1).contiguous(memory_format=self.layout)

    def _paint(self, x: Tensor) -> Tensor:
        """From 64x64 maps to what is painted, [B, 3, P, P], float32: most of the memory."""
        for block in list(self.up)[2:]:
            x = block(x)
        if self.output == "rgb":
            return torch.tanh(self.rgb(x).float())
        result: Tensor = self.rgb(F.relu(self.fine_norm(self.fine(x)), inplace=True)).float()
        return result


def _down(
    in_channels: int,
    out_channels: int,
    kernel: int,
    stride: int,
    norm: bool = True,
    bias: bool = False,
) -> nn.Module:
    layers: list[nn.Module] = [
        Conv2d(in_channels, out_channels, kernel, stride, padding=1, bias=bias)
    ]
    if norm:
        layers.append(nn.BatchNorm2d(out_channels))
    return nn.Sequential(*layers, nn.ReLU(inplace=True))


def clip(images: Images) -> Images:
    """Clip to [-1, 1] with the gradient of the identity.

    A plain clamp has none outside the range: what overshoots could not learn to come back.
    """
    return images + (images.clamp(-1, 1) - images).detach()


def enlarge(images: Images, size_px: int) -> Resized:
    """Enlarge [B, 3, H, W] to ``size_px`` by bicubic interpolation (a = -0.75): float32.

    Interpolation is linear along each axis: two matrix products over the pixels as they lie in
    channels-last memory, several times faster than ``F.interpolate``.
    """
    batch, colours, height, width = images.shape
    with in_own_precision(images.device.type):
        lines = images.float().permute(0, 2, 3, 1).reshape(batch, height, width * colours)
        lines = lines @ _enlarging(width, size_px, colours, images.device).t()
        whole = _enlarging(height, size_px, 1, images.device) @ lines
    return whole.view(batch, size_px, size_px, colours).permute(0, 3, 1, 2)


@cache
def _enlarging(side: int, size_px: int, colours: int, device: torch.device) -> Tensor:
    """Bicubic interpolation of a line of pixels: [size_px * colours, side * colours], made once."""
    with torch.inference_mode(False):
        size = (size_px, side)  # the other axis keeps its places
        line = F.interpolate(torch.eye(side)[None, None], size, mode="bicubic", align_corners=False)
        return torch.kron(line[0, 0], torch.eye(colours)).to(device)
