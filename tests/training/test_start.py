"""Beginning from a trained model: what is taken over, what begins anew, and that it is said."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from stackgan.config import validate_settings
from stackgan.data.toy import draw
from stackgan.errors import ModelError
from stackgan.hub import load_model
from stackgan.text.char_cnn_rnn import CharCnnRnn, Sizes
from stackgan.training import run as training
from stackgan.training.checkpoint import read_checkpoint
from stackgan.training.run import Plan

STAGE = {"steps": 2, "batch_size": 4, "loss": "logistic", "average": 0.9}
SETTINGS: dict[str, Any] = {
    "architecture": {
        "condition_dim": 6, "noise_dim": 5, "text_dim": 7, "image_px": 128,
        "stage1_generator_width": 8, "stage1_discriminator_width": 4,
        "stage2_generator_width": 8, "stage2_discriminator_width": 4,
        "conditioning": "bounded", "normalisation": "none", "unconditional": True,
    },
    "stage1": STAGE,
    "stage2": STAGE,
    "precision": "fp32",
}  # fmt: skip


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("toy")
    draw(root, seed=1, count=40)
    return root


@pytest.fixture(scope="module")
def whole(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of both stages."""
    torch.manual_seed(0)
    encoder = tmp_path_factory.mktemp("encoder") / "text_encoder.safetensors"
    CharCnnRnn(Sizes(conv1=8, conv2=8, hidden=8, dim=12)).save(encoder)
    run = tmp_path_factory.mktemp("whole") / "run"
    plan = Plan("toy", str(toy), validate_settings(SETTINGS), encoder=str(encoder))
    training.begin(run, plan)
    training.train(run, plan)
    return run


def begun(
    whole: Path, toy: Path, run: Path, stages: tuple[int, ...] = (1, 2), **changes: Any
) -> list[str]:
    """Carry out a run that begins from ``whole`` and does no step; what it said."""
    frozen = {"steps": 1, "generator_lr": 1e-30, "discriminator_lr": 1e-30, "average": 0.9}
    settings = validate_settings({**SETTINGS, "stage1": STAGE | frozen, "stage2": STAGE | frozen})
    plan = Plan("toy", str(toy), settings, stages, init_from=str(whole), **changes)  # type: ignore[arg-type]
    training.begin(run, plan)
    said: list[str] = []
    training.train(run, plan, say=said.append)
    return said


def weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """All but the statistics, which a step moves whatever its rate."""
    return dict(network.named_parameters())


def test_all_four_networks_are_taken_over_and_it_is_said(
    whole: Path, toy: Path, tmp_path: Path
) -> None:
    said = begun(whole, toy, tmp_path / "run")
    source = load_model(whole)
    generators = {1: source.stage1, 2: source.stage2}
    for number in (1, 2):
        state = read_checkpoint(tmp_path / f"run/stage{number}/checkpoint.pt")
        generator = generators[number]
        assert generator is not None
        for mine, theirs in (
            (state["generator"], generator),
            (state["average"], generator),
            (state["discriminator"], source.discriminator(number)),  # type: ignore[arg-type]
        ):
            kept = weights(theirs)
            assert_close({name: mine[name] for name in kept}, kept)
        name = "I" * number
        sentence = f"Stage-{name}: generator and discriminator taken over from {whole}; "
        assert sentence + "optimizers begun anew" in said


def test_the_encoder_comes_along(whole: Path, toy: Path, tmp_path: Path) -> None:
    begun(whole, toy, tmp_path / "run", (1,))
    assert load_model(tmp_path / "run").encoder.sha256 == load_model(whole).encoder.sha256


def test_what_the_model_lacks_begins_anew(whole: Path, toy: Path, tmp_path: Path) -> None:
    begun(whole, toy, tmp_path / "sketcher", (1,))
    said = begun(tmp_path / "sketcher", toy, tmp_path / "run", (1, 2))
    assert any(s.startswith("Stage-II: nothing taken over") for s in said)
    assert any(s.endswith("generator and discriminator and optimizers begun anew") for s in said)


def test_a_resumed_run_does_not_begin_again(whole: Path, toy: Path, tmp_path: Path) -> None:
    begun(whole, toy, tmp_path / "run", (1,))
    said: list[str] = []
    training.train(tmp_path / "run", training.read_plan(tmp_path / "run"), say=said.append)
    assert not any("taken over" in sentence for sentence in said)


def test_other_networks_are_refused(whole: Path, toy: Path, tmp_path: Path) -> None:
    wider = SETTINGS["architecture"] | {"stage1_generator_width": 16}
    plan = Plan(
        "toy",
        str(toy),
        validate_settings(SETTINGS | {"architecture": wider}),
        init_from=str(whole),
    )
    training.begin(tmp_path / "run", plan)
    with pytest.raises(ModelError, match="other networks"):
        training.train(tmp_path / "run", plan)


def test_a_model_folder_holds_the_discriminators_of_both_stages(whole: Path) -> None:
    model = load_model(whole)
    for number in (1, 2):
        state = read_checkpoint(whole / f"stage{number}/checkpoint.pt")["discriminator"]
        stored = {name: x.bfloat16().float() if x.ndim > 1 else x for name, x in state.items()}
        assert_close(model.discriminator(number).state_dict(), stored)  # type: ignore[arg-type]


def test_a_later_stage_two_keeps_the_first_stages_discriminator(
    whole: Path, toy: Path, tmp_path: Path
) -> None:
    settings = validate_settings(SETTINGS)
    plan = Plan("toy", str(toy), settings, (2,), stage1=str(whole))
    training.begin(tmp_path / "run", plan)
    training.train(tmp_path / "run", plan)
    mine, theirs = load_model(tmp_path / "run"), load_model(whole)
    assert_close(mine.discriminator(1).state_dict(), theirs.discriminator(1).state_dict())
    config = json.loads((tmp_path / "run/model/config.json").read_text())
    assert "stage1_discriminator.safetensors" in config["files"]
