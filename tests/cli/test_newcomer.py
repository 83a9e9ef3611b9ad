"""What a newcomer stumbled over, each at the place where it is said now."""

import pytest

from stackgan import StackGAN
from stackgan.config import preset_names
from stackgan.result import read_fields
from stackgan.training import run as training
from stackgan.training.encoder_settings import EncoderReport
from stackgan.training.plan import Plan


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_help_of_train_names_every_preset(command_line):
    said = " ".join(command_line("train", "--help").out.replace("│", " ").split())
    said = said.replace("- ", "-")  # lines are broken at hyphens
    for name in preset_names():
        assert name in said or name.startswith("ablation-"), name
    assert "ablation-..." in said


@pytest.mark.parametrize(
    "names", [["ablation-stage1"], ["ablation-stage1", "ablation-stage1-no-ca"]]
)
def test_a_row_of_the_ablation_alone_is_refused_with_what_goes_before(command_line, here, names):
    presets = [word for name in names for word in ("--preset", name)]
    done = command_line("train", "--data", "toy", "--root", "toy", "--run", "run", *presets)
    assert done.code == 2 and f"such as --preset paper --preset {names[0]}" in done.err
    assert list(here.iterdir()) == []


def test_captions_without_quotation_marks_are_drawn_with_a_word_on_them(
    command_line, tiny_stage1, here
):
    draw = ["generate", "--model", tiny_stage1, "--out", "a"]
    done = command_line(*draw, "a", "red", "flower")
    said = '3 captions of one word each are drawn; a sentence goes into quotation marks: "a red '
    assert done.code == 0 and said in done.err
    assert len(list((here / "a").iterdir())) == 3
    for words in (["flower"], ["a flower", "red"], ["a red flower", "a blue flower"]):
        assert "quotation" not in command_line(*draw, *words).err


def test_both_options_tell_the_version(command_line):
    assert command_line("-V") == command_line("--version")


def test_models_and_results_show_what_they_are(tiny_stage1, here):
    model = StackGAN.from_pretrained(tiny_stage1, "cpu")
    assert repr(model) == "<StackGAN 'sketcher': 64x64 pictures on cpu>"
    result = model(["a pink flower", "a blue flower"], 2)
    assert repr(result) == "<Result of sketcher: 4 pictures of 'a pink flower', 'a blue flower'>"
    assert repr(model("a flower")) == "<Result of sketcher: 1 picture of 'a flower'>"
    (here / "shown.png").write_bytes(result._repr_png_())
    assert read_fields(here / "shown.png") == {}


def test_what_guessing_finds_stands_beside_what_the_encoder_finds():
    report = EncoderReport(150, 5.556, 0.0, 0.04, 44, 1 / 44)
    assert str(report).endswith("from a caption in 4% (by guessing in 2.3%)")


def test_a_stop_while_the_encoder_trains_says_what_goes_on(here, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train_own_encoder", stop)
    said = []
    plan = Plan(data="folder", root="nowhere", settings=training.Settings())
    with pytest.raises(KeyboardInterrupt):
        training._own_encoder(here / "run", plan, [], training.Clock(0.0), said.append, print)
    (sentence,) = said
    assert f"`stackgan train --run {here / 'run'} --resume` goes on" in sentence


def test_a_run_from_a_model_says_that_it_trains_no_encoder(command_line, tiny_model, here):
    assert command_line("data", "toy", "--root", "toy", "--count", "35").code == 0
    train = ["train", "--data", "toy", "--root", "toy", "--run", "run", "--stage", "1"]
    train += ["--set", "stage1.batch_size=4", "--set", "stage1.projected_weight=0"]
    train += ["--set", "stage1.steps=1", "--init-from", tiny_model]
    told = command_line(*train, "--dry-run")
    assert told.code == 0 and "encoder.steps" not in told.out
    assert f"text encoder: taken over from {tiny_model}; none is trained" in told.out
    done = command_line(*train)
    assert done.code == 0, done.err
    assert f"text encoder: tiny-0 taken over from {tiny_model}; none is trained" in done.err
    assert "none is trained" not in command_line("train", "--run", "run", "--resume").err
