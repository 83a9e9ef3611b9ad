"""The table of readers: a data set's name -> the module that reads and checks it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stackgan.data import coco, cub, folder, oxford102, toy
from stackgan.data.conditions import require
from stackgan.data.examples import Example, Fault, Split, check_split
from stackgan.errors import InputError, nearest

_ASKED = "conditions"
"""What ``read`` of a reader calls what examples are to tell on demand; asked for, no option."""


@dataclass(frozen=True)
class Reader:
    """How one kind of data set is read and checked."""

    about: str
    read: Callable[..., list[Example]]
    faults: Callable[..., tuple[int, list[Fault]]]
    remarks: Callable[..., list[str]] | None = None
    """What was decided unasked, in sentences; it takes the options that ``faults`` takes."""

    @property
    def options(self) -> list[str]:
        """Names of the options ``read`` takes beyond root and split."""
        names = list(inspect.signature(self.read).parameters)[2:]
        return [name for name in names if name != _ASKED]

    @property
    def check_options(self) -> list[str]:
        """Names of those that ``faults`` takes too, beyond root and progress."""
        return list(inspect.signature(self.faults).parameters)[2:]


READERS = {
    "oxford102": Reader(
        "Oxford-102 flowers with their captions, split by class", oxford102.read, oxford102.faults
    ),
    "cub": Reader(
        "CUB-200-2011 birds with their captions, boxes and key points, split by class",
        cub.read,
        cub.faults,
        cub.remarks,
    ),
    "coco": Reader(
        "MS-COCO's photographs with their captions, 2014 or a later year", coco.read, coco.faults
    ),
    "folder": Reader(
        "your own images with metadata.jsonl, metadata.csv or a .txt or .caption beside each",
        folder.read,
        folder.faults,
        folder.remarks,
    ),
    "toy": Reader(
        "coloured shapes drawn by `stackgan data toy`, some combinations held out",
        toy.read,
        toy.faults,
    ),
}


def reader(name: str) -> Reader:
    """Return the reader called ``name``; raises :class:`InputError` naming the nearest one."""
    if name not in READERS:
        raise InputError(f"data set {name!r} is unknown; {nearest(name, list(READERS))}")
    return READERS[name]


def read_examples(
    name: str, root: Path, split: Split = "train", **options: object
) -> list[Example]:
    """Return the examples of data set ``name`` in the folder ``root``: sorted, deterministic.

    ``options`` are the reader's own (``data list`` shows them). Raises :class:`InputError` for an
    unknown name, split or option, :class:`DataError` when the folder does not hold such a data set.
    """
    return read_conditioned(name, root, split, (), **options)


def read_conditioned(
    name: str, root: Path, split: Split, conditions: Sequence[str], /, **options: object
) -> list[Example]:
    """As :func:`read_examples`, with examples that tell ``conditions`` beside their captions.

    These are of :data:`stackgan.data.conditions.CONDITIONS`: "box", "points". What only they need
    is read where they are asked for. Raises :class:`InputError` also for a data set that has none.
    """
    chosen = reader(name)
    check_split(split)
    for option in options:
        if option not in chosen.options:
            hint = nearest(option, chosen.options) if chosen.options else "it takes none"
            raise InputError(f"data set {name!r} has no option {option!r}; {hint}")
    if _ASKED in inspect.signature(chosen.read).parameters:
        options[_ASKED] = conditions
    examples = chosen.read(Path(root), split, **options)
    require(conditions, examples, f"{name} in {root}")
    return examples
