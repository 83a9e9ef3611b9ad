"""Photographs of known faults, scored as pictures are: what a figure is to be read beside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from judging import Panel
from photographs import Photographs, oxford, pictures, resized, spread, stacked
from PIL import Image, ImageFilter
from torch import Tensor

from stackgan.evaluation.metrics.spectrum import peaks
from stackgan.evaluation.metrics.swd import swd

COUNT = 400  # of a row's photographs; all are compared with all held out


def anchors(
    panel: Panel, data_root: Path, known: dict[int, Photographs], sizes: list[int], count: int
) -> dict[str, Any]:
    """Return the judges' figures, spectrum, SWD and caption of photographs, for each size.

    The halves and the training classes first: what is the least, and what other species cost. A row
    has ``count`` photographs, at most 400; SWD is against as many held out.
    """
    found: dict[str, Any] = {}
    for size in sizes:
        held_out = known[size]
        what = f"photographs at {size} px"
        places = spread(len(held_out), min(count, COUNT))
        some = held_out.pixels[places]
        training = oxford(data_root, "train", size, len(places)).pixels
        halves = panel.halves(held_out.pixels, what)
        one, other = held_out.pixels[::2], held_out.pixels[1::2]
        rows: dict[str, Any] = {"halves": {**halves, **_patterns(one[: len(other)], other)}}
        for name, pixels in {"training classes": training, **_worsened(some, size)}.items():
            row = panel.compare(pixels, held_out.pixels, name, what)
            rows[name] = {**row, **_patterns(pixels, some[: len(pixels)])}
        if "mobilenetv2" in panel.names:
            carried = panel.captions(held_out.pixels, held_out, held_out, what)
            rows["photographs"] = {"caption": carried}
        found[str(size)] = rows
    return found


def _patterns(pixels: Tensor, known: Tensor) -> dict[str, Any]:
    """Return what needs no network, of as many pictures on both sides."""
    levels = swd(pixels[: len(known)], known, 0)
    return {
        "spectrum": asdict(peaks(pixels, known).largest),
        "swd": {str(level): one for level, one in levels.items()},
    }


def _worsened(some: Tensor, size: int) -> dict[str, Tensor]:
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
