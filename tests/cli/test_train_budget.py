"""``stackgan train --budget`` and ``--dry-run`` in process: what is told, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from stackgan.cli.main import run as stackgan
from stackgan.data.toy import draw
from stackgan.training import budget as arithmetic
from stackgan.training import estimate, planning
from stackgan.training.budget import Cost

TINY = [
    "architecture.stage1_generator_width=4",
    "architecture.stage1_discriminator_width=4",
    "architecture.stage2_generator_width=4",
    "architecture.stage2_discriminator_width=4",
    "architecture.image_px=128",
    "stage1.batch_size=8",
    "stage2.batch_size=4",
    "encoder.conv1=8",
    "encoder.conv2=8",
    "encoder.hidden=8",
    "encoder.dim=12",
    "precision=fp32",
]
COSTS = {"encoder": Cost(50.0, 64, most=1000), "stage1": Cost(60.0, 8), "stage2": Cost(90.0, 4)}


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("toy")
    draw(root, seed=1, count=40)
    return root


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of known speeds, on which 5 minutes hold a few steps and really take no time."""
    monkeypatch.setattr(planning, "_now", lambda: 0.0)
    monkeypatch.setattr(arithmetic, "LEAST_STEPS", 1)
    monkeypatch.setattr(planning, "measure", lambda *_: dict(COSTS))
    monkeypatch.setattr(planning, "measure_stage", lambda _, number, *__: COSTS[f"stage{number}"])


def words(toy: Path, run: Path, *more: str) -> list[str]:
    sets = [word for assignment in TINY for word in ("--set", assignment)]
    base = ["train", "--data", "toy", "--root", str(toy), "--run", str(run)]
    return [*base, *sets, *more]


def settings_of(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "settings.json").read_text())["settings"])


def test_a_budgeted_run_says_its_plan_and_keeps_it(
    known: None, toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert stackgan(words(toy, run, "--budget", "5m", "--set", "sheet_every=9")) == 0
    said = capsys.readouterr()
    for part in ("measuring", "planned into 5m", "text encoder", "s a step", "Stage-II: "):
        assert part in said.err
    assert said.out == f"{run / 'model'}\n"
    kept = settings_of(run)
    counts = [kept[name]["steps"] for name in ("encoder", "stage1", "stage2")]
    assert counts == [1, 2, 3]
    assert (kept["checkpoint_every"], kept["sheet_every"], kept["log_every"]) == (50, 9, 1)
    before = (run / "model/generator.safetensors").read_bytes()
    assert stackgan(["train", "--run", str(run), "--resume", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"] == kept
    assert stackgan(["train", "--run", str(run), "--resume"]) == 0
    assert settings_of(run) == kept
    assert (run / "model/generator.safetensors").read_bytes() == before


def test_a_dry_run_tells_the_plan_and_starts_nothing(
    known: None, toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = words(toy, tmp_path / "run", "--budget", "1h", "--dry-run")
    assert stackgan([*base, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    trainings = told["budget"]["trainings"]
    assert list(trainings) == ["encoder", "stage1", "stage2"]
    for name, training in trainings.items():
        assert told["settings"][name]["steps"] == training["steps"] > 0
    assert told["budget"]["seconds"] == 3600
    assert told["settings"]["stage2"]["pair_steps"] == round(trainings["stage2"]["steps"] / 8)
    assert stackgan(base) == 0
    lines = capsys.readouterr().out.splitlines()
    steps = trainings["stage1"]["steps"]
    assert lines.count(f"stage1.steps = {steps}") == 1
    assert not any(line.startswith("stage1.steps = 5000") for line in lines)
    assert next(line for line in lines if line.startswith("Stage-I ")).split()[1] == str(steps)
    assert not (tmp_path / "run").exists()


def test_a_dry_run_prints_its_settings_before_it_measures(
    toy: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first: list[Any] = []

    def estimate_stage(settings: Any, number: int, device: str) -> dict[str, Any]:
        first.append(capsys.readouterr())
        whole = {"generator": 1, "discriminator": 1, "steps": 1}
        return whole | {"step_s": 1.0, "hours": 1.0, "memory_bytes": 1}

    monkeypatch.setattr(estimate, "estimate_stage", estimate_stage)
    assert stackgan(words(toy, tmp_path / "run", "--dry-run", "--stage", "1")) == 0
    assert "stage1.steps = 5000" in first[0].out and "captions" in first[0].out
    assert first[0].err == "stackgan: measuring\n"
    assert capsys.readouterr().out.startswith("stage1: generator")


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--budget", "90"], "--budget is '90': give hours and minutes, such as 20m, 1h or 1h30m"),
        (["--budget", "4m"], "give at least 5m"),
        (["--budget", "1h", "--set", "stage1.steps=5"], "leave stage1.steps out"),
        (["--budget", "1h", "--set", "stage2.epochs=5"], "leave stage2.epochs out"),
        (["--budget", "1h", "--set", "encoder.steps=5"], "leave encoder.steps out"),
        (["--budget", "1h", "--config", "MINE"], "leave stage2.steps out"),
        (["--budget", "6m"], "does not hold 200 steps of each training on this machine: give at"),
    ],
)
def test_what_does_not_go_with_a_budget_is_one_sentence(
    more: list[str],
    sentence: str,
    toy: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planning, "measure", lambda *_: dict(COSTS))
    mine = tmp_path / "mine.toml"
    mine.write_text("[stage2]\nsteps = 5\n")
    more = [str(mine) if word == "MINE" else word for word in more]
    assert stackgan(words(toy, tmp_path / "run", *more)) == 2
    error = capsys.readouterr().err
    assert sentence in error and "Traceback" not in error
    assert not (tmp_path / "run").exists()


def test_a_run_that_goes_on_keeps_its_own_budget(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stackgan(["train", "--run", str(tmp_path), "--resume", "--budget", "1h"]) == 2
    assert "with --resume the run keeps its own plan" in capsys.readouterr().err


def test_how_often_is_saved_is_left_as_it_was_asked(
    known: None, toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = words(toy, tmp_path / "run", "--budget", "1h", "--dry-run", "--json")
    assert stackgan([*base, "--set", "checkpoint_every=77"]) == 0
    settings = json.loads(capsys.readouterr().out)["settings"]
    assert settings["checkpoint_every"] == 77 and settings["sheet_every"] < 77
