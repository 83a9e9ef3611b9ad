"""The pixel cache: right pixels, rebuilt when a file changes, nothing half written."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stackgan.data import cache as cache_module
from stackgan.data.cache import prepare_cache
from stackgan.data.examples import Example
from stackgan.errors import DataError, InputError


@pytest.fixture
def examples(tmp_path) -> list[Example]:
    """Six PNGs of 12x8, each of one level of grey."""
    found = []
    for number in range(6):
        path = tmp_path / f"image {number}.png"
        Image.new("RGB", (12, 8), (number, 2 * number, 100 + number)).save(path)
        found.append(Example(path, ("a caption",)))
    return found


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_images_lie_in_the_order_of_the_examples(examples, tmp_path):
    cache = prepare_cache(examples, 4, tmp_path / "cache")
    assert cache.pixels.shape == (6, 4, 4, 3)
    assert cache.pixels.dtype == np.uint8
    assert isinstance(cache.pixels, np.memmap)
    assert cache.size_px == 4
    for number in range(6):
        assert (cache.pixels[number] == (number, 2 * number, 100 + number)).all()
    reverse = prepare_cache(examples[::-1], 4, tmp_path / "cache")
    assert (reverse.pixels == cache.pixels[::-1]).all()


def test_every_level_survives(tmp_path):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(np.dstack([levels, levels.T, 255 - levels])).save(tmp_path / "levels.png")
    example = Example(tmp_path / "levels.png", ("levels",))
    found = prepare_cache([example], 16, tmp_path / "cache").pixels[0]
    assert (found == np.dstack([levels, levels.T, 255 - levels])).all()


def test_a_second_call_reads_no_image(examples, tmp_path, monkeypatch):
    first = prepare_cache(examples, 4, tmp_path / "cache")
    monkeypatch.setattr(cache_module, "read_image", lambda *_: pytest.fail("decoded again"))
    again = prepare_cache(examples, 4, tmp_path / "cache")
    assert (again.pixels == first.pixels).all()


def test_it_is_rebuilt_when_a_file_changes(examples, tmp_path):
    prepare_cache(examples, 4, tmp_path / "cache")
    Image.new("RGB", (12, 8), "white").save(examples[2].image)
    again = prepare_cache(examples, 4, tmp_path / "cache")
    assert (again.pixels[2] == 255).all()
    assert (again.pixels[3] == (3, 6, 103)).all()
    assert len(files(tmp_path / "cache")) == 2


def test_a_new_time_alone_rebuilds_it(examples, tmp_path, monkeypatch):
    prepare_cache(examples, 4, tmp_path / "cache")
    os.utime(examples[0].image, ns=(1, 1))
    decoded = []
    real = cache_module.read_image
    monkeypatch.setattr(
        cache_module, "read_image", lambda *given: decoded.append(given) or real(*given)
    )
    prepare_cache(examples, 4, tmp_path / "cache")
    assert len(decoded) == 6


def test_sizes_fits_and_lists_of_examples_have_caches_of_their_own(examples, tmp_path):
    folder = tmp_path / "cache"
    paths = {
        prepare_cache(examples, 4, folder).path,
        prepare_cache(examples, 6, folder).path,
        prepare_cache(examples, 4, folder, fit="squeeze").path,
        prepare_cache(examples[:3], 4, folder).path,
    }
    assert len(paths) == 4
    assert all(path.exists() for path in paths)


def test_the_same_files_by_a_relative_path_share_a_cache(examples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    relative = [Example(Path(example.image.name), ("a",)) for example in examples]
    one = prepare_cache(relative, 4, tmp_path / "cache").path
    assert prepare_cache(examples, 4, tmp_path / "cache").path == one


class Stop(Exception):
    pass


def test_an_interrupted_build_leaves_nothing(examples, tmp_path):
    def stop(done, total):
        if done == 3:
            raise Stop

    with pytest.raises(Stop):
        prepare_cache(examples, 4, tmp_path / "cache", progress=stop)
    assert files(tmp_path / "cache") == set()
    assert prepare_cache(examples, 4, tmp_path / "cache").pixels.shape[0] == 6


def test_an_interrupted_rebuild_is_no_cache_of_the_new_files(examples, tmp_path):
    prepare_cache(examples, 4, tmp_path / "cache")
    Image.new("RGB", (12, 8), "white").save(examples[5].image)

    def stop(done, total):
        raise Stop

    with pytest.raises(Stop):
        prepare_cache(examples, 4, tmp_path / "cache", progress=stop)
    assert (prepare_cache(examples, 4, tmp_path / "cache").pixels[5] == 255).all()


def test_what_a_killed_process_left_is_cleared(examples, tmp_path):
    path = prepare_cache(examples, 4, tmp_path / "cache").path
    left = path.with_name(f".{path.name}.part-999999999-abcd")
    older = path.with_name(f"{path.name}.999999999.abcd.building")
    at_work = path.with_name(f".{path.name}.part-{os.getppid()}-abcd")
    built = path.with_name(f"{path.name}.{os.getppid()}.abcd.building")
    for each in (left, older, at_work, built):
        each.touch()
    path.unlink()
    prepare_cache(examples, 4, tmp_path / "cache")
    assert not left.exists() and not older.exists()
    assert at_work.exists() and built.exists()


@pytest.mark.parametrize("damage", ["cut", "record", "record gone", "empty"])
def test_a_damaged_cache_is_built_again(examples, tmp_path, damage):
    path = prepare_cache(examples, 4, tmp_path / "cache").path
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-10])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "record":
        path.with_suffix(".json").write_text("{", encoding="utf-8")
    else:
        path.with_suffix(".json").unlink()
    again = prepare_cache(examples, 4, tmp_path / "cache")
    assert (again.pixels[5] == (5, 10, 105)).all()


def test_a_damaged_image_is_named_with_the_command_that_names_the_rest(examples, tmp_path):
    examples[4].image.write_bytes(examples[4].image.read_bytes()[:50])
    with pytest.raises(DataError, match=r"image 4\.png .*`stackgan data check`") as raised:
        prepare_cache(examples, 4, tmp_path / "cache")
    assert "\n" not in str(raised.value)
    assert files(tmp_path / "cache") == set()


def test_a_missing_image_is_named(examples, tmp_path):
    examples[1].image.unlink()
    with pytest.raises(DataError, match=r"image 1\.png .*`stackgan data check`"):
        prepare_cache(examples, 4, tmp_path / "cache")


def test_progress_counts_every_image(examples, tmp_path):
    told = []
    prepare_cache(examples, 4, tmp_path / "cache", progress=lambda *now: told.append(now))
    assert told == [(done, 6) for done in range(1, 7)]


def test_impossible_requests_are_refused(examples, tmp_path):
    with pytest.raises(InputError, match="size_px is 0"):
        prepare_cache(examples, 0, tmp_path / "cache")
    with pytest.raises(InputError, match="empty"):
        prepare_cache([], 4, tmp_path / "cache")
