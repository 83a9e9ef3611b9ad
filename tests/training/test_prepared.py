"""A cache that was prepared is used wherever it lies; one that cannot be used is named."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from stackgan.cli.main import run as stackgan
from stackgan.config import validate_settings
from stackgan.data import read_examples
from stackgan.data.cache import find_cache
from stackgan.training import plan as plans
from stackgan.training import prepared
from stackgan.training.plan import Plan
from stackgan.training.prepared import use_prepared

COLOURS = ["red", "green", "blue", "white"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    root.mkdir()
    for place, colour in enumerate(COLOURS):
        Image.new("RGB", (70, 64), colour).save(root / f"{place}.png")
        (root / f"{place}.txt").write_text(f"a {colour} mug")
    return root


@pytest.fixture
def read_only(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prepared cache that cannot be written, also for who may write everywhere."""
    access = os.access

    def refuse(path: Any, mode: int) -> bool:
        return Path(path) != root / ".stackgan" and access(path, mode)

    monkeypatch.setattr(plans.os, "access", refuse)


def prepare(root: Path, *more: str) -> None:
    words = ["data", "prepare", "folder", "--root", str(root), "--size", "64"]
    assert stackgan([*words, "--option", "test_fraction=0", *more]) == 0


def said(root: Path, run: Path, **settings: Any) -> list[str]:
    plan = Plan("folder", str(root), validate_settings(settings), (1,), encoder="tiny",
                options={"test_fraction": 0})  # fmt: skip
    told: list[str] = []
    use_prepared(run, plan, read_examples("folder", root, "train", test_fraction=0), told.append)
    return told


def kept(root: Path, folder: Path) -> bool:
    examples = read_examples("folder", root, "train", test_fraction=0)
    return find_cache(examples, 64, folder, "box") is not None


def test_a_cache_on_a_disk_that_is_read_only_is_read_there(
    root: Path, tmp_path: Path, read_only: None
) -> None:
    prepare(root)
    before = {path: path.stat().st_mtime_ns for path in (root / ".stackgan").iterdir()}
    told = said(root, tmp_path / "run")
    assert told == [f"the cache that was prepared in {root / '.stackgan'} is read there"]
    assert kept(root, tmp_path / "run/cache")
    assert all(path.is_symlink() for path in (tmp_path / "run/cache").iterdir())
    assert {path: path.stat().st_mtime_ns for path in (root / ".stackgan").iterdir()} == before
    shutil.rmtree(tmp_path / "run")
    assert kept(root, root / ".stackgan")  # links went, not what they led to


def test_a_cache_that_can_be_written_is_used_without_a_word(root: Path, tmp_path: Path) -> None:
    prepare(root)
    assert said(root, tmp_path / "run") == [] and not (tmp_path / "run").exists()


def test_where_nothing_was_prepared_nothing_is_said(root: Path, tmp_path: Path) -> None:
    assert said(root, tmp_path / "run") == []
    (root / ".stackgan").mkdir()
    assert said(root, tmp_path / "run") == []


@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("touched", "is damaged, or of files that have changed since"),
        ("cut", "is damaged, or of files that have changed since"),
        ("more", "is of other photographs (another split or other options, or the folder had"),
        ("moved", "is of other photographs"),
        ("squeezed", "has the photographs by squeeze, not by crop"),
        ("larger", "it has photographs of 80x80"),
    ],
)
def test_a_prepared_cache_that_cannot_be_used_is_named_with_the_reason(
    change: str,
    reason: str,
    writable: bool,
    root: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    if not writable and change != "moved":
        request.getfixturevalue("read_only")
    prepare(root, *{"squeezed": ["--fit", "squeeze"], "larger": ["--size", "80"]}.get(change, []))
    if change == "touched":
        os.utime(root / "0.png", (1, 1))
    elif change == "cut":
        next((root / ".stackgan").glob("*.npy")).write_bytes(b"")
    elif change == "more":
        shutil.copy(root / "0.png", root / "4.png")
        (root / "4.txt").write_text("a second red mug")
    elif change == "moved":
        root = root.rename(tmp_path / "mugs")
    told = said(root, tmp_path / "run")
    assert len(told) == 1 and reason in told[0]
    assert f"prepared in {root / '.stackgan'} is not used" in told[0]


def test_other_sizes_beside_one_that_is_used_are_no_trouble(root: Path, tmp_path: Path) -> None:
    prepare(root)
    plan = Plan("folder", str(root), validate_settings({}), (1, 2), encoder="tiny",
                options={"test_fraction": 0})  # fmt: skip
    told: list[str] = []
    examples = read_examples("folder", root, "train", test_fraction=0)
    use_prepared(tmp_path / "run", plan, examples, told.append)
    assert told == []
    os.utime(root / "0.png", (1, 1))
    use_prepared(tmp_path / "run", plan, examples, told.append)
    assert len(told) == 1


def test_a_disk_without_links_is_no_trouble(
    root: Path, tmp_path: Path, read_only: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(1, "Operation not permitted")

    prepare(root)
    monkeypatch.setattr(prepared.os, "symlink", refuse)
    said(root, tmp_path / "run")
    assert not kept(root, tmp_path / "run/cache")
