"""The log, the sheets and the warnings of a run."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from stackgan.errors import RunFailed
from stackgan.training.record import COLLAPSED_DIVERSITY, Recorder, as_grid


def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_grid_shows_captions_in_rows_and_seeds_in_columns() -> None:
    pixels = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1).expand(6, 3, 2, 2)
    grid = as_grid(pixels, columns=3)
    assert grid.shape == (4, 6, 3)
    assert grid[::2, ::2, 0].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_resuming_drops_what_a_killed_run_left_after_its_checkpoint(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, print, None)
    for step in (5, 10, 15):
        recorder.line(step, {"kl": float(step)})
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 20, "kl"')
    recorder.close()
    again = Recorder(tmp_path, print, 10)
    assert [line["step"] for line in lines(tmp_path)] == [5, 10]
    again.line(15, {"kl": 1.0})
    again.close()
    assert [line["step"] for line in lines(tmp_path)] == [5, 10, 15]


def test_a_new_run_begins_a_new_log(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 1}\n')
    Recorder(tmp_path, print, None).close()
    assert not (tmp_path / "log.jsonl").exists()


def test_a_collapse_is_told_once_and_names_the_sheet(tmp_path: Path) -> None:
    said: list[str] = []
    recorder = Recorder(tmp_path, said.append, None)
    pixels = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
    recorder.sheet(10, pixels, 2, COLLAPSED_DIVERSITY + 1)
    assert said == []
    recorder.sheet(20, pixels, 2, COLLAPSED_DIVERSITY / 2)
    recorder.sheet(30, pixels, 2, 0.0)
    recorder.close()
    assert len(said) == 1 and "collapsing" in said[0] and "sheet-000020.png" in said[0]
    with Image.open(tmp_path / "sheet-000030.png") as sheet:
        assert sheet.size == (16, 16)
    assert [line["diversity"] for line in lines(tmp_path)] == [5.0, 2.0, 0.0]


@pytest.mark.parametrize(
    ("real", "fake", "told"), [(0.999, 0.001, True), (0.999, 0.3, False), (0.6, 0.001, False)]
)
def test_a_discriminator_that_has_won_is_told(
    real: float, fake: float, told: bool, tmp_path: Path
) -> None:
    said: list[str] = []
    recorder = Recorder(tmp_path, said.append, None)
    recorder.line(10, {"d_real": real, "d_fake": fake})
    recorder.close()
    assert bool(said) == told


def test_tensorboard_gets_the_same_numbers(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    recorder = Recorder(tmp_path, print, None)
    recorder.line(10, {"kl": 0.5})
    recorder.close()
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_a_log_that_cannot_be_written_stops_with_a_sentence(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, print, None)
    recorder.log = tmp_path / "nowhere" / "log.jsonl"
    with pytest.raises(RunFailed, match="could not be written"):
        recorder.line(1, {"kl": 0.5})
    recorder.close()
