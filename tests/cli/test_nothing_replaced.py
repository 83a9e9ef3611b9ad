"""No picture takes another's place, each is kept as soon as it is drawn, and counts are checked."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stackgan import StackGAN, result
from stackgan.arguments import MOST, check_count, check_seed
from stackgan.errors import InputError
from stackgan.result import Album, Result, read_fields, save_png

SMALL = "this flower has petals that are pink and it is small"
GROWS = "this flower has petals that are pink and it grows in the shade"
STEM = "this-flower-has-petals-that-are-pink-and"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def generate(command_line, tiny_stage1):
    return lambda *words: command_line("generate", "--model", tiny_stage1, *words)


@pytest.fixture(scope="module")
def sketcher(tiny_stage1):
    return StackGAN.from_pretrained(tiny_stage1, "cpu")


def stored(folder):
    return {path.name: read_fields(path)["caption"] for path in Path(folder).iterdir()}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (SMALL, GROWS),
        ("A red flower", "a red flower!"),
        ("?!", "..."),
        ("red " * 15 + "x", "red " * 15 + "y"),
        ("花" * 60, "花" * 61),
    ],
)
@pytest.mark.parametrize("out", [["--out", "pics"], []], ids=["folder", "no --out"])
def test_captions_that_share_a_name_keep_a_picture_each(generate, here, first, second, out):
    place = here / "pics" if out else here
    one, two = generate(first, *out), generate(second, *out)
    assert (one.code, two.code) == (0, 0)
    assert sorted(stored(place).values()) == sorted([first.strip(), second.strip()])
    assert two.out.strip().endswith("-2.png") and read_fields(Path(two.out.strip()))["caption"] == (
        second.strip()
    )


def test_a_picture_drawn_again_keeps_its_one_file(generate, here):
    words = [SMALL, GROWS, SMALL, "-n", 2, "--out", "pics"]
    first, before = generate(*words), {p.name: p.read_bytes() for p in (here / "pics").iterdir()}
    again, after = generate(*words), {p.name: p.read_bytes() for p in (here / "pics").iterdir()}
    assert first.out == again.out and before == after and len(after) == 6


@pytest.mark.parametrize("other", [["--truncation", "0.5"], ["--seed", "3"]])
def test_a_named_file_that_is_another_picture_stays_and_the_new_one_is_named(generate, here, other):
    assert generate(SMALL, "--out", "a.png").code == 0
    before = (here / "a.png").read_bytes()
    done = generate(SMALL, *other, "--out", "a.png", "--json")
    assert done.code == 0 and json.loads(done.out)["pictures"][0]["file"] == "a-2.png"
    assert done.err.endswith(
        "stackgan: warning: a.png is another picture and stays as it is; the new one is a-2.png\n"
    )
    assert (here / "a.png").read_bytes() == before and (here / "a-2.png").exists()


def test_a_photograph_and_a_broken_link_of_that_name_stay(generate, here):
    Image.new("RGB", (9, 9), "red").save(here / "photo.png")
    before = (here / "photo.png").read_bytes()
    assert generate(SMALL, "--out", "photo.png").out == "photo-2.png\n"
    assert (here / "photo.png").read_bytes() == before
    (here / "link.png").symlink_to(here / "gone")
    assert generate(SMALL, "--out", "link.png").out == "link-2.png\n"
    assert (here / "link.png").is_symlink() and not (here / "gone").exists()


def test_grids_and_rows_stay_too(generate, command_line, tiny_stage1, here):
    for caption in (SMALL, GROWS):
        assert generate(caption, "-n", 2, "--out", "grid.png").code == 0
    assert stored(here) == {"grid.png": SMALL, "grid-2.png": GROWS}
    walk = ["interpolate", "--model", tiny_stage1, "--steps", "2"]
    ends = "a red flower with long"
    for last in ("petals", "leaves"):
        assert command_line(*walk, f"{ends} {last}", "a blue one").code == 0
    name = "a-red-flower-with-long-to-a-blue-one"
    found = stored(here)
    assert found[f"{name}.png"] == f"{ends} petals -> a blue one"
    assert found[f"{name}-2.png"] == f"{ends} leaves -> a blue one"


def test_what_python_saves_replaces_nothing(sketcher, here):
    first, second = sketcher(SMALL).save("out"), sketcher(GROWS).save("out")
    assert [path.name for path in first + second] == [f"{STEM}-0.png", f"{STEM}-0-2.png"]
    assert sketcher([SMALL, GROWS]).save_grid("g.png") == Path("g.png")
    assert sketcher([GROWS, SMALL]).save_grid("g.png") == Path("g-2.png")


def test_a_name_taken_between_the_look_and_the_writing_is_not_replaced(sketcher, here, monkeypatch):
    real, path = os.link, here / "a.png"

    def beaten(part, wanted):
        if wanted == path:
            path.write_bytes(b"another process's")
        real(part, wanted)

    monkeypatch.setattr(os, "link", beaten)
    written = save_png(sketcher(SMALL).images[0], path, {})
    assert path.read_bytes() == b"another process's" and written == here / "a-2.png"
    assert sorted(p.name for p in here.iterdir()) == ["a-2.png", "a.png"]


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_disk_without_hard_links_takes_pictures(sketcher, here, monkeypatch, code):
    def none(part, path):
        raise OSError(code, "no links here")

    monkeypatch.setattr(os, "link", none)
    assert [path.name for path in sketcher(SMALL, 2).save(here)] == [
        f"{STEM}-0.png",
        f"{STEM}-1.png",
    ]
    assert len(list(here.iterdir())) == 2


def test_a_stream_is_the_call_a_few_at_a_time(sketcher):
    whole = sketcher([SMALL, GROWS], 11, seed=4)
    parts = list(sketcher.stream([SMALL, GROWS], 11, seed=4))
    assert max(map(len, parts)) <= 16 and len(parts) > 2
    joined = Result.join(parts)
    assert joined.captions == whole.captions == [SMALL] * 11 + [GROWS] * 11
    assert joined.seeds == whole.seeds == list(range(4, 15)) * 2
    assert [i.tobytes() for i in joined.images] == [i.tobytes() for i in whole.images]


def test_a_stream_draws_only_what_is_taken(sketcher):
    drawn = []
    hook = sketcher.stage1.register_forward_pre_hook(lambda _, seen: drawn.append(len(seen[0])))
    next(sketcher.stream(SMALL, 300))
    hook.remove()
    assert sum(drawn) <= 16


def test_what_a_stream_cannot_do_is_said_before_anything_is_drawn(sketcher):
    with pytest.raises(InputError, match="num_images is 0"):
        sketcher.stream(SMALL, 0)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError(errno.ENOSPC, "No space left")])
def test_what_is_drawn_before_a_stop_is_kept_and_counted(
    generate, here, monkeypatch, sketcher, stop
):
    real, seen = Album.add, []

    def add(album, part, sketches):
        seen.append(len(part))
        if len(seen) == 3:
            raise stop
        return real(album, part, sketches)

    monkeypatch.setattr(Album, "add", add)
    done = generate("a pink flower", "-n", 40, "--out", "pics")
    kept = sorted((here / "pics").glob("*.png"))
    assert done.code == (130 if stop is KeyboardInterrupt else 1) and done.out == ""
    assert len(kept) == sum(seen[:2]) > 0
    said = f"stackgan: {len(kept)} of 40 pictures are drawn and lie in {here / 'pics'}"
    assert said in done.err.splitlines()
    for number, path in enumerate(sorted(kept, key=lambda p: int(p.stem.rpartition("-")[2]))):
        with Image.open(path) as picture:
            assert picture.convert("RGB").tobytes() == (
                sketcher("a pink flower", seed=number).images[0].tobytes()
            )


def test_a_picture_is_written_before_the_next_is_drawn(generate, here, monkeypatch):
    real = StackGAN._parts

    def one_then_stop(*asked):
        yield next(real(*asked))
        raise KeyboardInterrupt

    monkeypatch.setattr(StackGAN, "_parts", one_then_stop)
    assert generate("a pink flower", "-n", 40, "--out", "pics").code == 130
    assert len(list((here / "pics").glob("*.png"))) == 8


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["-n", "1000000000"], "-n"),
        (["-n", "0"], "-n"),
        (["-n", "-3"], "-n"),
        (["-n", "1e3"], "-n"),
        (["-n", "99999999999999999999999"], "-n"),
        (["--best-of", "1000000000"], "--best-of"),
        (["--best-of", "-1"], "--best-of"),
        (["-n", "1000000", "--best-of", "1000"], "num_images is 1000000: 1000000 x 1000"),
        (["-n", "1000000", "a blue flower"], "num_images is 1000000: 2 x 1000000"),
        (["-n", "513", "--out", "grid.png"], "--out grid.png"),
        (["-n", "2", "--seed", "9223372036854775807"], "seed is 9223372036854775807"),
        (["--seed", "-1"], "--seed"),
        (["--seed", "99999999999999999999"], "seed is 99999999999999999999"),
        (["--truncation", "nan"], "--truncation"),
        (["--truncation", "-1"], "--truncation"),
    ],
)
def test_numbers_out_of_range_are_answered_at_once_in_one_sentence(
    generate, here, monkeypatch, words, named
):
    monkeypatch.setattr(StackGAN, "render", lambda *_, **__: pytest.fail("it drew"))
    done = generate("a pink flower", *words)
    assert done.code == 2 and done.out == "" and done.err.count("\n") == 1, done.err
    assert named in done.err and list(here.glob("*.png")) == []


@pytest.mark.parametrize("steps", ["1", "0", "-2", "513", "1000000000", "two"])
def test_steps_out_of_range_are_answered_at_once(command_line, tiny_stage1, here, steps):
    done = command_line("interpolate", "--model", tiny_stage1, "a", "b", "--steps", steps)
    assert done.code == 2 and done.err.count("\n") == 1 and "--steps" in done.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_images": 10**9}, "num_images is 1000000000: 1000000000 pictures are too many"),
        ({"num_images": MOST, "best_of": 2}, "1000000 x 2 pictures are too many"),
        ({"seed": 2**64}, "seed is 18446744073709551616"),
    ],
)
def test_python_hears_the_same_in_a_sentence(sketcher, options, message):
    with pytest.raises(InputError, match=message):
        sketcher(SMALL, **options)
    with pytest.raises(InputError, match=message):
        sketcher.stream(SMALL, **options)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: check_count(1, 1.5), "num_images is 1.5, expected one whole number"),
        (lambda: check_count(1, True), "num_images is True"),
        (lambda: check_count(1, 1, None), "best_of is None"),
        (lambda: check_seed(None), "seed is None, expected one whole number"),
        (lambda: check_seed([1, 2]), r"seed is \[1, 2\], expected one whole number"),
        (lambda: check_seed("7"), "seed is '7'"),
    ],
)
def test_what_is_no_whole_number_is_said(check, message):
    with pytest.raises(InputError, match=message):
        check()
    check_seed(np.int64(3))
    check_count(1, np.int64(3))


def test_more_pictures_at_once_than_memory_holds_are_refused(sketcher, monkeypatch):
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}.__getitem__)
    with pytest.raises(InputError, match=r"84 pictures of 64x64 take .* GiB .*model.stream"):
        sketcher(SMALL, 84)
    assert len(sketcher(SMALL, 83)) == 83
    with pytest.raises(InputError, match="pictures of 256x256 take"):
        sketcher.interpolate(SMALL, GROWS, 100)
    assert len(next(sketcher.stream(SMALL, 84))) == 8


def test_names_are_found_without_looking_at_all_of_them_again(here, monkeypatch):
    red = Image.new("RGB", (2, 2), "red")
    captions = [f"{SMALL} {number}" for number in range(300)]
    looks = []
    real = result._holds
    monkeypatch.setattr(result, "_holds", lambda *seen: looks.append(seen) or real(*seen))
    pictures = Result([red] * 300, [red] * 300, captions, [0] * 300, "m", "v")
    assert len(set(Album(here).add(pictures))) == 300
    assert len(looks) == 300
