"""The pictures of the shipped model: to the byte where they were recorded, elsewhere two levels."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from fence import pictures
from fence.machines import ANEW, kind, read, sha256
from PIL import Image


@pytest.fixture(scope="module")
def drawn() -> list[bytes]:
    return pictures.draw()


def test_the_record_is_of_the_weights_that_are_shipped() -> None:
    fault = pictures.outdated(read(pictures.RECORD))
    assert not fault, fault


def test_every_picture_is_the_recorded_one_within_two_levels(drawn: list[bytes]) -> None:
    for place, (caption, data) in enumerate(zip(pictures.CAPTIONS, drawn, strict=True)):
        levels = pictures.apart(data, pictures.reference(place))
        assert levels <= pictures.LEVELS, f"{caption!r} is {levels} levels off; if meant, {ANEW}"


def test_every_png_has_the_recorded_bytes_on_a_recorded_machine(drawn: list[bytes]) -> None:
    recorded = read(pictures.RECORD)["png"].get(kind())
    if recorded is None:
        pytest.skip(f"no bytes are recorded for {kind()}; the test of two levels holds here")
    assert [sha256(data) for data in drawn] == recorded, f"other bytes; if meant, {ANEW}"


@pytest.mark.parametrize("what", ["weights", "version", "captions"])
def test_a_record_of_other_weights_asks_to_be_made_anew(what: str) -> None:
    record = pictures.drawn_by()
    assert pictures.outdated(record) == ""
    for other in (record | {what: "others"}, {k: v for k, v in record.items() if k != what}):
        assert what in pictures.outdated(other)
        assert "`python tests/fence/record.py`" in pictures.outdated(other)


def test_apart_is_the_largest_difference_of_any_pixel() -> None:
    def png(level: int) -> bytes:
        pixels = np.full((4, 4, 3), 100, np.uint8)
        pixels[1, 2, 0] = level
        file = BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        return file.getvalue()

    assert pictures.apart(png(100), png(100)) == 0
    assert pictures.apart(png(100), png(103)) == pictures.apart(png(103), png(100)) == 3
    assert pictures.apart(png(0), png(255)) == 255  # no wrapping round
