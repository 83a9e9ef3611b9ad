"""Which files of a data set cannot be used, and why: every file is looked at, images decoded."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from stackgan.data.examples import Fault, Progress
from stackgan.data.readers import reader
from stackgan.errors import InputError, nearest

__all__ = ["Fault", "Report", "check", "remarks", "report"]


class Report(NamedTuple):
    """What a check found: how many examples can be used, and every file that cannot be."""

    usable: int
    faults: list[Fault]


def report(name: str, root: Path, progress: Progress | None = None, **options: object) -> Report:
    """Check the data set ``name`` in ``root``; a file may have several faults, a usable one none.

    ``options`` are those of the reader's that say where to look. Raises :class:`InputError` for an
    unknown name or option and :class:`DataError` where ``root`` is not such a folder at all.
    """
    chosen = reader(name)
    for option in options:
        if option not in chosen.check_options:
            hint = nearest(option, chosen.check_options) if chosen.check_options else "none is"
            raise InputError(f"option {option!r} is not of a check of {name!r}; {hint}")
    usable, faults = chosen.faults(Path(root), progress, **options)
    return Report(usable, sorted(faults, key=lambda fault: (str(fault.path), fault.problem)))


def check(name: str, root: Path, progress: Progress | None = None) -> list[Fault]:
    """Return every fault of the data set ``name`` in ``root``; see :func:`report`."""
    return report(name, root, progress).faults


def remarks(name: str, root: Path, **options: object) -> list[str]:
    """Return, in sentences, what the reader decides there without being asked; no faults."""
    said = reader(name).remarks
    return said(Path(root), **options) if said is not None else []
