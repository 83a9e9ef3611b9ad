"""The modern preset's generators: the paper's with what was found to learn faster.

Differs: none of it is in the paper; each class says what, and why.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stackgan.networks.blocks import ModulatedUpBlock, ResidualBlock, UpBlock
from stackgan.precision import in_own_precision
from stackgan.systems.stackgan.stage1 import Stage1Generator
from stackgan.systems.stackgan.stage2 import Stage2Generator
from stackgan.tensors import Images, Resized, Strengths


class ModulatedStage1(Stage1Generator):
    """Stage-I with the latent in every block, and second convolutions at 8x8 and 16x16.

    Differs: the paper's text acts at 4x4 alone (``blocks.ModulatedNorm``).
    """

    def build(self, widths: list[int]) -> None:
        """Up blocks that read the latent, then RGB."""
        latent_dim = self.condition_dim + self.noise_dim
        self.blocks = nn.ModuleList(
            ModulatedUpBlock(i, o, latent_dim, refine=k < 2)
            for k, (i, o) in enumerate(pairwise(widths))
        )
        self.rgb = nn.Conv2d(widths[-1], 3, 3, padding=1, bias=False)

    def grow(self, x: Tensor, latent: Tensor) -> Tensor:
        """From [B, 8 W, 4, 4] to [B, W / 2, P, P], each block told the latent."""
        for block in self.blocks:
            x = self.through(block, x, latent)  # twice the size, half the maps
        return x


class ResidualStage2(Stage2Generator):
    """Stage-II that adds to the enlarged sketch what it paints, which starts at zero.

    The sketch's 64x64 encoder map joins again at 64x64, followed by a residual block, and the maps
    past it are halved once less, the last ones refined once more.
    Differs: the paper paints the picture from nothing; starting from the sketch saves the long
    first part of training, in which Stage-II learns to copy.
    """

    NORMS: ClassVar[dict[str, str]] = {
        "join": "join_norm",
        "merge": "merge_norm",
        "fine": "fine_norm",
    }

    def build(self, width: int, ups: int) -> None:
        """Up blocks, RGB from zero, what merges the early maps, what refines the last ones."""
        widths = [4 * width, 2 * width, width, width, width // 2][: ups + 1]
        self.up = nn.ModuleList(UpBlock(i, o) for i, o in pairwise(widths))
        self.rgb = nn.Conv2d(widths[-1], 3, 3, padding=1, bias=False)
        # Normalised: beside the up blocks' maps the small first weights would pass no detail.
        self.merge = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.merge_norm = nn.BatchNorm2d(width)
        self.detail = ResidualBlock(width)
        self.fine = nn.Conv2d(widths[-1], widths[-1], 3, padding=1, bias=False)
        self.fine_norm = nn.BatchNorm2d(widths[-1])
        nn.init.zeros_(self.rgb.weight)

    def finish(self, x: Tensor, early: Tensor, sketches: Images) -> Tensor:
        """The enlarged sketches and what is painted of ``x`` and ``early`` [B, W, 64, 64]."""
        x = self.detail(F.relu(x + self.merge_norm(self.merge(early)), inplace=True))
        painted = self.through(self._paint, x, large=True)  # [B, 3, P, P]
        return clip(enlarge(sketches, painted.shape[-1]) + painted)

    def _paint(self, x: Tensor) -> Tensor:
        for block in list(self.up)[2:]:
            x = block(x)
        result: Tensor = self.rgb(F.relu(self.fine_norm(self.fine(x)), inplace=True)).float()
        return result


class _Told(Stage2Generator):
    """Told how much noise and blur its sketches carry.

    Differs: the paper's reads every sketch alike; told, it repaints what is not to be trusted.
    """

    sketch_planes = 5

    def told(self, sketches: Images, strengths: Strengths | None) -> Tensor:
        """The sketches, with a plane for each strength: [B, 5, H, W]."""
        batch, _, height, width = sketches.shape
        if strengths is None:
            strengths = sketches.new_zeros(batch, 2)
        planes = strengths.to(sketches)[:, :, None, None].expand(-1, -1, height, width)
        return torch.cat([sketches, planes], 1).contiguous(memory_format=self.layout)


class ToldStage2(_Told, ResidualStage2):
    """A :class:`ResidualStage2` that is told how much noise and blur its sketches carry."""


class ToldPlainStage2(_Told):
    """The paper's Stage-II, told the same."""


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
