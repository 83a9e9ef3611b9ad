"""Random folders, captions and settings at the command line: an answer or one sentence, always.

A few hundred command lines in the suite; thousands with::

    STACKGAN_ANYTHING=5000 python -m pytest tests/cli/test_anything.py --timeout 0
"""

from __future__ import annotations

import io
import json
import os
import random
import traceback
from pathlib import Path

import pytest
from PIL import Image

from stackgan.cli.main import run
from stackgan.data.addresses import DATA_SETS

COUNT = int(os.environ.get("STACKGAN_ANYTHING", "300"))
SEED = int(os.environ.get("STACKGAN_ANYTHING_SEED", "0"))

TEXTS = [
    "",
    " ",
    "\n\n",
    "a red flower",
    "Une fleur très rouge",
    "花は赤い",
    "🌸🌸🌸",
    "-n",
    "--help",
    "--",
    "a\x00b",
    "\x1b[31mred\x07",
    "a\r\nb",
    "\ufeffa flower",
    "x" * 10_000,
    "a flower " * 2000,
    "\u202eright to left",
    "../../etc/passwd",
    "%s %d {}",
    "'; rm -rf /",
    "$HOME",
    "~",
    "\udc80",
    "nan",
    "[1, 2",
    "\t",
    "\ud83d",
    "\u2028\u2029",
    "a/b\\c:d*e?f",
    "." * 300,
]
NUMBERS = [
    "0",
    "1",
    "-1",
    "2",
    "3",
    "99999999999999999999",
    "1e3",
    "nan",
    "inf",
    "-inf",
    "0.5",
    "",
    " ",
    "one",
    "0x10",
    "\uff11",
    "1_0",
    "--",
    "4294967296",
    "18446744073709551616",
]
SETTINGS = [
    "stage1.steps=2",
    "stage1.steps=-1",
    "stage1.steps=",
    "stage1.steps=1e99",
    "stage1",
    "=",
    "stage1.=1",
    ".a=1",
    "precision=fp7",
    "architecture.image_px=17",
    "architecture.image_px=0",
    "architecture.noise_dim=999999999",
    "architecture=3",
    "stage2.batch_size=nan",
    "stage2.learning_rate=inf",
    "encoder.steps=2.5",
    "encoder.dim=[1]",
    "seed=-1",
    "a.b.c.d=1",
    "stage1.steps=2\n",
    "ß.x=1",
    "stage1.steps=" + "9" * 5000,
    "stage1.learning_rate=" + "[" * 3000,
]


TINY = [
    "architecture.stage1_generator_width=4",
    "architecture.stage1_discriminator_width=4",
    "architecture.stage2_generator_width=4",
    "architecture.stage2_discriminator_width=4",
    "architecture.image_px=128",
    "stage1.batch_size=2",
    "stage2.steps=1",
    "stage2.pixel_steps=0",
    "stage2.pair_steps=1",
    "stage2.batch_size=2",
    "encoder.steps=1",
    "encoder.image_network=small",
    "encoder.conv1=8",
    "encoder.conv2=8",
    "encoder.hidden=8",
    "encoder.dim=12",
    "precision=fp32",
]
"""A training of a second."""


class Draw:
    """Random command lines and the folders that they name; a function of one number."""

    def __init__(self, seed: int, here: Path, model: Path) -> None:
        self.random = random.Random(seed)
        self.here = here
        self.model = model
        self.care = self.one(0.0, 0.8, 0.95, 0.99, 1.0)
        self.paths = [self.path() for _ in range(3)]
        place = here / "photographs"
        self.photographs(place)
        (place / "captions.txt").write_text("a red flower\nthe bird is blue\n")

    def one(self, *choices):
        return self.random.choice(choices)

    def mostly(self, good, *others):
        """A value that can be used, or with some luck one that cannot."""
        return good if self.random.random() < self.care else self.one(*others)

    def text(self) -> str:
        if self.random.random() < 0.7:
            return self.one(*TEXTS)
        return "".join(chr(self.random.randrange(1, 0x3000)) for _ in range(self.one(1, 5, 40)))

    def blob(self) -> bytes:
        kind = self.random.randrange(7)
        if kind == 0:
            return self.random.randbytes(self.one(0, 1, 9, 300))
        if kind == 1:
            return self.text().encode("utf-8", "surrogatepass")
        if kind == 2:
            return self.text().encode(self.one("utf-16", "latin-1", "utf-8-sig"), "replace")
        if kind == 3:
            return self.image()
        if kind == 4:
            return self.image()[: self.one(5, 40, 100)]
        if kind == 5:
            return json.dumps(self.thing()).encode()
        lines = [json.dumps(self.row()) for _ in range(self.one(1, 3))]
        return self.one("\n", "\r\n", ",").join(lines).encode()

    def image(self) -> bytes:
        opened = io.BytesIO()
        size = self.one((1, 1), (3, 70), (64, 64), (80, 40))
        mode = self.one("RGB", "L", "RGBA", "P", "1", "CMYK", "I;16", "LA")
        kind = "JPEG" if mode == "CMYK" else self.one("PNG", "TIFF")
        Image.new(mode, size, 1).save(opened, kind)
        return opened.getvalue()

    def row(self):
        row = {
            "file_name": self.one("a.png", "b.jpg", "sub/c.png", "../a.png", "", 3, None, "/x"),
            "text": self.one(self.text(), [self.text()], 3, None, [], [3], {}),
            "class": self.one("x", 3, None, self.text()),
            "split": self.one("train", "test", "val", 3, None, ""),
        }
        return {key: row[key] for key in self.random.sample(sorted(row), self.one(1, 2, 4))}

    def thing(self):
        return self.one(
            {},
            [],
            None,
            3,
            {"format": "stackgan-model/1"},
            {"format": "stackgan-model/1", "files": {}, "architecture": {}},
            {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [{"image_id": 1}]},
            {"images": 3, "annotations": [{"image_id": [], "caption": 3}]},
            [[[]]],
            {"stage1": {"steps": "x"}},
        )

    NAMES = (
        "a.png",
        "b.jpg",
        "sub/c.png",
        "a.txt",
        "sub/c.txt",
        "metadata.jsonl",
        "metadata.csv",
        "config.json",
        "settings.json",
        "generator.safetensors",
        "text_encoder.safetensors",
        "model/config.json",
        "jpg/image_00001.jpg",
        "text_c10/class_00001/image_00001.txt",
        "trainvalclasses.txt",
        "testclasses.txt",
        "CUB_200_2011/images.txt",
        "CUB_200_2011/bounding_boxes.txt",
        "CUB_200_2011/images/001.A/a.jpg",
        "text/001.A/a.txt",
        "train/filenames.pickle",
        "annotations/captions_train2014.json",
        "annotations/captions_val2017.json",
        "train2014/a.png",
        "captions.txt",
        ".stackgan/checksums.json",
        "toy.json",
    )

    def photographs(self, place: Path) -> None:
        """A folder that can mostly be used: images with captions, any text among them."""
        place.mkdir()
        rows = []
        for number in range(self.one(1, 6, 12)):
            (place / f"{number}.png").write_bytes(self.image())
            row = {"file_name": f"{number}.png", "text": [self.one("a flower", self.text())]}
            rows.append({**row, "split": self.one("train", "test"), "class": self.one("x", "y")})
        lines = [json.dumps(row) for row in rows]
        (place / "metadata.jsonl").write_bytes("\n".join(lines).encode())
        (place / "captions.txt").write_bytes(self.blob())

    def path(self) -> str:
        """A new folder or file, one that is not there, or a good model."""
        kind = self.random.randrange(11)
        name = f"p{self.random.randrange(10**6)}"
        place = self.here / name
        if kind == 0:
            return self.one("nowhere", "", ".", "/dev/null", "no/such/folder", "x" * 300, "a\x00b")
        if kind == 1:
            place.write_bytes(self.blob())
            return name
        if kind == 2:
            return str(self.model)
        if kind > 8:
            self.photographs(place)
            return name
        place.mkdir()
        for inner in self.random.sample(self.NAMES, self.one(0, 1, 3, 6, 12)):
            file = place / inner
            if file.parent.is_file():
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            if self.random.random() < 0.05:
                file.mkdir()
            else:
                file.write_bytes(self.blob())
        if self.random.random() < 0.1:
            (place / "loop").symlink_to(place)
        return name

    def some_path(self) -> str:
        return self.random.choice(self.paths)

    def words(self, *options) -> list[str]:
        """Each option (name, its value) with a chance of two thirds, or of the line's care."""
        found: list[str] = []
        for name, value in options:
            if self.random.random() < max(self.care, 0.67):
                found += [name] if value is None else [name, value()]
        return found

    def number(self) -> str:
        return self.mostly(self.one("0", "1", "7", "4294967296"), *NUMBERS)

    def few(self) -> str:
        """A count that costs little."""
        return self.mostly(self.one("1", "2"), "0", "-1", "", "x", "1.5", "nan")

    def picture(self) -> str:
        return self.mostly("out.png", "out", "no/out.png", "out.jpg", "", self.some_path())

    def out(self, name: str) -> str:
        return self.mostly(name, "out.png", "no/such", "", ".", self.some_path())

    def data(self) -> str:
        names = ("toy", "oxford102", "cub", "coco", "coc", "", "Folder", self.text())
        return self.mostly("folder", *names)

    def root(self) -> str:
        return self.mostly(
            self.one("photographs", "photographs", self.some_path()), self.some_path(), ""
        )

    def network(self) -> str:
        return self.mostly(str(self.model), self.some_path(), "flowrs", self.text())

    def captions(self) -> str:
        return self.mostly("photographs/captions.txt", self.some_path())

    def command_line(self) -> list[str]:
        name = self.random.choice([key for key in dir(self) if key.startswith("verb_")])
        line = getattr(self, name)()
        if self.random.random() < 0.1:
            line.insert(self.random.randrange(len(line) + 1), self.text())
        if self.random.random() < 0.2:
            line.append("--json")
        return line

    def verb_generate(self) -> list[str]:
        return [
            "generate",
            *self.words(
                ("--model", self.network),
                ("-n", self.few),
                ("--stage", lambda: self.mostly("1", "2", "3", "x")),
            ),
            *(self.words(("--seed", self.number)) if self.one(True, False) else []),
            *(self.words(("--captions", self.captions)) if self.one(True, False) else []),
            *(self.words(("--truncation", self.number)) if self.one(True, False) else []),
            *self.words(("--out", self.picture)),
            *self.one([], ["--"], ["--sketches", "--"]),
            *(self.text() for _ in range(self.one(0, 1, 1, 2))),
        ]

    def verb_interpolate(self) -> list[str]:
        return [
            "interpolate",
            "--model",
            self.network(),
            *self.words(
                ("--steps", lambda: self.mostly("2", "1", "x", "-3")),
                ("--seed", self.number),
                ("--out", self.picture),
            ),
            *self.one([], ["--"]),
            *(self.text() for _ in range(self.mostly(2, 1, 3))),
        ]

    def verb_inspect(self) -> list[str]:
        return ["inspect", self.one(self.some_path(), self.some_path(), self.text())]

    def verb_data(self) -> list[str]:
        verb = self.one("check", "check", "prepare", "prepare", "list", "download", "toy")
        line = ["data", self.mostly(verb, self.text())]
        if verb == "download":
            line += [self.mostly(self.one("cub", "coco", "oxford102"), self.text())]
            if self.one(True, False):
                line += self.words(("--year", lambda: self.mostly("2014", "1", "x", "-1")))
            return line + self.words(("--root", lambda: self.mostly("new", self.some_path())))
        if verb == "toy":
            line += ["--root", self.mostly("toys", self.some_path())]
            line += ["--count", self.mostly("35", "34", "-1", "x")]
            return line + self.words(("--seed", self.few))
        if verb == "list":
            return line
        line += [self.data(), *self.words(("--root", self.root))]
        if verb == "prepare":
            line += self.words(
                ("--size", lambda: self.mostly(self.one("1", "8", "64"), "0", "5000", "x")),
                ("--fit", lambda: self.mostly(self.one("crop", "squeeze", "box"), "x", "")),
                ("--split", lambda: self.mostly(self.one("train", "test", "all"), "x", "")),
            )
            if self.one(True, False):
                words = ("test_fraction=x", "missing=skip", "year=2014", "x", "=", "a=1")
                line += ["--option", self.mostly("test_fraction=0.5", *words)]
        return line

    def verb_encoder_embed(self) -> list[str]:
        return [
            "encoder",
            "embed",
            *self.words(
                ("--encoder", self.network),
                ("--captions", self.captions),
                ("--out", lambda: self.out("out.npz")),
            ),
        ]

    def verb_encoder_train(self) -> list[str]:
        return [
            *["encoder", "train", "--image-network", "small"],
            *[
                "--steps",
                self.mostly("1", "0", "-1", "x"),
                "--image-px",
                self.mostly("64", "16", "0"),
            ],
            *self.words(
                ("--data", self.data),
                ("--root", self.root),
                ("--out", lambda: self.out("encoder")),
                ("--seed", self.few),
            ),
        ]

    def verb_encoder_caption(self) -> list[str]:
        return [
            "encoder",
            "caption",
            *self.words(
                ("--encoder", self.network),
                ("--from", self.data),
                ("--from-root", self.root),
                ("--root", self.root),
                ("--out", lambda: self.out("out.jsonl")),
                ("--top", self.few),
            ),
            *(["--class-map", self.some_path()] if self.one(True, False) else []),
        ]

    def verb_train(self) -> list[str]:
        line = [
            "train",
            *self.words(
                ("--run", lambda: self.mostly("run", self.some_path())),
                ("--data", self.data),
                ("--root", self.root),
                ("--stage", lambda: self.mostly("1", "2", "both", "3", "")),
                ("--encoder", self.network),
                ("--set", lambda: self.mostly("stage1.steps=2", *SETTINGS)),
                ("--set", lambda: self.mostly("seed=3", *SETTINGS)),
                *(("--set", lambda setting=setting: setting) for setting in TINY),
            ),
        ]
        if self.random.random() < 0.3:
            line += self.words(
                ("--preset", lambda: self.mostly("paper", "toy", "moden", "", self.text())),
                ("--config", self.some_path),
                ("--option", lambda: self.mostly("test_fraction=0", self.text())),
                ("--device", lambda: self.mostly("cpu", "tpu", "", "cuda:99")),
            )
        if self.random.random() < 0.2:
            line += self.one(
                ["--resume"], ["--stage1", self.network()], ["--init-from", self.network()]
            )
        return line

    def verb_evaluate(self) -> list[str]:
        return [
            "evaluate",
            self.network(),
            *[
                "-n",
                self.mostly("4", "1", "0", "x", "99"),
                "--metrics",
                self.mostly("swd", "kid", "swd,swd", "", ",", "fid9"),
            ],
            *self.words(
                ("--split", lambda: self.mostly("all", "train", "test", "x")),
                ("--data", self.data),
                ("--root", self.root),
                ("--out", lambda: self.out("report.json")),
                ("--seed", self.number),
                ("--stage", lambda: self.mostly("1", "2", "3", "")),
            ),
        ]

    def verb_import(self) -> list[str]:
        return [
            "import",
            *(self.some_path() for _ in range(self.one(1, 1, 2))),
            *self.words(("--to", lambda: self.out("imported"))),
            *(["--encoder", self.network()] if self.one(True, False) else []),
            *(["--texts", self.root()] if self.one(True, False) else []),
        ]

    def verb_none(self) -> list[str]:
        return [self.text() for _ in range(self.one(0, 1, 2, 3))]


def problem(line: list[str], capsys: pytest.CaptureFixture[str]) -> str | None:
    """What is wrong with how the command line ended, None where nothing is."""
    capsys.readouterr()
    try:
        code = run(line)
    except BaseException:
        return traceback.format_exc(limit=-6)
    said = capsys.readouterr().err
    if "Traceback" in said:
        return said
    if code not in (0, 1, 2):
        return f"exit code {code}"
    sentences = [text for text in said.splitlines() if text.startswith("stackgan: ")]
    if code and line and not any("warning: " not in text for text in sentences):
        return f"exit code {code} and no sentence, but {said!r}"
    if code and line and len([s for s in sentences if "warning: " not in s]) > 1:
        return f"more than one sentence: {said!r}"
    if code and line and len(said.splitlines()) != len(sentences):
        return f"more than sentences: {said!r}"
    return None


@pytest.fixture
def nothing_is_fetched(monkeypatch):
    """No public address is asked: each is a port of this machine where nobody listens."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    from dataclasses import replace

    from stackgan.data import addresses, fetch

    sets = {**DATA_SETS, 2014: DATA_SETS["coco"], 2017: addresses.COCO_YEARS[2017]}
    for name, parts in sets.items():
        near = tuple(replace(part, url=f"http://127.0.0.1:9/{part.file}") for part in parts)
        table = DATA_SETS if isinstance(name, str) else addresses.COCO_YEARS
        monkeypatch.setitem(table, name, near)
    quick = fetch.Patience(tries=1, timeout_s=2, pause_s=0)
    monkeypatch.setattr(fetch, "Patience", lambda: quick)


HUNDRED = 100


@pytest.mark.timeout(0)
@pytest.mark.parametrize("block", range((COUNT + HUNDRED - 1) // HUNDRED))
def test_no_command_line_ends_in_a_traceback(
    block, tmp_path, monkeypatch, capsys, tiny_model, nothing_is_fetched
):
    found = []
    for number in range(block * HUNDRED, min(COUNT, (block + 1) * HUNDRED)):
        here = tmp_path / str(number)
        here.mkdir()
        monkeypatch.chdir(here)
        line = Draw(SEED * 10**9 + number, here, tiny_model).command_line()
        wrong = problem(line, capsys)
        if wrong is not None:
            found.append(f"{number}: {[word[:80] for word in line]}\n{wrong}")
        left = [path for path in here.rglob("*") if path.name.endswith((".part", ".partial"))]
        if left:
            found.append(f"{number}: {[word[:80] for word in line]}\nleft {left}")
    assert not found, f"{len(found)} of a hundred:\n\n" + "\n\n".join(found)
