"""MS-COCO's captions: the usual folders of any year, as a list of examples.

``annotations/captions_trainYEAR.json`` with the photographs in ``trainYEAR/`` (split ``train``) and
``annotations/captions_valYEAR.json`` with those in ``valYEAR/`` (split ``test``); both folders may
lie in ``images/``. There are no classes and, in these files, no boxes.

Paper: section 4.1, MS COCO with its 80k training and 40k validation images, 5 captions each.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from stackgan.data.examples import (
    Example,
    Fault,
    Progress,
    Split,
    check_root,
    check_split,
    read_text,
)
from stackgan.data.images import image_faults
from stackgan.data.missing import check_missing, missing_faults, on_disk, require
from stackgan.errors import DataError, InputError

HALVES = {"train": "train", "test": "val"}
"""A split, and COCO's word for it."""

_FILE = re.compile(r"captions_(train|val)(\d{4})\.json")
_Captioned = dict[str, tuple[str, ...]]  # file name -> captions


def read(
    root: Path,
    split: Split = "train",
    year: int | float | str | None = None,
    missing: str = "refuse",
) -> list[Example]:
    """Return the captioned photographs of ``split``, sorted by path.

    ``year`` is 2014 (the paper's) or a later one; None takes the one of which most is there, the
    newest of several. A photograph that the captions name and that is not there is an error, or
    left out with ``missing="skip"``. Raises :class:`DataError` for it, where ``root`` is not such a
    folder, or where a captions file cannot be understood; :class:`InputError` for a year that is
    not there.
    """
    check_split(split)
    check_missing(missing)
    chosen = _year(root, year)
    command = f"stackgan data check coco --root {root}"
    examples = []
    for half in HALVES.values() if split == "all" else [HALVES[split]]:
        path, folder = _places(root, half, chosen)
        if not path.is_file():
            raise DataError(f"{path} is missing; split {split!r} is read from it")
        captioned, problems = _captions(path)
        if problems:
            raise DataError(f"{path} {problems[0].problem}; `{command}` names every such fault")
        images = [folder / name for name, captions in captioned.items() if captions]
        present = on_disk(images)
        if missing == "refuse":
            require(images, present, folder, path.name, command)
        examples += [Example(image, captioned[image.name]) for image in images if image in present]
    if not examples:
        raise DataError(f"{root} holds no captioned photograph of {chosen} for the split {split!r}")
    return sorted(examples, key=lambda example: str(example.image))


def faults(
    root: Path, progress: Progress | None = None, year: int | float | str | None = None
) -> tuple[int, list[Fault]]:
    """Return how many captioned photographs can be used, and every file that cannot be.

    Looks at the year that :func:`read` takes; at both its halves, of which one may be absent.
    """
    year = _year(root, year)
    found: list[Fault] = []
    images: list[Path] = []
    for half in HALVES.values():
        path, folder = _places(root, half, year)
        if not path.is_file():
            continue
        captioned, problems = _captions(path)
        named = [folder / name for name in captioned]
        present = on_disk(named)
        found += problems + missing_faults(named, present, folder, path.name)
        for image in named:
            if not captioned[image.name]:
                found.append(Fault(image, f"has no caption in {path.name}"))
            elif image in present:
                images.append(image)
    damaged = image_faults(images, progress)
    return len(images) - len(damaged), found + damaged


def _year(root: Path, year: int | float | str | None) -> int:
    """Return ``year``, or the one of which most files and folders are there, the newest of them."""
    check_root(root)
    matches = [_FILE.fullmatch(path.name) for path in (root / "annotations").glob("captions_*")]
    years = sorted({int(match[2]) for match in matches if match})
    if not years:
        raise DataError(
            f"{root} is not a COCO folder: annotations/captions_train2014.json is missing; "
            "expected annotations/, train2014/ and val2014/, or those of a later year"
        )
    if year is not None and year not in years:
        there = ", ".join(map(str, years))
        raise InputError(f"year is {year!r} and {root / 'annotations'} has captions of {there}")
    if year in years:
        return int(year)
    return max(years, key=lambda each: (_whole(root, each), each))


def _whole(root: Path, year: int) -> int:
    """Count what there is of a year: two captions files and two folders of photographs."""
    places = [_places(root, half, year) for half in HALVES.values()]
    return sum(path.is_file() + folder.is_dir() for path, folder in places)


def _places(root: Path, half: str, year: int) -> tuple[Path, Path]:
    """Return the captions file and the folder of photographs of ``half`` of a year."""
    folder = root / "images" / f"{half}{year}"
    if not folder.is_dir():
        folder = root / f"{half}{year}"
    return root / "annotations" / f"captions_{half}{year}.json", folder


def _captions(path: Path) -> tuple[_Captioned, list[Fault]]:
    """Return the captions of each photograph, in the order of ``images``, and what is unusable.

    Raises :class:`DataError` where the file is not JSON or lacks ``images`` or ``annotations``.
    """
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON, or not all of it is there: {error}") from None
    for key in ("images", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise DataError(
                f"{path} has no list {key!r}; expected COCO's images (id, file_name) and "
                "annotations (image_id, caption)"
            )
    problems: list[Fault] = []
    names: dict[int | str, str] = {}
    captions: dict[str, list[str]] = {}
    for place, row in enumerate(content["images"]):
        problem = _image_problem(row) or _known_problem(row, names, captions)
        if problem is not None:
            problems.append(Fault(path, f"images[{place}] {problem}"))
            continue
        names[row["id"]] = row["file_name"]
        captions[row["file_name"]] = []
    for place, row in enumerate(content["annotations"]):
        problem = _annotation_problem(row, names)
        if problem is not None:
            problems.append(Fault(path, f"annotations[{place}] {problem}"))
        elif words := " ".join(row["caption"].split()):
            captions[names[row["image_id"]]].append(words)
    return {name: tuple(each) for name, each in captions.items()}, problems


def _image_problem(row: Any) -> str | None:
    if not isinstance(row, dict) or not isinstance(row.get("id"), int | str):
        return f"has no id; it is {_said(row)}"
    name = row.get("file_name")
    if not isinstance(name, str) or not name.strip():
        return f"has no file_name; it is {_said(row)}"
    if name in (".", "..") or any(sign in name for sign in "/\\\0"):
        return f"names {name!r}, which is not the name of a file in the folder of photographs"
    return None


def _known_problem(
    row: dict[str, Any], names: dict[int | str, str], captions: dict[str, list[str]]
) -> str | None:
    if row["id"] in names:
        return f"has the id {row['id']!r} of {names[row['id']]}"
    return f"names {row['file_name']} again" if row["file_name"] in captions else None


def _annotation_problem(row: Any, names: dict[int | str, str]) -> str | None:
    if not isinstance(row, dict) or not isinstance(row.get("caption"), str):
        return f"has no caption; it is {_said(row)}"
    number = row.get("image_id")
    if not isinstance(number, int | str) or number not in names:
        return f"is of image_id {number!r}, which no image has"
    return None


def _said(row: Any) -> str:
    text = repr(row)
    return text if len(text) <= 60 else f"{text[:57]}..."
