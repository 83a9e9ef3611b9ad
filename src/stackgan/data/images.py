"""An image file -> an upright RGB image -> a square one of the size a model learns from."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from PIL import Image

from stackgan.data.crop import Box, Resize, region
from stackgan.data.crop import Fit as Fit
from stackgan.data.decoding import header, opened, orientation, upright_rgb, why_not
from stackgan.data.examples import Fault, Progress
from stackgan.errors import DataError

CHECK_PX = 4 * 304
"""Pixels of a side that a check keeps: what the cache of the largest pictures asks for."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def read_image(path: Path, least_px: int | None = None) -> Image.Image:
    """Decode ``path`` wholly: RGB, upright by its EXIF orientation, transparency over white.

    ``least_px`` allows a JPEG to be decoded at a half, a quarter or an eighth of its size as long
    as each side keeps that many pixels. Of an animation it is the first frame. Raises
    :class:`DataError` naming the file when it is missing, damaged or too large to decode.
    """
    try:
        with opened(path, least_px) as image:
            return upright_rgb(image)
    except DataError:
        raise
    except Exception as error:  # a decoder given damaged bytes raises whatever it runs into
        raise DataError(f"{path} {why_not(path, error)}") from error


def upright_size(path: Path) -> tuple[int, int]:
    """Return (width, height) of an image as it stands upright, from its header alone.

    Raises :class:`DataError` naming the file where its header cannot be read.
    """
    try:
        with header(path) as image:
            width, height = image.size
            turned = orientation(image) in (5, 6, 7, 8)
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path} {why_not(path, error)}") from error
    return (height, width) if turned else (width, height)


def to_square(
    image: Image.Image,
    size_px: int,
    fit: Fit = "crop",
    box: Box | None = None,
    resize: Resize = "bicubic",
) -> Image.Image:
    """Resize to ``size_px`` on each side, antialiased; smaller images are enlarged.

    What is resized is :func:`stackgan.data.crop.region`'s part: ``crop`` keeps the largest centred
    square, ``squeeze`` the whole image at another aspect, ``box`` and ``box_authors`` what ``box``
    (in pixels of ``image``) frames. ``resize`` is bicubic; bicubic to 304 and from there again
    where ``size_px`` is smaller (``through_304``: TF); or bilinear (PT).
    """
    part = region(image.size, fit, box)
    kind = Image.Resampling.BILINEAR if resize == "bilinear" else Image.Resampling.BICUBIC
    if resize == "through_304" and size_px < 304:
        return image.resize((304, 304), kind, box=part).resize((size_px, size_px), kind)
    return image.resize((size_px, size_px), kind, box=part)


def image_faults(paths: Sequence[Path], progress: Progress | None = None) -> list[Fault]:
    """Decode every file and name those that cannot be, in the order given.

    A large JPEG is decoded as small as training does, which reads all of its bytes too.
    """

    def fault_of(path: Path) -> Fault | None:
        try:
            read_image(path, CHECK_PX)
        except DataError as error:
            return Fault(path, str(error).removeprefix(f"{path} "))
        return None

    found = []
    with threaded(fault_of, paths) as results:
        for done, fault in enumerate(results, start=1):
            if fault is not None:
                found.append(fault)
            if progress is not None:
                progress(done, len(paths))
    return found


@contextmanager
def threaded(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Iterator[Result]]:
    """Give the results of ``work`` on each item, in order; what has not begun ends with the block.

    Threads suffice, as Pillow leaves the interpreter free while it decodes. Pillow's warnings
    (odd EXIF fields and the like) are silenced: what it decodes is usable, the rest raises.
    """
    with warnings.catch_warnings(), ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore")
        try:
            yield pool.map(work, items)
        finally:
            pool.shutdown(cancel_futures=True)
