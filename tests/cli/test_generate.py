"""``stackgan generate`` in process, with tiny real networks."""

import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from stackgan import __version__
from stackgan.data.examples import plain
from stackgan.hub import write_truncation
from stackgan.result import read_fields

PINK = "this flower has pink petals"
BLUE = "a blue flower"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def generate(command_line, tiny_model):
    return lambda *words: command_line("generate", "--model", tiny_model, *words)


def test_without_out_the_file_is_named_by_first_words_and_seed(generate, here):
    done = generate(PINK, "--seed", 7)
    assert (done.code, done.err) == (0, "")
    assert done.out == "this-flower-has-pink-petals-7.png\n"
    assert [path.name for path in here.iterdir()] == ["this-flower-has-pink-petals-7.png"]


def test_out_is_one_256x256_png_with_its_fields(generate, here):
    done = generate(PINK, "--out", "flower.png")
    assert (done.code, done.out) == (0, "flower.png\n")
    with Image.open(here / "flower.png") as image:
        assert (image.format, image.size, image.mode) == ("PNG", (256, 256), "RGB")
    fields = {"caption": PINK, "seed": "0", "model": "tiny", "version": __version__}
    fields["truncation"] = "1.0"
    assert read_fields(here / "flower.png") == fields


def test_the_same_call_gives_the_same_bytes(generate, here):
    for name in ("a.png", "b.png"):
        assert generate(PINK, BLUE, "-n", 2, "--seed", 3, "--out", name).code == 0
    assert (here / "a.png").read_bytes() == (here / "b.png").read_bytes()


def test_a_folder_holds_a_png_for_each(generate, here):
    done = generate(PINK, BLUE, "-n", 2, "--seed", 5, "--out", "out")
    names = sorted(path.name for path in (here / "out").iterdir())
    assert names == [
        "a-blue-flower-5.png",
        "a-blue-flower-6.png",
        "this-flower-has-pink-petals-5.png",
        "this-flower-has-pink-petals-6.png",
    ]
    assert sorted(done.out.split()) == [f"out/{name}" for name in names]
    assert read_fields(here / "out" / "a-blue-flower-6.png")["seed"] == "6"


def test_several_pictures_in_one_file_are_a_labelled_grid(generate, here):
    assert generate(PINK, BLUE, "-n", 3, "--out", "grid.png").code == 0
    with Image.open(here / "grid.png") as grid:
        assert grid.width == 3 * 260 + 4
        assert grid.height > 2 * 260 + 4
    fields = read_fields(here / "grid.png")
    assert fields["caption"] == f"{PINK}\n{BLUE}" and fields["seed"] == "0 1 2"


def test_stage_one_is_64_pixels(generate, here):
    assert generate(PINK, "--stage", 1, "--out", "s.png").code == 0
    with Image.open(here / "s.png") as image:
        assert image.size == (64, 64)


def test_sketches_stand_beside(generate, here):
    assert generate(PINK, "--sketches", "--out", "s.png").code == 0
    with Image.open(here / "s.png") as image:
        assert image.size == (516, 256)


def test_json_tells_caption_seed_and_file(generate):
    done = generate(PINK, "-n", 2, "--seed", 1, "--out", "out", "--json")
    told = json.loads(done.out)
    assert told["model"] == "tiny"
    assert [picture["seed"] for picture in told["pictures"]] == [1, 2]
    for picture in told["pictures"]:
        assert picture["caption"] == PINK and picture["size_px"] == [256, 256]
        assert read_fields(Path(picture["file"]))["seed"] == str(picture["seed"])


def test_the_model_s_own_truncation_is_used_and_told(command_line, tiny_model, here):
    folder = shutil.copytree(tiny_model, here / "calm")
    write_truncation(folder, 0.5)

    def told(*words):
        done = command_line("generate", PINK, *words, "--json")
        assert done.code == 0
        answer = json.loads(done.out)
        (picture,) = answer["pictures"]
        assert read_fields(Path(picture["file"]))["truncation"] == str(answer["truncation"])
        return answer["truncation"], Image.open(picture["file"]).tobytes()

    own = told("--model", folder, "--out", "a.png")
    asked = told("--model", tiny_model, "--truncation", "0.5", "--out", "b.png")
    other = told("--model", folder, "--truncation", "1", "--out", "c.png")
    assert own == asked and own[0] == 0.5
    assert other[0] == 1.0 and other[1] != own[1]


def test_truncation_zero_draws_one_picture_and_says_so(generate):
    done = generate(PINK, "-n", 4, "--truncation", 0, "--out", "grid.png")
    assert done.code == 0 and done.err.count("\n") == 1
    assert "the 4 pictures drawn of a caption are one and the same" in done.err
    assert generate(PINK, "--truncation", 0, "--out", "one.png").err == ""


@pytest.mark.parametrize(
    "data",
    [
        f"{PINK}\n{BLUE}\n".encode(),
        b"\xef\xbb\xbf" + f"{PINK}\r\n\r\n  {BLUE}  ".encode(),
    ],
)
def test_a_captions_file_may_have_bom_crlf_and_empty_lines(generate, here, data):
    (here / "captions.txt").write_bytes(data)
    done = generate("--captions", "captions.txt", "--out", "out", "--json")
    assert [p["caption"] for p in json.loads(done.out)["pictures"]] == [PINK, BLUE]


def test_captions_come_from_stdin_too(generate, monkeypatch):
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{BLUE}\n".encode())))
    done = generate(PINK, "--captions", "-", "--out", "out", "--json")
    assert [p["caption"] for p in json.loads(done.out)["pictures"]] == [PINK, BLUE]


def test_a_caption_after_two_hyphens_may_begin_with_one(generate, here):
    assert generate("--out", "h.png", "--", "-pink flower").code == 0
    assert read_fields(here / "h.png")["caption"] == "-pink flower"
    done = generate("-pink flower")
    assert done.code == 2 and "goes after --" in done.err


def test_a_caption_of_unknown_words_is_drawn_with_a_warning(generate, here):
    done = generate("xyzzy", "--out", "x.png")
    assert done.code == 0 and (here / "x.png").exists()
    assert done.err.count("\n") == 1 and "the model 'tiny' knows no \"xyzzy\"" in done.err
    assert 'it knows words such as "red", "yellow"' in done.err


def test_several_captions_are_a_sentence_for_each_matter(generate):
    asked = ["xyzzy", PINK, "pink xyz", "x" * 300, "no petals", "--out", "out"]
    done = generate(*asked, "--json")
    warned = done.err.splitlines()
    assert done.code == 0 and json.loads(done.out)["remarks"] == [
        line.removeprefix("stackgan: warning: ") for line in warned
    ]
    assert 'knows no "xyzzy"' in warned[0] and max(map(len, warned)) < 250
    assert sum("knows no" in line for line in warned) <= 2  # what moves the picture, what does not
    assert "does not understand \"no\" in 'no petals'" in warned[-2]
    assert "reads 201 characters of a caption, so 'xxx" in warned[-1]


def test_what_a_long_caption_loses_is_said_in_one_sentence(generate, here):
    done = generate(f"{PINK} " * 300, "--out", "a.png")
    assert done.code == 0 and done.err.count("\n") == 1
    assert "reads 201 characters of a caption, so 'this flower" in done.err and "is cut" in done.err
    exactly = f"{PINK}{' very' * 99}"[:200] + "y"
    assert "is cut" not in generate(exactly, "--out", "b.png").err
    late = generate("qqq " * 60 + PINK, "--out", "c.png").err
    assert 'knows no "qqq"' in late and "is cut" in late and "pink" not in late.split(";")[0]


@pytest.mark.parametrize(
    "caption",
    [
        "a red\x01 cup \x1b[2J\x07",
        "\x9b31m pink",
        "\N{HOT BEVERAGE} \N{WOMAN}\N{ZERO WIDTH JOINER}\N{EAR OF RICE}",
        "\u7d05\u3044\u82b1 " * 40,
        "\U00010330" * 300,
        "half \ud83c a pair",
        "\udcff",
        "../../etc/passwd",
        "a\r\nb",
        "x" * 10_000,
    ],
)
def test_a_caption_of_any_characters_is_drawn_and_stored(generate, here, caption):
    done = generate(caption, "--out", "out")
    assert done.code == 0
    (path,) = (here / "out").iterdir()
    assert (
        done.out == f"{Path('out') / path.name}\n" and path.name.removesuffix(".png").isprintable()
    )
    assert len(os.fsencode(path.name)) < 160 and set(path.name) & set("\\/:*?<>|") == set()
    stored = read_fields(path)["caption"]
    assert stored == plain(caption).strip()
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in stored)
    assert all(line.isprintable() for line in done.err.splitlines())
    assert generate(caption, caption, "-n", 2, "--out", "grid.png").code == 0


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_a_captions_file_may_be_in_other_encodings(generate, here, encoding):
    (here / "captions.txt").write_bytes("une fleur très rose\r\n\r\npink\r\n".encode(encoding))
    done = generate("--captions", "captions.txt", "--out", "out", "--json")
    assert [p["caption"] for p in json.loads(done.out)["pictures"]] == [
        "une fleur très rose",
        "pink",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no caption"),
        ([""], "empty"),
        ([PINK, "   "], "empty"),
        ([PINK, "--captions", "gone.txt"], "gone.txt"),
        ([PINK, "--out", "x.jpg"], "expected a .png"),
        ([PINK, "--out", "no/where/x.png"], "no folder no;"),
        ([PINK, "--out", "no/such/folder"], "no folder no/such;"),
        ([PINK, "--device", "gpu"], "'gpu'"),
        ([PINK, "--stage", "3"], "--stage"),
        ([PINK, "--model", "nothing-like-it"], "nothing-like-it"),
        ([PINK, "--model", "./nothing"], "nothing"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_nothing_is_written(generate, here, words, message):
    done = generate(*words)
    assert done.code == 2 and done.out == ""
    assert done.err.count("\n") == 1 and message in done.err
    assert list(here.iterdir()) == []


def test_captions_files_that_are_empty_or_not_text_are_refused(generate, here):
    (here / "empty.txt").write_text("\n \n")
    (here / "binary.txt").write_bytes(bytes(range(256)))
    (here / "folder.txt").mkdir()
    for name, message in (
        ("empty.txt", "holds no caption"),
        ("binary.txt", "is not text"),
        ("folder.txt", "is a directory"),
    ):
        done = generate("--captions", name)
        assert (done.code, done.out) == (2, "")
        assert done.err.count("\n") == 1 and name in done.err and message in done.err


def test_out_that_is_a_file_or_a_folder_in_the_way_is_said(generate, here):
    (here / "file").write_text("")
    (here / "folder.png").mkdir()
    assert "is a file" in generate(PINK, "--out", "file").err
    assert "is a folder" in generate(PINK, "--out", "folder.png").err


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_said_before_the_work(generate, here):
    (here / "locked").mkdir(mode=0o500)
    done = generate(PINK, "--out", "locked/x.png")
    assert done.code == 2 and "not writable" in done.err


def test_a_full_disk_is_exit_1_and_leaves_the_older_picture(generate, here, monkeypatch):
    assert generate(PINK, "--out", "x.png").code == 0
    before = (here / "x.png").read_bytes()

    def full(self, data):
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    done = generate(BLUE, "--out", "x.png")
    assert done.code == 1 and "no space is left" in done.err
    assert (here / "x.png").read_bytes() == before
    assert [path.name for path in here.iterdir()] == ["x.png"]


def test_a_model_of_stage_one_alone_draws_sketches(command_line, tiny_stage1, here):
    assert command_line("generate", PINK, "--model", tiny_stage1, "--out", "s.png").code == 0
    done = command_line("generate", PINK, "--model", tiny_stage1, "--stage", 2)
    assert done.code == 2 and "Stage-I only" in done.err
