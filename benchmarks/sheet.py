"""A sheet of pictures, eight in a row, as a PNG of at most a megabyte."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from photographs import pictures, resized, spread
from PIL import Image
from torch import Tensor

ROW = 8
LIMIT_BYTES = 1_000_000
SIZES_PX = (256, 192, 160, 128, 112, 96, 80, 64)
STEPS = (1, 4, 8)  # levels between two that are told apart; 4 is not seen


def unselected(pixels: Tensor, count: int = ROW * ROW) -> Tensor:
    """Return ``count`` pictures evenly spaced in their order, or all where there are fewer."""
    return pixels[spread(len(pixels), count)]


def save(pixels: Tensor, path: Path, limit_bytes: int = LIMIT_BYTES) -> None:
    """Write pictures [N, 3, S, S], eight in a row, as a PNG of at most so many bytes.

    Where it has more the pictures are made smaller by Lanczos and their levels coarser: never a
    JPEG, whose own faults would be seen as the model's.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = [pixels.shape[-1], *(size for size in SIZES_PX if size < pixels.shape[-1])]
    for size in sizes:
        shown = pixels if size == pixels.shape[-1] else resized(pixels, size)
        laid_out = np.asarray(_laid_out(pictures(shown)))
        for step in STEPS:
            coarser = (laid_out.astype(int) // step * step + step // 2).astype(np.uint8)
            file = io.BytesIO()
            Image.fromarray(coarser).save(file, "PNG", optimize=True)
            if file.tell() <= limit_bytes or (size, step) == (sizes[-1], STEPS[-1]):
                path.write_bytes(file.getvalue())
                return


def _laid_out(shown: list[Image.Image]) -> Image.Image:
    side = shown[0].width
    sheet = Image.new("RGB", (ROW * side, -(-len(shown) // ROW) * side), "white")
    for place, picture in enumerate(shown):
        sheet.paste(picture, (place % ROW * side, place // ROW * side))
    return sheet
