"""The published colour judge on pictures whose colour is beyond doubt."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from stackgan.errors import InputError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RGB = {
    "red": (200, 20, 30),
    "yellow": (240, 210, 40),
    "white": (235, 235, 230),
    "purple": (130, 60, 180),
    "pink": (240, 150, 190),
    "orange": (240, 120, 20),
}


@pytest.fixture(scope="module")
def judges():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        place = BENCHMARKS / "colour_judge.py"
        spec = importlib.util.spec_from_file_location("colour_judge", place)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


def flower(rgb, size_px=64, centre=(150, 120, 20)):
    rows, columns = np.mgrid[:size_px, :size_px]
    away = np.hypot(rows - size_px / 2 + 0.5, columns - size_px / 2 + 0.5) / size_px
    picture = np.empty((size_px, size_px, 3), dtype=np.uint8)
    picture[:] = (40, 110, 30)
    picture[away < 0.35] = rgb
    picture[away < 0.06] = centre
    return picture


@pytest.mark.parametrize("size_px", [64, 128, 256])
def test_plain_flowers_are_called_by_their_colour(judges, size_px):
    pictures = np.stack([flower(RGB[colour], size_px) for colour in judges.COLOURS])
    assert judges.judge(pictures) == judges.COLOURS


def test_leaves_and_darkness_have_no_colour_of_petals(judges):
    leaves, dark = flower((40, 110, 30), centre=(40, 110, 30)), flower((9, 0, 0), centre=(0, 0, 0))
    dark[:] = dark // 2
    assert judges.judge(np.stack([leaves, dark])) == ["none", "none"]


def test_only_the_petals_colours_are_read_from_a_caption(judges):
    read = judges.petal_colours
    assert read("this flower has pink petals and a yellow center") == {"pink"}
    assert read("petals that are white with purple stamen") == {"white"}
    assert read("the flower has red and yellow petals") == {"red", "yellow"}
    assert read("this flower is orange in color") == {"orange"}
    assert read("a flower with a long green stem") == set()


def test_every_wording_asked_for_names_its_one_colour(judges):
    for colour in judges.COLOURS:
        for wording in judges.WORDINGS:
            assert judges.petal_colours(wording.format(colour)) == {colour}


def test_one_colour_needs_two_captions_that_agree(judges):
    pink, white, none = "it has pink petals", "it has white petals", "a flower"
    assert judges.one_colour((pink, pink, none)) == "pink"
    assert judges.one_colour((pink, none)) is None
    assert judges.one_colour((pink, pink, white)) is None
    assert judges.one_colour(("it has blue petals",) * 2) is None


def test_a_models_pictures_are_counted_by_colour_and_wording(judges):
    pictures = np.stack([flower(RGB[colour]) for colour in judges.COLOURS])
    pictures = np.broadcast_to(pictures[:, None, None], (6, 4, 16, 64, 64, 3)).copy()
    pictures[0, 1, :8] = flower(RGB["white"])
    found = judges.on_pictures(pictures)
    assert found["shares"]["red"] == pytest.approx(1 - 8 / 64)
    assert found["least"] == found["shares"]["red"]
    assert found["mean"] == pytest.approx(1 - 8 / 384)
    assert found["wordings"][judges.WORDINGS[1]] == pytest.approx(1 - 8 / 96)
    captions, seeds = judges.wanted()
    assert len(captions) == len(set(zip(captions, seeds, strict=True))) == 384


def test_other_arrays_are_refused(judges):
    with pytest.raises(InputError, match="multiple of 32"):
        judges.judge(np.zeros((1, 50, 50, 3), dtype=np.uint8))
