"""What Stage-II refines in training: shrunken photographs and sketches, whole or in crops."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F

from stackgan.config import StageSettings
from stackgan.precision import in_own_precision
from stackgan.systems.losses import shrink
from stackgan.systems.stackgan.stage1 import Stage1Generator
from stackgan.systems.stackgan.variants import batch_statistics
from stackgan.tensors import Embedding, Images, Pixels, Resized, Strengths

SKETCH_PX = 64

Corners = Int[Tensor, "B 2"]


class Crops(NamedTuple):
    """Where each picture of a batch is cropped: in pixels of its sketch."""

    corners: Corners  # top, left
    sketch_px: int  # side of the crop in the sketch

    def of_sketches(self, sketches: Images) -> Resized:
        """The crops of [B, 3, 64, 64] sketches."""
        return self._cut(sketches, 1)

    def of_pictures(self, pictures: Images | Pixels) -> Tensor:
        """The same crops of [B, 3, H, W] pictures, H a multiple of 64."""
        return self._cut(pictures, pictures.shape[-1] // SKETCH_PX)

    def _cut(self, images: Images | Pixels, scale: int) -> Tensor:
        side = self.sketch_px * scale
        rows = [
            image[:, top : top + side, left : left + side]
            for image, (top, left) in zip(images, (scale * self.corners).tolist(), strict=True)
        ]
        return torch.stack(rows)


def draw_crops(batch: int, scale: int, crop_px: int, random: torch.Generator) -> Crops:
    """One place for each of ``batch`` pictures of ``scale`` times 64 pixels, all equally likely.

    Differs: the paper trains Stage-II on whole pictures; crops of them, and of the whole sketches
    that Stage-I draws, are judged because what Stage-II adds is local and a crop of half the side
    costs about a third (``architecture.crop_px``). It is sampled on whole sketches all the same.
    """
    side = crop_px // scale
    corners = torch.randint(0, SKETCH_PX - side + 1, (batch, 2), generator=random)
    return Crops(corners, side)


def make_sketches(
    settings: StageSettings,
    sketcher: Stage1Generator | None,
    step: int,
    real: Images,
    embedding: Embedding,
    drawn: Callable[[int], Tensor],
) -> tuple[Resized, int]:
    """Whole sketches [B, 3, 64, 64]: shrunken photographs first, then the frozen Stage-I's.

    Returns:
        the sketches, and how many of them are shrunken photographs.
    """
    batch = len(real)
    only_pairs = step < settings.pair_steps or sketcher is None
    pairs = batch if only_pairs else round(settings.pair_share * batch)
    parts = [shrink(real[:pairs], SKETCH_PX)] if pairs else []
    if pairs < batch and sketcher is not None:
        learns = torch.is_grad_enabled() and settings.finetune_stage1 > 0
        statistics = batch_statistics(sketcher, settings.frozen_statistics)
        with torch.set_grad_enabled(learns), statistics:
            noise, eps = drawn(sketcher.noise_dim), drawn(sketcher.condition_dim)
            parts.append(sketcher(embedding[pairs:], noise[pairs:], eps[pairs:]).images)
    return torch.cat(parts), pairs


class Worn(NamedTuple):
    """Sketches with noise and blur, and how much of each, as the generator is told."""

    sketches: Resized
    strengths: Strengths


def wear(sketches: Images, settings: StageSettings, strengths: Strengths, noise: Images) -> Worn:
    """Blur each sketch, then add noise: ``strengths`` [B, 2] in 0..1 times the settings' most.

    Differs: not in the paper (GigaGAN, Kang et al., 2023, section 3.4); done because a Stage-II
    that is told how far its input can be trusted repaints a sketch's faults where it would sharpen
    them (``stage2.sketch_noise``, ``stage2.sketch_blur``, ``architecture.sketch_strengths``).

    Args:
        noise: standard normal, of the sketches' shape.
    """
    amount, blur = (strengths.to(sketches)[:, k, None, None, None] for k in range(2))
    with in_own_precision(sketches.device.type):  # in bf16 a clean one would not be
        worn = blurred(sketches.float(), settings.sketch_blur * blur[:, 0, 0, 0])
    return Worn(worn + settings.sketch_noise * amount * noise.to(worn), strengths)


def blurred(images: Images, sigma: Tensor) -> Resized:
    """Blur [B, 3, H, W] by a Gaussian of ``sigma`` [B] pixels each; 0 leaves an image as it is.

    The kernel ends four pixels from its middle: ``sigma`` is at most 1.5.
    """
    batch, colours, height, width = images.shape
    places = torch.arange(-4, 5, device=images.device).float()
    spread = sigma.to(images.device).clamp_min(1e-3)[:, None]
    kernel = (-0.5 * (places / spread).square()).exp()
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(colours, 0)  # [B * 3, 9]
    lines = images.reshape(1, batch * colours, height, width)
    padded = F.pad(lines, (4, 4, 4, 4), mode="reflect")
    across = F.conv2d(padded, kernel[:, None, None, :], groups=batch * colours)
    along = F.conv2d(across, kernel[:, None, :, None], groups=batch * colours)
    return along.view(batch, colours, height, width)
