"""CUB-200-2011 birds with the captions of Reed et al.: the usual folders, as a list of examples.

``CUB_200_2011/`` as Caltech publishes it (``images/``, ``images.txt``, ``bounding_boxes.txt``);
beside it or in it ``text/`` or ``text_c10/`` with ``CLASS/IMAGE.txt``, a caption a line; where it
is there, ``parts/`` with the key points of each bird (:mod:`stackgan.data.cub_parts`). The split
is by class: ``train/filenames.pickle`` and ``test/filenames.pickle``, or ``trainvalclasses.txt``
and ``testclasses.txt``, or, where none of these is there, the numbers of the published test
classes, which are in this file.

Paper: section 4.1, 150 classes for training and 50 for testing, no class in both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stackgan.data.crop import Box, box_problem
from stackgan.data.cub_parts import PLACES, read_points
from stackgan.data.examples import (
    Example,
    Fault,
    KeyPoints,
    Progress,
    Split,
    check_root,
    check_split,
    read_lines,
    readable,
)
from stackgan.data.geometry import points_problem
from stackgan.data.images import image_faults, upright_size
from stackgan.data.missing import check_missing, missing_faults, on_disk, require
from stackgan.errors import DataError
from stackgan.safe_pickle import load

HOME = "CUB_200_2011"
TEXTS = ("text", "text_c10", "cvpr2016_cub/text_c10")
CLASS_LISTS = {"train": "trainvalclasses.txt", "test": "testclasses.txt"}
TEST_CLASSES = frozenset({
    1, 4, 6, 8, 9, 14, 23, 29, 31, 33, 34, 35, 36, 37, 38, 43, 49, 51, 53, 66, 72, 79, 83, 84,
    86, 91, 95, 96, 98, 101, 102, 103, 112, 114, 119, 121, 130, 135, 138, 147, 156, 163, 165,
    166, 180, 183, 185, 186, 187, 197,
})  # fmt: skip
"""Numbers of the 50 test classes of Reed et al., which the paper takes over; of 200, from 1."""

_NAME = re.compile(r"(?!\.)[^/\\\0]+/(?!\.)[^/\\\0]+\.jpg")


@dataclass(frozen=True)
class _Birds:
    """What the tables and lists say; a name is "CLASS/IMAGE.jpg"."""

    images: Path
    texts: Path
    boxes: dict[str, Box]
    points: dict[str, KeyPoints]
    splits: dict[str, str]  # name -> train or test
    listed: list[str]  # every name of images.txt
    named_by: str  # the file whose list says which photographs there are
    problems: list[Fault]

    def text(self, name: str) -> Path:
        return self.texts / f"{name.removesuffix('.jpg')}.txt"


def read(
    root: Path,
    split: Split = "train",
    missing: str = "refuse",
    conditions: Sequence[str] = (),
) -> list[Example]:
    """Return the captioned photographs of ``split`` with their boxes, sorted by class and name.

    ``root`` is ``CUB_200_2011/`` or the folder that holds it. A photograph that the lists name and
    that is not there, or has no caption, is an error, or left out with ``missing="skip"``. Key
    points are read where ``conditions`` has "points" and ``parts/`` is there. Raises
    :class:`DataError` for it, when ``root`` is not such a folder, or when a table or list cannot be
    understood.
    """
    check_split(split)
    check_missing(missing)
    birds = _gather(root, "points" in conditions)
    command = f"stackgan data check cub --root {root}"
    if birds.problems:
        first = birds.problems[0]
        raise DataError(f"{first.path} {first.problem}; `{command}` names every such fault")
    names = sorted(name for name, its in birds.splits.items() if split in ("all", its))
    present = on_disk(birds.images / name for name in names)
    if missing == "refuse":
        images = [birds.images / name for name in names]
        require(images, present, birds.images, birds.named_by, command)
    examples = []
    for name in names:
        if birds.images / name not in present:
            continue
        captions = _captions(birds.text(name))
        if not captions and missing == "refuse":
            raise DataError(
                f"{birds.text(name)} holds no caption; `{command}` names every such file, "
                "--option missing=skip leaves them out"
            )
        if name not in birds.boxes:
            raise DataError(
                f"{birds.images / name} has no line in bounding_boxes.txt; `{command}` names every "
                "such file"
            )
        if captions:
            class_name = name.split("/")[0]
            box, points = birds.boxes[name], birds.points.get(name)
            told = class_name, box, readable(class_name), points
            examples.append(Example(birds.images / name, captions, *told))
    if not examples:
        raise DataError(f"{root} holds no captioned photograph for the split {split!r}")
    return examples


def faults(root: Path, progress: Progress | None = None) -> tuple[int, list[Fault]]:
    """Return how many captioned photographs can be used, and every file that cannot be.

    Of a class of which no photograph is there the folder alone is named.
    """
    birds = _gather(root, True)
    names = sorted({*birds.listed, *birds.splits})
    images = [birds.images / name for name in names]
    present = on_disk(images)
    found = birds.problems + missing_faults(images, present, birds.images, birds.named_by)
    damaged = image_faults([image for image in images if image in present], progress)
    broken = {fault.path for fault in damaged}
    usable = 0
    for name, image in zip(names, images, strict=True):
        if image in present:
            problems = _problems(birds, name, image not in broken)
            usable += not problems and image not in broken
            found += problems
    return usable, found + damaged


def remarks(root: Path) -> list[str]:
    """Say how many photographs have no key points, where others have them; no fault."""
    birds = _gather(root, True)
    without = [name for name in birds.listed if name not in birds.points]
    if not birds.points or not without:
        return []
    return [
        f"{PLACES} tells key points of {len(birds.points):,} of the {len(birds.listed):,} "
        f"photographs of images.txt; {without[0]} has none"
    ]


def _problems(birds: _Birds, name: str, whole: bool) -> list[Fault]:
    """Return what keeps a photograph that is there from being used, its own damage apart."""
    image, text = birds.images / name, birds.text(name)
    found = []
    if name not in birds.splits:
        found.append(Fault(image, f"is in no split: it is not listed in {birds.named_by}"))
    if not text.is_file():
        found.append(Fault(text, f"is missing; {image} has no captions"))
    elif not _captions(text):
        found.append(Fault(text, "holds no caption"))
    if name not in birds.boxes:
        found.append(Fault(image, "has no line in bounding_boxes.txt"))
    elif whole and (problem := box_problem(upright_size(image), birds.boxes[name])) is not None:
        found.append(Fault(image, problem))
    if whole and name in birds.points:
        problem = points_problem(upright_size(image), birds.points[name])
        found += [] if problem is None else [Fault(image, problem)]
    return found


def _gather(root: Path, with_points: bool) -> _Birds:
    """Find the folders and read tables and lists; a line that cannot be used is a problem."""
    check_root(root)
    home = root / HOME if (root / HOME / "images.txt").is_file() else root
    for name in ("images.txt", "images", "bounding_boxes.txt"):
        if not (home / name).exists():
            raise DataError(
                f"{root} is not a CUB-200-2011 folder: {name} is missing; expected {HOME}/images, "
                f"{HOME}/images.txt, {HOME}/bounding_boxes.txt and text/"
            )
    bases = (root.absolute().parent, root) if home == root else (root, home)
    texts = [base / name for base in bases for name in TEXTS if (base / name).is_dir()]
    if not texts:
        raise DataError(f"{root} has no captions: expected a folder text/ or text_c10/ in it")
    problems: list[Fault] = []
    numbers = dict(_names(home / "images.txt", problems))
    rows = dict(_boxes(home / "bounding_boxes.txt", problems))
    boxes = {name: rows[number] for number, name in numbers.items() if number in rows}
    places = read_points(home, problems) if with_points else {}
    points = {name: places[number] for number, name in numbers.items() if number in places}
    listed = sorted(numbers.values())
    splits, named_by = _splits(bases, listed, problems)
    return _Birds(home / "images", texts[0], boxes, points, splits, listed, named_by, problems)


def _names(path: Path, problems: list[Fault]) -> Iterator[tuple[str, str]]:
    """Give (number, "CLASS/IMAGE.jpg") for each line of ``images.txt``."""
    for line, text in enumerate(read_lines(path), start=1):
        number, _, name = text.partition(" ")
        if _NAME.fullmatch(name):
            yield number, name
        else:
            expected = "expected a number and CLASS/IMAGE.jpg"
            problems.append(Fault(path, f"line {line} is {text[:80]!r}; {expected}"))


def _boxes(path: Path, problems: list[Fault]) -> Iterator[tuple[str, Box]]:
    """Give (number, box) for each line of ``bounding_boxes.txt``."""
    for line, text in enumerate(read_lines(path), start=1):
        number, *words = text.split()
        try:
            left, top, width, height = map(float, words)
        except ValueError:
            left = top = width = height = math.nan
        if math.isfinite(left + top + width + height) and min(width, height) > 0:
            yield number, (left, top, width, height)
        else:
            expected = "expected a number, left, top, width and height"
            problems.append(Fault(path, f"line {line} is {text[:80]!r}; {expected}"))


def _splits(
    bases: tuple[Path, ...], listed: list[str], problems: list[Fault]
) -> tuple[dict[str, str], str]:
    """Return the split of each name, and the file that says which photographs there are."""
    for base in bases:
        lists = {split: base / split / "filenames.pickle" for split in CLASS_LISTS}
        if all(path.is_file() for path in lists.values()):
            named = {split: _pickled(path) for split, path in lists.items()}
            listing = "train/filenames.pickle and test/filenames.pickle"
            return _apart(named, lists, problems), listing
    for base in (folder for each in bases for folder in (each, each / "cvpr2016_cub")):
        lists = {split: base / name for split, name in CLASS_LISTS.items()}
        if all(path.is_file() for path in lists.values()):
            classes = {split: read_lines(path) for split, path in lists.items()}
            of_class = _apart(classes, lists, problems)
            known = {name: of_class.get(name.split("/")[0]) for name in listed}
            return {name: split for name, split in known.items() if split}, "images.txt"
    return {name: split for name in listed if (split := _published(name))}, "images.txt"


def _pickled(path: Path) -> list[str]:
    """Return the photographs a list of the authors names, each as "CLASS/IMAGE.jpg"."""
    found = load(path)
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise DataError(f"{path} holds no list of names; expected CLASS/IMAGE, a string each")
    names = [f"{name}.jpg" for name in found]
    wrong = next((name for name in names if not _NAME.fullmatch(name)), None)
    if wrong is not None:
        raise DataError(f"{path} names {wrong[:80]!r}; expected CLASS/IMAGE")
    return names


def _apart(
    named: dict[str, list[str]], lists: dict[str, Path], problems: list[Fault]
) -> dict[str, str]:
    """Return name -> split; a name of both lists is a problem."""
    splits = dict.fromkeys(named["train"], "train")
    for name in dict.fromkeys(named["test"]):
        if name in splits:
            problems.append(Fault(lists["test"], f"names {name}, as {lists['train']} does"))
        splits[name] = "test"
    return splits


def _published(name: str) -> str | None:
    number = name.split(".")[0]
    if not number.isdecimal() or not 1 <= int(number) <= 200:
        return None
    return "test" if int(number) in TEST_CLASSES else "train"


def _captions(path: Path) -> tuple[str, ...]:
    return tuple(read_lines(path)) if path.is_file() else ()
