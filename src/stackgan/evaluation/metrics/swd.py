"""The sliced Wasserstein distance of patches (Karras et al., 2018, section 5); no network."""

from __future__ import annotations

import zlib

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from stackgan.errors import InputError
from stackgan.tensors import Pixels

# Axes of its own, so that sides which differ are refused in a sentence.
ReferencePixels = UInt8[Tensor, "M 3 h w"]

PATCH_PX = 7
PATCHES_AN_IMAGE = 128
PROJECTIONS = 512
SMALLEST_LEVEL_PX = 16
LEAST_DEVIATION = 1e-3
"""Of patches in levels 0..255: below it there is only the rounding of the filters."""


def swd(pixels: Pixels, reference: ReferencePixels, seed: int = 0) -> dict[int, float]:
    """Return the sliced Wasserstein distance of 7x7 patches, x 1000, for each level of a pyramid.

    The keys are the levels' sizes in pixels: 64, 32 and 16 for 64x64 pictures, and so on up. The
    values are in thousandths of the reference's deviation, 0 and up (Karras et al., 2018, section
    5). A level of the Laplacian pyramid gives 128 patches for each picture, whose places follow
    from ``seed`` and the picture's own content, so that equal sets are at distance 0 in any order.

    Differs: patches are normalised by the reference's mean and deviation for each channel, where
    Karras et al. (2018) normalise each side by its own, because then a wrong colour costs nothing.

    Raises:
        InputError: where the two sides differ in number or size, there is no picture, sizes do not
            halve down to 16, or a channel of the reference has no deviation to measure in.
    """
    if not len(reference):
        raise InputError("SWD compares pictures with photographs, and there is none")
    if pixels.shape != reference.shape:
        raise InputError(
            f"SWD compares {tuple(pixels.shape)} with {tuple(reference.shape)}; it needs as many "
            "pictures of the same size on both sides"
        )
    random = np.random.default_rng(seed)
    ours, theirs = laplacian_pyramid(pixels), laplacian_pyramid(reference)
    distances = {}
    for level, (mine, real) in enumerate(zip(ours, theirs, strict=True)):
        real_patches = _patches(real, _contents(reference), (seed, level))
        my_patches = _patches(mine, _contents(pixels), (seed, level))
        mean = real_patches.mean(dim=(0, 2), keepdim=True)  # [1, 3, 1]
        deviation = real_patches.std(dim=(0, 2), keepdim=True)
        if float(deviation.min()) < LEAST_DEVIATION:
            channel = ("red", "green", "blue")[int(deviation.argmin())]
            raise InputError(
                f"the {channel} of the {len(reference)} photographs is flat at "
                f"{mine.shape[-1]} px; SWD measures in its deviation, which is 0"
            )
        distances[mine.shape[-1]] = 1000 * _sliced_wasserstein(
            ((my_patches - mean) / deviation).flatten(1),
            ((real_patches - mean) / deviation).flatten(1),
            random,
        )
    return distances


def laplacian_pyramid(pixels: Pixels) -> list[Float[Tensor, "B 3 h w"]]:
    """Return the band-pass levels from the full size down to 16, the last one the blurred rest.

    Levels are in units of 0..255. Blurs by the binomial filter 1 4 6 4 1, mirrored at the border.

    Raises:
        InputError: where the pictures are not square or their size is not 16 times a power of two.
    """
    height, width = pixels.shape[-2:]
    halvings = (height // SMALLEST_LEVEL_PX).bit_length() - 1
    if height != width or height != SMALLEST_LEVEL_PX << max(halvings, 0):
        raise InputError(
            f"SWD needs square pictures of 16, 32, 64, 128 or 256 px, not {height}x{width}"
        )
    levels = []
    rest = pixels.to(torch.float32)
    for _ in range(halvings):
        smaller = _blur(rest)[..., ::2, ::2]
        spread = torch.zeros_like(rest)
        spread[..., ::2, ::2] = smaller * 4  # three of four values are zero
        levels.append(rest - _blur(spread))
        rest = smaller
    return [*levels, rest]


def _blur(images: Float[Tensor, "B 3 h w"]) -> Float[Tensor, "B 3 h w"]:
    line = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    padded = functional.pad(images, (2, 2, 2, 2), mode="reflect")
    channels = images.shape[1]
    across = functional.conv2d(padded, line.expand(channels, 1, 1, 5), groups=channels)
    return functional.conv2d(across, line.view(5, 1).expand(channels, 1, 5, 1), groups=channels)


def _contents(pixels: Pixels) -> list[int]:
    """Return a checksum for each picture."""
    return [zlib.crc32(picture.contiguous().numpy().tobytes()) for picture in pixels]


def _patches(
    level: Float[Tensor, "B 3 h w"], contents: list[int], seed: tuple[int, int]
) -> Float[Tensor, "P 3 49"]:
    """Return 128 patches of each picture."""
    places = level.shape[-1] - PATCH_PX + 1
    drawn = np.stack(
        [
            np.random.default_rng((*seed, content)).integers(places, size=(2, PATCHES_AN_IMAGE))
            for content in contents
        ]
    )  # [B, 2, 128]
    rows, columns = torch.from_numpy(drawn[:, 0]), torch.from_numpy(drawn[:, 1])
    windows = level.unfold(2, PATCH_PX, 1).unfold(3, PATCH_PX, 1)  # [B, 3, h - 6, w - 6, 7, 7]
    windows = windows.permute(0, 2, 3, 1, 4, 5)
    chosen = windows[torch.arange(len(level))[:, None], rows, columns]  # [B, 128, 3, 7, 7]
    return chosen.flatten(0, 1).flatten(2)


def _sliced_wasserstein(
    x: Float[Tensor, "P D"], y: Float[Tensor, "P D"], random: np.random.Generator
) -> float:
    """Return the mean distance of sorted projections on 512 random directions."""
    directions = random.standard_normal((PROJECTIONS, x.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    a, b = x.numpy().astype(np.float64), y.numpy().astype(np.float64)
    total = 0.0
    for part in np.split(directions, PROJECTIONS // 32):  # 32 at a time bounds the memory
        total += np.abs(np.sort(part @ a.T, axis=1) - np.sort(part @ b.T, axis=1)).mean()
    return float(total / (PROJECTIONS // 32))
