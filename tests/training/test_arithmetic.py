"""What a run computes in is measured before it begins, and kept with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from stackgan import machine
from stackgan.config import Settings, validate_settings
from stackgan.data.toy import draw
from stackgan.errors import ModelError
from stackgan.fast.forms import Case, forms_in_use, use_forms
from stackgan.text.char_cnn_rnn import CharCnnRnn, Sizes
from stackgan.training import arithmetic
from stackgan.training import run as training
from stackgan.training.arithmetic import (
    Arithmetic,
    choose,
    go_on,
    known_forms,
    measured_forms,
    read_arithmetic,
    write_arithmetic,
)
from stackgan.training.budget import Budget
from stackgan.training.estimate import met_by
from stackgan.training.plan import Plan

BEGUN = Arithmetic("fp32", 1, "a processor", "2.0", {"conv3x3 float32 4>4 2x8x8": "tiles"})
CASES = [Case("conv3x3", "float32", k, 4, 2, 8, 8) for k in (3, 4, 5)]
TINY = {
    "architecture": {"condition_dim": 4, "noise_dim": 4, "stage1_generator_width": 8,
                     "stage1_discriminator_width": 4, "stages": 1},
    "stage1": {"steps": 2, "batch_size": 4},
}  # fmt: skip


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("STACKGAN_CACHE", str(tmp_path / "cache"))
    yield
    use_forms({})


@pytest.fixture
def tuned(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What was measured, call by call; every case is faster by tiles."""
    calls: list[list[str]] = []

    def tune(cases: list[Case]) -> dict[str, str]:
        calls.append([case.name for case in cases])
        return dict.fromkeys(calls[-1], "tiles")

    monkeypatch.setattr(arithmetic, "tune", tune)
    monkeypatch.setattr(arithmetic, "met_by", lambda settings, number, device: CASES)
    return calls


def settings(**changes: Any) -> Settings:
    return validate_settings(TINY | changes)


def plan(**changes: Any) -> Plan:
    values: dict[str, Any] = {"data": "toy", "root": ".", "settings": settings(), "stages": (1,)}
    return Plan(**(values | changes))


def long(steps: int = 500, **changes: Any) -> Plan:
    return plan(settings=settings(stage1={"steps": steps, "batch_size": 4}, **changes))


def test_a_convolution_is_measured_once_on_a_machine(tuned: list[list[str]]) -> None:
    said: list[str] = []
    first = measured_forms(settings(), 1, said.append)
    assert first == measured_forms(settings(), 1, said.append)
    assert first == {case.name: "tiles" for case in CASES} == known_forms()
    assert tuned == [[case.name for case in CASES]]
    assert said == ["Stage-I: measuring 3 convolutions, once on this machine"]


def test_only_what_is_new_is_measured(
    tuned: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.keep("forms", {CASES[0].name: "torch", "of another stage": "nine"})
    assert measured_forms(settings(), 1)[CASES[0].name] == "torch"
    assert tuned == [[case.name for case in CASES[1:]]]
    assert known_forms()["of another stage"] == "nine"


@pytest.mark.parametrize("kept", [7, [], "tiles", {"a": 3}, None])
def test_a_cache_of_something_else_is_no_form(kept: object) -> None:
    machine.keep("forms", kept)
    assert known_forms() == {}


def test_a_run_too_short_to_gain_measures_nothing(tuned: list[list[str]]) -> None:
    assert choose(long(499), "cpu").forms == {} and not tuned
    assert choose(long(500), "cpu").forms and tuned


def test_a_budget_is_worth_it_by_its_length(tuned: list[list[str]]) -> None:
    assert choose(plan(budget=Budget(599.0)), "cpu").forms == {}
    assert choose(plan(budget=Budget(600.0)), "cpu").forms != {}


def test_what_is_computed_plainly_or_elsewhere_has_no_forms(tuned: list[list[str]]) -> None:
    plainly = {"architecture": TINY["architecture"] | {"arithmetic": "literal"}}  # type: ignore[operator]
    assert choose(long(**plainly), "cpu").forms == {}
    assert choose(long(), "mps").forms == {} and not tuned


def test_auto_becomes_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stackgan.training.assemble.faster_precision", lambda device: "bf16")
    assert choose(plan(), "cpu").precision == "bf16"
    assert choose(plan(settings=settings(precision="fp32")), "cpu").precision == "fp32"
    chosen = Arithmetic("bf16", 1, "", "")
    assert chosen.settled(settings()).precision == "bf16"
    assert chosen.settled(settings(precision="fp32")).precision == "fp32"


def test_it_survives_its_file(tmp_path: Path) -> None:
    assert read_arithmetic(tmp_path) is None
    write_arithmetic(tmp_path, BEGUN)
    assert read_arithmetic(tmp_path) == BEGUN
    assert [path.name for path in tmp_path.glob("*")] == ["arithmetic.json"]


@pytest.mark.parametrize(
    "change",
    [
        {"threads": 0}, {"threads": "2"}, {"precision": "fp8"}, {"forms": {"a": 1}},
        {"forms": 3}, {"processor": None}, {"more": 1},
    ],
)  # fmt: skip
def test_a_damaged_file_is_named_with_what_helps(change: dict[str, Any], tmp_path: Path) -> None:
    write_arithmetic(tmp_path, BEGUN)
    path = tmp_path / "arithmetic.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=r"arithmetic\.json does not tell .* remove it"):
        read_arithmetic(tmp_path)
    path.write_text("{")
    with pytest.raises(ModelError, match=r"arithmetic\.json does not tell"):
        read_arithmetic(tmp_path)


def test_a_run_goes_on_with_what_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = replace(BEGUN, processor=machine.processor(), torch=torch.__version__)
    write_arithmetic(tmp_path, here)
    said: list[str] = []
    monkeypatch.setattr("stackgan.training.assemble.faster_precision", lambda device: "bf16")
    found = go_on(tmp_path, plan(), "cpu", None, said.append)
    assert found == here == go_on(tmp_path, plan(), "cpu", 1, said.append) and not said
    set_to: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    found.use()
    assert set_to == [1] and forms_in_use() == here.forms


def test_what_is_no_longer_the_same_is_said(tmp_path: Path) -> None:
    write_arithmetic(tmp_path, BEGUN)
    said: list[str] = []
    found = go_on(tmp_path, plan(), "cpu", 2, said.append)
    assert found == replace(BEGUN, threads=2)
    assert [sentence.split(":")[0] for sentence in said] == [
        f"the run began on a processor, and this is {machine.processor()}",
        f"the run began with torch 2.0, and this is {torch.__version__}",
        "the run began with 1 thread, and now it has 2",
    ]
    assert all("but for the last bits" in sentence for sentence in said)
    assert read_arithmetic(tmp_path) == BEGUN  # another time it may be as it began


def test_an_older_run_is_measured_when_it_goes_on(tmp_path: Path, tuned: list[list[str]]) -> None:
    found = go_on(tmp_path, long(), "cpu", None, lambda sentence: None)
    assert found.forms and read_arithmetic(tmp_path) == found


def test_a_run_measures_keeps_and_computes_by_its_forms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / "toy", seed=1, count=40)
    torch.manual_seed(0)
    CharCnnRnn(Sizes(conv1=8, conv2=8, hidden=8, dim=12)).save(
        tmp_path / "text_encoder.safetensors"
    )
    chosen = plan(root=str(tmp_path / "toy"), encoder=str(tmp_path / "text_encoder.safetensors"))
    monkeypatch.setattr(arithmetic, "WORTH_STEPS", 2)
    before, run = torch.random.get_rng_state(), tmp_path / "run"
    training.begin(run, chosen)
    assert torch.equal(torch.random.get_rng_state(), before)
    kept = read_arithmetic(run)
    assert kept is not None and kept.threads == torch.get_num_threads()
    assert {name.split()[0] for name in kept.forms} >= {"up3x3", "conv4s2p1"}
    use_forms({})
    training.train(run, chosen)
    assert forms_in_use() == kept.forms


def test_a_penalty_is_computed_by_torch_alone() -> None:
    """A convolution by nine products has no second gradient, whatever the table says."""
    wide = settings(
        architecture={"condition_dim": 4, "noise_dim": 4, "embedding_dim": 6, "stages": 1,
                      "stage1_generator_width": 8, "stage1_discriminator_width": 4,
                      "normalisation": "none"},
        stage1={"steps": 2, "batch_size": 4, "r1_weight": 1.0, "r1_every": 1},
    )  # fmt: skip
    cases = met_by(wide, 1, "cpu")
    assert any(case.function == "conv4s2p1" for case in cases)
    use_forms({case.name: "nine" for case in cases if case.function == "conv4s2p1"})
    assert met_by(wide, 1, "cpu") == cases  # steps of the same stage, the penalty among them
