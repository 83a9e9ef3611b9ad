"""A whole run: resuming is the same as never stopping, and what a run writes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from stackgan.config import validate_settings
from stackgan.data import read_examples
from stackgan.data.toy import draw
from stackgan.errors import InputError, ModelError, NonFiniteLoss, RunFailed
from stackgan.hub import load_model
from stackgan.networks.conditioning import Standardised
from stackgan.text import load_encoder
from stackgan.text.char_cnn_rnn import CharCnnRnn, Sizes
from stackgan.training import run as training
from stackgan.training.checkpoint import read_checkpoint, restore, save_checkpoint
from stackgan.training.prepare import embed_examples
from stackgan.training.run import Plan

STAGE = {"steps": 4, "batch_size": 4, "loss": "logistic", "average": 0.9, "r1_weight": 0.1,
         "r1_every": 2, "augment": ["translation"]}  # fmt: skip
STAGE2 = STAGE | {
    "steps": 3, "pair_steps": 1, "pair_share": 0.5, "pixel_weight": 1.0, "average": 0.0,
    "average_half_life": 60, "class_weight": 0.1, "contrastive_weight": 0.1,
    "spectrum_weight": 1.0, "sketch_noise": 0.1, "sketch_blur": 0.6,
}  # fmt: skip
SETTINGS = {
    "architecture": {
        "condition_dim": 6, "noise_dim": 5, "text_dim": 7, "image_px": 128,
        "stage1_generator_width": 8, "stage1_discriminator_width": 4,
        "stage2_generator_width": 8, "stage2_discriminator_width": 4,
        "conditioning": "bounded", "normalisation": "none", "unconditional": True,
        "stage2_normalisation": "spectral", "patches": True, "modulated": True,
        "output": "residual", "minibatch_deviation": True, "text_input": "standardised",
        "crop_px": 64, "sketch_strengths": True,
    },
    "stage1": STAGE,
    "stage2": STAGE2,
    "wordings_share": 0.3,
    "log_every": 2,
    "checkpoint_every": 2,
    "sheet_every": 4,
    "precision": "fp32",
}  # fmt: skip


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("toy")
    draw(root, seed=1, count=40)
    return root


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("encoder") / "text_encoder.safetensors"
    CharCnnRnn(Sizes(conv1=8, conv2=8, hidden=8, dim=12)).save(path)
    return path


def plan_of(toy: Path, encoder: Path, **changes: Any) -> Plan:
    values = {"data": "toy", "root": str(toy), "encoder": str(encoder)} | changes
    values.setdefault("settings", validate_settings(SETTINGS))
    return Plan(**values)


def log_of(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "time")} for line in lines]


def assert_equal(one: Any, two: Any) -> None:
    """Bit-equal through dictionaries and lists, tensors and plain values alike."""
    if isinstance(one, torch.Tensor):
        assert_close(one, two, rtol=0, atol=0)
    elif isinstance(one, dict):
        assert one.keys() == two.keys()
        for key, value in one.items():
            assert_equal(value, two[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(two)
        for mine, theirs in zip(one, two, strict=True):
            assert_equal(mine, theirs)
    else:
        assert one == two


def assert_same_run(one: Path, two: Path) -> None:
    for stage in ("stage1", "stage2"):
        first = read_checkpoint(one / stage / "checkpoint.pt")
        second = read_checkpoint(two / stage / "checkpoint.pt")
        assert_equal(first, second)
        assert log_of(one / stage) == log_of(two / stage)
        assert (one / stage / "sheet-000004.png").exists() == (stage == "stage1")
    assert (one / "model/generator.safetensors").read_bytes() == (
        two / "model/generator.safetensors"
    ).read_bytes()


@pytest.fixture(scope="module")
def whole(toy: Path, encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    plan = plan_of(toy, encoder)
    training.begin(run, plan)
    training.train(run, plan)
    return run


def test_every_network_of_a_run_is_told_the_training_captions(
    whole: Path, encoder: Path, toy: Path
) -> None:
    examples = read_examples("toy", toy, "train")
    shown, _, typed = embed_examples(load_encoder(encoder), examples, validate_settings(SETTINGS))
    assert typed is not None
    mean = shown.mean(dim=0)
    model = load_model(whole)
    networks = [model.stage1, model.stage2, model.discriminator(1), model.discriminator(2)]
    for network in networks:
        told = [m for m in network.modules() if isinstance(m, Standardised)]
        assert len(told) == 1
        assert_close(told[0].mean, mean, atol=1e-5, rtol=1e-3)  # the model folder is bf16 or fp32
    kept = read_checkpoint(whole / "stage2/checkpoint.pt")["side_heads"]
    assert_close(kept["standard.mean"], mean, atol=1e-5, rtol=1e-3)
    assert kept["of_class.weight"].shape[0] > 1  # the toy set's classes are told apart


def test_a_run_leaves_a_model_that_loads(whole: Path) -> None:
    model = load_model(whole)
    assert model.stage2 is not None and model.config["training"]["step"] == 3
    weights = model.config["training"]["weights"]
    assert (
        weights == "running average (EMA, half-life 60 images, at most 0.05 of the images so far)"
    )
    captions = (whole / "stage1/captions.txt").read_text().splitlines()
    with Image.open(whole / "stage1/sheet-000004.png") as sheet:
        assert sheet.size == (8 * 64, len(captions) * 64)
    steps = [line["step"] for line in log_of(whole / "stage1")]
    assert steps == [2, 4, 4]
    assert log_of(whole / "stage1")[-1].keys() == {"step", "diversity"}
    line = log_of(whole / "stage1")[0]
    assert {"d_real", "d_wrong", "d_fake", "g_gradient", "d_gradient", "kl"} <= line.keys()


def test_stage2_refines_the_averaged_stage1(whole: Path) -> None:
    trained = read_checkpoint(whole / "stage1/checkpoint.pt")
    kept = load_model(whole).stage1.state_dict()
    for name, value in trained["average"].items():
        stored = value.bfloat16().float() if value.dim() > 1 else value
        assert_close(kept[name], stored, rtol=0, atol=0)
    assert not torch.equal(trained["average"]["rgb.weight"], trained["generator"]["rgb.weight"])


def test_the_plan_survives_its_file(whole: Path, toy: Path, encoder: Path, tmp_path: Path) -> None:
    plan = plan_of(toy, encoder, stages=(2,), stage1=str(whole))
    training.begin(tmp_path / "run", plan)
    assert training.read_plan(tmp_path / "run") == plan
    with pytest.raises(InputError, match="holds a run already: add --resume"):
        training.begin(tmp_path / "run", plan)
    with pytest.raises(ModelError, match="no run that could be resumed"):
        training.read_plan(tmp_path)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", [1, 2, 3, 5, 6])
def test_resuming_is_the_same_as_never_stopping(
    moment: int, whole: Path, toy: Path, encoder: Path, tmp_path: Path
) -> None:
    run, plan = tmp_path / "run", plan_of(toy, encoder)
    training.begin(run, plan)
    seen = 0

    def stop(what: str, done: int, total: int) -> None:
        nonlocal seen
        seen += what.startswith("Stage")
        if seen == moment:
            raise Killed

    with pytest.raises(Killed):
        training.train(run, plan, progress=stop)
    training.train(run, training.read_plan(run))
    assert_same_run(run, whole)


def test_resuming_with_the_kill_inside_a_save(
    whole: Path, toy: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, plan = tmp_path / "run", plan_of(toy, encoder)
    training.begin(run, plan)
    replace = os.replace

    def die(source: Any, target: Any) -> None:
        if str(target).endswith("checkpoint.pt") and Path(target).exists():
            raise Killed
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", die)
        with pytest.raises(Killed):
            training.train(run, plan)
    training.train(run, training.read_plan(run))
    assert_same_run(run, whole)


def test_a_finished_run_is_left_as_it_is(whole: Path) -> None:
    before = (whole / "stage2/checkpoint.pt").read_bytes()
    training.train(whole, training.read_plan(whole))
    assert (whole / "stage2/checkpoint.pt").read_bytes() == before


def test_ctrl_c_saves_and_the_run_goes_on(
    whole: Path, toy: Path, encoder: Path, tmp_path: Path
) -> None:
    run, plan = tmp_path / "run", plan_of(toy, encoder)
    training.begin(run, plan)
    said: list[str] = []

    def press(what: str, done: int, total: int) -> None:
        if what == "Stage-I" and done == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        training.train(run, plan, progress=press, say=said.append)
    assert read_checkpoint(run / "stage1/checkpoint.pt")["step"] == 3
    assert "--resume" in said[-1]
    training.train(run, training.read_plan(run))
    assert_same_run(run, whole)


@pytest.mark.parametrize(("log_every", "checkpoint_every"), [(2, 2), (4, 1)])
def test_a_non_finite_loss_stops_and_keeps_the_last_good_checkpoint(
    log_every: int,
    checkpoint_every: int,
    toy: Path,
    encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    often = {"log_every": log_every, "checkpoint_every": checkpoint_every}
    plan = plan_of(toy, encoder, settings=validate_settings(SETTINGS | often))
    run = tmp_path / "run"
    training.begin(run, plan)
    step = training.run_steps

    def poisoned(stage: Any, *rest: Any) -> Any:
        for report in step(stage, *rest):
            bad = stage.step == 3
            yield report | ({"g_loss": torch.tensor(float("nan"))} if bad else {})

    monkeypatch.setattr(training, "run_steps", poisoned)
    with pytest.raises(NonFiniteLoss, match="g_loss became nan"):
        training.train(run, plan)
    assert read_checkpoint(run / "stage1/checkpoint.pt")["step"] == 2


def test_a_checkpoint_of_other_networks_is_refused(
    whole: Path, toy: Path, encoder: Path, tmp_path: Path
) -> None:
    settings = SETTINGS | {"architecture": SETTINGS["architecture"] | {"noise_dim": 9}}
    plan = plan_of(toy, encoder, settings=validate_settings(settings))
    run = tmp_path / "run"
    training.begin(run, plan)
    (run / "stage1").mkdir()
    (run / "stage1/checkpoint.pt").write_bytes((whole / "stage1/checkpoint.pt").read_bytes())
    with pytest.raises(ModelError, match="does not fit these networks"):
        training.train(run, plan)


@pytest.mark.parametrize("part", ["generator", "discriminator", "average"])
def test_a_checkpoint_with_an_entry_too_few_or_too_many_is_refused(part: str, whole: Path) -> None:
    plan = training.read_plan(whole)
    settings = training._with_encoder(plan.settings, load_model(whole).encoder)
    stage = training._make(plan, settings, 1, 0, None, "cpu")
    path = whole / "stage1/checkpoint.pt"
    state = read_checkpoint(path)
    restore(stage, state, path)
    entries = dict(state[part])
    for changed in (dict(list(entries.items())[1:]), entries | {"more": torch.zeros(1)}):
        with pytest.raises(ModelError, match="does not fit these networks"):
            restore(stage, state | {part: changed}, path)


@pytest.mark.parametrize("content", [{"format": "stackgan-checkpoint/9"}, {"step": 3}, [1, 2]])
def test_a_checkpoint_of_another_format_is_named(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "checkpoint.pt")
    found = repr(content.get("format")) if isinstance(content, dict) else "None"
    with pytest.raises(ModelError, match=f"has format {found}"):
        read_checkpoint(tmp_path / "checkpoint.pt")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda data: data[: len(data) // 2], "cannot be read as a checkpoint"),
        (lambda data: b"", "cannot be read as a checkpoint"),
        (lambda data: b"no checkpoint at all", "cannot be read as a checkpoint"),
    ],
)
def test_a_damaged_checkpoint_is_named(
    damage: Callable[[bytes], bytes], sentence: str, whole: Path, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(damage((whole / "stage1/checkpoint.pt").read_bytes()))
    with pytest.raises(ModelError, match=sentence) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)


class Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("executed",)


def test_reading_a_checkpoint_executes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"format": "stackgan-checkpoint/1", "step": Payload()}, tmp_path / "bad.pt")
    with pytest.raises(ModelError, match="cannot be read as a checkpoint"):
        read_checkpoint(tmp_path / "bad.pt")
    assert "executed" not in capsys.readouterr().out


def test_a_full_disk_keeps_the_checkpoint_before(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = training.read_plan(whole)
    settings = training._with_encoder(plan.settings, load_model(whole).encoder)
    stage = training._make(plan, settings, 1, 0, None, "cpu")
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, stage)
    good = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RunFailed, match="No space left on device"):
        save_checkpoint(path, stage)
    assert path.read_bytes() == good
    assert list(tmp_path.iterdir()) == [path]


def test_stage2_refuses_a_stage1_of_other_sizes(
    whole: Path, toy: Path, encoder: Path, tmp_path: Path
) -> None:
    settings = SETTINGS | {"architecture": SETTINGS["architecture"] | {"noise_dim": 9}}
    plan = plan_of(
        toy, encoder, settings=validate_settings(settings), stages=(2,), stage1=str(whole)
    )
    training.begin(tmp_path / "run", plan)
    with pytest.raises(InputError, match=r"--set architecture.noise_dim=5"):
        training.train(tmp_path / "run", plan)


def test_killed_for_real_and_resumed(whole: Path, toy: Path, encoder: Path, tmp_path: Path) -> None:
    """kill -9 in a process of its own, in the middle of the second stage."""
    run, plan = tmp_path / "run", plan_of(toy, encoder)
    training.begin(run, plan)
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom stackgan.training import run as r\n"
        "run = Path(sys.argv[1])\n"
        "def kill(what, done, total):\n"
        "    if what == 'Stage-II' and done == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "r.train(run, r.read_plan(run), progress=kill)\n"
    )
    path = os.pathsep.join(p for p in sys.path if p)
    died = subprocess.run(
        [sys.executable, "-c", program, str(run)],
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    training.train(run, training.read_plan(run))
    assert_same_run(run, whole)


def test_a_kill_between_checkpoint_and_model_folder_is_mended(
    whole: Path, toy: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, plan = tmp_path / "run", plan_of(toy, encoder)
    training.begin(run, plan)
    save = training._save_model

    def die(shared: Any, stage: Any, stage1_discriminator: Any) -> None:
        if stage.sketcher is not None and stage.step == 3:
            raise Killed
        save(shared, stage, stage1_discriminator)

    with monkeypatch.context() as patched:
        patched.setattr(training, "_save_model", die)
        with pytest.raises(Killed):
            training.train(run, plan)
    training.train(run, training.read_plan(run))
    assert_same_run(run, whole)
