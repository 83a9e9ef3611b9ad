"""The photographs the benchmarks compare with: which, in which order, with which captions.

All are Oxford-102's, from a folder with ``oxford102/`` as ``stackgan data download oxford102`` and
the reader of that name have it. The reader's split ``test`` is what no model here has seen. Every
photograph becomes a square of its middle, resized once, by Pillow's Lanczos.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from stackgan.data import read_examples
from stackgan.data.examples import Example, Split
from stackgan.data.images import read_image
from stackgan.errors import DataError

BICUBIC, LANCZOS = Image.Resampling.BICUBIC, Image.Resampling.LANCZOS


@dataclass(frozen=True)
class Photographs:
    """Photographs in a fixed order; ``captions`` and ``groups`` (their classes) go with them."""

    pixels: Tensor  # uint8 [N, 3, H, W]
    names: list[str]
    captions: list[tuple[str, ...]]
    groups: list[str]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def first_captions(self) -> list[str]:
        return [captions[0] for captions in self.captions]

    @property
    def sha256(self) -> str:
        """Of the pixels and their shape: what the figures compare with."""
        return pixels_sha256(self.pixels)

    def take(self, places: Sequence[int]) -> Photographs:
        """Return the photographs at these places, in this order."""
        return Photographs(
            self.pixels[torch.as_tensor(list(places))],
            [self.names[place] for place in places],
            [self.captions[place] for place in places],
            [self.groups[place] for place in places],
        )


def examples(data_root: Path, split: Split, count: int | None = None) -> list[Example]:
    """Return a split's captioned photographs by name: all, or ``count`` evenly spaced."""
    root = data_root / "oxford102"
    if not root.is_dir():
        raise DataError(f"{root} is missing; --data-root names the folder that holds oxford102/")
    found = read_examples("oxford102", root, split)
    return found if count is None else [found[place] for place in spread(len(found), count)]


def oxford(data_root: Path, split: Split, size_px: int, count: int | None = None) -> Photographs:
    """Return a split's photographs as squares of ``size_px``: all, or ``count`` evenly spaced."""
    return photographs(examples(data_root, split, count), size_px)


def photographs(chosen: Sequence[Example], size_px: int) -> Photographs:
    """Return these examples as squares of ``size_px``, in their order."""
    return Photographs(
        stacked([square(read_image(example.image), size_px) for example in chosen]),
        [example.image.stem for example in chosen],
        [example.captions for example in chosen],
        [str(example.class_name) for example in chosen],
    )


def spread(total: int, count: int) -> list[int]:
    """Return ``count`` places evenly spaced over ``total``, both ends among them; or all."""
    return [round(float(place)) for place in np.linspace(0, total - 1, min(count, total))]


def square(image: Image.Image, size_px: int) -> Image.Image:
    """Cut out the middle square, its corner at whole pixels, and resize it by Lanczos."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side)).resize((size_px, size_px), LANCZOS)


def resized(pixels: Tensor, size_px: int, resampling: Image.Resampling = LANCZOS) -> Tensor:
    """Resize each picture by one of Pillow's resamplers, antialiased."""
    return stacked([picture.resize((size_px, size_px), resampling) for picture in pictures(pixels)])


def pictures(pixels: Tensor) -> list[Image.Image]:
    """Return pixels [N, 3, H, W] as Pillow images."""
    return [Image.fromarray(array) for array in pixels.permute(0, 2, 3, 1).contiguous().numpy()]


def stacked(images: Sequence[Image.Image]) -> Tensor:
    """Return Pillow images of one size as uint8 [N, 3, H, W]."""
    arrays = np.stack([np.asarray(image) for image in images])
    return torch.from_numpy(arrays).permute(0, 3, 1, 2).contiguous()


def pixels_sha256(pixels: Tensor) -> str:
    """Return the sha256 of pixels and their shape."""
    digest = hashlib.sha256(str(tuple(pixels.shape)).encode())
    digest.update(pixels.contiguous().numpy().tobytes())
    return digest.hexdigest()
