"""Your own captioned photographs: a folder of images with their captions beside them.

Three layouts, looked for in this order:

* ``metadata.jsonl``: one JSON object a line with ``file_name`` and ``text`` (a sentence or a list
  of sentences), and if you like ``class`` (or ``label``) and ``split`` (``train`` or ``test``);
* ``metadata.csv``: the same as columns; several rows may name one image, a caption each;
* a ``.txt`` beside each image, in the folder or below it, with a caption a line.

File names are relative to the folder and may not leave it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from stackgan.data.examples import (
    IMAGE_SUFFIXES,
    Example,
    Fault,
    Progress,
    Split,
    check_root,
    check_split,
    read_lines,
)
from stackgan.data.images import image_faults
from stackgan.data.metadata import METADATA_NAMES, Entry, read_metadata
from stackgan.errors import DataError, InputError

_NO_CAPTIONS = ("readme", "license", "licence", "notes", "classes", "labels", "credits")


def read(
    root: Path, split: Split = "train", test_fraction: float | int = 0.1, split_seed: int = 0
) -> list[Example]:
    """Return the examples of ``split``, sorted by file name.

    Where no ``split`` column decides, a file is a test file by a hash of ``split_seed`` and its
    name: about ``test_fraction`` of the files, and the same ones when files are added. With the
    column, an empty field means ``train``. Images without a caption are left out. Raises
    :class:`DataError` naming file and line for metadata that cannot be used and for a missing
    image, :class:`InputError` for options out of range.
    """
    check_split(split)
    if not 0 <= test_fraction < 1:
        raise InputError(f"test_fraction is {test_fraction}; expected from 0 to below 1")
    entries, found = _entries(root)
    found += [fault for entry in entries for fault in _missing(root, entry)]
    if found:
        more = f" (and {len(found) - 1} more faults)" if len(found) > 1 else ""
        raise DataError(
            f"{found[0].path} {found[0].problem}{more}; `stackgan data check folder --root {root}` "
            "names every such file"
        )
    captioned = [entry for entry in entries if entry.captions]
    by_column = any(entry.split for entry in captioned)
    examples = [
        Example(root / entry.file_name, entry.captions, entry.class_name)
        for entry in sorted(captioned, key=lambda entry: entry.file_name)
        if split == "all" or split == _split_of(entry, by_column, test_fraction, split_seed)
    ]
    if not examples:
        raise DataError(_nothing(root, split, len(captioned), test_fraction))
    return examples


def faults(root: Path, progress: Progress | None = None) -> tuple[int, list[Fault]]:
    """Return how many captioned images can be used, and every file that cannot be."""
    entries, found = _entries(root)
    captioned = [entry for entry in entries if entry.captions]
    for entry in entries:
        found += _missing(root, entry)
        if not entry.captions and (root / entry.file_name).is_file():
            found.append(Fault(root / entry.file_name, "has no caption"))
    named = {entry.file_name for entry in entries}
    images, texts = _files(root)
    if any((root / name).is_file() for name in METADATA_NAMES):
        unnamed = [name for name in images if name not in named]
        found += [Fault(root / name, "has no line in the metadata") for name in unnamed]
    else:
        stems = {os.path.splitext(name)[0] for name in images}
        for name in texts:
            if name.removesuffix(".txt") not in stems:
                found.append(Fault(root / name, "is a caption file without an image beside it"))
    present = [root / name for name in sorted(named | set(images)) if (root / name).is_file()]
    damaged = image_faults(present, progress)
    broken = {fault.path for fault in damaged}
    usable = sum((root / entry.file_name) in set(present) - broken for entry in captioned)
    return usable, found + damaged


def _entries(root: Path) -> tuple[list[Entry], list[Fault]]:
    """Return what the captions' files say, one entry an image, and what cannot be understood."""
    check_root(root)
    for name in METADATA_NAMES:
        if (root / name).is_file():
            return read_metadata(root / name)
    images, texts = _files(root)
    if not images and not texts:
        raise DataError(
            f"{root} holds no images; expected images with metadata.jsonl, metadata.csv or a .txt "
            "beside each image"
        )
    with_text = set(texts)
    entries = []
    for name in images:
        text = os.path.splitext(name)[0] + ".txt"
        captions = tuple(read_lines(root / text)) if text in with_text else ()
        entries.append(Entry(name, captions))
    return entries, []


def _files(root: Path) -> tuple[list[str], list[str]]:
    """Names of the images and of the caption files below ``root``, hidden folders left out."""
    images, texts = [], []
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            stem, suffix = os.path.splitext(name)
            file_name = (Path(folder) / name).relative_to(root).as_posix()
            if name.startswith("."):
                continue
            if suffix.lower() in IMAGE_SUFFIXES:
                images.append(file_name)
            elif suffix == ".txt" and stem.lower() not in _NO_CAPTIONS:
                texts.append(file_name)
    return images, texts


def _missing(root: Path, entry: Entry) -> list[Fault]:
    if (root / entry.file_name).is_file():
        return []
    where = f"; {entry.where} names it" if entry.where else ""
    return [Fault(root / entry.file_name, f"is missing{where}")]


def _split_of(entry: Entry, by_column: bool, test_fraction: float | int, split_seed: int) -> str:
    if by_column:
        return entry.split or "train"
    digest = hashlib.sha256(f"{split_seed}:{entry.file_name}".encode()).digest()
    return "test" if int.from_bytes(digest[:8], "big") < test_fraction * 2**64 else "train"


def _nothing(root: Path, split: str, count: int, test_fraction: float | int) -> str:
    if not count:
        return (
            f"{root} holds no captioned image; expected metadata.jsonl, metadata.csv or a .txt "
            "beside each image"
        )
    return (
        f"{root} holds {count} captioned images and none of them is in the split {split!r}; give a "
        f"split column or another test_fraction than {test_fraction}"
    )
