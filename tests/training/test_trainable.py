"""What makes a training impossible is said by `data check`, `--dry-run` and `train`, at once."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stackgan.cli.main import run as stackgan
from stackgan.data.check import report, untrainable
from stackgan.data.examples import Example
from stackgan.errors import DataError
from stackgan.training.encoder_settings import EncoderSettings
from stackgan.training.trainable import require_encoder_data

TINY = [
    "encoder.steps=2", "encoder.image_network=small", "encoder.conv1=8", "encoder.conv2=8",
    "encoder.hidden=8", "encoder.dim=12", "stage1.steps=2", "stage2.steps=2",
    "stage1.batch_size=2", "stage2.batch_size=2", "precision=fp32",
]  # fmt: skip
Captions = list[list[str]]


def data(root: Path, captions: Captions, **more: list[Any]) -> Path:
    root.mkdir()
    rows = []
    for place, lines in enumerate(captions):
        Image.new("RGB", (64, 64), (20 * place % 256, 90, 10)).save(root / f"{place}.png")
        fields = {name: values[place] for name, values in more.items() if values[place]}
        fields = {"class" if name == "kind" else name: value for name, value in fields.items()}
        rows.append({"file_name": f"{place}.png", "text": lines} | fields)
    (root / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


def train(root: Path, run: Path, *more: str) -> int:
    words = ["train", "--data", "folder", "--root", str(root), "--run", str(run)]
    words += ["--option", "test_fraction=0", "--preset", "paper"]
    return stackgan([*words, *(w for one in TINY for w in ("--set", one)), *more])


ALIKE = [["a photo of a mug"]] * 4
HAS_ALL = [["a red mug", "a blue mug"], ["a red mug"], ["a blue mug"]]
CLASSES = [["a red mug", "a mug"], ["a mug"], ["a red mug"], ["a mug"]]


@pytest.mark.parametrize(
    ("captions", "more", "sentence"),
    [
        (ALIKE, {}, "one and the same caption for all its 4 photographs to train on"),
        (ALIKE, {"kind": ["a", "b", "a", "b"]}, "one and the same caption for all its 4"),
        (HAS_ALL, {}, "no wrong caption for 0.png, as every caption of the other photographs"),
        (HAS_ALL[::-1], {}, "no wrong caption for 2.png"),
        (CLASSES, {"kind": ["a", "a", "b", "b"]}, "for 0.png, as every caption of the other class"),
        ([["a mug"]], {}, "has one photograph with a caption to train on"),
        ([["a mug"], ["a cup"]], {"split": ["train", "test"]}, "has one photograph"),
        ([["a mug"], ["a cup"], ["a jug"]], {"split": ["test"] * 3}, "none of them"),
    ],
)
def test_what_cannot_be_trained_on_is_named_three_times_before_anything_is_done(
    captions: Captions,
    more: dict[str, list[Any]],
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = data(tmp_path / "mugs", captions, **more)
    before = sorted(tmp_path.rglob("*"))
    for command in (
        lambda: stackgan(["data", "check", "folder", "--root", str(root)]),
        lambda: train(root, tmp_path / "run", "--dry-run"),
        lambda: train(root, tmp_path / "run"),
    ):
        code, told = command(), capsys.readouterr()
        assert code in (1, 2) and sentence in told.out + told.err
        assert str(root) in told.out + told.err
        assert "text encoder:" not in told.err and "Traceback" not in told.err
        assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("captions", "settings", "sentence"),
    [
        ([["杯子"], ["茶碗"]], [], "reads as one and the same, such as '杯子'"),
        ([["a" * 201 + "b"], ["a" * 201 + "c"]], [], "reads the first 201"),
        ([["a mug"], ["a cup"], ["a jug"]], ["stage2.batch_size=8"], "stage2.batch_size=2"),
        (
            [["a mug"], ["a cup"], ["a jug"]],
            ["stage1.batch_size=8", "stage2.batch_size=12", "stage2.accumulate=3"],
            "--set stage1.batch_size=2 --set stage2.batch_size=2 --set stage2.accumulate=1",
        ),
    ],
)  # fmt: skip
def test_what_a_training_asks_for_in_vain_is_named_before_anything_is_done(
    captions: Captions,
    settings: list[str],
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = data(tmp_path / "mugs", captions)
    words = [word for one in settings for word in ("--set", one)]
    for more_words in (["--dry-run"], []):
        assert train(root, tmp_path / "run", *words, *more_words) == 2
        told = capsys.readouterr().err
        assert sentence in told and str(root) in told
        assert not (tmp_path / "run").exists()


def test_the_batch_that_a_sentence_names_fits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = data(tmp_path / "mugs", [["a mug"], ["a cup"], ["a jug"]])
    large = ["--set", "stage1.batch_size=8", "--set", "stage1.accumulate=4", "--stage", "1"]
    assert train(root, tmp_path / "run", *large, "--dry-run") == 2
    tip = capsys.readouterr().err.partition("; add ")[2].split()
    assert train(root, tmp_path / "run", *large, *tip, "--dry-run") == 0


def test_an_only_class_that_is_held_out_leaves_too_few(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of twenty photographs one is held out of the encoder's training: which, the seed says."""
    captions = [[f"a mug of number {number}"] for number in range(20)]
    root = data(tmp_path / "mugs", captions)
    found = []
    for place in range(20):
        examples = [
            Example(root / f"{n}.png", tuple(lines), "cup" if n == place else "mug")
            for n, lines in enumerate(captions)
        ]
        try:
            require_encoder_data(root, examples, EncoderSettings())
        except DataError as error:
            assert f"{root} cannot train a text encoder: all images are of one" in str(error)
            found.append(place)
    assert len(found) == 1
    place = sorted(range(20), key=lambda number: f"{number}.png")[found[0]]  # as they are read
    kinds = ["cup" if number == place else "mug" for number in range(20)]
    data(tmp_path / "held", captions, kind=kinds)
    words = ["encoder", "train", "--data", "folder", "--root", str(tmp_path / "held")]
    words += ["--option", "test_fraction=0", "--image-network", "small", "--steps", "1"]
    assert stackgan([*words, "--out", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()
    assert train(tmp_path / "held", tmp_path / "run") == 2
    assert capsys.readouterr().err.count("held cannot train a text encoder") == 2


def test_a_photograph_that_cannot_be_decoded_leaves_no_run_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = data(tmp_path / "mugs", [["a mug"], ["a cup"], ["a jug"]])
    (root / "1.png").write_bytes((root / "1.png").read_bytes()[:60])
    assert train(root, tmp_path / "run") == 2
    assert "1.png" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run/notes.txt").write_text("mine")
    assert train(root, tmp_path / "run") == 2
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_captions_that_precomputed_embeddings_lack_are_named_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = data(tmp_path / "mugs", [["a mug"], ["a cup"], ["a jug"]])
    np.savez(tmp_path / "e.npz", embeddings=np.eye(2, 8, dtype=np.float32),
             captions=np.array(["a mug", "a cup"]))  # fmt: skip
    encoder = ["--encoder", str(tmp_path / "e.npz")]
    for more in ([], ["--dry-run"]):
        assert train(root, tmp_path / "run", *encoder, *more) == 2
        assert "holds no embedding of 'a jug'" in capsys.readouterr().err
        assert not (tmp_path / "run").exists()


def test_wrong_captions_are_asked_for_only_where_they_are_shown() -> None:
    examples = [Example(Path(f"{n}.png"), tuple(lines)) for n, lines in enumerate(HAS_ALL)]
    assert untrainable(examples) is not None
    assert untrainable(examples, wrong_captions=False) is None
    assert untrainable(examples[1:]) is None
    alike = [Example(Path(f"{n}.png"), ("a mug",)) for n in range(3)]
    assert untrainable(alike, wrong_captions=False) is not None


def test_faults_of_files_are_told_first(tmp_path: Path) -> None:
    root = data(tmp_path / "mugs", ALIKE)
    (root / "1.png").write_bytes(b"no picture")
    faults = report("folder", root).faults
    assert [fault.path.name for fault in faults] == ["1.png"]
