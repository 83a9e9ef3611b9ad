"""The authors' data files: embeddings, file names and classes as pickles, captions as ``.t7``.

``char-CNN-RNN-embeddings.pickle`` has an array [captions, E] for each image, ``filenames.pickle``
the images' names in the same order, ``class_info.pickle`` their class numbers. ``val_captions.t7``
has captions (``raw_txt``) and tensors of their embeddings (``fea_txt``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stackgan.data.examples import hidden, read_lines
from stackgan.errors import DataError
from stackgan.legacy.torch7 import Table, Tensor
from stackgan.safe_pickle import load
from stackgan.text.precomputed import Precomputed

Array = np.ndarray[Any, np.dtype[Any]]
_NAME = re.compile(r"(?![./\\])[^\\\0:]{1,400}\Z")


@dataclass(frozen=True)
class ImageCaptions:
    """One image as the pickles know it."""

    file_name: str
    class_name: str | None
    captions: tuple[str, ...]


def kind_of(found: Any) -> str | None:
    """``filenames``, ``classes`` or ``embeddings`` for what a pickle holds, None for another."""
    if isinstance(found, np.ndarray):
        return {
            "f": "embeddings" if found.ndim == 3 else None,
            "i": "classes",
            "U": "filenames",
        }.get(found.dtype.kind)
    if not isinstance(found, list) or not found:
        return None
    if all(isinstance(item, str | bytes) for item in found):
        return "filenames"
    if all(_is_whole(item) for item in found):
        return "classes"
    return "embeddings" if all(isinstance(item, np.ndarray | list) for item in found) else None


def read_pickle(path: Path) -> tuple[str, Any]:
    """What one of the three pickles holds, and which it is; DataError where it is none."""
    found = load(path)
    kind = kind_of(found)
    if kind == "filenames":
        return kind, _names(path, found)
    if kind == "classes":
        return kind, [int(item) for item in found]
    if kind == "embeddings":
        return kind, _arrays(path, found)
    raise DataError(
        f"{path} is a pickle of {type(found).__name__}, expected file names, class numbers or an "
        "array of embeddings for each image"
    )


def _is_whole(item: Any) -> bool:
    return isinstance(item, int | np.integer) and not isinstance(item, bool)


def _names(path: Path, found: Any) -> list[str]:
    names = []
    for item in found:
        name = str(item)
        if isinstance(item, bytes) or not _NAME.match(name) or ".." in name.split("/"):
            raise DataError(
                f"{path} names the image {name[:80]!r}, which is no name inside a folder"
            )
        names.append(name)
    if len(set(names)) != len(names):
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise DataError(f"{path} names the image {twice[:80]!r} twice")
    return names


def _arrays(path: Path, found: Any) -> list[Array]:
    arrays: list[Array] = []
    for number, item in enumerate(found):
        array = item if isinstance(item, np.ndarray) else _stacked(item)
        array = array.reshape(1, -1) if array.ndim == 1 else array
        if array.ndim != 2 or array.dtype.kind != "f" or not array.size:
            raise DataError(
                f"{path}: entry {number + 1} is {array.dtype} {list(array.shape)}, expected the "
                "embeddings of an image, [captions, E]"
            )
        if array.shape[1] != (arrays[0] if arrays else array).shape[1]:
            raise DataError(
                f"{path}: entry {number + 1} has embeddings of {array.shape[1]} numbers, the "
                f"first ones {arrays[0].shape[1]}"
            )
        if not np.isfinite(array).all():
            raise DataError(f"{path}: entry {number + 1} holds numbers that are not finite")
        arrays.append(array.astype(np.float32))
    return arrays


def _stacked(rows: list[Any]) -> Array:
    same = rows and all(
        isinstance(row, np.ndarray) and row.ndim == 1 and row.shape == rows[0].shape for row in rows
    )
    return np.stack(rows) if same else np.empty(0, "O")


def joined(
    names: tuple[Path, list[str]],
    embeddings: tuple[Path, list[Array]] | None,
    classes: tuple[Path, list[int]] | None,
    texts: Path | None,
) -> list[ImageCaptions]:
    """The pickles of one split joined: each image with its class and its captions.

    Captions are the first lines of TEXTS/.../IMAGE.txt, as many as there are embeddings; without
    ``texts`` they are only called "FILE NAME, caption 3", which is enough to train on embeddings.

    Raises:
        DataError: the files are not of one split, or a caption is missing.
    """
    path, listed = names
    for other in (embeddings, classes):
        if other is not None and len(other[1]) != len(listed):
            raise DataError(
                f"{path} names {len(listed)} images and {other[0]} has {len(other[1])} entries: "
                "they are not of one split"
            )
    found = _caption_files(texts) if texts is not None else {}
    images = []
    for place, name in enumerate(listed):
        class_name = _class_name(name, classes[1][place] if classes else None)
        count = len(embeddings[1][place]) if embeddings else None
        if texts is None:
            captions = tuple(f"{name}, caption {k + 1}" for k in range(count or 0))
        else:
            captions = _captions(texts, found, name, class_name, count)
        file_name = name if Path(name).suffix.lower() in _SUFFIXES else f"{name}.jpg"
        images.append(ImageCaptions(file_name, class_name, captions))
    return images


_SUFFIXES = {".jpg", ".jpeg", ".png"}


def _class_name(name: str, number: int | None) -> str | None:
    """The image's folder where it tells the class (CUB), else the class's number."""
    folder = name.rpartition("/")[0]
    if folder and folder not in ("jpg", "images"):
        return folder
    return None if number is None else f"class_{number:05d}"


def _caption_files(texts: Path) -> dict[str, Path | None]:
    """Every ``.txt`` of a folder by STEM and by CLASS/STEM; None where a stem is there twice."""
    if not texts.is_dir():
        raise DataError(f"the folder of captions {texts} is not there")
    found: dict[str, Path | None] = {}
    for file in sorted(texts.rglob("*.txt")):
        if any(map(hidden, file.relative_to(texts).parts)):
            continue
        found[f"{file.parent.name}/{file.stem}"] = file
        found[file.stem] = None if file.stem in found else file
    return found


def _captions(
    texts: Path,
    found: dict[str, Path | None],
    name: str,
    class_name: str | None,
    count: int | None,
) -> tuple[str, ...]:
    stem = Path(name).stem if Path(name).suffix.lower() in _SUFFIXES else name.rpartition("/")[2]
    file = found.get(f"{class_name}/{stem}") or found.get(stem)
    if file is None:
        raise DataError(f"{texts} holds no captions of {name}: no file {stem}.txt, or several")
    captions = tuple(" ".join(line.split()) for line in read_lines(file))
    if count is not None and len(captions) < count:
        raise DataError(f"{file} has {len(captions)} captions for {count} embeddings of {name}")
    return captions[:count]


def to_precomputed(
    name: str, images: Sequence[ImageCaptions], embeddings: Sequence[Array]
) -> Precomputed:
    """Captions and their rows, as an encoder that looks them up."""
    captions = [caption for image in images for caption in image.captions]
    return Precomputed(captions, np.concatenate(list(embeddings)), name=name)


def read_captions(path: Path, found: Any) -> Precomputed:
    """Captions with embeddings of what a ``.t7`` file holds (``raw_txt`` and ``fea_txt``).

    Raises:
        DataError: it holds something else, or as many captions as there are no rows.
    """
    texts = found.get("raw_txt") if isinstance(found, Table) else None
    tensors = found.get("fea_txt") if isinstance(found, Table) else None
    if not isinstance(texts, Table) or not isinstance(tensors, Table | Tensor):
        raise DataError(
            f"{path} holds neither a text encoder nor captions with embeddings "
            "(tables raw_txt and fea_txt)"
        )
    captions = [" ".join(item.split()) for item in _flat(texts) if isinstance(item, str)]
    rows = [item.values for item in _flat(tensors) if isinstance(item, Tensor)]
    arrays = _arrays(path, rows) if rows else [np.empty((0, 1), np.float32)]
    embeddings = np.concatenate(arrays)
    if not captions or len(captions) != len(embeddings):
        raise DataError(
            f"{path} holds {len(captions)} captions and {len(embeddings)} embeddings, expected one "
            "for each"
        )
    return Precomputed(captions, embeddings, name=path.stem)


def _flat(found: Any) -> list[Any]:
    """The leaves of nested sequences in order; each table is entered once."""
    leaves: list[Any] = []
    todo, entered = [found], set()
    while todo:
        item = todo.pop()
        if isinstance(item, Table):
            if id(item) not in entered:
                entered.add(id(item))
                todo += item.sequence()[::-1]
        else:
            leaves.append(item)
    return leaves
