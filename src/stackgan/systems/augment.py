"""Differentiable augmentation of what the discriminator sees: translation and cutout.

Differs: not in the paper (Zhao et al., 2020, DiffAugment). The same policy, drawn anew, is applied
to real and to generated images. No colour policy: it would contradict captions that name colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch.nn import functional as F

from stackgan.tensors import Images

Policy = Literal["translation", "cutout"]


def augment(images: Images, policies: Sequence[Policy], random: torch.Generator) -> Images:
    """Apply ``policies`` in turn to [B, 3, H, W]; draws come from ``random`` (a CPU generator)."""
    for policy in policies:
        images = {"translation": translate, "cutout": cut_out}[policy](images, random)
    return images


def translate(images: Images, random: torch.Generator, ratio: float = 0.125) -> Images:
    """Shift each image by up to ``ratio`` of its side, both ways; what is uncovered is 0 (grey)."""
    batch, _, height, width = images.shape
    reach_y, reach_x = int(height * ratio + 0.5), int(width * ratio + 0.5)
    shift_y = torch.randint(-reach_y, reach_y + 1, (batch, 1), generator=random)
    shift_x = torch.randint(-reach_x, reach_x + 1, (batch, 1), generator=random)
    # Row 0 and the last row of the padded map are grey: a pixel from outside reads there.
    rows = (torch.arange(height) + shift_y + 1).clamp(0, height + 1).to(images.device)
    columns = (torch.arange(width) + shift_x + 1).clamp(0, width + 1).to(images.device)
    padded = F.pad(images, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    which = torch.arange(batch, device=images.device)[:, None, None]
    return padded[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cut_out(images: Images, random: torch.Generator, ratio: float = 0.5) -> Images:
    """Set a square of ``ratio`` of the side, centred anywhere in the image, to 0 in each image."""
    batch, _, height, width = images.shape
    half_y, half_x = int(height * ratio / 2 + 0.5), int(width * ratio / 2 + 0.5)
    centre_y = torch.randint(0, height + 1, (batch, 1), generator=random)
    centre_x = torch.randint(0, width + 1, (batch, 1), generator=random)
    rows = ((torch.arange(height) - centre_y).abs() >= half_y)[:, :, None]
    columns = ((torch.arange(width) - centre_x).abs() >= half_x)[:, None, :]
    return images * (rows | columns).to(images)[:, None]


def shift(images: Images, random: torch.Generator, ratio: float = 1 / 16) -> Images:
    """Move all images together by up to ``ratio`` of their side, both ways, mirrored at the border.

    A window that is only cut out would leave the border seldom seen, and faults would gather there.
    """
    height, width = images.shape[2:]
    reach_y, reach_x = int(height * ratio), int(width * ratio)
    padded = F.pad(images, (reach_x, reach_x, reach_y, reach_y), mode="reflect")
    top = int(torch.randint(0, 2 * reach_y + 1, (), generator=random))
    left = int(torch.randint(0, 2 * reach_x + 1, (), generator=random))
    return padded[:, :, top : top + height, left : left + width]
