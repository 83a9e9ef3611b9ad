"""Scores as pure functions: features or pixels in, one number out, all sums in float64.

None of them opens a file or holds a network, and none depends on the order or the batches its
pictures came in. A score means nothing without its protocol: ``evaluation.report`` attaches it.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from stackgan.errors import InputError
from stackgan.tensors import Pixels

Features = Float[Tensor, "N D"]
# Axes of their own: the sides may differ in number, and where they may not a score says so itself.
Reference = Float[Tensor, "M K"]
ReferencePixels = UInt8[Tensor, "M 3 h w"]

PATCH_PX = 7
PATCHES_AN_IMAGE = 128
PROJECTIONS = 512
SMALLEST_LEVEL_PX = 16
LEAST_DEVIATION = 1e-3
"""Of patches in levels 0..255: below it there is only the rounding of the filters."""


def kid(features: Features, reference: Reference) -> float:
    """Return the kernel inception distance: unbiased squared MMD, all pictures as one subset.

    The kernel is (x.y / D + 1)^3. Two samples of one distribution give about 0, on either side.
    The two sides may differ in number. Named after its extractor, e.g. KID(EffLite0).

    Raises:
        InputError: for fewer than two pictures on a side, features of different lengths or not
            finite, or a side whose pictures are all alike.
    """
    x, y = _checked(features, reference)
    m, n = len(x), len(y)
    same_x = _kernel(x, x)
    same_y = _kernel(y, y)
    within_x = (same_x.sum() - same_x.diagonal().sum()) / (m * (m - 1))
    within_y = (same_y.sum() - same_y.diagonal().sum()) / (n * (n - 1))
    return float(within_x + within_y - 2 * _kernel(x, y).mean())


def frechet_distance(features: Features, reference: Reference) -> float:
    """Return |mean difference|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) of two Gaussians fitted.

    Covariances with n - 1. Named after its extractor, e.g. FD(EffLite0), and only called FID on
    Inception-v3. Biased upwards for few pictures.

    Differs: the trace of the root is the nuclear norm of R1 R2^T, where S = R^T R, because a matrix
    square root loses half its digits on the singular covariances that few pictures give.

    Raises:
        InputError: as :func:`kid`.
    """
    x, y = _checked(features, reference)
    root_x, root_y = _covariance_factor(x), _covariance_factor(y)
    of_means = (x.mean(dim=0) - y.mean(dim=0)).square().sum()
    traces = root_x.square().sum() + root_y.square().sum()
    return float(of_means + traces - 2 * torch.linalg.svdvals(root_x @ root_y.T).sum())


def diversity(features: Features) -> float:
    """Return the mean Euclidean distance over all pairs of pictures.

    Raises:
        InputError: for fewer than two pictures.
    """
    if len(features) < 2:
        raise InputError(f"diversity needs at least 2 pictures, not {len(features)}")
    return float(torch.pdist(features.to(torch.float64)).mean())


def swd(pixels: Pixels, reference: ReferencePixels, seed: int = 0) -> dict[int, float]:
    """Return the sliced Wasserstein distance of 7x7 patches, x 1000, for each level of a pyramid.

    The keys are the levels' sizes in pixels: 64, 32 and 16 for 64x64 pictures, and so on up. A
    level of the Laplacian pyramid gives 128 patches for each picture, whose places follow from
    ``seed`` and the picture's own content, so that equal sets are at distance 0 in any order.

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


def _checked(features: Features, reference: Reference) -> tuple[Features, Reference]:
    """Return both sides in float64."""
    for side in (features, reference):
        if side.ndim != 2 or len(side) < 2 or side.shape[1] != reference.shape[1]:
            raise InputError(
                f"features {tuple(features.shape)} cannot be compared with "
                f"{tuple(reference.shape)}; expected two matrices [N, D] of one D, N at least 2"
            )
        if not torch.isfinite(side).all():
            raise InputError("the features hold values that are not finite")
        if float((side - side[0]).abs().max()) <= 1e-6 * float(side.abs().max()):
            raise InputError(
                f"all {len(side)} pictures of one side are alike; the score compares how two sets "
                "spread, and of a set without spread it says nothing"
            )
    return features.to(torch.float64), reference.to(torch.float64)


def _kernel(x: Features, y: Float[Tensor, "M D"]) -> Float[Tensor, "N M"]:
    products: Tensor = x @ y.T / x.shape[1]
    return products.add(1).pow(3)


def _covariance_factor(x: Features) -> Float[Tensor, "L D"]:
    """Return R with R^T R the covariance (n - 1), L the smaller of N and D."""
    centred = (x - x.mean(dim=0)) / (len(x) - 1) ** 0.5
    root: Tensor = torch.linalg.qr(centred, mode="r").R
    return root


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
