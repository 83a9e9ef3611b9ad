"""Photographs that a data set's lists name and that are not on the disk: named, or left out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, get_args

from stackgan.data.examples import Fault
from stackgan.errors import DataError, InputError, nearest

Missing = Literal["refuse", "skip"]


def check_missing(missing: str) -> None:
    """Raise :class:`InputError` unless ``missing`` says what to do with missing photographs."""
    known = list(get_args(Missing))
    if missing not in known:
        raise InputError(f"the option missing is {missing!r}; {nearest(str(missing), known)}")


def on_disk(images: Iterable[Path]) -> set[Path]:
    """Return those of ``images`` that are files; each folder is listed once."""
    names: dict[Path, set[str]] = {}
    found = set()
    for image in images:
        if image.parent not in names:
            names[image.parent] = _files(image.parent)
        if image.name in names[image.parent]:
            found.add(image)
    return found


def require(
    images: Sequence[Path], present: set[Path], folder: Path, named_by: str, command: str
) -> None:
    """Raise :class:`DataError` where one of ``images`` is not ``present``, with what helps."""
    count = sum(image in present for image in images)
    if count < len(images):
        raise DataError(
            f"{folder} holds {count:,} of the {len(images):,} photographs of this split in "
            f"{named_by}; `{command}` names the others, --option missing=skip leaves them out"
        )


def missing_faults(
    images: Sequence[Path], present: set[Path], folder: Path, named_by: str
) -> list[Fault]:
    """Return a fault for each missing photograph, or one for a folder of which none is there.

    Another, on ``folder``, counts them all.
    """
    if len(present) == len(images):
        return []
    counted = f"holds {len(present):,} of the {len(images):,} photographs listed in {named_by}"
    found = [Fault(folder, counted)]
    begun = {image.parent for image in present}
    absent: dict[Path, int] = {}
    for image in images:
        if image.parent in begun:
            if image not in present:
                found.append(Fault(image, f"is missing; it is listed in {named_by}"))
        else:
            absent[image.parent] = absent.get(image.parent, 0) + 1
    for parent, count in absent.items():
        if parent != folder:
            found.append(Fault(parent, f"holds none of its {count:,} photographs"))
    return found


def _files(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except OSError:
        return set()
