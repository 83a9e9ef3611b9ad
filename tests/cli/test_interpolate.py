"""``stackgan interpolate`` in process."""

import json

import pytest
from PIL import Image

from stackgan.result import read_fields

PINK, BLUE = "this flower has pink petals", "a blue flower"


@pytest.fixture
def interpolate(command_line, tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *words: command_line("interpolate", "--model", tiny_model, *words)


def test_one_row_of_as_many_pictures_as_steps(interpolate, tmp_path):
    done = interpolate(PINK, BLUE, "--steps", 3, "--out", "row.png")
    assert (done.code, done.out, done.err) == (0, "row.png\n", "")
    with Image.open(tmp_path / "row.png") as row:
        assert row.size == (3 * 256 + 2 * 4, 256)
    fields = read_fields(tmp_path / "row.png")
    assert fields["caption"] == f"{PINK} -> {BLUE}" and fields["seed"] == "none"


def test_the_ends_are_what_generate_draws(interpolate, command_line, tiny_model, tmp_path):
    assert interpolate(PINK, BLUE, "--steps", 2, "--seed", 4, "--out", "row.png").code == 0
    generate = ["generate", "--model", tiny_model, "--seed", 4]
    assert command_line(*generate, PINK, BLUE, "--out", "ends").code == 0
    with Image.open(tmp_path / "row.png") as row:
        for place, name in enumerate(["this-flower-has-pink-petals-4.png", "a-blue-flower-4.png"]):
            box = (place * 260, 0, place * 260 + 256, 256)
            with Image.open(tmp_path / "ends" / name) as end:
                pairs = zip(row.crop(box).tobytes(), end.tobytes(), strict=True)
                assert max(abs(a - b) for a, b in pairs) <= 2


def test_without_out_the_name_tells_both_captions(interpolate):
    done = interpolate(PINK, BLUE, "--steps", 2, "--json")
    assert json.loads(done.out)["file"] == "this-flower-has-pink-petals-to-a-blue-flower.png"


def test_what_an_end_asks_for_in_vain_is_said(interpolate):
    done = interpolate(PINK, "a pink xyzzy", "--steps", 2, "--out", "row.png")
    assert done.code == 0 and done.err.count("\n") == 1 and 'knows no "xyzzy"' in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([PINK, ""], "empty"),
        ([PINK, BLUE, "--steps", "1"], "--steps"),
        ([PINK, BLUE, "--out", "folder"], ".png"),
        ([PINK, BLUE, "--seed", "-1"], "--seed"),
    ],
)
def test_wrong_use(interpolate, tmp_path, words, message):
    done = interpolate(*words)
    assert done.code == 2 and message in done.err
    assert list(tmp_path.iterdir()) == []
