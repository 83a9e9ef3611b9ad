"""``stackgan data``: answers on stdout, exit codes, JSON a program can read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from stackgan.cli.data import app
from stackgan.data import read_examples
from stackgan.errors import CheckFailed, DataError, InputError


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp("verb") / "toy"
    assert run("toy", "--root", root, "--seed", 2, "--count", 40).exit_code == 0
    return root


def test_list_names_every_data_set():
    result = run("list")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == [
        "oxford102",
        "cub",
        "coco",
        "folder",
        "toy",
    ]
    known = json.loads(run("list", "--json").stdout)
    assert known["folder"]["options"] == [
        "test_fraction",
        "split_seed",
        "image_column",
        "caption_column",
    ]
    assert known["coco"]["options"] == ["year", "missing"]


def test_toy_says_what_it_held_out(tmp_path):
    result = run("toy", "--root", tmp_path / "toy", "--count", 35, "--json")
    said = json.loads(result.stdout)
    assert said["count"] == 35
    assert said["seed"] == 0
    assert len(said["held_out"]) == 5
    assert len(list((tmp_path / "toy" / "images").iterdir())) == 35


def test_toy_into_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "mine").touch()
    assert isinstance(run("toy", "--root", tmp_path).exception, InputError)
    assert run("toy", "--root", tmp_path / "new", "--count", 3).exit_code == 2


def test_check_of_a_whole_set_prints_its_count(drawn):
    result = run("check", "toy", "--root", drawn)
    assert result.exit_code == 0
    assert result.stdout == f"toy in {drawn}: 40 captioned images can be used, no fault found\n"
    as_json = json.loads(run("check", "toy", "--root", drawn, "--json").stdout)
    assert as_json == {"name": "toy", "root": str(drawn), "usable": 40, "faults": []}


def test_check_prints_a_line_for_each_fault_and_exits_1(tmp_path):
    root = tmp_path / "toy"
    run("toy", "--root", root, "--count", 40)
    (root / "images" / "toy_00003.png").unlink()
    (root / "images" / "toy_00007.png").write_bytes(b"no image")
    result = run("check", "toy", "--root", root)
    assert result.exit_code == 1
    assert isinstance(result.exception, CheckFailed)
    assert result.exception.exit_code == 1
    assert "2 faults; 38 captioned images can be used" in str(result.exception)
    assert result.stdout.splitlines() == [
        f"{root}/images/toy_00003.png: is missing; metadata.jsonl, line 4 names it",
        f"{root}/images/toy_00007.png: is not an image that can be read",
    ]
    faults = json.loads(run("check", "toy", "--root", root, "--json").stdout)["faults"]
    assert [fault["problem"] for fault in faults][1] == "is not an image that can be read"


def test_prepare_writes_the_cache_under_the_root_and_names_it(drawn):
    result = run("prepare", "toy", "--root", drawn, "--size", 16, "--split", "all", "--json")
    assert result.exit_code == 0
    said = json.loads(result.stdout)
    assert said["images"] == 40
    assert said["bytes"] == 40 * 16 * 16 * 3
    assert np.load(said["path"]).shape == (40, 16, 16, 3)
    assert Path(said["path"]).parent == drawn / ".stackgan"
    test = run("prepare", "toy", "--root", drawn, "--size", 16, "--split", "test")
    assert f": {len(read_examples('toy', drawn, 'test'))} images of 16x16" in test.stdout
    assert run("check", "toy", "--root", drawn).exit_code == 0  # the cache is no fault


@pytest.mark.parametrize("verb", ["check", "prepare"])
def test_wrong_names_and_roots_are_sentences(tmp_path, verb):
    unknown = run(verb, "flowers", "--root", tmp_path)
    assert isinstance(unknown.exception, InputError)
    assert "known: oxford102, cub, coco, folder, toy" in str(unknown.exception)
    nowhere = run(verb, "folder", "--root", tmp_path / "nowhere")
    assert isinstance(nowhere.exception, DataError)
    assert run(verb, "folder").exit_code == 2  # --root is missing
    assert unknown.exception.exit_code == nowhere.exception.exit_code == 2


def test_a_size_or_a_split_out_of_range_is_refused(drawn):
    assert run("prepare", "toy", "--root", drawn, "--size", 0).exit_code == 2
    assert run("prepare", "toy", "--root", drawn, "--split", "valid").exit_code == 2
    assert run("prepare", "toy", "--root", drawn, "--fit", "stretch").exit_code == 2


def test_nothing_but_the_cache_folder_is_written(drawn):
    before = {path for path in drawn.rglob("*") if ".stackgan" not in path.parts}
    run("prepare", "toy", "--root", drawn, "--size", 8)
    run("check", "toy", "--root", drawn)
    assert {path for path in drawn.rglob("*") if ".stackgan" not in path.parts} == before
