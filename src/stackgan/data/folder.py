"""Your own captioned photographs: a folder of images with their captions beside them.

Each folder, the one given or any below it, may say its captions in one of these ways:

* ``metadata.jsonl``: one JSON object a line with ``file_name`` and ``text`` (a sentence or a list
  of sentences), and if you like ``class`` (or ``label``) and ``split`` (``train`` or ``test``);
* ``metadata.csv``: the same as columns; several rows may name one image, a caption each;
* a ``.txt`` or ``.caption`` beside each image, with a caption a line.

A table names images relative to its own folder, never outside the data set's, and speaks for all
that lies below it. Hidden files and those of systems (``.ipynb_checkpoints``, ``__MACOSX``,
``Thumbs.db``) are passed over.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from dataclasses import replace
from pathlib import Path

from stackgan.data.decoding import UNREAD_SUFFIXES, no_file
from stackgan.data.examples import (
    Example,
    Fault,
    Progress,
    Split,
    check_root,
    check_split,
    not_utf8_file,
    read_lines,
    readable,
)
from stackgan.data.images import image_faults
from stackgan.data.listing import (
    LINK,
    PARQUET,
    Listing,
    listing,
    perhaps,
    split_of_folder,
    suffix,
    within,
)
from stackgan.data.metadata import Columns, Entry, read_metadata
from stackgan.errors import DataError, InputError

_EXPECTED = "expected images with metadata.jsonl, metadata.csv or a .txt beside each image"


def read(
    root: Path,
    split: Split = "train",
    test_fraction: float | int = 0.1,
    split_seed: int = 0,
    image_column: str = "file_name",
    caption_column: str = "text",
) -> list[Example]:
    """Return the examples of ``split``, sorted by file name.

    A ``split`` column decides, or folders called test, val or the like, of which an image lies in
    one; an image of which neither says anything then trains. Where no image is held out so, a file
    is a test file by a hash of ``split_seed`` and its name: about ``test_fraction`` of the files,
    and the same ones when files are added. Tables have an image's name in ``image_column`` and its
    captions in ``caption_column``. Images without a caption are left out, and so is a class that is
    the only one. Raises :class:`DataError` naming file and line for metadata that cannot be used
    and for a missing image, :class:`InputError` for options out of range.
    """
    check_split(split)
    if not 0 <= test_fraction < 1:
        raise InputError(f"test_fraction is {test_fraction}; expected from 0 to below 1")
    files, entries, found = _gather(root, _columns(image_column, caption_column))
    found += _missing(root, entries, files)
    if found:
        others = len(found) - 1
        more = f" (and {others} more {'fault' if others == 1 else 'faults'})" if others else ""
        raise DataError(
            f"{found[0].path} {found[0].problem}{more}; `stackgan data check folder --root {root}` "
            "names every such file"
        )
    captioned = [entry for entry in entries if entry.captions]
    said = _split_is_said(captioned)
    examples = [
        Example(
            root / entry.file_name,
            entry.captions,
            entry.class_name,
            subject=readable(entry.class_name),
        )
        for entry in sorted(captioned, key=lambda entry: entry.file_name)
        if split == "all" or split == _split_of(entry, said, test_fraction, split_seed)
    ]
    if not examples:
        raise DataError(_nothing(root, split, captioned, files, test_fraction))
    if len({example.class_name for example in examples}) == 1:  # nothing to tell it apart from
        examples = [replace(example, class_name=None, subject=None) for example in examples]
    return examples


def faults(
    root: Path,
    progress: Progress | None = None,
    image_column: str = "file_name",
    caption_column: str = "text",
) -> tuple[int, list[Fault]]:
    """Return how many captioned images can be used, and every file that cannot be."""
    files, entries, found = _gather(root, _columns(image_column, caption_column))
    captioned = [entry for entry in entries if entry.captions]
    told = {os.path.splitext(fault.path)[0] for fault in found}  # of caption files that are no text
    found += _missing(root, entries, files)
    for entry in entries:
        path = root / entry.file_name
        if not (entry.captions or os.path.splitext(path)[0] in told) and os.path.isfile(path):
            found.append(Fault(path, "has no caption"))
    unnamed = _unnamed(root, files, entries, found)
    found += [Fault(root / name, "has no line in the metadata") for name in unnamed]
    stems = {os.path.splitext(name)[0] for name in (*files.images, *files.unread)}
    found += [
        Fault(root / name, "is a caption file without an image beside it")
        for stem, names in files.texts.items()
        for name in names
        if stem not in stems and not files.told_by_table(name)
    ]
    if not files.tables:
        found += [Fault(root / name, LINK) for name in files.links]
        if not captioned:
            found.append(Fault(root, f"holds no caption; {_EXPECTED}{perhaps(root, files)}"))
    found += [Fault(root / name, PARQUET) for name in files.parquet]
    found += [
        Fault(root / name, "is not read, as other metadata is beside") for name in files.second
    ]
    named = {entry.file_name for entry in entries}
    found += [
        Fault(root / name, UNREAD_SUFFIXES[suffix(name)])
        for name in files.unread
        if name not in named
    ]
    known = sorted(named | set(files.images))
    present = [root / name for name in known if os.path.isfile(root / name)]
    damaged = image_faults(present, progress)
    broken = {fault.path for fault in damaged}
    usable = sum((root / entry.file_name) in set(present) - broken for entry in captioned)
    return usable, found + damaged


def remarks(root: Path, image_column: str = "file_name", caption_column: str = "text") -> list[str]:
    """Return what was decided without being asked: a sentence for each, none of them a fault."""
    files, entries, _ = _gather(root, _columns(image_column, caption_column))
    said = []
    texts = [
        name for stem in files.texts.values() for name in stem if not files.told_by_table(name)
    ]
    guessed = [
        (name, how) for name in (*files.tables, *texts) if (how := not_utf8_file(root / name))
    ]
    if guessed:
        more = f", and so are {len(guessed) - 1} more" if len(guessed) > 1 else ""
        said.append(f"{root / guessed[0][0]} {guessed[0][1]}{more}")
    captioned = [entry for entry in entries if entry.captions]
    held_out = {
        os.path.dirname(entry.file_name): None
        for entry in captioned
        if not entry.split and split_of_folder(entry.file_name) == "test"
    }
    if held_out:
        tests = [entry for entry in captioned if _split_of(entry, True, 0, 0) == "test"]
        said.append(
            f"{len(captioned) - len(tests)} images are to train on; {len(tests)} are held out as "
            f"the split test, by their folders ({', '.join(list(held_out)[:3])}"
            f"{', ...' if len(held_out) > 3 else ''})"
        )
    return said


def _columns(image: str, caption: str) -> Columns:
    columns = Columns(str(image).strip(), str(caption).strip())
    if not all(columns) or columns.image == columns.caption:
        raise InputError(
            f"image_column is {image!r} and caption_column {caption!r}; expected two columns"
        )
    return columns


def _gather(root: Path, columns: Columns) -> tuple[Listing, list[Entry], list[Fault]]:
    """Return what lies there, what its captions say, an entry an image, and what is of no use."""
    check_root(root)
    files = listing(root)
    if not files.images and not files.texts and not files.tables:
        raise DataError(f"{root} holds no images; {_EXPECTED}{perhaps(root, files)}")
    entries, found = read_metadata(root, files.tables, columns)
    entries = _as_on_disk(root, entries, files)
    named = {entry.file_name for entry in entries}
    for name in files.images:
        if name in named or files.told_by_table(name):
            continue
        captions: list[str] = []
        for text in files.texts.get(os.path.splitext(name)[0], ()):
            try:
                captions += read_lines(root / text)
            except DataError as error:
                found.append(Fault(root / text, str(error).removeprefix(f"{root / text} ")))
        entries.append(Entry(name, tuple(dict.fromkeys(captions))))
    return files, entries, found


def _unnamed(root: Path, files: Listing, entries: list[Entry], found: list[Fault]) -> list[str]:
    """Return the images that a table is to name and does not, nor in a line that is faulty."""
    named = {entry.file_name for entry in entries}
    named_in_vain = {fault.about for fault in found}
    any_of = [fault.path.parent.relative_to(root) for fault in found if fault.about == ""]
    folders = ["" if folder == Path() else folder.as_posix() for folder in any_of]
    return [
        name
        for name in files.images
        if files.told_by_table(name)
        and name not in named | named_in_vain
        and not any(within(name, folder) for folder in folders)
    ]


def _as_on_disk(root: Path, entries: list[Entry], files: Listing) -> list[Entry]:
    """Give accented names the form the disk has: some systems write a letter and its accent apart.

    The two look alike, and archives carry names from one system to another.
    """
    if all(
        entry.file_name.isascii() or os.path.isfile(root / entry.file_name) for entry in entries
    ):
        return entries
    forms = {unicodedata.normalize("NFC", name): name for name in files.images}
    return [
        entry
        if os.path.isfile(root / entry.file_name)
        else replace(
            entry,
            file_name=forms.get(unicodedata.normalize("NFC", entry.file_name), entry.file_name),
        )
        for entry in entries
    ]


def _missing(root: Path, entries: list[Entry], files: Listing) -> list[Fault]:
    """A fault for each entry whose image is no file, with the name that may have been meant."""
    absent = [entry for entry in entries if not os.path.isfile(root / entry.file_name)]
    if not absent:
        return []
    images = files.images
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


def _split_is_said(captioned: list[Entry]) -> bool:
    """Whether the data say what is held out, by a column or by folders."""
    return any(entry.split or split_of_folder(entry.file_name) == "test" for entry in captioned)


def _split_of(entry: Entry, said: bool, test_fraction: float | int, split_seed: int) -> str:
    if said:
        return entry.split or split_of_folder(entry.file_name) or "train"
    digest = hashlib.sha256(
        f"{split_seed}:{entry.file_name}".encode("utf-8", "surrogatepass")
    ).digest()
    return "test" if int.from_bytes(digest[:8], "big") < test_fraction * 2**64 else "train"


def _nothing(
    root: Path, split: str, captioned: list[Entry], files: Listing, test_fraction: float | int
) -> str:
    if not captioned:
        return f"{root} holds no captioned image; {_EXPECTED}{perhaps(root, files)}"
    none = f"{root} holds {len(captioned)} captioned images and none of them is in the split"
    if any(split_of_folder(entry.file_name) for entry in captioned):
        folder = os.path.dirname(captioned[0].file_name)
        return f"{none} {split!r}, as their folders say; --root {root / folder} takes one alone"
    return f"{none} {split!r}; give a split column or another test_fraction than {test_fraction}"
