"""How much of each frequency pictures have, and what a generator pays for having too much.

Differs: not in the paper (after Durall et al., 2020, "Watch your Up-Convolution"); there because an
up-sampling generator paints patterns of about two pixels that no discriminator here sees well: a
feature network's strides step over them, and a small discriminator learns them last. Stage-II then
engraves them. Their mark is power at single frequencies, many times the photographs'
(``spectrum_weight``).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from stackgan.tensors import Images, Pixels, Scalar, to_images

Power = Float[Tensor, "h w"]

ALLOWED = 1.5
"""A picture may have so many times the photographs' power at a frequency before it costs."""
KEPT = 0.95
"""Share that a batch leaves to the ones before it in the running mean: about 20 batches count."""
ROUNDING = (2 / 255) ** 2 / 12
"""Power that rounding to 256 levels puts at every frequency: what lies under it is not seen."""


def power(images: Images) -> Power:
    """Mean power of the brightness at each frequency of [B, 3, H, W]: [H, W / 2 + 1].

    Brightness is the mean of the three colours, its mean over the picture taken away; a Hann window
    keeps the borders out. A picture of independent noise of variance v has v everywhere, but for
    the lowest frequencies.
    """
    grey = images.float().mean(1)  # [B, H, W]
    grey = grey - grey.mean((1, 2), keepdim=True)
    height, width = grey.shape[1:]
    window = torch.outer(_hann(height), _hann(width)).to(grey.device)
    found: Tensor = torch.fft.rfft2(grey * window).abs().square().mean(0)
    return found / window.square().sum()


def excess(found: Power, reference: Power) -> Scalar:
    """Mean over all frequencies of the square of log power above log(``ALLOWED`` * reference).

    ``found`` is :func:`power` of the pictures that pay, ``reference`` that of photographs of the
    same size. Power of the size that rounding makes is added to both, so that frequencies where
    nothing can be seen cost nothing.
    """
    ours = (found + ROUNDING).log()
    allowed = (ALLOWED * (reference + ROUNDING)).log()
    return (ours - allowed).clamp_min(0).square().mean()


class Spectrum:
    """Photographs' power at each frequency (``reference``), and that of the last fakes (``seen``).

    A batch of 16 says little: photographs themselves, 16 at a time, vary by 40 % at a frequency, so
    that a cost of single batches pushes every frequency down and takes detail away. What costs is
    therefore the mean of the last batches, the newest with weight 1 - ``KEPT``; the gradient goes
    through the newest alone, whole. ``seen`` is None before the first.
    """

    def __init__(self, reference: Power) -> None:
        self.reference = reference
        self.seen: Power | None = None

    def excess(self, images: Images) -> Scalar:
        """:func:`excess` of the last batches, after ``images`` [B, 3, H, W] were added to them."""
        newest = power(images)
        now = newest.detach()
        self.seen = now if self.seen is None else torch.lerp(now, self.seen, KEPT)
        return excess(self.seen + (newest - now), self.reference)


def reference_power(pixels: Pixels) -> Power:
    """:func:`power` of photographs [N, 3, H, W], taken in parts of 64."""
    parts = [power(to_images(part)) * len(part) for part in torch.split(pixels, 64)]
    return torch.stack(parts).sum(0) / len(pixels)


def _hann(length: int) -> Tensor:
    places = (torch.arange(length) + 0.5) / length
    return 0.5 - 0.5 * torch.cos(2 * math.pi * places)
