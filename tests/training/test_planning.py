"""A run with a budget: what it measures, writes down, keeps, and that a stop changes nothing."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from stackgan.config import validate_settings
from stackgan.data import read_examples
from stackgan.data.toy import draw
from stackgan.errors import InputError
from stackgan.text.char_cnn_rnn import CharCnnRnn, Sizes
from stackgan.training import budget as arithmetic
from stackgan.training import estimate, planning
from stackgan.training import run as training
from stackgan.training.budget import Budget, Cost
from stackgan.training.checkpoint import read_checkpoint
from stackgan.training.plan import Plan, read_plan

STAGE = {"steps": 40, "batch_size": 4, "loss": "logistic", "average": 0.9, "r1_weight": 0.1,
         "r1_every": 2}  # fmt: skip
SETTINGS = {
    "architecture": {
        "condition_dim": 6, "noise_dim": 5, "text_dim": 7, "image_px": 128,
        "stage1_generator_width": 4, "stage1_discriminator_width": 4,
        "stage2_generator_width": 4, "stage2_discriminator_width": 4,
        "conditioning": "bounded", "normalisation": "none", "text_input": "standardised",
    },
    "stage1": STAGE,
    "stage2": STAGE | {"pair_steps": 20, "pair_share": 0.5, "pixel_weight": 1.0, "pixel_steps": 10},
    "encoder": {"steps": 9, "batch_size": 8, "image_network": "small", "conv1": 8, "conv2": 8,
                "hidden": 8, "dim": 12},
    "precision": "fp32",
    "checkpoint_every": 2,
    "sheet_every": 100,
}  # fmt: skip
KEPT = ("checkpoint_every", "sheet_every")
STEP_S = {"encoder": 7.0, "stage1": 10.0, "stage2": 8.0}


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


def plan_of(toy: Path, encoder: Path | None, seconds: float = 80.0, **changes: Any) -> Plan:
    values: dict[str, Any] = {
        "data": "toy", "root": str(toy), "encoder": None if encoder is None else str(encoder),
        "settings": validate_settings(SETTINGS), "budget": Budget(seconds, kept=KEPT),
    }  # fmt: skip
    return Plan(**values | changes)


class Machine:
    """A clock that goes on with the steps alone, and speeds that are known beforehand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.step_s = dict(STEP_S)
        self.measured: list[str] = []
        monkeypatch.setattr(arithmetic, "LEAST_STEPS", 2)
        monkeypatch.setattr(planning, "_now", lambda: self.now)
        monkeypatch.setattr(planning, "measure", self.measure)
        monkeypatch.setattr(planning, "measure_stage", self.measure_stage)

    def measure(self, run: Path, plan: Plan, *rest: object) -> dict[str, Cost]:
        names = ["encoder"] if plan.trains_encoder else []
        names += [f"stage{number}" for number in plan.stages]
        self.now += 3.0
        most = plan.settings.encoder.steps
        return {n: Cost(self.step_s[n], 4, most=most if n == "encoder" else None) for n in names}

    def measure_stage(self, settings: Any, number: int, *rest: object) -> Cost:
        self.measured.append(f"stage{number}")
        return Cost(self.step_s[f"stage{number}"], 4)

    def tick(self, what: str, done: int, total: int) -> None:
        name = {"Stage-I": "stage1", "Stage-II": "stage2", "text encoder": "encoder"}.get(what)
        if name is not None and total < 20:  # steps, not photographs
            self.now += self.step_s[name]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.fixture(scope="module")
def whole(toy: Path, encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patched:
        machine = Machine(patched)
        plan = training.begin(run, plan_of(toy, encoder))
        training.train(run, plan, progress=machine.tick)
    return run


def lengths(run: Path) -> tuple[int, int]:
    settings = json.loads((run / "settings.json").read_text())["settings"]
    return settings["stage1"]["steps"], settings["stage2"]["steps"]


def test_the_counts_are_written_down_before_the_first_step(
    machine: Machine, toy: Path, encoder: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    plan = plan_of(toy, encoder, budget=Budget(80.0))
    plan = training.begin(tmp_path / "run", plan, say=said.append)
    left = 0.98 * (80 - 3)
    expected = int(left * 46 / 76 / 10)
    assert lengths(tmp_path / "run") == (expected, int((left - expected * 10) / 8)) == (4, 4)
    assert read_plan(tmp_path / "run") == plan
    written = json.loads((tmp_path / "run/settings.json").read_text())["settings"]
    assert written["stage2"]["pair_steps"] == 2 and written["stage2"]["pixel_steps"] == 1
    assert (written["checkpoint_every"], written["sheet_every"]) == (50, 1)
    assert "planned into 2m, measured in 3 s" in said[0] and "Stage-II" in said[0]


def test_a_run_fills_its_time_and_a_stage_keeps_what_it_began_with(
    machine: Machine, toy: Path, encoder: Path, tmp_path: Path
) -> None:
    run, plan = tmp_path / "run", plan_of(toy, encoder)
    plan = training.begin(run, plan)
    said: list[str] = []
    machine.step_s["stage2"] = 4.0  # faster than at the start
    training.train(run, plan, progress=machine.tick, say=said.append)
    assert machine.measured == ["stage1", "stage2"]
    assert lengths(run) == (4, int(0.98 * (80 - 3 - 40) / 4)) == (4, 9)
    state = read_checkpoint(run / "stage2/checkpoint.pt")
    assert state["step"] == lengths(run)[1] == state["settings"]["stage2"]["steps"]
    assert state["used_s"] == 3 + 40 + 4 * 9 <= 80
    assert any("Stage-II: 9 steps of about 4 s" in sentence for sentence in said)
    assert read_plan(run).budget.settled == ("encoder", "stage1", "stage2")  # type: ignore[union-attr]


def assert_equal(one: Any, two: Any) -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, two)
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


class Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", [1, 3, 4, 6])
def test_a_stopped_run_keeps_its_plan_and_ends_as_if_never_stopped(
    moment: int, whole: Path, machine: Machine, toy: Path, encoder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    plan = training.begin(run, plan_of(toy, encoder))
    seen = 0

    def stop(what: str, done: int, total: int) -> None:
        nonlocal seen
        machine.tick(what, done, total)
        seen += what.startswith("Stage")
        if seen == moment:
            raise Killed

    with pytest.raises(Killed):
        training.train(run, plan, progress=stop)
    begun = lengths(run)
    machine.now += 1e6  # stopped for long
    if moment < 4:
        machine.step_s["stage1"] = 1.0  # no stage is planned anew in its middle
    training.train(run, read_plan(run), progress=machine.tick if moment >= 4 else slow(machine))
    assert lengths(run)[0] == begun[0]
    assert (run / "settings.json").read_bytes() == (whole / "settings.json").read_bytes()
    for stage in ("stage1", "stage2"):
        states = [read_checkpoint(each / stage / "checkpoint.pt") for each in (run, whole)]
        assert_equal(*states)
    models = [(each / "model/generator.safetensors").read_bytes() for each in (run, whole)]
    assert models[0] == models[1]


def slow(machine: Machine) -> Any:
    def tick(what: str, done: int, total: int) -> None:
        machine.now += STEP_S["stage1"] if what == "Stage-I" else 0
        machine.now += STEP_S["stage2"] if what == "Stage-II" else 0

    return tick


def test_an_encoder_of_its_own_is_part_of_the_plan(
    machine: Machine, toy: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    plan = training.begin(run, plan_of(toy, None, 250.0))
    assert plan.settings.encoder.steps == int(0.98 * 247 * 22 / 98 / 7) == 7
    machine.step_s["encoder"] = 12.0  # slower than measured: what it takes, the stages lack
    training.train(run, plan, progress=machine.tick)
    left = 250 - 3 - 7 * 12
    assert lengths(run)[0] == int(0.98 * left * 46 / 76 / 10)
    used = read_checkpoint(run / "stage2/checkpoint.pt")["used_s"]
    assert 250 - 0.02 * 250 - 8 <= used <= 250


def test_a_stop_after_the_encoder_does_not_give_its_time_back(
    machine: Machine, toy: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    plan = training.begin(run, plan_of(toy, None, 250.0))

    def stop(what: str, done: int, total: int) -> None:
        machine.tick(what, done, total)
        if what == "decoding photographs":
            raise Killed

    with pytest.raises(Killed):
        training.train(run, plan, progress=stop)
    kept = read_plan(run).budget
    assert kept is not None and kept.used_s == 3 + plan.settings.encoder.steps * 7.0


def test_a_stage_that_has_begun_is_not_measured_again(
    machine: Machine, toy: Path, encoder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    plan = training.begin(run, plan_of(toy, encoder))
    clock, said = planning.Clock(3.0), list[str]()
    machine.now += 20
    begun = planning.settle(run, plan, 1, 12, clock, "cpu", said.append)
    assert read_plan(run) == begun != plan and len(said) == 1
    machine.now += 500
    assert planning.settle(run, begun, 1, 12, clock, "cpu", said.append) == begun
    assert clock.used_s() == 23.0 and len(said) == 1 and machine.measured == ["stage1"]


def test_features_of_too_many_photographs_are_thinned(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = {"encoder": Cost(0.1, 8, 5000, 0.1, most=900), "stage1": Cost(0.1, 4)}
    monkeypatch.setattr(planning, "measure", lambda *_: costs)
    plan = plan_of(toy, None, 1800.0, stages=(1,))
    drafted = planning.draft(tmp_path, plan, read_examples("toy", toy, "train"), "cpu")
    own = 0.98 * 1800 * 22 / 68
    assert drafted.settings.encoder.photographs == pytest.approx(own / 2 / 0.1, abs=2)
    assert drafted.budget is not None
    assert drafted.budget.costs["encoder"].photographs == drafted.settings.encoder.photographs
    assert drafted.settings.encoder.steps == 900


def test_a_stage_whose_time_is_up_still_gets_its_least(
    machine: Machine, toy: Path, encoder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    plan = training.begin(run, plan_of(toy, encoder))
    machine.step_s |= {"stage1": 500.0, "stage2": 500.0}
    said: list[str] = []
    training.train(run, plan, progress=machine.tick, say=said.append)
    assert lengths(run) == (2, 2)
    assert "0 minutes of the budget of 2m are left" in " ".join(said)


def test_too_short_a_budget_is_refused_with_the_least_and_leaves_nothing(
    machine: Machine, toy: Path, encoder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="does not hold 2 steps of each training"):
        training.begin(tmp_path / "run", plan_of(toy, encoder, 30.0))
    assert not (tmp_path / "run").exists()


def test_a_run_without_a_budget_measures_nothing_and_keeps_its_steps(
    machine: Machine, toy: Path, encoder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    short = {"stage1": STAGE | {"steps": 1}, "stage2": STAGE | {"steps": 1}}
    plan = plan_of(toy, encoder, settings=validate_settings(SETTINGS | short), budget=None)
    assert training.begin(run, plan) == plan
    training.train(run, plan)
    assert machine.measured == [] and lengths(run) == (1, 1)
    assert "used_s" not in read_checkpoint(run / "stage1/checkpoint.pt")


def test_every_training_of_the_plan_is_measured(toy: Path, encoder: Path, tmp_path: Path) -> None:
    examples = read_examples("toy", toy, "train")
    plan = plan_of(toy, None)
    before = torch.get_rng_state()
    costs = planning.measure(tmp_path / "run", plan, examples, "cpu", 0.0)
    assert torch.equal(before, torch.get_rng_state())
    assert list(costs) == ["encoder", "stage1", "stage2"]
    assert [costs[name].batch for name in costs] == [8, 4, 4]
    assert all(cost.step_s > 0 and cost.apart_s > 0 for cost in costs.values())
    assert (costs["encoder"].most, costs["encoder"].photographs) == (9, 0)
    given = planning.measure(tmp_path / "run", plan_of(toy, encoder), examples, "cpu", 0.0)
    assert list(given) == ["stage1", "stage2"]
    one = planning.measure(
        tmp_path / "run", plan_of(toy, encoder, stages=(1,)), examples, "cpu", 0.0
    )
    assert list(one) == ["stage1"]
    assert not (tmp_path / "run").exists()


def test_what_lies_in_the_cache_costs_nothing_again(
    toy: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "_decoding_s", lambda *_: 1000.0)
    monkeypatch.setattr(planning, "measure_stage", lambda *_: Cost(1.0, 4))
    examples = read_examples("toy", toy, "train")
    plan = plan_of(toy, encoder)
    before = planning.measure(tmp_path, plan, examples, "cpu", 0.0)
    assert before["stage1"].apart_s > 1000 * len(examples) == before["stage2"].apart_s
    side = planning.stored_px(examples, 64)
    planning.prepare_cache(examples, side, tmp_path / "cache", plan.settings.fit)
    after = planning.measure(tmp_path, plan, examples, "cpu", 0.0)
    assert after["stage1"].apart_s < 1000 < after["stage2"].apart_s


def test_a_warm_time_leaves_the_first_out(monkeypatch: pytest.MonkeyPatch) -> None:
    durations = iter([100.0, 3.0, 2.0, 4.0, 5.0])
    now = [0.0]

    def work() -> None:
        now[0] += next(durations)

    monkeypatch.setattr(estimate.time, "perf_counter", lambda: now[0])
    assert estimate.time_warm(work, 11.0) == 3.0  # 3, 2 and 4: a fourth would not fit
    assert next(durations) == 5.0


def test_a_step_is_timed_at_the_stage_s_own_batch_or_on_the_line_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[int] = []

    def measure(stage: Any, settings: Any, number: int, batch: int, patience: float) -> Any:
        tried.append(batch)
        return 1.0 + 0.5 * batch, 1000 + 10 * batch

    monkeypatch.setattr(estimate, "_measure", measure)
    settings = validate_settings(SETTINGS | {"stage1": STAGE | {"batch_size": 16}})
    cost = estimate.try_stage(settings, 1, "cpu", 1.0)
    assert tried == [4, 12] and (cost.step_s, cost.memory_bytes) == (9.0, 1160)
    tried.clear()
    assert estimate.try_stage(settings, 1, "cpu", 1000.0).step_s == 9.0
    assert tried == [4, 16]


def test_a_clock_counts_work_and_not_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [50.0]
    monkeypatch.setattr(planning, "_now", lambda: now[0])
    clock = planning.Clock(7.0)
    now[0] += 5
    assert clock.used_s() == 12.0
    clock.go_on(9.0)
    now[0] += 1
    assert clock.used_s() == 10.0


def test_examples_are_spread_evenly(toy: Path) -> None:
    examples = read_examples("toy", toy, "train")
    assert planning.spread(examples, len(examples) + 5) == list(examples)
    half = planning.spread(examples, len(examples) // 2)
    assert half == list(examples)[::2][: len(half)] and len(half) == len(examples) // 2
    settings = validate_settings(SETTINGS)
    assert planning.encoder_examples(examples, settings) == list(examples)
    few = settings.model_copy(
        update={"encoder": settings.encoder.model_copy(update={"photographs": 3})}
    )
    assert len(planning.encoder_examples(examples, few)) == 3
    assert replace(plan_of(toy, None), settings=few) != plan_of(toy, None)
