"""Image files as a camera, a browser and an editor write them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from stackgan.data.images import read_image, to_square
from stackgan.errors import DataError


def halves(left="red", right="blue", size=(40, 20)) -> Image.Image:
    image = Image.new("RGB", size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter to the right
    halves().save(tmp_path / "turned.png", exif=exif)
    upright = read_image(tmp_path / "turned.png")
    assert upright.size == (20, 40)
    assert upright.getpixel((10, 2)) == (255, 0, 0)
    assert upright.getpixel((10, 38)) == (0, 0, 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_becomes_white(tmp_path, mode):
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 2, 4))
    if mode == "P":
        image = image.quantize(4)
    image.convert(mode).save(tmp_path / "clear.png")
    found = read_image(tmp_path / "clear.png")
    assert found.mode == "RGB"
    assert found.getpixel((0, 0)) == (0, 0, 0)
    assert found.getpixel((3, 0)) == (255, 255, 255)


def test_half_transparent_is_half_white(tmp_path):
    Image.new("RGBA", (2, 2), (255, 0, 0, 51)).save(tmp_path / "veil.png")
    assert read_image(tmp_path / "veil.png").getpixel((0, 0)) == (255, 204, 204)


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path):
    levels = np.array([[0, 0x7F00], [0x8000, 0xFFFF]], dtype=np.uint16)
    Image.fromarray(levels).save(tmp_path / "deep.png")
    found = np.asarray(read_image(tmp_path / "deep.png"))
    assert found[..., 0].tolist() == [[0, 127], [128, 255]]


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", "png"), ("1", "png"), ("CMYK", "jpg"), ("P", "gif"), ("L", "webp")]
)
def test_every_mode_becomes_rgb(tmp_path, mode, suffix):
    Image.new("RGB", (8, 8), "white").convert(mode).save(tmp_path / f"image.{suffix}")
    found = read_image(tmp_path / f"image.{suffix}")
    assert found.mode == "RGB"
    assert found.getpixel((4, 4)) == (255, 255, 255)


def test_a_large_jpeg_decoded_smaller_keeps_the_pixels_asked_for(tmp_path):
    halves(size=(1600, 800)).save(tmp_path / "large.jpg")
    small = read_image(tmp_path / "large.jpg", least_px=200)
    assert small.size == (400, 200)
    assert read_image(tmp_path / "large.jpg").size == (1600, 800)


def test_crop_keeps_the_centre_and_squeeze_the_whole():
    image = Image.new("RGB", (40, 20), "green")
    image.paste("red", (0, 0, 10, 20))
    image.paste("blue", (30, 0, 40, 20))
    cropped = np.asarray(to_square(image, 20, "crop"))
    assert (cropped == np.array([0, 128, 0])).all()
    squeezed = to_square(image, 20, "squeeze")
    assert squeezed.getpixel((1, 10)) == (255, 0, 0)
    assert squeezed.getpixel((18, 10)) == (0, 0, 255)


def test_a_tall_image_is_cropped_about_its_centre_too():
    image = Image.new("RGB", (20, 40), "green")
    image.paste("red", (0, 0, 20, 10))
    image.paste("blue", (0, 30, 20, 40))
    assert (np.asarray(to_square(image, 20)) == np.array([0, 128, 0])).all()


def test_small_images_are_enlarged_and_shrinking_is_antialiased():
    assert to_square(halves(size=(4, 4)), 16).size == (16, 16)
    stripes = Image.fromarray(np.tile(np.uint8([0, 255]), (64, 32)))
    assert np.ptp(np.asarray(to_square(stripes, 8))[:, 1:-1]) < 20  # grey, and no stripes


@pytest.mark.parametrize("content", [b"", b"not an image", None])
def test_what_cannot_be_decoded_is_named_in_one_sentence(tmp_path, content):
    path = tmp_path / "broken.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"broken\.png (is missing|is not an image|is empty)"):
        read_image(path)


def test_a_truncated_image_is_broken(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for suffix in ("png", "jpg"):
        path = tmp_path / f"cut.{suffix}"
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(DataError, match="cannot be decoded"):
            read_image(path)
