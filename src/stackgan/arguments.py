"""What may be asked of a model: checked before anything is drawn."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral

from stackgan.data.examples import plain
from stackgan.errors import InputError

MOST = 1_000_000
"""Pictures that a call draws, those that ``best_of`` throws away among them."""


def check_captions(captions: str | Sequence[str]) -> list[str]:
    """Captions as a list, plain and stripped; InputError where there is none or an empty one."""
    listed = [captions] if isinstance(captions, str) else list(captions)
    if not listed:
        raise InputError("no caption was given; expected at least one sentence")
    for place, caption in enumerate(listed):
        if not isinstance(caption, str) or not plain(caption).strip():
            raise InputError(f"caption {place + 1} is {caption!r}; expected a sentence")
    return [plain(caption).strip() for caption in listed]


def check_count(captions: int, num_images: object, best_of: object = 1) -> None:
    """InputError unless the pictures of a call are at least one and not more than :data:`MOST`."""
    many, of = check_whole("num_images", num_images), check_whole("best_of", best_of)
    for name, value in (("num_images", many), ("best_of", of)):
        if value < 1:
            raise InputError(f"{name} is {value}, expected 1 or more")
    if captions * many * of > MOST:
        factors = [str(value) for value in (captions, many, of) if value > 1]
        raise InputError(
            f"num_images is {many}: {' x '.join(factors)} pictures are too many for one call, "
            f"which draws up to {MOST:,}; ask for fewer, or in several calls by seed"
        )


def check_memory(count: int, side_px: int) -> None:
    """InputError where so many pictures, held at once, are more than half of the memory."""
    try:
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not told on this system
        return
    if (needed := 2 * 3 * side_px**2 * count) > machine / 2:
        raise InputError(
            f"{count:,} pictures of {side_px}x{side_px} take about {needed / 2**30:.1f} GiB of "
            f"memory at once, and this machine has {machine / 2**30:.1f}: ask for fewer at a "
            "time (model.stream holds a few of all that are asked for)"
        )


def check_stage(stage: int | None, stages: int, name: str) -> int:
    """The stage asked for, the last of the model ``name`` where none is; InputError for others."""
    if stage not in (None, 1, 2):
        raise InputError(f"stage is {stage}, expected 1 or 2")
    if stage == 2 and stages == 1:
        raise InputError(
            f"model {name!r} has Stage-I only (64x64): ask for stage 1, or train Stage-II with "
            "`stackgan train --stage 2`"
        )
    return stage or stages


def check_whole(name: str, value: object) -> int:
    """A whole number as it is; InputError for anything else."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InputError(f"{name} is {value!r}, expected one whole number")
    return int(value)


def check_seed(seed: object, num_images: int = 1) -> None:
    """InputError unless every seed from ``seed`` on fits 63 bits."""
    if not 0 <= check_whole("seed", seed) <= 2**63 - num_images:
        raise InputError(f"seed is {seed}, expected a whole number from 0 to 2**63 - 1")
