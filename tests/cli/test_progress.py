"""The bar: silent on quick work, on stderr with rate and time left on long work."""

import sys

import numpy as np

import stackgan.cli.progress as progress
from stackgan.cli.answer import answer


def test_quick_work_shows_nothing(capsys):
    with progress.bar("quick") as step:
        for done in range(1, 4):
            step(done, 3)
    assert capsys.readouterr() == ("", "")


def test_long_work_shows_a_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.bar("drawing") as step:
        for done in range(1, 4):
            step(done, 3)
    out, err = capsys.readouterr()
    assert out == "" and "drawing" in err and "3/3" in err and "/s" in err


def test_without_a_terminal_a_line_comes_now_and_then(capsys, monkeypatch):
    clock = iter([0.0, 10.0, 70.0, 90.0, 140.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.bar("drawing") as step:
        for done in (1, 7, 9, 10):
            step(done, 14)
    assert capsys.readouterr().err.splitlines() == [
        "drawing: 7/14, 0.1/s, 1 minutes left",
        "drawing: 10/14, 0.0692/s, 1 minutes left",
    ]


def test_what_was_done_before_is_no_work_of_now(capsys, monkeypatch):
    clock = iter([0.0, 10.0, 110.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.bar("Stage-I") as step:
        for done in (1000, 1100):
            step(done, 1400)
    assert capsys.readouterr().err.splitlines() == ["Stage-I: 1100/1400, 1/s, 5 minutes left"]


def test_numbers_of_other_kinds_become_json(capsys, tmp_path):
    answer("words", {"score": np.float32(0.5), "where": tmp_path}, json_wanted=True)
    assert '"score": 0.5' in capsys.readouterr().out
    answer("words", {}, json_wanted=False)
    assert capsys.readouterr().out == "words\n"
