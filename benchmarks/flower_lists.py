"""Which captions with which seeds ``flowers.py`` judges, and drawing them with a model."""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np
import torch
from photographs import Photographs, pictures
from torch import Tensor

from stackgan.errors import InputError

CHUNK = 40


class Wanted(NamedTuple):
    """Captions in the order of each list; the seed is the place in the list."""

    sketches: list[str]  # the first caption of each of the 840 photographs of the held-out classes
    pictures: list[str]  # a caption of the species of each of the 800 photographs at 256x256
    eight_sketches: list[str]  # ten captions, one for each held-out class; seeds 0 to 7 each
    eight_pictures: list[str]  # nine captions, three for each held-out species; seeds 0 to 7 each


def wanted(small: Photographs, large: Photographs) -> Wanted:
    """Return the captions, from the held-out photographs at 64x64 and at 256x256."""
    by_class = {}
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

    def drawn(captions: list[str], seeds: list[int], stage: int, what: str) -> Tensor:
        parts = []
        for start in range(0, len(captions), CHUNK):
            end = start + CHUNK
            parts.append(model.generate_pixels(captions[start:end], seeds[start:end], stage=stage))
            print(f"\r{what}: {min(end, len(captions))}/{len(captions)}", end="", file=sys.stderr)
        print(file=sys.stderr)
        return torch.cat(parts)

    def eight(captions: list[str], stage: int, what: str) -> Tensor:
        repeated = [caption for caption in captions for _ in range(8)]
        pixels = drawn(repeated, list(range(8)) * len(captions), stage, what)
        return pixels.unflatten(0, (len(captions), 8))

    has_stage2 = True
    samples = {}
    places = list(range(max(len(lists.sketches), len(lists.pictures))))
    if {"sketches", "memory"} & set(sections):
        samples["sketches"] = drawn(lists.sketches, places[: len(lists.sketches)], 1, "sketches")
    if "diversity" in sections:
        samples["eight_sketches"] = eight(lists.eight_sketches, 1, "eight of one caption")
    try:
        model.generate_pixels(lists.pictures[:1], [0], stage=2)
    except InputError as error:
        print(f"no 256x256 pictures: {error}", file=sys.stderr)
        has_stage2 = False
    if not has_stage2:
        return samples
    seeds = places[: len(lists.pictures)]
    if {"pictures", "memory"} & set(sections):
        samples["pictures"] = drawn(lists.pictures, seeds, 2, "pictures")
        samples["own_sketches"] = drawn(lists.pictures, seeds, 1, "their sketches")
    if "diversity" in sections:
        samples["eight_pictures"] = eight(lists.eight_pictures, 2, "eight of one caption")
    if "refine" in sections and photographs is not None:
        parts = []
        for start in range(0, len(photographs), CHUNK):
            captions = lists.pictures[start : start + CHUNK]
            refined = model.refine(pictures(photographs[start : start + CHUNK]), captions)
            parts.append(np.stack([np.asarray(picture) for picture in refined]))
        samples["refined"] = torch.from_numpy(np.concatenate(parts)).permute(0, 3, 1, 2)
    return samples
