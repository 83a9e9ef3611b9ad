"""The bar: silent on quick work, on stderr with rate and time left on long work."""

import numpy as np

import stackgan.cli.progress as progress
from stackgan.cli.answer import answer


def test_quick_work_shows_nothing(capsys):
    with progress.bar("quick") as step:
        for done in range(1, 4):
            step(done, 3)
    assert capsys.readouterr() == ("", "")


def test_long_work_shows_a_bar_on_stderr(capsys, monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    with progress.bar("drawing") as step:
        for done in range(1, 4):
            step(done, 3)
    out, err = capsys.readouterr()
    assert out == "" and "drawing" in err and "3/3" in err and "/s" in err


def test_numbers_of_other_kinds_become_json(capsys, tmp_path):
    answer("words", {"score": np.float32(0.5), "where": tmp_path}, json_wanted=True)
    assert '"score": 0.5' in capsys.readouterr().out
    answer("words", {}, json_wanted=False)
    assert capsys.readouterr().out == "words\n"
