"""The running average of the generator's weights, which is what a model folder keeps."""

from __future__ import annotations

import torch
from torch import nn

from stackgan.config import StageSettings


def average_decay(settings: StageSettings, step: int, batch: int) -> float:
    """The running average's decay at ``step`` (1 is the first).

    By ``average``: min(``average``, (1 + step) / (10 + step)). By ``average_half_life``: what
    halves an image's share in so many images, or in the share ``average_ramp`` of the images so
    far where that is less, but never in under ten steps (Karras et al., 2020, StyleGAN2-ADA).
    Early on either follows quickly and forgets the start.

    Differs: not in the paper, whose generators are sampled as trained; the average is because a
    batch moves weights to and fro and their mean paints steadier pictures (``average``,
    ``average_half_life``, ``average_ramp``).
    """
    if not settings.average_half_life:
        return min(settings.average, (1 + step) / (10 + step))
    images = float(settings.average_half_life)
    if settings.average_ramp:
        images = min(images, settings.average_ramp * step * batch)
    return float(0.5 ** (batch / max(images, 10.0 * batch)))


@torch.no_grad()
def update_average(average: nn.Module, generator: nn.Module, decay: float) -> None:
    """Move the averaged generator towards the trained one, statistics of BN included.

    average <- d average + (1 - d) generator.
    """
    weight = 1 - decay
    mine, theirs = average.state_dict(), generator.state_dict()
    floating = [name for name, value in mine.items() if value.is_floating_point()]
    torch._foreach_lerp_([mine[n] for n in floating], [theirs[n] for n in floating], weight)
    for name in mine.keys() - set(floating):
        mine[name].copy_(theirs[name])
