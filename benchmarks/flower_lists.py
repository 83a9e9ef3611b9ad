"""Which captions with which seeds ``flowers.py`` judges, and drawing them with a model."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from photographs import Photographs
from torch import Tensor


class Wanted(NamedTuple):
    """Captions in the order of each list; the seed is the place in the list."""

    sketches: list[str]  # the first caption of each of the 840 photographs of the held-out classes
    pictures: list[str]  # a caption of the species of each of the 800 photographs at 256x256
    eight_sketches: list[str]  # ten captions, one for each held-out class; seeds 0 to 7 each
    eight_pictures: list[str]  # nine captions, three for each held-out species; seeds 0 to 7 each


def wanted(small: Photographs, large: Photographs) -> Wanted:
    """Return the captions, from the held-out photographs at 64x64 and at 256x256."""
    by_class: dict[str, str] = {}
    for caption, group in zip(small.first_captions, small.groups, strict=True):
        by_class.setdefault(group, caption)
    by_species: dict[str, list[str]] = {}
    for caption, group in zip(large.first_captions, large.groups, strict=True):
        known = by_species.setdefault(group, [])
        if caption not in known and len(known) < 3:
            known.append(caption)
    return Wanted(
        small.first_captions,
        large.first_captions,
        [by_class[group] for group in sorted(by_class)],
        [caption for group in sorted(by_species) for caption in by_species[group]],
    )


def draw(
    name: str, lists: Wanted, sections: list[str], photographs: Tensor | None
) -> dict[str, Tensor]:
    """Draw what the sections need; Stage-II's part is left out for a model without Stage-II.

    ``photographs`` are the held-out photographs shrunk to 64x64, for ``refine``.
    """
    from stackgan import StackGAN

    model = StackGAN.from_pretrained(name)
    samples: dict[str, Tensor] = {}

    def eight(captions: list[str], stage: int) -> Tensor:
        repeated = [caption for caption in captions for _ in range(8)]
        seeds = list(range(8)) * len(captions)
        shown = progress(f"eight of each caption, Stage-{stage}")
        pixels = model.generate_pixels(repeated, seeds, stage=stage, progress=shown)
        return pixels.unflatten(0, (len(captions), 8))

    places = range(len(lists.sketches))
    if {"sketches", "memory"} & set(sections):
        samples["sketches"] = model.generate_pixels(
            lists.sketches, places, stage=1, progress=progress("sketches")
        )
    if "diversity" in sections:
        samples["eight_sketches"] = eight(lists.eight_sketches, 1)
    if model.stage2 is None:
        print(f"{model.name} has no Stage-II: no 256x256 figures", file=sys.stderr)
        return samples
    places = range(len(lists.pictures))
    if {"pictures", "memory"} & set(sections):
        both = model.draw(lists.pictures, places, stage=2, progress=progress("pictures"))
        samples["own_sketches"] = both.sketches
        if both.pictures is not None:
            samples["pictures"] = both.pictures
    if "diversity" in sections:
        samples["eight_pictures"] = eight(lists.eight_pictures, 2)
    if "refine" in sections and photographs is not None:
        samples["refined"] = model.refine_pixels(
            photographs, lists.pictures, places, progress=progress("refined photographs")
        )
    return samples


def progress(what: str) -> Callable[[int, int], None]:
    """Return a progress line on stderr, shown for work of more than two seconds."""
    started = time.monotonic()

    def line(done: int, total: int) -> None:
        if time.monotonic() - started > 2:
            end = "\n" if done == total else ""
            print(f"\r{what}: {done}/{total}", end=end, file=sys.stderr, flush=True)

    return line
