"""Every kind of image file that people have: read as they would expect, or named in a sentence."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from stackgan.data import decoding
from stackgan.data.check import report
from stackgan.data.decoding import UNREAD_SUFFIXES, header
from stackgan.data.images import image_faults, read_image, upright_size
from stackgan.errors import DataError

SIX = np.array(
    [[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[255, 255, 0], [0, 255, 255], [255, 0, 255]]],
    dtype=np.uint8,
)
PICTURE = Image.fromarray(np.kron(SIX, np.ones((16, 16, 1), np.uint8)))  # 48x32, six colours
RAMP = np.tile(np.linspace(0, 65535, 32).astype(np.uint16), (32, 1))
GREY = (RAMP >> 8).astype(np.uint8)

Maker = Callable[[], bytes]


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes, check: bytes | None = None) -> bytes:
    found = struct.pack(">I", zlib.crc32(kind + content)) if check is None else check
    return struct.pack(">I", len(content)) + kind + content + found


def png(width: int, height: int, bits: int, colour: int, rows: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows, 1)), chunk(b"IEND", b""))
    )


def deep_png(levels: np.ndarray, colour: int) -> bytes:
    """A PNG of 16 bits a level: grey [H, W] (colour 0) or [H, W, 3] (colour 2)."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    return png(levels.shape[1], levels.shape[0], 16, colour, rows)


def noted(content: bytes, *chunks: bytes) -> bytes:
    """A PNG with ``chunks`` after its header."""
    return content[:33] + b"".join(chunks) + content[33:]


def plain_jpeg(**options: object) -> bytes:
    return saved(PICTURE, "JPEG", quality=95, subsampling=0, **options)


def cmyk_jpeg() -> bytes:
    return saved(PICTURE.convert("CMYK"), "JPEG", quality=95)


def broken_exif(kind: str) -> bytes:
    return exactly(kind, exif=b"Exif\0\0garbage")


def exactly(kind: str, **options: object) -> bytes:
    return saved(PICTURE, kind, **options, **({"lossless": True} if kind == "WEBP" else {}))


def tiff(levels: np.ndarray) -> bytes:
    return saved(Image.fromarray(levels), "TIFF")


def animated(kind: str) -> bytes:
    others = [Image.new("RGB", PICTURE.size, colour) for colour in ("black", "white")]
    return exactly(kind, save_all=True, append_images=others)


LONG_NOTE = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(3 << 20)))
NINE = np.full((1, 1), 9)
RAMP_RGB = np.stack([RAMP] * 3, axis=-1)
USABLE: dict[str, tuple[Maker, np.ndarray | None]] = {
    "plain.jpg": (plain_jpeg, None),
    "a png called.jpg": (lambda: saved(PICTURE, "PNG"), None),
    "a webp called.png": (lambda: saved(PICTURE, "WEBP", lossless=True), None),
    "a jpeg called.webp": (plain_jpeg, None),
    "UPPER.JPG": (plain_jpeg, None),
    "saved by a browser.jfif": (plain_jpeg, None),
    "progressive.jpg": (lambda: plain_jpeg(progressive=True), None),
    "cmyk, inverted as Adobe does.jpg": (cmyk_jpeg, None),
    "cmyk.tif": (lambda: saved(PICTURE.convert("CMYK"), "TIFF"), None),
    "palette.png": (lambda: saved(PICTURE.quantize(16), "PNG"), None),
    "alpha.png": (lambda: saved(PICTURE.convert("RGBA"), "PNG"), None),
    "animated.gif": (lambda: animated("GIF"), None),
    "animated.webp": (lambda: animated("WEBP"), None),
    "animated.png": (lambda: animated("PNG"), None),
    "lzw.tif": (lambda: saved(PICTURE, "TIFF", compression="tiff_lzw"), None),
    "bitmap.bmp": (lambda: saved(PICTURE, "BMP"), None),
    "bytes after the end.jpg": (lambda: plain_jpeg() + b"\0" * 500, None),
    "garbage in its EXIF.jpg": (lambda: plain_jpeg(exif=b"Exif\0\0garbage"), None),
    "garbage in its EXIF.png": (lambda: broken_exif("PNG"), None),
    "garbage in its EXIF.webp": (lambda: broken_exif("WEBP"), None),
    "a damaged note.png": (
        lambda: noted(saved(PICTURE, "PNG"), chunk(b"tEXt", b"a\0b", b"xxxx")), None,
    ),
    "a note too short.png": (lambda: noted(saved(PICTURE, "PNG"), chunk(b"gAMA", b"a")), None),
    "a note of 3 MB.png": (
        lambda: noted(saved(PICTURE, "PNG"), LONG_NOTE),
        None,
    ),
    "grey.png": (lambda: saved(Image.fromarray(GREY), "PNG"), GREY),
    "grey and alpha.png": (lambda: saved(Image.fromarray(GREY).convert("LA"), "PNG"), GREY),
    "grey of 16 bits.png": (lambda: deep_png(RAMP, 0), GREY),
    "grey of 16 bits.tif": (lambda: tiff(RAMP), GREY),
    "colours of 16 bits.png": (lambda: deep_png(RAMP_RGB, 2), GREY),
    "grey of 32 bits, to 65535.tif": (lambda: tiff(RAMP.astype(np.int32)), GREY),
    "grey of 32 bits, to 255.tif": (lambda: tiff(GREY.astype(np.int32)), GREY),
    "floats to 1.tif": (lambda: tiff((GREY / 255).astype(np.float32)), GREY),
    "floats to 255.tif": (lambda: tiff(GREY.astype(np.float32)), GREY),
    "floats to 65535.tif": (
        lambda: tiff((GREY * 257.0).astype(np.float32)), GREY,
    ),
    "one pixel.png": (lambda: saved(Image.new("RGB", (1, 1), (9, 9, 9)), "PNG"), NINE),
    "black and white.png": (lambda: saved(Image.new("1", (4, 4), 1), "PNG"), np.full((4, 4), 255)),
    "all clear.png": (lambda: saved(Image.new("RGBA", (4, 4)), "PNG"), np.full((4, 4), 255)),
    "a clear colour of a palette.png": (
        lambda: saved(Image.new("P", (4, 4), 0), "PNG", transparency=0), np.full((4, 4), 255),
    ),
    "a clear colour.png": (
        lambda: saved(Image.new("RGB", (4, 4), "red"), "PNG", transparency=(255, 0, 0)),
        np.full((4, 4), 255),
    ),
}  # fmt: skip
"""Name -> how it is made, and its levels of grey where it does not show PICTURE."""


@pytest.mark.parametrize("name", USABLE)
def test_a_usable_file_shows_what_it_shows_elsewhere_and_is_not_blamed(tmp_path, name):
    make, grey = USABLE[name]
    path = tmp_path / name
    path.write_bytes(make())
    found = read_image(path)
    assert found.mode == "RGB"
    if grey is None:
        seen = np.asarray(found).astype(int)[8::16, 8::16]
        assert found.size == PICTURE.size and np.abs(seen - SIX).max() <= 12
    else:
        expected = np.repeat(np.asarray(grey)[..., None], 3, axis=2).astype(int)
        np.testing.assert_allclose(np.asarray(found).astype(int), expected, atol=1)
    path.with_suffix(".txt").write_text("a caption")
    assert report("folder", tmp_path) == (1, [])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif"])
def test_each_of_the_eight_orientations_stands_upright(tmp_path, kind, orientation):
    turn = Image.Transpose
    stored = {  # how a camera held so stores what stands upright
        1: None, 2: turn.FLIP_LEFT_RIGHT, 3: turn.ROTATE_180, 4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE, 6: turn.ROTATE_90, 7: turn.TRANSVERSE, 8: turn.ROTATE_270,
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{kind}"
    image = PICTURE if stored is None else PICTURE.transpose(stored)
    image.save(path, exif=exif, **({} if kind == "tif" else {"quality": 95}))
    seen = read_image(path)
    assert seen.size == PICTURE.size
    assert np.abs(np.asarray(seen).astype(int)[8::16, 8::16] - SIX).max() < 60
    if kind != "tif":
        assert upright_size(path) == PICTURE.size


def noise(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return saved(Image.fromarray(pixels), kind)


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)
UNUSABLE: dict[str, tuple[Maker, str]] = {
    "empty.jpg": (lambda: b"", "is empty (0 bytes)"),
    "garbage.jpg": (lambda: b"\x01\x02" * 99, "is not an image that can be read"),
    "text.png": (lambda: b"hello", "is not an image that can be read"),
    "cut.jpg": (lambda: noise("JPEG")[:-900], "cannot be decoded: image file is truncated"),
    "cut.png": (lambda: noise("PNG")[:-900], "cannot be decoded: "),
    "cut.gif": (lambda: noise("GIF")[:-900], "cannot be decoded: "),
    "cut.bmp": (lambda: noise("BMP")[:-900], "cannot be decoded: "),
    "cut.tif": (lambda: noise("TIFF")[:-900], "cannot be decoded: "),
    "cut.webp": (lambda: noise("WEBP")[:-900], "cannot be decoded: "),
    "head alone.jpg": (lambda: noise("JPEG")[:20], "cannot be decoded: "),
    "a phone's.jpg": (lambda: HEIC, "is a HEIC photograph, which cannot be read: export"),
    "a film.jpg": (lambda: b"\0\0\0\x18ftypmp42" + bytes(99), "is a film, not an image"),
    "a page.jpg": (lambda: b"\n<!DOCTYPE html><html>", "is a web page, not an image"),
    "a drawing.png": (lambda: b'<?xml version="1.0"?><svg xmlns=""/>', "is a drawing (SVG)"),
    "a pointer.jpg": (lambda: b"version https://git-lfs.github.com/spec/v1\n", "`git lfs pull`"),
    "a page.tif": (lambda: b"%PDF-1.7\n", "is a PDF or PostScript page"),
    "a program.jpg": (
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is a PDF or PostScript page",
    ),
    "layers.png": (lambda: b"8BPS" + bytes(99), "is a Photoshop file"),
    "not a number.tif": (
        lambda: tiff(np.full((4, 4), np.nan, np.float32)),
        "its levels go from nan to nan, expected 0 to 1, 0 to 255 or 0 to 65535",
    ),
    "below zero.tif": (
        lambda: tiff(np.full((4, 4), -1, np.int32)), "from -1 to -1",
    ),
    "100 megapixels.png": (
        lambda: png(10_000, 10_000, 1, 0, bytes(1251 * 10_000)), "has 100 megapixels, more than",
    ),
    "200 megapixels.png": (
        lambda: png(16_000, 12_500, 1, 0, bytes(2001 * 12_500)), "has 200 megapixels, more than",
    ),
}  # fmt: skip
"""Name -> how it is made, and what is said of it."""


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_file_that_cannot_be_used_is_named_in_one_sentence(tmp_path, name):
    make, words = UNUSABLE[name]
    path = tmp_path / name
    path.write_bytes(make())
    with pytest.raises(DataError) as raised:
        read_image(path)
    assert str(raised.value).startswith(f"{path} ") and words in str(raised.value)
    assert "\n" not in str(raised.value)
    fault = image_faults([path])[0]
    assert fault.path == path and words in fault.problem and str(tmp_path) not in fault.problem


def test_a_folder_and_a_link_to_nothing_are_named(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    found = [fault.problem for fault in image_faults(sorted(tmp_path.iterdir()))]
    assert found == [
        "is a folder, not an image",
        f"is a link to {tmp_path / 'gone.jpg'}, which is missing",
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(DataError, match="is not a file"):
        read_image(tmp_path / "pipe.jpg")


def test_a_jpeg_of_200_megapixels_is_read_at_a_part_of_its_size(tmp_path):
    path = tmp_path / "large.jpg"
    guard, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        Image.new("L", (16_000, 12_500), 128).save(path)
    finally:
        Image.MAX_IMAGE_PIXELS = guard
    assert upright_size(path) == (16_000, 12_500)
    assert image_faults([path]) == []
    small = read_image(path, least_px=1216)
    assert small.size == (2_000, 1_563) and small.getpixel((999, 999)) == (128, 128, 128)
    with pytest.raises(DataError, match="200 megapixels"):
        read_image(path)


def test_a_progressive_jpeg_is_held_whole_and_has_a_limit_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "LARGEST_PROGRESSIVE_PX", 1_000)
    (tmp_path / "plain.jpg").write_bytes(plain_jpeg())
    assert read_image(tmp_path / "plain.jpg").size == PICTURE.size
    (tmp_path / "bomb.jpg").write_bytes(plain_jpeg(progressive=True))
    with pytest.raises(DataError, match=r"bomb\.jpg is a progressive JPEG of .* megapixels"):
        read_image(tmp_path / "bomb.jpg", least_px=1)


@pytest.mark.parametrize("suffix", UNREAD_SUFFIXES)
def test_pictures_of_kinds_that_are_not_read_are_named_with_what_to_do(tmp_path, suffix):
    PICTURE.save(tmp_path / "a.png")
    (tmp_path / f"b{suffix.upper()}").write_bytes(HEIC)
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("a caption")
    usable, faults = report("folder", tmp_path)
    assert usable == 1
    assert [(fault.path.name, fault.problem) for fault in faults] == [
        (f"b{suffix.upper()}", UNREAD_SUFFIXES[suffix])
    ]
    assert "save it as" in faults[0].problem or "export it as" in faults[0].problem


def test_a_format_that_starts_a_program_is_not_opened(tmp_path):
    path = tmp_path / "page.jpg"
    path.write_bytes(saved(PICTURE, "EPS"))
    Image.init()
    with Image.open(path) as known:
        assert known.format == "EPS"  # Pillow would hand it to Ghostscript
    with pytest.raises(UnidentifiedImageError), header(path):
        pass
    with pytest.raises(DataError, match="PostScript"):
        read_image(path)
