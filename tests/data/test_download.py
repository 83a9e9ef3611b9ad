"""A data set from its addresses to a folder that its reader reads, once and whole."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from stackgan.data import addresses, read_examples
from stackgan.data.addresses import COCO_YEARS, DATA_SETS, Part, parts_of
from stackgan.data.download import download
from stackgan.data.fetch import Patience
from stackgan.data.readers import READERS
from stackgan.errors import DataError, InputError, RunFailed

QUICK = Patience(tries=2, timeout_s=5, pause_s=0)


def jpeg(seed):
    opened = io.BytesIO()
    level = np.random.default_rng(seed).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(level).save(opened, "JPEG")
    return opened.getvalue()


def tar(files):
    opened = io.BytesIO()
    with tarfile.open(fileobj=opened, mode="w:gz") as bundle:
        for name, content in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            bundle.addfile(header, io.BytesIO(content))
    return opened.getvalue()


def zipped(files):
    opened = io.BytesIO()
    with zipfile.ZipFile(opened, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return opened.getvalue()


FLOWERS = {
    "102flowers.tgz": tar({f"jpg/image_0000{n}.jpg": jpeg(n) for n in range(1, 5)}),
    "imagelabels.mat": b"labels",
    "setid.mat": b"ids",
}
FLOWER_CAPTIONS = tar(
    {
        "cvpr2016_flowers/trainvalclasses.txt": b"class_00001\n",
        "cvpr2016_flowers/testclasses.txt": b"class_00002\n",
        **{
            f"cvpr2016_flowers/text_c10/class_0000{(n + 1) // 2}/image_0000{n}.txt": b"a flower\n"
            for n in range(1, 5)
        },
        "cvpr2016_flowers/images/class_00001.t7": b"torch",
    }
)
BIRDS = ["001.Black_footed_Albatross/Bird_0001.jpg", "002.Laysan_Albatross/Bird_0002.jpg"]
CUB = {
    "CUB_200_2011.tgz": tar(
        {
            "attributes.txt": b"stays packed",
            "CUB_200_2011/images.txt": "".join(
                f"{n} {name}\n" for n, name in enumerate(BIRDS, 1)
            ).encode(),
            "CUB_200_2011/classes.txt": b"1 001.Black_footed_Albatross\n2 002.Laysan_Albatross\n",
            "CUB_200_2011/image_class_labels.txt": b"1 1\n2 2\n",
            "CUB_200_2011/bounding_boxes.txt": b"1 2.0 2.0 30.0 30.0\n2 1.0 1.0 20.0 20.0\n",
            **{f"CUB_200_2011/images/{name}": jpeg(n) for n, name in enumerate(BIRDS)},
        }
    ),
    "text.zip": zipped(
        {
            "__MACOSX/text/._a": b"",
            **{f"text/{name[:-4]}.txt": b"a small bird\n" for name in BIRDS},
        }
    ),
}


def coco(year):
    def captions(half, name):
        image = {"id": 1, "file_name": name, "width": 40, "height": 40}
        said = {"id": 9, "image_id": 1, "caption": "a dog"}
        return json.dumps({"images": [image], "annotations": [said]}).encode()

    names = {half: f"COCO_{half}{year}_000000000001.jpg" for half in ("train", "val")}
    return {
        f"annotations_trainval{year}.zip": zipped(
            {
                **{
                    f"annotations/captions_{half}{year}.json": captions(half, name)
                    for half, name in names.items()
                },
                f"annotations/instances_train{year}.json": b"{}",
            }
        ),
        f"train{year}.zip": zipped({f"train{year}/{names['train']}": jpeg(1)}),
        f"val{year}.zip": zipped({f"val{year}/{names['val']}": jpeg(2)}),
    }


def local(parts, web, files):
    """The same parts, at the server on this machine, with the checksums of what it serves."""
    web.files.update(files)
    return tuple(
        part
        if part.by_hand
        else Part(
            web.url(part.file),
            part.file,
            part.takes,
            part.checksum and f"sha256:{hashlib.sha256(files[part.file]).hexdigest()}",
            part.size_bytes and len(files[part.file]),
            elsewhere=part.elsewhere,
        )
        for part in parts
    )


@pytest.fixture
def served(web, monkeypatch):
    """The server, with every data set in small."""
    monkeypatch.setitem(DATA_SETS, "oxford102", local(DATA_SETS["oxford102"], web, FLOWERS))
    monkeypatch.setitem(DATA_SETS, "cub", local(DATA_SETS["cub"], web, CUB))
    monkeypatch.setitem(DATA_SETS, "coco", local(COCO_YEARS[2014], web, coco(2014)))
    monkeypatch.setitem(COCO_YEARS, 2017, local(COCO_YEARS[2017], web, coco(2017)))
    return web


def get(name, root, **more):
    return download(name, root, patience=QUICK, **more)


def files(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_birds_come_to_the_folder_that_the_reader_reads(served, tmp_path):
    done = get("cub", tmp_path / "cub")
    assert done == (["CUB_200_2011", "text"], [])
    examples = read_examples("cub", tmp_path / "cub", "all")
    assert [example.captions for example in examples] == [("a small bird",)] * 2
    assert all(example.image.is_file() and example.box for example in examples)
    assert not (tmp_path / "cub" / "attributes.txt").exists()
    assert [path for path in files(tmp_path / "cub") if ".stackgan" in path] == [
        ".stackgan/checksums.json"
    ]


@pytest.mark.parametrize("year", [None, 2017])
def test_coco_comes_to_the_folder_that_the_reader_reads(served, tmp_path, year):
    done = get("coco", tmp_path, year=year)
    assert len(done.fetched) == 4
    for split in ("train", "test"):
        examples = read_examples("coco", tmp_path, split)
        assert [example.captions for example in examples] == [("a dog",)]
    assert not list(tmp_path.rglob("instances*"))


def test_flowers_ask_for_what_only_a_browser_can_fetch_and_then_unpack_it(served, tmp_path):
    with pytest.raises(RunFailed) as told:
        get("oxford102", tmp_path)
    sentence = str(told.value)
    assert "lacks text_c10, trainvalclasses.txt, testclasses.txt" in sentence
    assert "https://drive.google.com/file/d/0B0ywwgffWnLLcms2WWJQRFNSWXM" in sentence
    given = tmp_path / "cvpr2016_flowers.tar.gz"
    assert f"as {given} with a browser" in sentence
    assert files(tmp_path / "jpg") == [f"image_0000{n}.jpg" for n in range(1, 5)]
    asked = len(served.seen)
    given.write_bytes(FLOWER_CAPTIONS)
    done = get("oxford102", tmp_path)
    assert done.fetched == ["text_c10", "trainvalclasses.txt", "testclasses.txt"]
    assert done.present == ["jpg", "imagelabels.mat", "setid.mat"]
    assert len(served.seen) == asked
    assert given.exists()
    assert len(read_examples("oxford102", tmp_path, "all")) == 4


def test_what_is_there_is_not_fetched_again(served, tmp_path):
    get("cub", tmp_path)
    asked = len(served.seen)
    done = get("cub", tmp_path)
    assert done == ([], ["CUB_200_2011", "text"])
    assert len(served.seen) == asked


@pytest.mark.parametrize("place", ["text_c10", "CUB_200_2011/text", "cvpr2016_cub/text_c10"])
def test_captions_where_the_reader_finds_them_are_there(served, tmp_path, place):
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "any").write_text("a bird")
    (tmp_path / "CUB_200_2011").mkdir(exist_ok=True)
    (tmp_path / "CUB_200_2011" / "images.txt").write_text("")
    assert get("cub", tmp_path).fetched == []


def test_an_empty_folder_is_not_taken_for_the_data(served, tmp_path):
    (tmp_path / "text").mkdir()
    assert "text" in get("cub", tmp_path).fetched


def test_an_archive_that_lies_there_is_used_and_kept(served, tmp_path):
    (tmp_path / "CUB_200_2011.tgz").write_bytes(CUB["CUB_200_2011.tgz"])
    get("cub", tmp_path)
    assert [path for path, _headers in served.seen] == ["/text.zip"]
    assert (tmp_path / "CUB_200_2011.tgz").exists()


def test_an_archive_that_lies_there_is_verified(served, tmp_path):
    (tmp_path / "CUB_200_2011.tgz").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"CUB_200_2011\.tgz has sha256:.*expected sha256:"):
        get("cub", tmp_path)
    assert files(tmp_path) == ["CUB_200_2011.tgz"]


def test_a_download_without_a_published_checksum_is_remembered_and_compared(served, tmp_path):
    get("cub", tmp_path)
    record = json.loads((tmp_path / ".stackgan" / "checksums.json").read_text())
    found = f"sha256:{hashlib.sha256(CUB['text.zip']).hexdigest()}"
    assert record["text.zip"]["sha256"] == found
    assert record["text.zip"]["bytes"] == len(CUB["text.zip"])
    for name in BIRDS:
        (tmp_path / "text" / f"{name[:-4]}.txt").unlink()
    for folder in (tmp_path / "text").iterdir():
        folder.rmdir()
    served.files["text.zip"] = zipped({"text/other.txt": b"changed"})
    with pytest.raises(RunFailed, match=rf"at the first download it was {found}; .*delete its"):
        get("cub", tmp_path)
    assert list((tmp_path / "text").iterdir()) == []
    served.files["text.zip"] = CUB["text.zip"]
    assert get("cub", tmp_path).fetched == ["text"]


@pytest.mark.parametrize("content", ["{", "[]", '{"text.zip": 3}', '{"a": {"sha256": 3}}', "\0"])
def test_a_damaged_record_is_one_sentence(served, tmp_path, content):
    (tmp_path / ".stackgan").mkdir()
    (tmp_path / ".stackgan" / "checksums.json").write_text(content)
    with pytest.raises(DataError, match=r"checksums\.json is damaged; delete it"):
        get("cub", tmp_path)


def test_a_damaged_archive_is_deleted_and_told(served, tmp_path):
    served.files["text.zip"] = CUB["text.zip"][:-30]
    with pytest.raises(RunFailed, match=r"text\.zip is damaged: .*it was deleted"):
        get("cub", tmp_path)
    assert not (tmp_path / "text").exists()
    served.files["text.zip"] = CUB["text.zip"]
    assert get("cub", tmp_path).fetched == ["text"]


def test_an_archive_that_found_no_room_is_unpacked_by_the_next_call(served, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "no space left", "there")

    with monkeypatch.context() as patch:
        patch.setattr("stackgan.data.download.unpack", full)
        with pytest.raises(OSError, match="no space"):
            get("cub", tmp_path)
    asked = len(served.seen)
    get("cub", tmp_path)
    assert [path for path, _headers in served.seen[asked:]] == ["/text.zip"]


def test_a_broken_download_goes_on_in_the_next_call(served, tmp_path, behaviour):
    served.behaves = [behaviour["breaks_off"](100)] * 2
    with pytest.raises(RunFailed, match="bytes are kept"):
        get("cub", tmp_path / "new" / "cub")
    assert not (tmp_path / "new" / "cub" / "CUB_200_2011").exists()
    get("cub", tmp_path / "new" / "cub")
    assert served.ranges()[2] == "bytes=200-"


def test_a_failure_leaves_no_empty_folders(served, tmp_path, behaviour):
    served.behaves = [behaviour["answers"](404)]
    with pytest.raises(RunFailed, match="404"):
        get("cub", tmp_path / "new" / "cub")
    assert list(tmp_path.iterdir()) == []


def test_a_root_that_is_a_file_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="is a file; --root names the folder"):
        get("cub", tmp_path / "file")


@pytest.mark.parametrize(
    ("name", "year", "sentence"),
    [
        ("cubs", None, "did you mean 'cub'"),
        ("flowers", None, "known: oxford102, cub, coco"),
        ("toy", None, "`stackgan data toy --root DIR`"),
        ("folder", None, "your own captioned folder"),
        ("cub", 2014, "has no years"),
        ("coco", 2015, "did you mean 2014"),
        ("coco", 9999, "did you mean 2017"),
    ],
)
def test_wrong_names_and_years_are_one_sentence(tmp_path, name, year, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        get(name, tmp_path / "new", year=year)
    assert list(tmp_path.iterdir()) == []


def test_every_public_data_set_has_an_address_and_its_reader():
    assert set(DATA_SETS) == set(READERS) - set(addresses._NOT_FETCHED)
    assert COCO_YEARS[2014] == parts_of("coco")


@pytest.mark.parametrize(
    "part",
    [part for parts in (*DATA_SETS.values(), COCO_YEARS[2017]) for part in parts],
    ids=lambda part: part.file,
)
def test_an_address_is_written_in_full(part):
    assert re.fullmatch(r"https?://[^\s/]+\.[a-z]+/\S+", part.url)
    assert part.by_hand or part.url.endswith(part.file)
    assert part.checksum is None or re.fullmatch(
        "sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", part.checksum
    )
    assert part.url.startswith("https:") or part.checksum, "nothing vouches for it"
    assert all("../" not in place and not place.startswith("/") for place in part.gives)
