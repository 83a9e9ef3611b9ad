"""Archives: what is asked for, whole or not at all, and nothing outside the folder."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stackgan.data import unpack as unpack_module
from stackgan.data.unpack import unpack
from stackgan.errors import DataError

FILES = {"data/a.txt": b"one", "data/deep/b.txt": b"two" * 1000, "other/c.txt": b"three"}


def tar(path, files, mode="w:gz", links=(), devices=()):
    with tarfile.open(path, mode) as bundle:
        for name, content in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            bundle.addfile(header, io.BytesIO(content))
        for name, target, kind in links:
            header = tarfile.TarInfo(name)
            header.type, header.linkname = kind, target
            bundle.addfile(header)
        for name in devices:
            header = tarfile.TarInfo(name)
            header.type = tarfile.CHRTYPE
            bundle.addfile(header)
    return path


def zipped(path, files, links=()):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
        for name, target, _kind in links:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o120777 << 16
            packed.writestr(entry, target)
    return path


MAKE = {"tar.gz": tar, "tar": lambda path, files, **m: tar(path, files, "w", **m), "zip": zipped}


@pytest.fixture
def places(tmp_path):
    root, work = tmp_path / "root", tmp_path / "root" / "work"
    work.mkdir(parents=True)
    return root, work


def below(folder):
    """Every path below a folder, files with their bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("top", ["", "published/", "./"])
def test_what_is_asked_for_comes_to_its_place_and_the_rest_stays_packed(
    tmp_path, places, kind, top
):
    root, work = places
    archive = MAKE[kind](tmp_path / "a", {top + name: body for name, body in FILES.items()})
    seen = []
    takes = {"data": "here", "other/c.txt": "sub/c.txt"}
    unpack(archive, takes, root, work, lambda done, total: seen.append((done, total)))
    assert below(root) == {
        "work": None,
        "here": None,
        "here/a.txt": b"one",
        "here/deep": None,
        "here/deep/b.txt": b"two" * 1000,
        "sub": None,
        "sub/c.txt": b"three",
    }
    assert seen
    assert all(0 <= done <= total for done, total in seen)


EVIL = [
    "../out.txt",
    "data/../../out.txt",
    "/tmp/out.txt",
    "data/..\\..\\out.txt",
    "C:/out.txt",
    "data/a:b.txt",
]


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("name", EVIL)
def test_a_name_that_leads_out_is_refused_and_nothing_stays(tmp_path, places, kind, name):
    root, work = places
    archive = MAKE[kind](tmp_path / "a", {**FILES, name: b"evil"})
    before = below(tmp_path)
    with pytest.raises(DataError, match="leads out of the folder"):
        unpack(archive, {"data": "data"}, root, work)
    assert below(tmp_path) == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["../../../etc/passwd", "/etc/passwd", "a.txt"])
def test_links_are_refused(tmp_path, places, kind, target):
    root, work = places
    link = [("data/link", target, kind)]
    for archive in (tar(tmp_path / "a", FILES, links=link), zipped(tmp_path / "b", FILES, link)):
        with pytest.raises(DataError, match="'data/link', which is a link or a device"):
            unpack(archive, {"data": "data"}, root, work)
        assert below(root) == {"work": None}


def test_devices_are_refused(tmp_path, places):
    archive = tar(tmp_path / "a", FILES, devices=["data/null"])
    with pytest.raises(DataError, match="link or a device"):
        unpack(archive, {"data": "data"}, *places)


def test_a_link_that_is_not_asked_for_does_no_harm(tmp_path, places):
    root, work = places
    links = [("extra/link", "/etc/passwd", tarfile.SYMTYPE)]
    unpack(tar(tmp_path / "a", FILES, links=links), {"data": "data"}, root, work)
    assert (root / "data" / "a.txt").read_bytes() == b"one"


@pytest.mark.parametrize("kind", MAKE)
def test_an_archive_without_a_path_is_refused_and_the_others_do_not_stay(tmp_path, places, kind):
    root, work = places
    archive = MAKE[kind](tmp_path / "a", FILES)
    with pytest.raises(DataError, match="does not hold pictures; expected data, pictures"):
        unpack(archive, {"data": "data", "pictures": "pictures"}, root, work)
    assert below(root) == {"work": None}


@pytest.mark.parametrize("kind", MAKE)
def test_what_unpacks_to_far_more_than_its_size_is_refused(tmp_path, places, kind, monkeypatch):
    root, work = places
    monkeypatch.setattr(unpack_module, "SPARE_BYTES", 1000)
    monkeypatch.setattr(unpack_module, "RATIO", 0 if kind == "tar" else 20)
    archive = MAKE[kind](tmp_path / "a", {"data/zeros": bytes(30_000_000)})
    with pytest.raises(DataError, match="unpacks to more than"):
        unpack(archive, {"data": "data"}, root, work)
    assert below(root) == {"work": None}


def test_too_many_files_are_refused(tmp_path, places, monkeypatch):
    monkeypatch.setattr(unpack_module, "FILES", 2)
    with pytest.raises(DataError, match="more than 2 files"):
        unpack(tar(tmp_path / "a", FILES), {"data": "data"}, *places)


def test_an_encrypted_zip_is_one_sentence(tmp_path, places):
    archive = zipped(tmp_path / "a", {"data/a.txt": b"secret" * 100})
    data = bytearray(archive.read_bytes())
    data[6] |= 1  # the flag of the member, and of its entry in the directory
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    with pytest.raises(DataError, match=r"is damaged: .*(encrypted|password)"):
        unpack(archive, {"data": "data"}, *places)


@pytest.mark.parametrize("content", [b"", b"PK", b"<html>", b"\x1f\x8b\x08\x00", bytes(2000)])
def test_no_archive_at_all_is_one_sentence(tmp_path, places, content):
    root, work = places
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match=r"is damaged|does not hold"):
        unpack(tmp_path / "a", {"data": "data"}, root, work)
    assert below(root) == {"work": None}


def test_a_folder_left_by_a_killed_call_goes(tmp_path, places):
    root, work = places
    (work / "unpacking-left" / "data").mkdir(parents=True)
    unpack(tar(tmp_path / "a", FILES), {"data": "data"}, root, work)
    assert list(work.iterdir()) == []


def test_a_disk_that_fills_up_names_the_file_and_leaves_nothing(tmp_path, places, monkeypatch):
    root, work = places
    archive = tar(tmp_path / "a", FILES)

    def full(*arguments):
        raise OSError(28, os.strerror(28), "there")

    monkeypatch.setattr(unpack_module, "_copy", full)
    with pytest.raises(OSError, match="No space left"):
        unpack(archive, {"data": "data"}, root, work)
    assert below(root) == {"work": None}


@settings(
    max_examples=150,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    kind=st.sampled_from(sorted(MAKE)),
    start=st.floats(0, 1),
    junk=st.binary(min_size=1, max_size=12),
    cut=st.one_of(st.none(), st.floats(0, 1)),
)
def test_a_damaged_archive_is_whole_or_a_sentence(tmp_path_factory, kind, start, junk, cut):
    folder = tmp_path_factory.mktemp("damaged")
    root, work = folder / "root", folder / "root" / "work"
    work.mkdir(parents=True)
    archive = MAKE[kind](folder / "a", FILES)
    data = bytearray(archive.read_bytes())
    place = int(start * (len(data) - 1))
    data[place : place + len(junk)] = junk
    archive.write_bytes(data if cut is None else data[: int(cut * len(data))])
    try:
        unpack(archive, {"data": "data"}, root, work)
    except DataError as error:
        assert "\n" not in str(error)
        assert below(root) == {"work": None}
    except OSError as error:  # a name that no file can have
        assert error.errno is not None
        assert below(root) == {"work": None}
    else:
        assert (root / "data").is_dir()
        assert list(work.iterdir()) == []
