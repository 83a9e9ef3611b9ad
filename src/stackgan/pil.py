"""Between images of Pillow and pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from stackgan.errors import InputError
from stackgan.tensors import Pixels

Pictures = Image.Image | Sequence[Image.Image] | Tensor

SKETCH_PX = 64


def as_pixels(images: Pictures) -> Pixels:
    """64x64 images (PIL, several, or uint8 [B, 3, 64, 64]) as pixels; InputError for others."""
    if isinstance(images, Tensor):
        if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] != 3:
            found = f"{images.dtype} {list(images.shape)}"
            raise InputError(f"images are a tensor {found}, expected uint8 [B, 3, 64, 64]")
        pixels = images.cpu()
    else:
        listed = [images] if isinstance(images, Image.Image) else list(images)
        if not listed:
            raise InputError("no image was given")
        for place, image in enumerate(listed):
            if image.size != (SKETCH_PX, SKETCH_PX):
                raise _wrong_size(place, *image.size)
        pixels = torch.stack([_from_pil(image) for image in listed])
    if pixels.shape[2:] != (SKETCH_PX, SKETCH_PX):
        raise _wrong_size(0, pixels.shape[3], pixels.shape[2])
    return pixels


def as_pil(pixels: Pixels) -> list[Image.Image]:
    """uint8 [B, 3, H, W] as PIL images."""
    arrays: np.ndarray = pixels.permute(0, 2, 3, 1).contiguous().numpy()
    return [Image.fromarray(array) for array in arrays]


def _from_pil(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def _wrong_size(place: int, width: int, height: int) -> InputError:
    return InputError(
        f"image {place + 1} is {width}x{height}, expected 64x64; shrink it first, "
        "image.resize((64, 64), Image.Resampling.LANCZOS)"
    )
