"""Opening an image file as users have them: what Pillow may read, how large, and why it cannot.

The bytes decide what a file is, whatever its name ends in. Only formats that Pillow decodes by
itself are opened: PostScript, for one, would start another program.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cache
from io import BytesIO
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from stackgan.errors import DataError

FORMATS = ("PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
"""What is read beside JPEG."""
LARGEST_PX = 89_000_000
"""Pixels decoded at once: 360 MB. Just under the size of which Pillow warns."""
LARGEST_PROGRESSIVE_PX = 250_000_000
"""A progressive JPEG is held whole while it is decoded, however small it becomes: up to 1.5 GB."""
ALONE_PX = 24_000_000
"""Images of more pixels are decoded one at a time, so that a folder of them fits the memory."""

HEIC = "is a HEIC photograph, which cannot be read: export it as JPEG"
RAW = "is a camera's raw file, which cannot be read: export it as JPEG"
UNREAD_SUFFIXES = {
    **dict.fromkeys((".heic", ".heif", ".hif"), HEIC),
    **dict.fromkeys((".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2"), RAW),
    ".psd": "is a Photoshop file, which cannot be read: save it as PNG or JPEG",
    ".svg": "is a drawing (SVG), which cannot be read: save it as PNG",
    ".jxl": "is a JPEG XL image, which cannot be read: save it as PNG or JPEG",
}
"""Pictures that people have and that are not read, by the ending of their name: what to do."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ALONE = Lock()
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_NO_IMAGE = (
    (rb"\A.{4}ftyp(hei[cxms]|hev[cxms]|mif1|msf1)", HEIC),
    (rb"\A.{4}ftyp(?!avi[fs])", "is a film, not an image"),
    (rb"(?i)\A(\xef\xbb\xbf)?\s*<(!doctype html|html|head|body)", "is a web page, not an image"),
    (rb"(?i)\A(\xef\xbb\xbf)?\s*<(\?xml.*<svg|svg)", UNREAD_SUFFIXES[".svg"]),
    (rb"\Aversion https://git-lfs", "is a Git LFS pointer, not an image: run `git lfs pull`"),
    (rb"\A8BPS", UNREAD_SUFFIXES[".psd"]),
    (rb"\A%(PDF|!PS)", "is a PDF or PostScript page, not an image: save it as PNG"),
    (rb"\A(\xff\x0a|.{4}JXL )", UNREAD_SUFFIXES[".jxl"]),
)


@contextmanager
def opened(path: Path, least_px: int | None = None) -> Iterator[Image.Image]:
    """Open ``path`` and give the image, decoded but neither turned nor converted.

    ``least_px`` allows a JPEG to be decoded at a half, a quarter or an eighth of its size as long
    as each side keeps that many pixels. Raises :class:`DataError` for what is too large to decode,
    and whatever Pillow raises for damaged bytes.
    """
    with ExitStack() as stack:
        image = stack.enter_context(header(path))
        stack.enter_context(_check_size(path, image, least_px))
        try:
            image.load()
        except Exception:
            plain = _without_notes(path)
            if plain is None:
                raise
            image = stack.enter_context(header(path, plain))
            image.load()
        yield image


@contextmanager
def header(path: Path, plain: BytesIO | None = None) -> Iterator[Image.Image]:
    """Open an image without decoding it; a JPEG past Pillow's guard, which counts full size.

    ``plain`` is read in place of the file where a first reading failed.
    """
    if not os.path.isfile(path):
        raise DataError(f"{path} {no_file(path)}")
    with path.open("rb") as file:
        start = file.read(3)
    if start == b"\xff\xd8\xff":
        with JpegImageFile(path) as jpeg:
            yield jpeg
        return
    try:
        image = Image.open(plain or path, formats=_known())
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        count = re.search(r"\((\d+) pixels\)", str(error))
        raise DataError(f"{path} {_too_large(int(count[1]) if count else 0)}") from None
    except Exception:
        plain = _without_notes(path) if plain is None else None
        if plain is None:
            raise
        image = Image.open(plain, formats=_known())
    with image:
        yield image


def _check_size(
    path: Path, image: Image.Image, least_px: int | None
) -> AbstractContextManager[object]:
    """Refuse what is too large; return what a large image waits for before it is decoded."""
    whole = image.width * image.height
    if least_px is not None:
        image.draft(None, (least_px, least_px))
    pixels = image.width * image.height
    progressive = "progressive" in image.info and image.format == "JPEG"
    if progressive and whole > LARGEST_PROGRESSIVE_PX:
        raise DataError(
            f"{path} is a progressive JPEG of {whole / 1e6:,.0f} megapixels, too large to decode "
            "in little memory: make it smaller or save it without `progressive`"
        )
    if pixels > LARGEST_PX:
        raise DataError(f"{path} {_too_large(pixels)}")
    return _ALONE if (whole if progressive else pixels) > ALONE_PX else nullcontext()


def _too_large(pixels: int) -> str:
    found = f"{pixels / 1e6:,.0f}" if pixels else "too many"
    return (
        f"has {found} megapixels, more than the {LARGEST_PX // 10**6} that are decoded at once: "
        "make it smaller, or save it as JPEG, which is read at a part of its size"
    )


def upright_rgb(image: Image.Image) -> Image.Image:
    """Turn a decoded image by its EXIF orientation and make it RGB, transparency over white."""
    turn = _TURNS.get(orientation(image))
    rgb = _to_rgb(image)
    return rgb if turn is None else rgb.transpose(turn)


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 (upright) where there is none that can be read."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged EXIF raises whatever it runs into; the pixels are as good
        return 1
    return found if isinstance(found, int) and found in _TURNS else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # Pillow's own conversion clips at 255
        return _from_levels(image).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _from_levels(image: Image.Image) -> Image.Image:
    """Grey of 16 bits (0..65535), of 32 bits (that or 0..255) or of floats (those or 0..1)."""
    levels = np.asarray(image)
    low, high = levels.min(), levels.max()
    if not (low >= 0 and high <= 65535):  # also where one is not a number
        raise ValueError(
            f"its levels go from {low:g} to {high:g}, expected 0 to 1, 0 to 255 or 0 to 65535"
        )
    if image.mode == "F":
        top = next(top for top in (1, 255, 65535) if high <= top)
        return Image.fromarray((levels * (255 / top)).round().astype(np.uint8))
    deep = image.mode != "I" or image.format == "PNG" or high > 255
    return Image.fromarray((levels >> 8 if deep else levels).astype(np.uint8))


def no_file(path: Path) -> str:
    """Return why there is no file to read at ``path``: a phrase that follows its name."""
    if os.path.isdir(path):  # os.path takes names that no disk can hold for missing
        return "is a folder, not an image"
    if os.path.islink(path):
        return f"is a link to {os.readlink(path)}, which is missing"
    return "is not a file" if os.path.exists(path) else "is missing"


def why_not(path: Path, error: Exception) -> str:
    """Return why ``path`` could not be decoded: a phrase that follows its name."""
    if isinstance(error, FileNotFoundError):
        return "is missing"
    if isinstance(error, PermissionError):
        return "cannot be read: permission denied"
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as failed:
        return f"cannot be read: {(failed.strerror or str(failed)).lower()}"
    if not start:
        return "is empty (0 bytes)"
    for pattern, kind in _NO_IMAGE:
        if re.match(pattern, start, re.DOTALL):
            return kind
    if re.match(rb"\A.{4}ftyp", start, re.DOTALL) and "AVIF" not in _known():
        return "is an AVIF image, which needs Pillow 11.3 or later: save it as PNG"
    if isinstance(error, UnidentifiedImageError):
        return "is not an image that can be read"
    reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return f"cannot be decoded: {reason}"


def _without_notes(path: Path) -> BytesIO | None:
    """Return a PNG without its texts, profiles and dates; None for anything else.

    One damaged byte in them, or a note of over a megabyte, keeps Pillow from the pixels.
    """
    try:
        with path.open("rb") as file:
            if file.read(8) != _PNG:
                return None
            kept = [_PNG]
            while len(head := file.read(8)) == 8:
                length, kind = struct.unpack(">I4s", head)
                if kind in _PNG_PIXELS:
                    kept.append(head + file.read(length + 4))
                else:
                    file.seek(length + 4, 1)
    except OSError:
        return None
    return BytesIO(b"".join(kept))


@cache
def _known() -> tuple[str, ...]:
    """The formats that this Pillow has."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)
