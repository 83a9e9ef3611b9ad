"""``stackgan train`` in process: success, resuming, and its failures."""

import json
from pathlib import Path

import pytest
from PIL import Image

from stackgan.cli.main import run as stackgan
from stackgan.data.toy import draw

TINY = [
    "architecture.stage1_generator_width=4",
    "architecture.stage1_discriminator_width=4",
    "architecture.stage2_generator_width=4",
    "architecture.stage2_discriminator_width=4",
    "architecture.image_px=128",
    "stage1.steps=2",
    "stage1.batch_size=8",
    "stage2.steps=2",
    "stage2.batch_size=4",
    "stage2.pixel_steps=0",
    "stage2.pair_steps=1",
    "encoder.steps=2",
    "encoder.image_network=small",
    "encoder.conv1=8",
    "encoder.conv2=8",
    "encoder.hidden=8",
    "encoder.dim=12",
    "precision=fp32",
]


def settings(*more: str) -> list[str]:
    return [word for assignment in (*TINY, *more) for word in ("--set", assignment)]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("toy")
    draw(root, seed=1, count=40)
    return root


def test_both_stages_and_an_encoder_in_one_command(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    arguments = ["train", "--data", "toy", "--root", str(toy), "--run", str(run), *settings()]
    assert stackgan([*arguments, "--json"]) == 0
    answered = capsys.readouterr().out
    assert json.loads(answered) == {"model": str(run / "model")}
    out = tmp_path / "picture.png"
    generate = ["generate", "a red circle", "--model", str(run), "--out", str(out)]
    assert stackgan(generate) == 0 and out.exists()
    assert stackgan(["train", "--run", str(run), "--resume"]) == 0
    assert stackgan(arguments) == 2
    assert "add --resume" in capsys.readouterr().err


def test_a_dry_run_answers_and_writes_nothing(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    base = ["train", "--data", "toy", "--root", str(toy), "--run", str(run), "--dry-run"]
    assert stackgan([*base, *settings(), "--json"]) == 0
    answered = json.loads(capsys.readouterr().out)
    assert answered["settings"]["stage1"]["steps"] == 2
    assert answered["stage1"]["step_s"] > 0 and answered["stage2"]["memory_bytes"] > 0
    assert not run.exists()


def test_a_dry_run_says_what_it_would_read(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["train", "--data", "toy", "--run", str(tmp_path / "run"), "--dry-run", "--stage", "1"]
    assert stackgan([*base, "--root", str(toy), *settings()]) == 0
    assert " photographs with " in capsys.readouterr().out
    assert stackgan([*base, "--root", "nowhere", *settings()]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_a_dry_run_refuses_what_a_run_refuses(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["train", "--data", "toy", "--root", str(toy), "--run", str(tmp_path / "run")]
    assert stackgan([*base, *settings(), "--set", "stage1.batch_size=64", "--dry-run"]) == 2
    assert "--set stage1.batch_size=17" in capsys.readouterr().err


def test_a_dry_run_tells_epochs_in_steps(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["train", "--data", "toy", "--root", str(toy), "--run", str(tmp_path / "run")]
    more = ["--set", "stage1.epochs=7", "--stage", "1", "--dry-run", "--json"]
    assert stackgan([*base, *settings(), *more]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["settings"]["stage1"]["steps"] == told["stage1"]["steps"]
    assert told["stage1"]["steps"] % 7 == 0


def test_one_photograph_is_too_few_to_train_on(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    Image.new("RGB", (64, 64)).save(data / "one.png")
    row = {"file_name": "one.png", "text": "a black square", "split": "train"}
    (data / "metadata.jsonl").write_text(json.dumps(row))
    base = ["train", "--data", "folder", "--root", str(data), "--run", str(tmp_path / "run")]
    assert stackgan([*base, *settings()]) == 2
    assert "at least two" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data", "toyz", "--root", "x"], "did you mean 'toy'"),
        (["--root", "x"], "train needs --data NAME and --root DIR"),
        (["--data", "toy", "--root", "nowhere"], "nowhere"),
        (["--data", "toy", "--root", "x", "--stage", "3"], "--stage is '3': give 1, 2 or both"),
        (["--data", "toy", "--root", "x", "--stage", "2"], "name its model with --stage1"),
        (["--data", "toy", "--root", "x", "--preset", "moden"], "did you mean 'modern'"),
        (["--data", "toy", "--root", "x", "--set", "stage1.step=1"], "did you mean 'steps'"),
        (["--resume"], "holds no run that could be resumed"),
        (["--resume", "--data", "toy"], "give only --run"),
        (["--data", "toy", "--root", "TOY", "--option", "seed"], "--option takes key=value"),
        (["--data", "toy", "--root", "TOY", "--option", "seed=1"], "has no option 'seed'"),
        (["--data", "toy", "--root", "TOY", "--encoder", "no-such-file"], "no-such-file"),
        (["--data", "toy", "--root", "TOY", "--init-from", "no-such-model"], "no-such-model"),
        (
            ["--data", "toy", "--root", "TOY", "--set", "stage1.batch_size=64"],
            "--set stage1.batch_size=17",
        ),
        (["--data", "toy", "--root", "x", "--device", "tpu"], "tpu"),
    ],
)
def test_wrong_use_is_one_sentence_and_leaves_nothing_half_done(
    arguments: list[str],
    sentence: str,
    toy: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [str(toy) if word == "TOY" else word for word in arguments]
    assert stackgan(["train", "--run", "run", *arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error and "Traceback" not in error
    assert not (tmp_path / "run").exists()


def test_a_run_that_begins_from_a_model_has_its_architecture(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ["train", "--data", "toy", "--root", str(toy), "--run", str(tmp_path / "first")]
    assert stackgan([*first, "--stage", "1", *settings()]) == 0
    again = ["train", "--data", "toy", "--root", str(toy), "--init-from", str(tmp_path / "first")]
    steps = [word for word in settings() if "steps" in word or "batch" in word]
    steps = [word for step in steps for word in ("--set", step)]
    capsys.readouterr()
    assert stackgan([*again, "--run", str(tmp_path / "more"), "--stage", "1", *steps]) == 0
    assert "generator and discriminator taken over" in capsys.readouterr().err
    kept = [
        json.loads((tmp_path / run / "settings.json").read_text())["settings"]
        for run in ("first", "more")
    ]
    assert {**kept[0]["architecture"], "embedding_dim": 12} == kept[1]["architecture"]
    assert kept[1]["stage1"]["generator_lr"] == 1e-4  # the preset `finetune`
    other = ["--set", "architecture.stage1_generator_width=8"]
    assert stackgan([*again, "--run", str(tmp_path / "odd"), "--stage", "1", *steps, *other]) == 2
    assert "other networks" in capsys.readouterr().err
