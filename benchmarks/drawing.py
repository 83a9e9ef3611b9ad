"""Which captions with which seeds are judged, and drawing them with a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from colour_judge import wanted as colours_wanted
from judging import progress
from photographs import Photographs
from torch import Tensor

from stackgan import StackGAN
from stackgan.best_of import best_seeds
from stackgan.errors import InputError

SKETCHES, PICTURES = 64, 256
EIGHT = 8  # pictures of one caption
DRAWN_BY = {
    "pictures": {"judges", "swd", "caption", "spectrum", "memory"},
    "refine": {"refine"},
    "colours": {"colours"},
    "diversity": {"diversity"},
}
"""What is drawn -> the sections that need it."""


@dataclass(frozen=True)
class Asked:
    """Captions with their seeds: a list of them for each thing that is drawn."""

    captions: dict[str, list[str]]
    seeds: dict[str, list[int]]

    def as_json(self) -> dict[str, Any]:
        """Return both, each list under the name of what is drawn."""
        return {"captions": self.captions, "seeds": self.seeds}


@dataclass(frozen=True)
class How:
    """What a picture depends on beside caption, seed and weights."""

    truncation: float = 1.0
    best_of: int | None = None


def asked(photographs: Photographs, places: list[int]) -> Asked:
    """Return what is to be drawn for the photographs at ``places`` of the whole list.

    A picture's caption is its photograph's first, its seed the photograph's place in the whole
    list, so that a few pictures are some of the many. Of each class, sorted, the first caption in
    the list is drawn eight times, seeds 0 to 7.
    """
    firsts: dict[str, str] = {}
    for caption, group in zip(photographs.first_captions, photographs.groups, strict=True):
        firsts.setdefault(group, caption)
    own = [photographs.first_captions[place] for place in places]
    eight = [firsts[group] for group in sorted(firsts) for _ in range(EIGHT)]
    colours, colour_seeds = colours_wanted()
    return Asked(
        {"pictures": own, "refine": own, "colours": colours, "diversity": eight},
        {
            "pictures": places,
            "refine": places,
            "colours": colour_seeds,
            "diversity": list(range(EIGHT)) * len(firsts),
        },
    )


def draw(
    model: StackGAN,
    wanted: Asked,
    sizes: list[int],
    sections: list[str],
    how: How,
    shrunk: Tensor | None = None,
) -> dict[str, Tensor]:
    """Draw what the sections need: uint8 [N, 3, H, W] under ``pictures-64``, ``pictures-256`` ...

    ``shrunk`` are the photographs at 64 px, for ``refine-256``.
    """
    samples: dict[str, Tensor] = {}
    for what, users in DRAWN_BY.items():
        if not users & set(sections):
            continue
        captions, seeds = wanted.captions[what], wanted.seeds[what]
        if what == "refine":
            if shrunk is not None and PICTURES in sizes:
                samples["refine-256"] = model.refine_pixels(
                    shrunk, captions, seeds, progress=progress("refined photographs")
                )
            continue
        drawn = model.draw(
            captions,
            _chosen(model, captions, seeds, how),
            stage=2 if PICTURES in sizes else 1,
            truncation=how.truncation,
            progress=progress(f"drawing for {what}"),
        )
        if SKETCHES in sizes:
            samples[f"{what}-64"] = drawn.sketches
        if drawn.pictures is not None:
            samples[f"{what}-256"] = drawn.pictures
    return samples


def read_samples(file: Path, wanted: Asked) -> dict[str, Tensor]:
    """Return pictures that another program drew, uint8 [N, H, W, 3] by the names of :func:`draw`.

    Raises:
        InputError: for another name, kind, size or number of pictures than was asked for.
    """
    samples = {}
    with np.load(file, allow_pickle=False) as held:
        for name in held.files:
            what, _, size = name.partition("-")
            if what not in wanted.captions or size not in ("64", "256"):
                raise InputError(f"{file} holds {name!r}; expected names as pictures-64")
            expected = (len(wanted.captions[what]), int(size), int(size), 3)
            pixels = held[name]
            if pixels.dtype != np.uint8 or pixels.shape != expected:
                raise InputError(
                    f"{file}: {name} is {pixels.dtype} {pixels.shape}; expected uint8 {expected}"
                )
            samples[name] = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    return samples


def write_samples(file: Path, samples: dict[str, Tensor]) -> None:
    """Write pictures so that :func:`read_samples` reads them."""
    arrays = {name: pixels.permute(0, 2, 3, 1).numpy() for name, pixels in samples.items()}
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _chosen(model: StackGAN, captions: list[str], seeds: list[int], how: How) -> list[int]:
    """The seeds that are drawn: with ``best_of`` N the one kept of N, seed s trying s N and on."""
    if how.best_of is None:
        return seeds
    tried = [seed * how.best_of + k for seed in seeds for k in range(how.best_of)]
    shown = progress("choosing")
    return best_seeds(model, captions, tried, how.best_of, how.truncation, shown)[0]
