"""Which files of a data set cannot be used, and why: every file is looked at, images decoded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from stackgan.data.batches import Batches, NoWrongCaption
from stackgan.data.examples import Example, Fault, Progress
from stackgan.data.readers import read_examples, reader
from stackgan.errors import InputError, StackGANError, nearest

__all__ = ["Fault", "Report", "check", "problem_of_training", "remarks", "report", "untrainable"]


class Report(NamedTuple):
    """What a check found: how many examples can be used, and every file that cannot be."""

    usable: int
    faults: list[Fault]


def report(name: str, root: Path, progress: Progress | None = None, **options: object) -> Report:
    """Check the data set ``name`` in ``root``; a file may have several faults, a usable one none.

    ``options`` are those of the reader's that say where to look. Raises :class:`InputError` for an
    unknown name or option and :class:`DataError` where ``root`` is not such a folder at all.
    """
    root, chosen = Path(root), reader(name)
    for option in options:
        if option not in chosen.check_options:
            hint = nearest(option, chosen.check_options) if chosen.check_options else "none is"
            raise InputError(f"option {option!r} is not of a check of {name!r}; {hint}")
    usable, faults = chosen.faults(root, progress, **options)
    return Report(usable, sorted(faults, key=lambda fault: (str(fault.path), fault.problem)))


def check(name: str, root: Path, progress: Progress | None = None) -> list[Fault]:
    """Return every fault of the data set ``name`` in ``root``; see :func:`report`."""
    return report(name, root, progress).faults


def remarks(name: str, root: Path, **options: object) -> list[str]:
    """Return, in sentences, what the reader decides there without being asked; no faults."""
    said = reader(name).remarks
    return said(Path(root), **options) if said is not None else []


def problem_of_training(name: str, root: Path, **options: object) -> str | None:
    """Why nothing can be trained on a data set without faults; None where something can."""
    root = Path(root)
    try:
        return untrainable(read_examples(name, root, "train", **options))
    except StackGANError as error:
        return str(error).removeprefix(f"{root} ")


def untrainable(examples: Sequence[Example], wrong_captions: bool = True) -> str | None:
    """Why no training can be done on ``examples``, as a phrase about their folder; None if it can.

    Args:
        wrong_captions: whether photographs are to be shown with captions of others.
    """
    if len(examples) < 2:
        found = "no photograph" if not examples else "one photograph"
        return f"has {found} with a caption to train on: a training needs at least two"
    captions = {caption for example in examples for caption in example.captions}
    if len(captions) == 1:
        return (
            f"has one and the same caption for all its {len(examples):,} photographs to train on "
            f"({_short(next(iter(captions)))}): a training needs captions that tell them apart"
        )
    if not wrong_captions:
        return None
    try:
        _pair(examples)
    except NoWrongCaption as error:
        example = examples[error.example]
        others = "photographs" if example.class_name is None else "classes"
        return (
            f"has no wrong caption for {example.image.name}, as every caption of the other "
            f"{others} to train on is one of its own: give them captions that do not describe it"
        )
    return None


def _pair(examples: Sequence[Example]) -> None:
    """Raise :class:`NoWrongCaption` where a training would; it is given no pixels."""
    place: dict[str, int] = {}
    rows = [tuple(place.setdefault(c, len(place)) for c in each.captions) for each in examples]
    Batches(
        np.broadcast_to(np.uint8(0), (len(examples), 1, 1, 3)),
        torch.empty(len(place), 1),
        rows,
        [example.class_name for example in examples],
        batch_size=1,
        image_px=1,
        seed=0,
    )


def _short(caption: str) -> str:
    return repr(caption if len(caption) <= 60 else f"{caption[:57]}...")
