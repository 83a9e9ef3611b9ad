"""Image files -> one memory-mapped uint8 array, written once and reopened while nothing changes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np

from stackgan.data.crop import Box, Fit, Resize, box_problem, used_fit
from stackgan.data.examples import Example, Progress
from stackgan.data.images import read_image, threaded, to_square
from stackgan.errors import DataError, InputError, nearest
from stackgan.files import whole_file

FORMAT = "stackgan-pixels/1"
_NAME = re.compile(r"pixels-(?P<size>\d+)-(?P<way>.+)-(?P<digest>[0-9a-f]{16})\.npy")


@dataclass(frozen=True)
class PixelCache:
    """The images of a list of examples, in its order, all of one size.

    ``pixels`` is a read-only memory map, uint8 [N, H, W, 3], RGB levels 0..255.
    """

    path: Path
    pixels: np.memmap

    @property
    def size_px(self) -> int:
        """Side of the stored squares."""
        return int(self.pixels.shape[1])


def prepare_cache(
    examples: Sequence[Example],
    size_px: int,
    folder: Path,
    fit: Fit = "crop",
    progress: Progress | None = None,
    resize: Resize = "bicubic",
) -> PixelCache:
    """Open the cache of ``examples`` at ``size_px`` in ``folder``, building it where needed.

    It is rebuilt when the size in bytes or the modification time of any image has changed, or a
    box that ``fit`` crops at. The array takes 3 * N * size_px^2 bytes of disk. A build that is
    interrupted leaves nothing that a later call would take for a cache. Raises :class:`DataError`
    naming the first image (in the order of ``examples``) that cannot be decoded or that its box
    does not lie in, :class:`InputError` for a size, a fit or a list of examples that cannot be
    used.
    """
    if size_px < 1:
        raise InputError(f"size_px is {size_px}; expected at least 1")
    if fit not in get_args(Fit):
        raise InputError(f"fit {fit!r} is unknown; {nearest(fit, list(get_args(Fit)))}")
    if not examples:
        raise InputError("there is no example to cache; the list of examples is empty")
    fit, boxes, images, path, fingerprint = _place(examples, size_px, folder, fit, resize)
    cache = _reopen(path, fingerprint, (len(images), size_px, size_px, 3))
    if cache is None:
        _build(path, images, boxes, size_px, fit, fingerprint, progress, resize)
        cache = PixelCache(path, np.load(path, mmap_mode="r"))
    return cache


def find_cache(
    examples: Sequence[Example],
    size_px: int,
    folder: Path,
    fit: Fit = "crop",
    resize: Resize = "bicubic",
) -> PixelCache | None:
    """The cache that :func:`prepare_cache` would open without building it; None where it would."""
    place = _place(examples, size_px, folder, fit, resize)
    return _reopen(place.path, place.fingerprint, (len(examples), size_px, size_px, 3))


class WhyNot(NamedTuple):
    """Why none of a folder's caches is one of some examples."""

    reason: str
    changed: bool
    """It was one of them, and they have changed since."""


def why_not_cached(
    examples: Sequence[Example],
    size_px: int,
    folder: Path,
    fit: Fit = "crop",
    resize: Resize = "bicubic",
) -> WhyNot | None:
    """Why :func:`find_cache` finds nothing in ``folder``; None where it does, or holds none."""
    place = _place(examples, size_px, folder, fit, resize)
    if _reopen(place.path, place.fingerprint, (len(examples), size_px, size_px, 3)) is not None:
        return None
    found = [_NAME.fullmatch(path.name) for path in sorted(folder.glob("pixels-*.npy"))]
    others = [match for match in found if match]
    mine = _NAME.fullmatch(place.path.name)
    if not others or mine is None:
        return None
    if place.path.exists():
        return WhyNot(f"{place.path.name} is damaged, or of files that have changed since", True)
    of_mine = [match for match in others if match["digest"] == mine["digest"]]
    if not of_mine:
        return WhyNot(
            f"{others[0].string} is of other photographs (another split or other options, or the "
            "folder had another name)",
            False,
        )
    sized = [match for match in of_mine if int(match["size"]) == size_px]
    if sized:
        return WhyNot(
            f"{sized[0].string} has the photographs by {sized[0]['way']}, not by {mine['way']}",
            False,
        )
    sizes = " and ".join(sorted({f"{match['size']}x{match['size']}" for match in of_mine}))
    return WhyNot(f"it has photographs of {sizes}", False)


class _Place(NamedTuple):
    fit: Fit
    boxes: list[Box | None]
    images: list[Path]
    path: Path
    fingerprint: str


def _place(
    examples: Sequence[Example], size_px: int, folder: Path, fit: Fit, resize: Resize
) -> _Place:
    """Where a cache lies, and of what it is."""
    fit = used_fit((example.box for example in examples), fit)
    boxes = [example.box if fit.startswith("box") else None for example in examples]
    images = [example.image for example in examples]
    way = fit if resize == "bicubic" else f"{fit}-{resize}"
    path = folder / f"pixels-{size_px}-{way}-{_digest(images)}.npy"
    return _Place(fit, boxes, images, path, _fingerprint(images, boxes))


def _digest(images: Sequence[Path]) -> str:
    names = "\n".join(os.path.abspath(image) for image in images)
    return hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _fingerprint(images: Sequence[Path], boxes: Sequence[Box | None]) -> str:
    """Digest of every image's size in bytes, modification time and box if it has one, in order."""
    digest = hashlib.sha256(FORMAT.encode())
    for image, box in zip(images, boxes, strict=True):
        try:
            found = image.stat()
        except OSError as error:
            raise DataError(
                f"{image} cannot be read: {error.strerror}; `stackgan data check` names every such "
                "file"
            ) from error
        framed = "" if box is None else f" {box}"
        digest.update(f"{found.st_size} {found.st_mtime_ns}{framed}\n".encode())
    return digest.hexdigest()


def _reopen(path: Path, fingerprint: str, shape: tuple[int, ...]) -> PixelCache | None:
    """Return the cache at ``path`` if it is whole and of these images as they are now."""
    try:
        recorded = json.loads(_record(path).read_text(encoding="utf-8"))
        pixels = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    if recorded != {"format": FORMAT, "fingerprint": fingerprint}:
        return None
    return PixelCache(path, pixels) if (pixels.shape, pixels.dtype) == (shape, np.uint8) else None


def _build(
    path: Path,
    images: Sequence[Path],
    boxes: Sequence[Box | None],
    size_px: int,
    fit: Fit,
    fingerprint: str,
    progress: Progress | None,
    resize: Resize,
) -> None:
    def fill(place: int) -> None:
        box = boxes[place]
        # Four times the size asked for keeps a JPEG's own halving out of sight; a box is measured
        # in whole pixels, of which none is halved.
        image = read_image(images[place], 4 * size_px if box is None else None)
        if box is not None and (problem := box_problem(image.size, box)) is not None:
            raise DataError(f"{images[place]} {problem}")
        pixels[place] = to_square(image, size_px, fit, box, resize)

    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (len(images), size_px, size_px, 3)
    with whole_file(path) as unfinished:
        pixels = np.lib.format.open_memmap(unfinished, "w+", dtype=np.uint8, shape=shape)
        _reserve(unfinished)
        try:
            with threaded(fill, range(len(images))) as filled:
                for done, _ in enumerate(filled, start=1):
                    if progress is not None:
                        progress(done, len(images))
        except DataError as error:
            raise DataError(f"{error}; `stackgan data check` names every such file") from error
        pixels.flush()
        _record(path).unlink(missing_ok=True)  # an old record never stands beside new pixels
    with whole_file(_record(path)) as unfinished:
        recorded = {"format": FORMAT, "fingerprint": fingerprint}
        unfinished.write_text(json.dumps(recorded) + "\n", encoding="utf-8")


def _reserve(path: Path) -> None:
    """Give a mapped file all its room now: on a full disk a later write would kill the process."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(path.parent)) from None
            return
        file.seek(0, os.SEEK_END)
    if shutil.disk_usage(path.parent).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path.parent))


def _record(path: Path) -> Path:
    return path.with_suffix(".json")
