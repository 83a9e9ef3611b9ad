"""The list of typed captions, and what benchmarks/typed_prompts.py says of known pictures."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from stackgan import InputError, StackGAN

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark():
    """``benchmark("species")`` is that module of the folder."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def typed(benchmark):
    return benchmark("typed_prompts")


def test_the_list_is_a_hundred_captions_of_every_kind(typed):
    prompts = typed.read_prompts()
    assert len(prompts) == len({prompt.text for prompt in prompts}) == 100
    assert sum(prompt.colour is not None for prompt in prompts) >= 30
    assert sum(bool(prompt.species) for prompt in prompts) >= 40
    assert sum(prompt.stranger for prompt in prompts) >= 14
    assert any(prompt.denied for prompt in prompts)
    assert not any(prompt.stranger and prompt.species for prompt in prompts)
    assert {p.text: p.species for p in prompts}["a daisy"] == (41, 49)


@pytest.mark.parametrize(
    "line",
    [
        'a = [{ text = "x", colour = "teal" }]',
        'a = [{ text = "x", species = [103] }]',
        'a = [{ text = "x" }]\nb = [{ text = "x" }]',
    ],
)
def test_a_list_that_cannot_be_judged_is_refused(typed, tmp_path, line):
    (tmp_path / "list.toml").write_text(line)
    with pytest.raises(InputError, match="'x'"):
        typed.read_prompts(tmp_path / "list.toml")


def clusters(counts, dim=20, seed=0):
    """Features about a centre of each class 1, 2, ..., well apart."""
    random = torch.Generator().manual_seed(seed)
    centres = 4 * torch.randn(len(counts), dim, generator=random)
    classes = [place + 1 for place, count in enumerate(counts) for _ in range(count)]
    noise = torch.randn(len(classes), dim, generator=random)
    return centres[[each - 1 for each in classes]] + noise, classes


def test_species_well_apart_are_told_and_ranked(benchmark):
    species = benchmark("species")
    features, classes = clusters([40, 40, 10, 25])
    judge = species.fit(features[::2], classes[::2], ridge=1.0)
    ranked = judge.ranked(features[1::2])
    assert [row[0] for row in ranked] == classes[1::2]
    assert all(sorted(row) == [1, 2, 3, 4] for row in ranked)
    assert species.right(ranked, [1], 1) == pytest.approx(classes[1::2].count(1) / len(ranked))
    assert species.right(ranked, [1, 4], 4) == 1.0


def test_a_rare_species_weighs_as_much_as_a_common_one(benchmark):
    species = benchmark("species")
    features, classes = clusters([400, 8])
    middle = (features[:400].mean(0) + features[400:].mean(0)) / 2
    judge = species.fit(features, classes, ridge=1.0)
    rows = (middle.double() - judge.mean) / judge.deviation
    scores = torch.cat([rows, torch.ones(1, dtype=torch.float64)]) @ judge.weights
    assert abs(float(scores[0] - scores[1])) < 0.4, "half way is half way"


def test_half_way_between_species_that_overlap_is_half_way_however_many_of_each(benchmark):
    species = benchmark("species")
    common, rare = torch.linspace(-3, 1, 400), torch.linspace(-1, 3, 8)
    judge = species.fit(torch.cat([common, rare])[:, None], [1] * 400 + [2] * 8, ridge=1.0)
    at = torch.tensor([[-0.02], [0.02]])
    assert [row[0] for row in judge.ranked(at)] == [1, 2]


def test_pictures_are_standardised_by_the_photographs_mean_and_deviation(benchmark):
    species = benchmark("species")
    features, classes = clusters([20, 20, 20])
    plain = species.fit(features[::2], classes[::2]).ranked(features[1::2])
    moved = 7 * features.double() + 1000
    assert species.fit(moved[::2], classes[::2]).ranked(moved[1::2]) == plain
    judge = species.fit(moved[::2], classes[::2])
    one = moved[1:2]  # by theirs, not by their own: one picture alone, and a calm batch
    assert judge.ranked(one.expand(5, -1))[3] == judge.ranked(one)[0] == plain[0]


def test_the_units_of_features_do_not_count(benchmark):
    species = benchmark("species")
    features, classes = clusters([20, 20, 20])
    scale = torch.logspace(-3, 3, features.shape[1])
    plain = species.fit(features[::2], classes[::2]).ranked(features[1::2])
    assert species.fit(features[::2] * scale, classes[::2]).ranked(features[1::2] * scale) == plain


def test_every_fifth_photograph_of_a_class_is_left_out(benchmark):
    classes = [3] * 5 + [9] * 4 + [3] * 5 + [9]
    out = benchmark("species").left_out(classes)
    assert [place for place, left in enumerate(out) if left] == [4, 13, 14]


class Features:
    """Of a picture: its mean colour, as a panel of judges would give features."""

    def judged(self, _, pixels):
        return pixels.float().mean((2, 3))


def plain_pictures(colour, count=4, px=64):
    return torch.tensor(colour, dtype=torch.uint8)[None, :, None, None].expand(count, 3, px, px)


RED, BLUE, YELLOW = (220, 20, 20), (40, 40, 220), (240, 220, 30)


@pytest.fixture(scope="module")
def figures(benchmark, typed):
    """Class 1 is red, 2 blue, 3 yellow; ten photographs of each."""
    species = benchmark("species")
    random = torch.Generator().manual_seed(0)
    colours = torch.tensor([RED, BLUE, YELLOW]).float().repeat_interleave(10, 0)
    known = species.Known(
        colours + torch.randn(30, 3, generator=random),
        [1] * 10 + [2] * 10 + [3] * 10,
        ["red"] * 10 + ["purple"] * 10 + ["yellow"] * 10,
        ["red"] * 9 + ["pink"] + ["purple"] * 10 + ["yellow"] * 5 + ["orange"] * 5,
    )
    return typed.Figures(known, Features())


def test_pictures_of_the_colour_and_species_named_are_right(typed, figures):
    prompt = typed.Prompt("g", "a red rose", colour="red", species=(1, 9))
    found = figures.of(prompt, plain_pictures(RED), plain_pictures(YELLOW))
    assert (found["colour_right"], found["colour_ceiling"]) == (1.0, 0.9)
    assert found["top1"] == found["top5"] == found["top1_ceiling"] == 1.0
    assert found["likeliest"] == [1] * 4 and found["chance"] == pytest.approx(1 / 3)
    expected = np.mean([abs(a - b) for a, b in zip(RED, YELLOW, strict=True)])
    assert found["changed"] == pytest.approx(expected)


def test_other_pictures_are_wrong_and_the_denied_colour_is_seen(typed, figures):
    half = torch.cat([plain_pictures(RED, 1), plain_pictures(BLUE, 3)])
    found = figures.of(typed.Prompt("g", "x", "red", (1,)), half, half)
    assert (found["colour_right"], found["top1"], found["changed"]) == (0.25, 0.25, 0.0)
    found = figures.of(typed.Prompt("g", "not red", denied="red"), half, half)
    assert found["denied_seen"] == 0.25 and "colour_right" not in found and "top1" not in found


def test_the_ceiling_is_of_photographs_that_set_no_judge(figures):
    ceiling = figures.ceiling()
    assert ceiling["classes"] == 3 and ceiling["top1"] == 1.0
    assert ceiling["colours"] == {"red": 0.9, "purple": 1.0, "yellow": 0.5}
    assert [len(rows) for rows in figures.photographs.values()] == [2, 2, 2]


def test_groups_are_means_over_the_captions_that_have_a_figure(typed):
    row = {"group": "g", "species": (), "colour": None, "stranger": False, "changed": 4.0}
    rows = [
        row | {"said": True, "stranger": True},
        row | {"said": False, "colour": "red", "colour_right": 1.0, "changed": 8.0},
        row | {"said": False, "colour": "red", "colour_right": 0.0, "changed": 6.0},
        row | {"said": False, "species": (7,), "top1": 0.25, "top5": 1.0, "group": "h"},
        row | {"said": True, "species": (8,), "top1": 0.75, "top5": 1.0, "group": "h"},
    ]
    groups = typed.by_group(rows, trained={8})
    expected = {"captions": 3, "colour_right": 0.5, "changed": 6.0, "said": pytest.approx(1 / 3)}
    assert groups["g"] == expected
    assert groups["h"]["top1"] == 0.5 and groups["all"]["captions"] == 5
    assert groups["any species, trained"]["top1"] == 0.75
    assert groups["any species, held out"]["top1"] == 0.25
    assert groups["any stranger"]["said"] == 1.0 and groups["any colour"]["captions"] == 2
    lines = typed.table(groups).splitlines()
    assert len(lines) == 1 + len(groups) and "50%" in lines[1]


def test_pictures_are_of_their_caption_and_seed(typed, tiny_model):
    model = StackGAN.from_pretrained(tiny_model, "cpu")
    how = typed.How(seeds=3, stage=1, truncation=0.5, best_of=1)
    drawn = typed.draw(model, ["a red flower", "blue petals"], how)
    assert drawn.shape == (2, 3, 3, 64, 64)
    alone = model.draw(["blue petals"], [2], 1, truncation=0.5).sketches[0]
    assert torch.equal(drawn[1, 2], alone)


def test_the_best_of_several_may_be_asked_for(typed, judged_model):
    model = StackGAN.from_pretrained(judged_model, "cpu")
    how = typed.How(seeds=2, stage=1, truncation=1.0, best_of=3)
    drawn = typed.draw(model, ["a red flower"], how)
    result = model("a red flower", 2, stage=1, truncation=1.0, best_of=3)
    expected = model.draw(result.captions, result.seeds, 1, truncation=1.0).sketches
    assert torch.equal(drawn[0], expected)


def test_what_the_model_says_of_a_caption_is_read(typed, tiny_model):
    model = StackGAN.from_pretrained(tiny_model, "cpu")
    assert typed.said(model, "a red xyzzy") and typed.said(model, "12345")
    assert not typed.said(model, "this flower has pink petals")
    moves = "this flower has pink petals xyzzy"  # the picture is another, the word is unknown
    assert not typed.still(model, {moves: typed.readable(model, moves)})
    assert typed.said(model, moves)


def test_a_sheet_has_a_row_for_each_caption(typed, tmp_path):
    pixels = torch.stack([plain_pictures(RED, 2), plain_pictures(BLUE, 2)])
    typed.sheet(["red", "blue"], pixels, tmp_path / "new" / "sheet.png")
    with Image.open(tmp_path / "new" / "sheet.png") as image:
        assert image.size == (typed.LABEL_PX + 2 * typed.TILE_PX, 2 * typed.TILE_PX)
        assert image.getpixel((typed.LABEL_PX + 100, 10)) == RED
        assert image.getpixel((typed.LABEL_PX + 10, typed.TILE_PX + 10)) == BLUE
        assert len(set(image.crop((0, 0, typed.LABEL_PX, 90)).convert("L").tobytes())) > 2


class MeanColour(torch.nn.Module):
    """Features that tell plain colours apart."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.zeros(()))

    def forward(self, levels):
        return levels.mean((2, 3)) * self.scale


@pytest.fixture
def folders(tmp_path, benchmark, monkeypatch):
    """Twelve photographs of two classes in Oxford-102's folder, and a folder of judges."""
    root = tmp_path / "data" / "oxford102"
    for name, colour in (("class_00054", YELLOW), ("class_00074", RED)):
        (root / "text_c10" / name).mkdir(parents=True)
        (root / "jpg").mkdir(exist_ok=True)
        for place in range(6):
            image = f"image_{int(name[-2:]) * 100 + place:05}"
            shade = tuple(max(0, level - place) for level in colour)
            Image.new("RGB", (80, 64), shade).save(root / "jpg" / f"{image}.jpg", quality=95)
            said = "this flower has {0} petals\na flower with {0} petals\n"
            named = "red" if colour == RED else "yellow"
            (root / "text_c10" / name / f"{image}.txt").write_text(said.format(named))
    (root / "trainvalclasses.txt").write_text("class_00054\n")
    (root / "testclasses.txt").write_text("class_00074\n")
    judges = tmp_path / "judges"
    judges.mkdir()
    save_file({"scale": torch.ones(())}, judges / "mobilenetv2.safetensors")
    networks = benchmark("judge_networks")
    monkeypatch.setitem(networks.NETWORKS, "mobilenetv2", networks.Judge(MeanColour, 8))
    return tmp_path


def test_a_model_is_measured_from_the_command_line(typed, folders, tiny_model, monkeypatch, capsys):
    few = 'g = [{ text = "a red flower", colour = "red", species = [74] }]\n'
    few += 'h = [{ text = "a xyzzy", stranger = true }, { text = "not red", denied = "red" }]'
    (folders / "few.toml").write_text(few)
    listed = typed.read_prompts(folders / "few.toml")
    monkeypatch.setattr(typed, "read_prompts", lambda: listed)
    monkeypatch.setattr(typed.species, "READ_AT_ONCE", 5)
    words = ["typed_prompts.py", tiny_model, "--n-seeds", 2, "--stage", 1, "--each"]
    words += ["--data-root", folders / "data", "--judges", folders / "judges"]
    words += ["--cache", folders / "cache", "--json", folders / "out.json"]
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    typed.main()
    found = json.loads((folders / "out.json").read_text())
    assert (found["size_px"], found["seeds"], found["truncation"]) == (64, 2, 1.0)
    assert found["groups"]["any species, held out"]["captions"] == 1
    assert found["groups"]["any stranger"]["said"] == 1.0
    assert found["ceiling"]["top1"] == 1.0 and found["ceiling"]["colours"]["red"] == 1.0
    assert found["prompts"][1]["remarks"] and len(found["prompts"][0]["called"]) == 2
    assert "photographs left out, 2 classes" in capsys.readouterr().out
    kept = {file: file.stat().st_mtime_ns for file in (folders / "cache").iterdir()}
    assert len(kept) == 3
    for photograph in (folders / "data" / "oxford102" / "jpg").iterdir():
        photograph.write_bytes(b"")  # what is known is not read again
    typed.main()
    again = json.loads((folders / "out.json").read_text())
    assert again == found
    assert {file: file.stat().st_mtime_ns for file in (folders / "cache").iterdir()} == kept


def test_what_is_missing_is_one_sentence(typed, folders, tiny_model, monkeypatch, capsys):
    words = ["typed_prompts.py", tiny_model, "--judges", folders / "none"]
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    with pytest.raises(SystemExit):
        typed.main()
    assert capsys.readouterr().err.count("\n") == 1
