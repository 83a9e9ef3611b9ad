"""Files are whole or not there, and what a kill leaves is removed by the next whole save."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from stackgan.cli.answer import write_text
from stackgan.data.toy import draw
from stackgan.files import (
    is_running,
    remove_left_overs,
    remove_parts,
    unfinished,
    whole_file,
    whole_folder,
    write_json,
)
from stackgan.result import save_png
from stackgan.text.char_cnn_rnn import CharCnnRnn, Sizes
from stackgan.text.precomputed import embed_to_file
from stackgan.training.captioning import write_metadata
from stackgan.training.joint import _keep_features
from stackgan.training.record import Recorder

DEAD = 999_999_999
Writer = Callable[[Path], object]


def save(path: Path) -> None:
    with whole_file(path) as part:
        part.write_text("whole")


@pytest.mark.parametrize(
    "left",
    [
        f".picture.png.part-{DEAD}",
        f".picture.png.part-{os.getpid()}",
        ".picture.png.part",
        "picture.png.partial",
    ],
    ids=["a dead process", "this process", "no process", "an older version"],
)
def test_a_whole_save_removes_what_a_kill_left_of_the_same_file(left: str, tmp_path: Path) -> None:
    (tmp_path / left).write_text("ha")
    save(tmp_path / "picture.png")
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]


def test_a_half_written_folder_is_removed_with_all_it_holds(tmp_path: Path) -> None:
    (tmp_path / f".model.part-{DEAD}").mkdir()
    (tmp_path / f".model.part-{DEAD}" / "generator.safetensors").write_text("ha")
    remove_left_overs(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "kept",
    [
        f".picture.png.part-{os.getppid()}",  # another process is at it
        f".other.png.part-{DEAD}",  # another file's
        "picture.png.part",  # what a download goes on from
        ".picture.png.parted",
        ".picture.png",
    ],
    ids=["at work", "another", "a download", "parted", "picture"],
)
def test_a_whole_save_leaves_what_is_no_left_over_of_it(kept: str, tmp_path: Path) -> None:
    (tmp_path / kept).write_text("kept")
    save(tmp_path / "picture.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([kept, "picture.png"])


def test_an_error_leaves_the_file_before_and_no_part(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(RuntimeError), whole_file(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_a_long_name_has_a_part_that_the_disk_takes(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 250)
    save(path)
    with unfinished(path) as part:
        assert path.read_text() == "whole" and len(part.name) < 120


def test_two_threads_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with whole_file(path) as one:
        one.write_text("one")
        with whole_file(path) as other:
            other.write_text("other")
        assert path.read_text() == "other"
    assert path.read_text() == "one" and list(tmp_path.iterdir()) == [path]


def test_what_is_being_written_stays(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a.txt") as part:
        part.write_text("whole")
        remove_parts(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]


def test_a_whole_folder_takes_the_place_of_another(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    for name in ("before", "after"):
        with whole_folder(folder) as fresh:
            (fresh / name).write_text(name)
        assert [path.name for path in folder.iterdir()] == [name]
    with pytest.raises(RuntimeError), whole_folder(folder) as fresh:
        (fresh / "half").write_text("")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == [folder]
    assert [path.name for path in folder.iterdir()] == ["after"]


def test_a_folder_filled_meanwhile_stays(tmp_path: Path) -> None:
    folder = tmp_path / "imported"
    folder.mkdir()
    with whole_folder(folder, replaces=False) as fresh:
        (fresh / "new").write_text("")
    assert [path.name for path in folder.iterdir()] == ["new"]
    with pytest.raises(OSError), whole_folder(folder, replaces=False) as fresh:
        (fresh / "newer").write_text("")
    assert [path.name for path in folder.iterdir()] == ["new"] and list(tmp_path.iterdir()) == [
        folder
    ]


def test_a_folder_that_is_held_is_rid_of_all_parts(tmp_path: Path) -> None:
    half = [".model.part-1", ".sheet-000004.png.part", f".settings.json.part-{os.getppid()}",
            "text_encoder.safetensors.partial", "pixels-64-crop-1.npy.7.ab.building"]  # fmt: skip
    whole = ["checkpoint.pt", ".lock", "notes.partial", "a.part"]
    for name in (*half, *whole):
        (tmp_path / name).write_text("")
    remove_parts(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(whole)


def test_the_model_before_stays_where_there_is_no_other(tmp_path: Path) -> None:
    (tmp_path / ".model.old").mkdir()
    remove_parts(tmp_path)
    assert (tmp_path / ".model.old").is_dir()
    (tmp_path / "model").mkdir()
    remove_parts(tmp_path)
    assert not (tmp_path / ".model.old").exists()


def test_which_processes_run() -> None:
    assert is_running(os.getppid()) and not is_running(DEAD)
    assert not is_running(os.getpid()) and not is_running(0) and not is_running(10**30)


def sheet(path: Path) -> None:
    recorder = Recorder(path.parent, print, None)
    recorder.sheet(8, torch.zeros(2, 3, 8, 8, dtype=torch.uint8), 2, 9.0)
    recorder.close()


ENCODER = CharCnnRnn(Sizes(conv1=8, conv2=8, hidden=8, dim=12))
WRITERS: dict[str, Writer] = {
    "picture.png": lambda path: save_png(Image.new("RGB", (8, 8)), path, {}),
    "report.json": lambda path: write_text(path, "{}"),
    "settings.json": lambda path: write_json(path, {}),
    "text_encoder.safetensors": ENCODER.save,
    "captions.npz": lambda path: embed_to_file(ENCODER, ["a mug"], path),
    "metadata.jsonl": lambda path: write_metadata(path, []),
    "pixels.lite1.npz": lambda path: _keep_features(path, torch.zeros(1, 2, 3), ""),
    "sheet-000008.png": sheet,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_is_rid_of_what_a_kill_left_of_it(name: str, tmp_path: Path) -> None:
    left = [tmp_path / f".{name}.part-{DEAD}", tmp_path / f".{name}.part"]
    for path in left:
        path.write_text("half")
    WRITERS[name](tmp_path / name)
    assert (tmp_path / name).exists() and not any(path.exists() for path in left)


def test_a_model_folder_is_rid_of_what_a_kill_left_of_it(
    new_model: Callable[..., Path], tmp_path: Path
) -> None:
    left = tmp_path / f".model.part-{DEAD}"
    left.mkdir()
    (left / "generator.safetensors").write_text("half")
    new_model(tmp_path / "model", stage2=False)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_toy_set_is_rid_of_what_a_kill_left_of_it(tmp_path: Path) -> None:
    left = tmp_path / f".metadata.jsonl.part-{DEAD}"
    draw(tmp_path, seed=0, count=35)
    left.write_text("half")
    draw(tmp_path, seed=0, count=35)
    assert not left.exists()
