"""Data dictionary: the axes, type and range of every tensor that travels between modules.

============  =========  ==============  ===========================================================
name          axes       type            meaning
============  =========  ==============  ===========================================================
embedding     B E        float32         what a text encoder makes of a caption (phi_t in the paper)
noise         B Z        float32         z ~ N(0, I)
condition     B C        float32         c, drawn by Conditioning Augmentation
images        B 3 H W    float32, bf16   RGB in [-1, 1]
pixels        B 3 H W    uint8           RGB in 0..255
features      B F 4 4    float32, bf16   a discriminator's image features
logits        B          float32         a discriminator's answer, always before a sigmoid
============  =========  ==============  ===========================================================
"""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

Embedding = Float[Tensor, "B E"]
Noise = Float[Tensor, "B Z"]
Condition = Float[Tensor, "B C"]
Images = Float[Tensor, "B 3 H W"]
Resized = Float[Tensor, "B 3 P Q"]
Pixels = UInt8[Tensor, "B 3 H W"]
PixelRows = UInt8[Tensor, "N 3 P Q"]
FeatureMap = Float[Tensor, "B F h w"]
Strengths = Float[Tensor, "B 2"]  # of noise and of blur in a sketch, 0..1
Logits = Float[Tensor, " B"]
AnyLogits = Float[Tensor, " N"]  # one for each image, or one for each patch of each image
Scalar = Float[Tensor, ""]


def to_images(pixels: Pixels) -> Images:
    """Map levels 0..255 to float32 in [-1, 1]: level / 127.5 - 1."""
    return pixels.to(torch.float32).div_(127.5).sub_(1.0)


def to_pixels(images: Images) -> Pixels:
    """Map [-1, 1] to levels 0..255: rounded to the nearest level, clipped at both ends.

    The exact inverse of :func:`to_images` for all 256 levels; never truncates (a truncation darkens
    every picture by half a level).
    """
    return images.to(torch.float32).add(1.0).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
