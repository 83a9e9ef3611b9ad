"""What lies in a folder of one's own: images, captions, tables; and which folders are splits."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from stackgan.data.decoding import UNREAD_SUFFIXES
from stackgan.data.examples import IMAGE_SUFFIXES, hidden
from stackgan.errors import DataError

METADATA_NAMES = ("metadata.jsonl", "metadata.csv")
"""In the order looked for; of a folder's own the first is read."""
CAPTION_SUFFIXES = (".txt", ".caption")

_NO_CAPTIONS = ("readme", "license", "licence", "notes", "classes", "labels", "credits")
_TABLES = (".json", ".jsonl", ".csv", ".tsv", ".xlsx")
LINK = "is a link to a folder, which is not followed: copy its images, or name them in metadata"
PARQUET = (
    "is a Parquet table, which is not read: write it as metadata.jsonl (in pandas: "
    "read_parquet(...).to_json('metadata.jsonl', orient='records', lines=True))"
)
_SPLIT_FOLDER = re.compile(
    r"((images?|imgs?|photos|data|seg)[ _-])?"
    r"((?P<train>train|training)|test|testing|val|valid|validation|dev|eval|evaluation)"
    r"([ _-]?(set|data|images?|imgs?|photos|split)|(19|20)\d\d)?"
)


class Listing(NamedTuple):
    """Names relative to a folder, with forward slashes and sorted; hidden ones are left out."""

    images: list[str]
    texts: dict[str, list[str]]
    """Caption files by their name without its ending, ``.txt`` before ``.caption``."""
    tables: list[str]
    """Metadata that is read: at most one file of each folder."""
    second: list[str]
    """Metadata that is not, as another file of it lies beside."""
    parquet: list[str]
    others: list[str]
    """Other tables, which someone may have meant for metadata."""
    unread: list[str]
    """Pictures of kinds that are not read."""
    links: list[str]
    """Links to folders, which are not followed: they could lead anywhere, also in a circle."""

    def told_by_table(self, name: str) -> bool:
        """Whether a table of the image's folder, or of one above it, is to name it."""
        return any(within(name, os.path.dirname(table)) for table in self.tables)


def within(name: str, folder: str) -> bool:
    """Whether ``name`` lies below ``folder``, which is "" for the one that all are relative to."""
    return not folder or name.startswith(f"{folder}/")


def listing(root: Path) -> Listing:
    """Walk ``root``; DataError where a folder has the name of a table."""
    found = Listing([], {}, [], [], [], [], [], [])
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not hidden(name))
        inside = Path(folder).relative_to(root)
        for name in below:
            if name in METADATA_NAMES:
                raise DataError(
                    f"{root / inside / name} is a folder; expected a file of that name, or none"
                )
            if os.path.islink(Path(folder) / name):
                found.links.append((inside / name).as_posix())
        tables = []
        for name in sorted(names):
            if hidden(name):
                continue
            if name.lower() in METADATA_NAMES:
                tables.append(name)
            else:
                _sort(found, (inside / name).as_posix())
        tables.sort(key=lambda name: METADATA_NAMES.index(name.lower()))
        of_folder = [(inside / name).as_posix() for name in tables]
        found.tables.extend(of_folder[:1])
        found.second.extend(of_folder[1:])
    for texts in found.texts.values():
        texts.sort(key=lambda name: CAPTION_SUFFIXES.index(suffix(name)))
    return found


def _sort(found: Listing, name: str) -> None:
    stem, ending = os.path.splitext(name)
    word, ending = os.path.basename(stem).lower(), ending.lower()
    if ending in IMAGE_SUFFIXES:
        found.images.append(name)
    elif ending == ".parquet":
        found.parquet.append(name)
    elif ending in CAPTION_SUFFIXES and word not in _NO_CAPTIONS:
        found.texts.setdefault(stem, []).append(name)
    elif ending in UNREAD_SUFFIXES:
        found.unread.append(name)
    elif ending in _TABLES or word == "metadata":
        found.others.append(name)


def split_of_folder(name: str) -> str | None:
    """The split that a folder of an image's name says: ``test/a.png`` is held out.

    ``val`` and its like are held out as well: no part of a test may be trained on, and nothing here
    is chosen by a validation set.
    """
    splits = set()
    for folder in name.lower().split("/")[:-1]:
        if (match := _SPLIT_FOLDER.fullmatch(folder)) is not None:
            splits.add("train" if match["train"] else "test")
    return "test" if "test" in splits else next(iter(splits), None)


def suffix(name: str) -> str:
    """The ending of a name in lower case, with its dot."""
    return os.path.splitext(name)[1].lower()


def perhaps(root: Path, files: Listing) -> str:
    """What the folder has instead of captioned images, as the end of a sentence; often nothing."""
    if files.unread:
        return f"; {files.unread[0]} {UNREAD_SUFFIXES[suffix(files.unread[0])]}"
    if files.parquet:
        return f"; {files.parquet[0]} {PARQUET}"
    if files.links:
        return f"; {files.links[0]} {LINK}"
    alone = [name for names in files.texts.values() for name in names if "/" not in name]
    near = sorted({*files.others, *alone}, key=_unlike_metadata)
    return f"; {near[0]} is none of these names" if near else ""


def _unlike_metadata(name: str) -> tuple[bool, int, str]:
    return not os.path.basename(name).lower().startswith("metadata"), name.count("/"), name
