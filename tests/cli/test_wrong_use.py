"""Each kind of bad argument: one sentence that names it and what is good; nothing is written."""

from __future__ import annotations

import pytest

GENERATE = ["generate", "a flower", "--model", "MODEL"]
EVALUATE = ["evaluate", "MODEL", "--data", "folder", "--root", "photographs"]
ENCODER = ["encoder", "train", "--data", "folder", "--root", "photographs", "--out", "new"]
TRAIN = ["train", "--run", "run", "--data", "folder", "--root", "photographs"]
PREPARE = ["data", "prepare", "folder", "--root", "photographs"]

LINES = {
    "no such verb": (["genrate", "a"], ["genrate", "generate"]),
    "no such command": (["data", "chek"], ["chek", "check"]),
    "no such option": (["generate", "a", "--modl", "x"], ["--modl", "--model"]),
    "an option without its value": (["generate", "a", "--model"], ["--model"]),
    "no caption": (["generate"], ["no caption was given"]),
    "an empty caption": (["generate", " "], ["caption is empty"]),
    "one caption of two": (["interpolate", "a"], ["missing argument 'B'"]),
    "a zero byte": ([*GENERATE, "--captions", "a\0b"], [r"'a\x00b' holds a zero byte"]),
    "no number": ([*GENERATE, "-n", "many"], ["-n", "many", "integer"]),
    "too small": ([*GENERATE, "-n", "0"], ["-n", "found '0'", "1"]),
    "too large": ([*GENERATE, "--stage", "7"], ["--stage", "found '7'", "2"]),
    "negative": ([*GENERATE, "--seed=-1"], ["--seed", "found '-1'", "0"]),
    "no such device": ([*GENERATE, "--device", "gpu"], ["gpu", "cpu"]),
    "no such model": (
        ["generate", "a", "--model", "flowrs"],
        ["flowrs", "no such folder; shipped models: "],
    ),
    "another kind of picture": ([*GENERATE, "--out", "a.jpg"], ["a.jpg", ".png"]),
    "a folder that is not there": ([*GENERATE, "--out", "no/such/a.png"], ["no folder no"]),
    "captions that are not there": ([*GENERATE, "--captions", "no.txt"], ["no.txt"]),
    "no such choice": ([*PREPARE, "--fit", "crip"], ["'crip'", "did you mean 'crop'"]),
    "no such split": ([*PREPARE, "--split", "tset"], ["'tset'", "did you mean 'test'"]),
    "no such data set": (["data", "check", "foldr", "--root", "x"], ["foldr", "'folder'"]),
    "no such folder": (["data", "check", "folder", "--root", "nowhere"], ["nowhere", "--root"]),
    "a file for a folder": (["data", "check", "folder", "--root", "file"], ["file is a file"]),
    "too few pictures": (["data", "toy", "--root", "new", "--count", "3"], ["found '3'", "35"]),
    "no such objective": ([*ENCODER, "--objective", "hinge"], ["hinge", "'structured'"]),
    "no such metric": ([*EVALUATE, "--metrics", "kidd"], ["kidd", "did you mean 'kid'"]),
    "too many pictures": ([*EVALUATE, "--split", "all", "-n", "99"], ["99", "5"]),
    "a setting of thousands of digits": (
        [*TRAIN, "--set", "stage1.steps=" + "9" * 5000],
        ["stage1.steps", "integer"],
    ),
    "a setting too deep": (
        [*TRAIN, "--set", "stage1.steps=" + "[" * 3000],
        ["stage1.steps", "integer"],
    ),
    "no embeddings' name": (
        ["encoder", "embed", "--encoder", "MODEL", "--captions", "file", "--out", "e.txt"],
        ["e.txt", ".npz"],
    ),
    "nothing to inspect": (["inspect", "nowhere"], ["nowhere"]),
    "something else to inspect": (["inspect", "file"], ["file"]),
}


@pytest.mark.parametrize("kind", LINES)
def test_it_is_one_sentence_and_nothing_is_written(
    kind, command_line, tiny_model, tmp_path, monkeypatch
):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("a flower")
    (tmp_path / "photographs").mkdir()
    for number in range(5):
        Image.new("RGB", (8, 8), "red").save(tmp_path / "photographs" / f"{number}.png")
        (tmp_path / "photographs" / f"{number}.txt").write_text("a flower")
    before = sorted(tmp_path.rglob("*"))
    line, phrases = LINES[kind]
    done = command_line(*(tiny_model if word == "MODEL" else word for word in line))
    assert (done.code, done.out) == (2, ""), done
    assert done.err.startswith("stackgan: ") and done.err.count("\n") == 1
    for phrase in phrases:
        assert phrase.lower() in done.err.lower()
    assert sorted(tmp_path.rglob("*")) == before
