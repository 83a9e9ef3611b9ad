"""Which files of a data set cannot be used, and why: every file is looked at, images decoded."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from stackgan.data.examples import Fault, Progress
from stackgan.data.readers import reader

__all__ = ["Fault", "Report", "check", "report"]


class Report(NamedTuple):
    """What a check found: how many examples can be used, and every file that cannot be."""

    usable: int
    faults: list[Fault]


def report(name: str, root: Path, progress: Progress | None = None) -> Report:
    """Check the data set ``name`` in ``root``; a file may have several faults, a usable one none.

    Raises :class:`InputError` for an unknown name and :class:`DataError` where ``root`` is not
    such a folder at all.
    """
    usable, faults = reader(name).faults(Path(root), progress)
    return Report(usable, sorted(faults, key=lambda fault: (str(fault.path), fault.problem)))


def check(name: str, root: Path, progress: Progress | None = None) -> list[Fault]:
    """Return every fault of the data set ``name`` in ``root``; see :func:`report`."""
    return report(name, root, progress).faults
