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
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from stackgan.data.decoding import UNREAD_SUFFIXES, no_file
from stackgan.data.examples import (
    IMAGE_SUFFIXES,
    Example,
    Fault,
    Progress,
    Split,
    check_root,
    check_split,
    read_lines,
    readable,
)
from stackgan.data.images import image_faults
from stackgan.data.metadata import METADATA_NAMES, Entry, read_metadata
from stackgan.errors import DataError, InputError

_LINK = "is a link to a folder, which is not followed: copy its images, or name them in metadata"
_EXPECTED = "expected images with metadata.jsonl, metadata.csv or a .txt beside each image"
_NO_CAPTIONS = ("readme", "license", "licence", "notes", "classes", "labels", "credits")


def read(
    root: Path, split: Split = "train", test_fraction: float | int = 0.1, split_seed: int = 0
) -> list[Example]:
    """Return the examples of ``split``, sorted by file name.

    Where no ``split`` column decides, a file is a test file by a hash of ``split_seed`` and its
    name: about ``test_fraction`` of the files, and the same ones when files are added. With the
    column, an empty field means ``train``. Images without a caption are left out, and so is a class
    that is the only one. Raises
    :class:`DataError` naming file and line for metadata that cannot be used and for a missing
    image, :class:`InputError` for options out of range.
    """
    check_split(split)
    if not 0 <= test_fraction < 1:
        raise InputError(f"test_fraction is {test_fraction}; expected from 0 to below 1")
    entries, found = _entries(root)
    found += _missing(root, entries)
    if found:
        others = len(found) - 1
        more = f" (and {others} more {'fault' if others == 1 else 'faults'})" if others else ""
        raise DataError(
            f"{found[0].path} {found[0].problem}{more}; `stackgan data check folder --root {root}` "
            "names every such file"
        )
    captioned = [entry for entry in entries if entry.captions]
    by_column = any(entry.split for entry in captioned)
    examples = [
        Example(
            root / entry.file_name,
            entry.captions,
            entry.class_name,
            subject=readable(entry.class_name),
        )
        for entry in sorted(captioned, key=lambda entry: entry.file_name)
        if split == "all" or split == _split_of(entry, by_column, test_fraction, split_seed)
    ]
    if not examples:
        raise DataError(_nothing(root, split, len(captioned), test_fraction))
    if len({example.class_name for example in examples}) == 1:  # nothing to tell it apart from
        examples = [replace(example, class_name=None, subject=None) for example in examples]
    return examples


def faults(root: Path, progress: Progress | None = None) -> tuple[int, list[Fault]]:
    """Return how many captioned images can be used, and every file that cannot be."""
    entries, found = _entries(root)
    captioned = [entry for entry in entries if entry.captions]
    told = {os.path.splitext(fault.path)[0] for fault in found}  # of caption files that are no text
    found += _missing(root, entries)
    for entry in entries:
        path = root / entry.file_name
        if not (entry.captions or os.path.splitext(path)[0] in told) and os.path.isfile(path):
            found.append(Fault(path, "has no caption"))
    named = {entry.file_name for entry in entries}
    files = _files(root)
    if _metadata(root) is not None:
        named_in_vain = {fault.about for fault in found}
        unnamed = [name for name in files.images if name not in named | named_in_vain]
        if "" in named_in_vain:
            unnamed = []
        found += [Fault(root / name, "has no line in the metadata") for name in unnamed]
    else:
        stems = {os.path.splitext(name)[0] for name in (*files.images, *files.unread)}
        for stem, name in files.texts.items():
            if stem not in stems:
                found.append(Fault(root / name, "is a caption file without an image beside it"))
        found += [Fault(root / name, _LINK) for name in files.links]
        if not captioned:
            found.append(Fault(root, f"holds no caption; {_EXPECTED}{_perhaps(root, files)}"))
    for name in files.unread:
        if name not in named:
            found.append(Fault(root / name, UNREAD_SUFFIXES[_suffix(name)]))
    known = sorted(named | set(files.images))
    present = [root / name for name in known if os.path.isfile(root / name)]
    damaged = image_faults(present, progress)
    broken = {fault.path for fault in damaged}
    usable = sum((root / entry.file_name) in set(present) - broken for entry in captioned)
    return usable, found + damaged


def _entries(root: Path) -> tuple[list[Entry], list[Fault]]:
    """Return what the captions' files say, one entry an image, and what cannot be understood."""
    check_root(root)
    if (path := _metadata(root)) is not None:
        entries, found = read_metadata(path)
        return _as_on_disk(root, entries), found
    files = _files(root)
    if not files.images and not files.texts:
        raise DataError(f"{root} holds no images; {_EXPECTED}{_perhaps(root, files)}")
    entries, found = [], []
    for name in files.images:
        captions: tuple[str, ...] = ()
        text = files.texts.get(os.path.splitext(name)[0])
        if text is not None:
            try:
                captions = tuple(dict.fromkeys(read_lines(root / text)))
            except DataError as error:
                found.append(Fault(root / text, str(error).removeprefix(f"{root / text} ")))
        entries.append(Entry(name, captions))
    return entries, found


def _metadata(root: Path) -> Path | None:
    """The file that names images and captions, or None; DataError where a folder has its name."""
    for name in METADATA_NAMES:
        if (root / name).is_file():
            return root / name
        if (root / name).is_dir():
            raise DataError(f"{root / name} is a folder; expected a file of that name, or none")
    return None


def _as_on_disk(root: Path, entries: list[Entry]) -> list[Entry]:
    """Give accented names the form the disk has: some systems write a letter and its accent apart.

    The two look alike, and archives carry names from one system to another.
    """
    if all(
        entry.file_name.isascii() or os.path.isfile(root / entry.file_name) for entry in entries
    ):
        return entries
    forms = {unicodedata.normalize("NFC", name): name for name in _files(root).images}
    return [
        entry
        if os.path.isfile(root / entry.file_name)
        else replace(
            entry,
            file_name=forms.get(unicodedata.normalize("NFC", entry.file_name), entry.file_name),
        )
        for entry in entries
    ]


class _Files(NamedTuple):
    """What lies below a folder, as names relative to it; hidden files and folders left out."""

    images: list[str]
    texts: dict[str, str]
    """Caption files by their name without its ending."""
    unread: list[str]
    """Pictures of kinds that are not read."""
    links: list[str]
    """Links to folders, which are not followed: they could lead anywhere, also in a circle."""


def _files(root: Path) -> _Files:
    files = _Files([], {}, [], [])
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith("."))
        inside = Path(folder).relative_to(root)
        files.links.extend(
            (inside / name).as_posix() for name in below if os.path.islink(Path(folder) / name)
        )
        for name in sorted(names):
            if name.startswith("."):
                continue
            file_name = (inside / name).as_posix()
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in IMAGE_SUFFIXES:
                files.images.append(file_name)
            elif suffix.lower() == ".txt" and stem.lower() not in _NO_CAPTIONS:
                files.texts[os.path.splitext(file_name)[0]] = file_name
            elif suffix.lower() in UNREAD_SUFFIXES:
                files.unread.append(file_name)
    return files


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _missing(root: Path, entries: list[Entry]) -> list[Fault]:
    """A fault for each entry whose image is no file, with the name that may have been meant."""
    absent = [entry for entry in entries if not os.path.isfile(root / entry.file_name)]
    if not absent:
        return []
    images = _files(root).images
    meant = {**{_loose(name): name for name in images}, **{name.lower(): name for name in images}}
    found = []
    for entry in absent:
        where = f"; {entry.where} names it" if entry.where else ""
        name = entry.file_name
        near = meant.get(name.lower()) or meant.get(_loose(name))
        hint = f", the folder has {near}" if near and near != name else ""
        found.append(Fault(root / name, f"{no_file(root / name)}{where}{hint}", near))
    return found


def _loose(name: str) -> str:
    """A name without its folders and its ending, in lower case."""
    return os.path.splitext(os.path.basename(name))[0].lower()


def _split_of(entry: Entry, by_column: bool, test_fraction: float | int, split_seed: int) -> str:
    if by_column:
        return entry.split or "train"
    digest = hashlib.sha256(
        f"{split_seed}:{entry.file_name}".encode("utf-8", "surrogatepass")
    ).digest()
    return "test" if int.from_bytes(digest[:8], "big") < test_fraction * 2**64 else "train"


def _nothing(root: Path, split: str, count: int, test_fraction: float | int) -> str:
    if not count:
        return f"{root} holds no captioned image; {_EXPECTED}{_perhaps(root, _files(root))}"
    return (
        f"{root} holds {count} captioned images and none of them is in the split {split!r}; give a "
        f"split column or another test_fraction than {test_fraction}"
    )


def _perhaps(root: Path, files: _Files) -> str:
    """What the folder has instead of captioned images, as the end of a sentence; often nothing."""
    if files.unread:
        name = files.unread[0]
        return f"; {name} {UNREAD_SUFFIXES[_suffix(name)]}"
    if files.links:
        return f"; {files.links[0]} {_LINK}"
    tables = (".json", ".jsonl", ".csv", ".tsv", ".txt", ".xlsx", ".parquet")
    near = [name for name in sorted(os.listdir(root)) if _suffix(name) in tables]
    near = [name for name in near if name not in METADATA_NAMES and not name.startswith(".")]
    return f"; {near[0]} is none of these names" if near else ""
