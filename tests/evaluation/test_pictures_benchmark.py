"""What benchmarks/pictures.py measures with, on pictures whose figures are known beforehand."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stackgan.errors import InputError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark():
    """``benchmark("spectrum")`` is that module of the folder."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(str(BENCHMARKS))


def test_a_photograph_becomes_the_square_of_its_middle(benchmark):
    square = benchmark("photographs").square
    wide = Image.fromarray(np.arange(5 * 10 * 3, dtype=np.uint8).reshape(5, 10, 3))
    assert np.array_equal(square(wide, 5), np.asarray(wide)[:, 2:7])
    tall = wide.transpose(Image.Transpose.TRANSPOSE)
    assert np.array_equal(square(tall, 5), np.asarray(tall)[2:7])
    expected = tall.crop((0, 2, 5, 7)).resize((9, 9), Image.Resampling.LANCZOS)
    assert np.array_equal(square(tall, 9), expected)


def test_a_few_places_are_evenly_spaced_with_both_ends(benchmark):
    spread = benchmark("photographs").spread
    assert spread(911, 800)[:3] == [0, 1, 2] and spread(911, 800)[-1] == 910
    assert len(set(spread(911, 800))) == 800
    assert spread(9, 3) == [0, 4, 8]
    assert spread(3, 9) == [0, 1, 2]


def some_photographs(benchmark, count=12):
    names = [f"image_{place:05}" for place in range(count)]
    captions = [(f"first of {place}", "another") for place in range(count)]
    groups = [f"class_{place % 2:05}" for place in range(count)]
    pixels = torch.zeros(count, 3, 64, 64, dtype=torch.uint8)
    return benchmark("photographs").Photographs(pixels, names, captions, groups)


def test_a_few_pictures_are_some_of_the_many(benchmark):
    asked = benchmark("drawing").asked
    held_out = some_photographs(benchmark)
    whole, few = asked(held_out, list(range(12))), asked(held_out, [0, 5, 11])
    assert whole.captions["pictures"] == [f"first of {place}" for place in range(12)]
    pairs = set(zip(whole.captions["pictures"], whole.seeds["pictures"], strict=True))
    assert list(zip(few.captions["pictures"], few.seeds["pictures"], strict=True)) == [
        ("first of 0", 0), ("first of 5", 5), ("first of 11", 11)
    ]  # fmt: skip
    assert pairs >= set(zip(few.captions["refine"], few.seeds["refine"], strict=True))
    assert few.captions["diversity"] == ["first of 0"] * 8 + ["first of 1"] * 8
    assert few.seeds["diversity"] == [*range(8), *range(8)]


def test_pictures_drawn_elsewhere_must_be_those_asked_for(benchmark, tmp_path):
    drawing = benchmark("drawing")
    wanted = drawing.asked(some_photographs(benchmark), [0, 11])
    file = tmp_path / "samples.npz"
    random = torch.Generator().manual_seed(0)
    drawn = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=random)
    drawing.write_samples(file, {"pictures-64": drawn})
    assert torch.equal(drawing.read_samples(file, wanted)["pictures-64"], drawn)
    drawing.write_samples(file, {"pictures-64": drawn[:1]})
    with pytest.raises(InputError, match=r"pictures-64 is uint8 \(1, 64, 64, 3\); expected"):
        drawing.read_samples(file, wanted)
    drawing.write_samples(file, {"pictures-128": drawn})
    with pytest.raises(InputError, match="expected names as pictures-64"):
        drawing.read_samples(file, wanted)


def test_a_sheet_holds_the_pictures_in_order_and_at_most_so_many_bytes(benchmark, tmp_path):
    sheet = benchmark("sheet")
    flat = torch.arange(64, dtype=torch.uint8)[:, None, None, None].expand(64, 3, 64, 64)
    sheet.save(flat.contiguous(), tmp_path / "flat.png")
    shown = np.asarray(Image.open(tmp_path / "flat.png"))
    assert shown.shape == (512, 512, 3)
    assert shown[::64, ::64, 0].flatten().tolist() == list(range(64))
    random = torch.Generator().manual_seed(0)
    loud = torch.randint(0, 256, (8, 3, 256, 256), dtype=torch.uint8, generator=random)
    sheet.save(loud, tmp_path / "loud.png", 300_000)
    assert 100_000 < (tmp_path / "loud.png").stat().st_size <= 300_000
    assert sheet.unselected(torch.arange(800))[[0, 1, -1]].tolist() == [0, 13, 799]


@pytest.fixture
def oxford(tmp_path):
    """A folder with oxford102/: two classes held out and one for training, each of five."""
    root = tmp_path / "data" / "oxford102"
    (root / "jpg").mkdir(parents=True)
    (root / "trainvalclasses.txt").write_text("class_00003\n")
    (root / "testclasses.txt").write_text("class_00001\nclass_00002\n")
    random = np.random.default_rng(0)
    for number in range(1, 16):
        group = f"class_{1 + (number > 5) + (number > 10):05}"
        (root / "text_c10" / group).mkdir(parents=True, exist_ok=True)
        caption = root / "text_c10" / group / f"image_{number:05}.txt"
        caption.write_text(f"this flower has {['red', 'pink', 'white'][number % 3]} petals\n")
        coarse = Image.fromarray(random.integers(0, 256, (19, 24, 3), dtype=np.uint8))
        coarse.resize((384, 304)).save(root / "jpg" / f"image_{number:05}.jpg", quality=95)
    return tmp_path / "data"


def run(benchmark, monkeypatch, *words):
    pictures = benchmark("pictures")
    monkeypatch.setattr(sys, "argv", ["pictures.py", *map(str, words)])
    pictures.main()


@pytest.fixture
def measured(benchmark, oxford, tiny_model, tmp_path, monkeypatch):
    """``measured("64", "swd")``: the tiny model's figures of that size and section."""
    pytest.importorskip("efficientnet_lite_pytorch")
    words = ["--model", tiny_model, "--data-root", oxford, "--by", "efflite0"]
    words += ["--cache", tmp_path / "cache", "--sheet", tmp_path / "sheet.png"]
    words += ["--judges", tmp_path / "none"]

    def figures(size, *sections):
        out = tmp_path / "out.json"
        run(benchmark, monkeypatch, *words, "--json", out, "--size", size, "--sections", *sections)
        return json.loads(out.read_text())

    return figures


def test_a_model_is_measured_with_its_protocol(measured, tmp_path):
    found = measured("64", "judges", "spectrum", "memory", "refine")
    assert set(found["64"]) == {"judges", "spectrum", "memory"} and "256" not in found
    protocol = found["protocol"]
    assert (protocol["n"], protocol["photographs"], protocol["truncation"]) == (10, 10, "none")
    assert protocol["classes"] == ["class_00001", "class_00002"]
    assert set(protocol["judges_sha256"]) == {"efflite0"}
    assert found["64"]["memory"]["training_photographs"] == 5
    assert (tmp_path / "sheet.png").is_file() and (tmp_path / "sheet-neighbours-64.png").is_file()


def test_refined_photographs_have_lanczos_beside_them(measured):
    found = measured("256", "refine")["256"]["refine"]
    assert found["n"] == 10 and found["lanczos"] != found["refined"]


def test_truncation_is_passed_on_and_said(measured, tmp_path):
    plain, less = measured("both", "swd"), measured("both", "swd", "--truncation", "0.5")
    assert set(plain["64"]) == set(plain["256"]) == {"swd"}
    assert less["protocol"]["truncation"] == 0.5
    assert less["protocol"]["photographs_sha256"] == plain["protocol"]["photographs_sha256"]
    assert less["64"]["swd"] != plain["64"]["swd"]
    assert (tmp_path / "sheet-64.png").is_file() and (tmp_path / "sheet-256.png").is_file()


def test_photographs_of_known_faults_stand_beside_halves(benchmark, oxford, tmp_path):
    photographs = benchmark("photographs")
    known = {64: photographs.oxford(oxford, "test", 64)}
    panel = benchmark("judging").Panel([], tmp_path)
    found = benchmark("anchors").anchors(panel, oxford, known, [64], 5)["64"]
    faults = {name: row["spectrum"]["ratio"] for name, row in found.items()}
    assert faults["noise of sigma 20"] > 2.5
    fine = {name: row["swd"]["64"] for name, row in found.items()}
    assert fine["training classes"] < fine["through a quarter"]
    assert fine["training classes"] < fine["noise of sigma 20"]


def test_without_stage2_there_are_no_figures_at_256(
    benchmark, oxford, tiny_stage1, tmp_path, monkeypatch, capsys
):
    pytest.importorskip("efficientnet_lite_pytorch")
    out = tmp_path / "out.json"
    words = ["--model", tiny_stage1, "--data-root", oxford, "--by", "efflite0"]
    run(benchmark, monkeypatch, *words, "--sections", "swd", "--json", out)
    assert "no Stage-II" in capsys.readouterr().err
    assert "256" not in json.loads(out.read_text())


def test_judges_that_are_not_there_are_asked_for_first(
    benchmark, oxford, tiny_model, tmp_path, monkeypatch, capsys
):
    drawn = tmp_path / "drawn.npz"
    words = ["--model", tiny_model, "--data-root", oxford, "--judges", tmp_path]
    words += ["--sections", "caption", "--save-samples", drawn]
    for by in ([], ["--by", "efflite0"]):
        with pytest.raises(SystemExit) as ended:
            run(benchmark, monkeypatch, *words, *by)
        assert ended.value.code == 2
        assert "--judges names the folder" in capsys.readouterr().err
        assert not drawn.exists()


def test_a_folder_without_the_data_set_is_named_with_its_option(
    benchmark, tmp_path, monkeypatch, capsys
):
    with pytest.raises(SystemExit):
        run(benchmark, monkeypatch, "--anchors", "--by", "efflite0", "--data-root", tmp_path)
    assert "oxford102 is missing; --data-root names the folder" in capsys.readouterr().err
