"""Oxford-102 flowers with the captions of Reed et al.: its usual folder, as a list of examples.

``jpg/image_NNNNN.jpg``, ``text_c10/class_NNNNN/image_NNNNN.txt`` (a caption a line) and the class
lists ``trainvalclasses.txt`` (split ``train``) and ``testclasses.txt`` (split ``test``). Where
``cat_to_name.json`` lies beside them ({"74": "rose"}), examples have their flowers' names.

Paper: section 4.1, 82 classes for training and 20 for testing, no class in both.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from stackgan.data.examples import (
    Example,
    Fault,
    Progress,
    Split,
    check_root,
    check_split,
    hidden,
    plain,
    read_lines,
    read_text,
)
from stackgan.data.images import image_faults
from stackgan.errors import DataError

CLASS_LISTS = {"train": "trainvalclasses.txt", "test": "testclasses.txt"}
NAMES = "cat_to_name.json"


def read(root: Path, split: Split = "train") -> list[Example]:
    """Return the captioned photographs of ``split``, sorted by image name.

    Photographs without a caption file are left out, as the data set has many. Raises
    :class:`DataError` when ``root`` is not such a folder, a caption file is empty, or a captioned
    photograph is missing.
    """
    check_split(split)
    _check_layout(root)
    photographs = {path.name for path in (root / "jpg").iterdir()}
    names = _names(root)
    examples = []
    for class_name in sorted(_classes(root, split)):
        for text in sorted((root / "text_c10" / class_name).glob("image_*.txt")):
            image = root / "jpg" / f"{text.stem}.jpg"
            captions = tuple(read_lines(text))
            if image.name not in photographs or not captions:
                what = "is empty" if not captions else f"has no photograph {image.name} in jpg/"
                raise DataError(
                    f"{text} {what}; `stackgan data check oxford102 --root {root}` names every "
                    "such file"
                )
            examples.append(Example(image, captions, class_name, subject=names.get(class_name)))
    if not examples:
        raise DataError(f"{root} holds no captioned photograph for the split {split!r}")
    return sorted(examples, key=lambda example: example.image.name)


def faults(root: Path, progress: Progress | None = None) -> tuple[int, list[Fault]]:
    """Return how many captioned photographs can be used, and every file that cannot be.

    A photograph without captions is no fault: the data set is published with such ones.
    """
    _check_layout(root)
    found: list[Fault] = []
    listed: dict[str, str] = {}
    for split, name in CLASS_LISTS.items():
        for class_name in read_lines(root / name):
            if listed.setdefault(class_name, split) != split:
                found.append(Fault(root / name, f"{class_name} is in the training list too"))
            if not (root / "text_c10" / class_name).is_dir():
                problem = f"lists {class_name}, which has no folder in text_c10"
                found.append(Fault(root / name, problem))
    photographs = sorted(
        path for path in (root / "jpg").iterdir() if path.suffix == ".jpg" and not hidden(path.name)
    )
    damaged = image_faults(photographs, progress)
    broken = {fault.path for fault in damaged}
    usable, text_faults = _text_faults(root, listed, set(photographs), broken)
    return usable, found + _name_faults(root, listed) + text_faults + damaged


def _text_faults(
    root: Path, listed: dict[str, str], photographs: set[Path], broken: set[Path]
) -> tuple[int, list[Fault]]:
    """Compare the caption files with the class lists and with the photographs."""
    usable = 0
    found: list[Fault] = []
    seen: dict[str, Path] = {}
    for folder in sorted(path for path in (root / "text_c10").iterdir() if path.is_dir()):
        if hidden(folder.name):
            continue
        if folder.name not in listed:
            found.append(Fault(folder, "is a class that neither class list names"))
        for text in sorted(folder.glob("image_*.txt")):
            image = root / "jpg" / f"{text.stem}.jpg"
            empty = not read_lines(text)
            if empty:
                found.append(Fault(text, "holds no caption"))
            if image not in photographs:
                found.append(Fault(image, f"is missing; {text} describes it"))
            if (first := seen.setdefault(text.stem, text)) != text:
                found.append(Fault(text, f"describes a photograph that {first} describes too"))
            usable += not empty and image in photographs - broken and folder.name in listed
    return usable, found


def _check_layout(root: Path) -> None:
    check_root(root)
    for name in ("jpg", "text_c10", *CLASS_LISTS.values()):
        if not (root / name).exists():
            raise DataError(
                f"{root} is not an Oxford-102 folder: {name} is missing; expected jpg/, text_c10/, "
                "trainvalclasses.txt and testclasses.txt"
            )


def _names(root: Path) -> dict[str, str]:
    """Folder of a class -> the flower's name, of ``cat_to_name.json``; empty without that file."""
    path = root / NAMES
    if not path.is_file():
        return {}
    try:
        found = json.loads(read_text(path))
        names = {f"class_{int(key):05}": plain(name).strip() for key, name in found.items()}
    except (AttributeError, TypeError, ValueError, RecursionError):
        names = {"": ""}
    if not all(names.values()):
        raise DataError(f'{path} holds no names of classes; expected {{"1": "pink primrose"}}')
    return names


def _name_faults(root: Path, listed: Iterable[str]) -> list[Fault]:
    """A damaged ``cat_to_name.json``, or the classes that it leaves without a name."""
    path = root / NAMES
    try:
        names = _names(root)
    except DataError as error:
        return [Fault(path, str(error).removeprefix(f"{path} "))]
    if not path.is_file():
        return []
    return [Fault(path, f"does not name {each}") for each in listed if each not in names]


def _classes(root: Path, split: Split) -> set[str]:
    splits = ("train", "test") if split == "all" else (split,)
    return {name for each in splits for name in read_lines(root / CLASS_LISTS[each])}
