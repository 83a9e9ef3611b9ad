"""Captions for photographs that have none: the nearest ones of a captioned data set."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from stackgan.data.examples import IMAGE_SUFFIXES, Example, Progress, hidden
from stackgan.errors import InputError, nearest
from stackgan.files import whole_file
from stackgan.joint import JointEmbedding
from stackgan.training.joint import nearest_captions


@dataclass(frozen=True)
class Entry:
    """One line of a ``metadata.jsonl``, as the ``folder`` reader takes it."""

    file_name: str
    """Relative to the photographs' folder, with forward slashes."""
    text: list[str]
    """Captions, the most compatible first."""
    class_: str | None
    """The sub-folder; written as ``class``."""
    source: str
    """Where the captions come from."""


def photographs(root: Path) -> list[Path]:
    """All image files under ``root`` but hidden ones, sorted; InputError where there is none."""
    if not root.is_dir():
        raise InputError(f"there is no folder {root}")
    found = sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
        and path.is_file()
        and not any(map(hidden, path.relative_to(root).parts))
    )
    if not found:
        raise InputError(f"{root} holds no image ({', '.join(IMAGE_SUFFIXES)})")
    return found


def caption_photographs(
    joint: JointEmbedding,
    examples: Sequence[Example],
    root: Path,
    paths: Sequence[Path],
    *,
    top: int = 5,
    class_map: Mapping[str, Sequence[str]] | None = None,
    source: str = "nearest captions by joint embedding",
    progress: Progress | None = None,
) -> list[Entry]:
    """Give each photograph the ``top`` most compatible captions of ``examples``.

    Photographs in a sub-folder that ``class_map`` names get captions of these classes only.

    Raises:
        InputError: ``class_map`` names a sub-folder that holds no photograph, or a class that no
            example has.
    """
    texts: dict[str, set[str | None]] = {}
    for example in examples:
        for line in example.captions:
            texts.setdefault(line, set()).add(example.class_name)
    lines = sorted(texts)
    known = {name for names in texts.values() for name in names if name is not None}
    folders = [_folder(root, path) for path in paths]
    for folder, names in (class_map or {}).items():
        if folder not in folders:
            there = sorted({name for name in folders if name is not None})
            hint = nearest(folder, there) if there else "there is no sub-folder"
            raise InputError(f"no photograph of {root} lies in a sub-folder {folder!r}: {hint}")
        for name in names:
            if name not in known:
                raise InputError(f"no caption is of class {name!r}; {nearest(name, sorted(known))}")
    captions = joint.of_captions(lines)
    images = joint.of_photographs(paths, progress)
    entries: dict[Path, Entry] = {}
    for here_in in sorted(set(folders), key=str):
        wanted = (class_map or {}).get(here_in or "")
        allowed = [
            place
            for place, line in enumerate(lines)
            if wanted is None or not texts[line].isdisjoint(wanted)
        ]
        here = [place for place, name in enumerate(folders) if name == here_in]
        found = nearest_captions(
            images[here], captions[allowed], [lines[place] for place in allowed], top
        )
        for place, chosen in zip(here, found, strict=True):
            name = paths[place].relative_to(root).as_posix()
            entries[paths[place]] = Entry(name, chosen, here_in, source)
    return [entries[path] for path in paths]


def _folder(root: Path, path: Path) -> str | None:
    parent = path.relative_to(root).parent.as_posix()
    return None if parent == "." else parent


def write_metadata(file: Path, entries: Sequence[Entry]) -> None:
    """Write ``metadata.jsonl``, one line an entry, atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as part, part.open("w", encoding="utf-8") as opened:
        for entry in entries:
            row = {key.rstrip("_"): value for key, value in asdict(entry).items()}
            row = {key: value for key, value in row.items() if value is not None}
            opened.write(json.dumps(row, ensure_ascii=False) + "\n")
