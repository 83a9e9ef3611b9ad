"""What `stackgan data prepare` cached: used wherever it lies, named where it cannot be."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from stackgan.data import Example
from stackgan.data.cache import find_cache, why_not_cached
from stackgan.data.crop import Resize
from stackgan.training.plan import Plan, cache_folder, prepared_folder
from stackgan.training.prepare import encoder_examples, encoder_settings, stored_px


class _Wanted(NamedTuple):
    """Photographs as one of a run's trainings reads them."""

    examples: Sequence[Example]
    size_px: int
    resize: Resize


def use_prepared(
    run: Path, plan: Plan, examples: Sequence[Example], say: Callable[[str], None]
) -> None:
    """Make what was prepared found in the run's own cache, and say what is not used of it, and why.

    On a disk that cannot be written the files stay where they are and are linked to.
    """
    prepared, own = prepared_folder(plan), cache_folder(run, plan)
    if prepared is None:
        return
    wanted, fit = _wanted(plan, examples), plan.settings.fit
    there = [
        find_cache(each.examples, each.size_px, prepared, fit, each.resize) is not None
        for each in wanted
    ]
    if own != prepared and any(there):
        _link(prepared, own)
        say(f"the cache that was prepared in {prepared} is read there")
    for each, usable in zip(wanted, there, strict=True):
        if usable or find_cache(each.examples, each.size_px, own, fit, each.resize) is not None:
            continue
        why = why_not_cached(each.examples, each.size_px, prepared, fit, each.resize)
        if why is None or (any(there) and not why.changed):
            continue
        say(
            f"the cache that was prepared in {prepared} is not used for photographs of "
            f"{each.size_px}x{each.size_px}, which are decoded into {own}: {why.reason}"
        )
        return


def _wanted(plan: Plan, examples: Sequence[Example]) -> list[_Wanted]:
    settings = plan.settings
    wanted = []
    for number in plan.stages:
        a = settings.architecture
        side = stored_px(examples, a.stage1_px if number == 1 else a.image_px)
        wanted.append(_Wanted(examples, side, settings.resize))
    if plan.trains_encoder:
        side = encoder_settings(settings, plan.data).image_px
        wanted.append(_Wanted(encoder_examples(examples, settings), side, "bicubic"))
    return wanted


def _link(prepared: Path, own: Path) -> None:
    """Link to every file of ``prepared`` that ``own`` lacks; what is built later replaces links."""
    own.mkdir(parents=True, exist_ok=True)
    for path in sorted(prepared.iterdir()):
        if path.suffix in (".npy", ".json", ".npz") and path.is_file():
            with suppress(OSError):  # it is there, or the disk knows no links: decoded anew
                os.symlink(path.absolute(), own / path.name)
