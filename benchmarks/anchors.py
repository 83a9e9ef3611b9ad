"""Photographs of known faults, scored as pictures are: what a figure is to be read beside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from judging import Panel
from photographs import Photographs, oxford, pictures, resized, spread, stacked
from PIL import Image, ImageFilter
from spectrum import peaks
from torch import Tensor

from stackgan.evaluation.scores import swd

WORSENED = 400  # of the photographs are worsened and compared with all


def anchors(
    panel: Panel, data_root: Path, known: dict[int, Photographs], sizes: list[int]
) -> dict[str, Any]:
    """Return the judges' figures, SWD, spectrum and caption of photographs, for each size.

    The halves and the training classes first: what is the least, and what other species cost.
    """
    found: dict[str, Any] = {}
    for size in sizes:
        held_out = known[size]
        total = len(held_out)
        training = oxford(data_root, "train", size, total)
        rows: dict[str, Any] = {"halves": _halves(panel, held_out, size)}
        compared = {"training classes": training.pixels, **_worsened(held_out.pixels, size)}
        for name, pixels in compared.items():
            row = panel.compare(pixels, held_out.pixels, name, f"photographs at {size} px")
            row["spectrum"] = peaks(pixels, held_out.pixels)["largest"]
            if len(pixels) == total:
                row["swd"] = {str(k): v for k, v in swd(pixels, held_out.pixels, 0).items()}
            rows[name] = row
        if "mobilenetv2" in panel.names:
            carried = panel.captions(
                held_out.pixels, held_out, held_out, f"photographs at {size} px"
            )
            rows["photographs"] = {"caption": carried}
        found[str(size)] = rows
    return found


def _halves(panel: Panel, held_out: Photographs, size: int) -> dict[str, Any]:
    one, other = held_out.pixels[::2], held_out.pixels[1::2]
    row = panel.compare(one, other, f"one half at {size} px", f"the other half at {size} px")
    row["spectrum"] = peaks(one, other)["largest"]
    even = len(other)
    row["swd"] = {str(k): v for k, v in swd(one[:even], other, 0).items()}
    return row


def _worsened(pixels: Tensor, size: int) -> dict[str, Tensor]:
    some = pixels[spread(len(pixels), WORSENED)]
    rows = {
        "20 photographs repeated": some[:20].repeat(max(1, len(some) // 20), 1, 1, 1),
        "through half the size": resized(resized(some, size // 2), size),
        "through a quarter": resized(resized(some, size // 4), size),
        "noise of sigma 20": _noisy(some, 20),
    }
    for radius in (1.5, 3.0):
        blur = ImageFilter.GaussianBlur(radius)
        rows[f"blurred by {radius:g} px"] = _mapped(some, lambda one, by=blur: one.filter(by))
    return rows


def _mapped(pixels: Tensor, change: Callable[[Image.Image], Image.Image]) -> Tensor:
    return stacked([change(picture) for picture in pictures(pixels)])


def _noisy(pixels: Tensor, sigma: float) -> Tensor:
    random = np.random.default_rng(1)
    noise = torch.from_numpy(random.normal(0, sigma, tuple(pixels.shape)))
    return (pixels + noise).round().clamp(0, 255).to(torch.uint8)
