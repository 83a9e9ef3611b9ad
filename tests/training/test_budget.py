"""A budget's arithmetic: reading a time, dividing it, and the settings that come of it."""

import math
import re
from dataclasses import replace
from typing import Any

import pytest

from stackgan.config import StageSettings, load_settings
from stackgan.errors import InputError
from stackgan.training import budget as arithmetic
from stackgan.training.budget import (
    Budget,
    Cost,
    advance,
    cadence,
    divide,
    fit,
    fit_stage,
    in_words,
    is_planned,
    least_seconds,
    parse_budget,
    planned,
    refuse_planned,
    require_room,
    rest_seconds,
    rows,
    table,
    thin,
)

HOUR = 3600.0
STAGES = {"stage1": Cost(0.5, 16), "stage2": Cost(0.25, 8)}
ALL = {"encoder": Cost(0.2, 64, most=10**6), **STAGES}


def spent(costs: dict[str, Cost], steps: dict[str, int]) -> float:
    return sum(cost.apart_s + cost.seconds(steps[name]) for name, cost in costs.items())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("20m", 1200), ("1h", 3600), ("1h30m", 5400), ("1.5h", 5400), ("90m", 5400), (" 2H ", 7200),
     ("5m", 300), ("1000h", 3.6e6), ("0h30m", 1800)],
)  # fmt: skip
def test_a_time_is_read_in_hours_and_minutes(text: str, seconds: float) -> None:
    assert parse_budget(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["90", "", "h", "1h30", "30m1h", "-1h", "1e3h", "infh", "1 h", "20s", "1h 30m", "m", "1hm",
     "1,5h", "٣h", "9" * 400 + "h"],
)  # fmt: skip
def test_another_time_is_refused_with_examples(text: str) -> None:
    sentence = f"--budget is {text!r}: give hours and minutes, such as 20m, 1h or 1h30m"
    with pytest.raises(InputError, match=re.escape(sentence)):
        parse_budget(text)


@pytest.mark.parametrize("text", ["4m", "4.99m", "0h", "1001h", "999999999h"])
def test_too_short_and_too_long_a_time_is_told_the_bounds(text: str) -> None:
    with pytest.raises(InputError, match="at least 5m and at most 1000h"):
        parse_budget(text)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(300.0, "5m"), (301.0, "6m"), (3600.0, "1h"), (5400.0, "1h30m"), (3541.0, "1h"), (0.0, "0m")],
)
def test_seconds_are_said_in_whole_minutes_rounded_up(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
    if seconds:
        assert parse_budget(words) >= seconds


def test_the_shares_are_22_46_and_30_of_98() -> None:
    steps = divide(HOUR, ALL)
    seconds = {name: cost.seconds(steps[name]) for name, cost in ALL.items()}
    assert seconds["encoder"] == pytest.approx(0.22 * HOUR, abs=0.2)
    assert seconds["stage1"] == pytest.approx(0.46 * HOUR, abs=0.5)
    assert seconds["stage2"] == pytest.approx(0.30 * HOUR, abs=0.5)


def test_a_training_that_is_not_made_gives_its_share_to_the_rest() -> None:
    both, one = divide(HOUR, STAGES), divide(HOUR, {"stage1": STAGES["stage1"]})
    assert both["stage1"] * 0.5 == pytest.approx(0.98 * HOUR * 46 / 76, abs=0.5)
    assert both["stage2"] * 0.25 == pytest.approx(0.98 * HOUR * 30 / 76, abs=0.5)
    assert one == {"stage1": math.floor(0.98 * HOUR / 0.5)}


def test_an_encoder_that_is_long_enough_leaves_the_rest_to_the_stages() -> None:
    steps = divide(8 * HOUR, ALL | {"encoder": Cost(0.2, 64, most=3000)})
    assert steps["encoder"] == 3000
    left = 0.98 * 8 * HOUR - 600
    assert steps["stage1"] == pytest.approx(left * 46 / 76 / 0.5, abs=1)
    assert steps["stage2"] == pytest.approx(left * 30 / 76 / 0.25, abs=3)


def test_what_is_needed_once_is_taken_before_anything_is_shared() -> None:
    costs = {name: replace(cost, apart_s=100.0) for name, cost in ALL.items()}
    steps = divide(HOUR, costs)
    assert steps["stage2"] * 0.25 == pytest.approx((0.98 * HOUR - 300) * 30 / 98, abs=0.5)


@pytest.mark.parametrize("seconds", [700.0, 1234.5, HOUR, 3 * HOUR + 1, 8 * HOUR])
def test_whole_steps_fill_the_time_and_never_exceed_it(seconds: float) -> None:
    costs = {"encoder": Cost(0.31, 64, 500, 0.1, apart_s=33.0, most=3000)}
    costs |= {"stage1": Cost(0.77, 16, apart_s=20.0), "stage2": Cost(1.13, 8, apart_s=41.0)}
    costs = thin(seconds, costs)
    steps = divide(seconds, costs)
    used = spent(costs, steps)
    assert 0.98 * seconds - 1.13 <= used <= 0.98 * seconds
    assert all(isinstance(count, int) for count in steps.values())


def test_no_training_gets_fewer_than_its_least_and_the_others_wait_for_it() -> None:
    costs = {"stage1": Cost(0.1, 16), "stage2": Cost(1.0, 8)}
    steps = divide(300.0, costs)  # stage2's share would be 116 steps
    assert steps == {"stage1": math.floor((0.98 * 300 - 200) / 0.1 + 1e-9), "stage2": 200}
    assert divide(10.0, costs) == {"stage1": 200, "stage2": 200}
    assert divide(10.0, {"encoder": Cost(1.0, 64, most=50)}) == {"encoder": 50}


def test_the_least_budget_holds_the_least_steps_and_no_shorter_one_does() -> None:
    costs = {"encoder": Cost(0.5, 64, 3000, 0.2, apart_s=60.0, most=3000),
             "stage1": Cost(2.0, 16, apart_s=7.0), "stage2": Cost(1.0, 8, apart_s=9.0)}  # fmt: skip
    least = least_seconds(costs)
    assert least == pytest.approx((76 + 1000 * 0.2 + 200 * 3.5) / 0.98)
    thinned = thin(least, costs)
    steps = divide(least + 1e-6, thinned)
    assert steps == dict.fromkeys(costs, 200)
    assert spent(thinned, steps) <= 0.98 * least + 1e-5
    require_room(Budget(least + 20, used_s=20.0, costs=costs))
    with pytest.raises(InputError, match="does not hold 200 steps of each") as caught:
        require_room(Budget(least + 19, used_s=20.0, costs=costs))
    named = parse_budget(str(caught.value).rpartition(" ")[2])
    require_room(Budget(named, used_s=20.0, costs=costs))
    assert named < 1.05 * (least + 20) + 60


def test_features_take_no_more_than_half_of_the_encoders_share() -> None:
    costs = {"encoder": Cost(0.2, 64, 6000, 0.2, most=3000), **STAGES}
    photographs = thin(HOUR, costs)["encoder"].photographs
    assert photographs == math.floor(0.22 * HOUR / 2 / 0.2)
    thinned = thin(HOUR, costs)
    own = thinned["encoder"].seconds(divide(HOUR, thinned)["encoder"])
    assert own == pytest.approx(0.22 * HOUR, abs=0.3)
    assert thin(8 * HOUR, costs)["encoder"].photographs == 6000
    assert thin(300.0, costs)["encoder"].photographs == 1000
    few = costs | {"encoder": Cost(0.2, 64, 300, 0.2, most=3000)}
    assert thin(300.0, few)["encoder"].photographs == 300
    assert thin(HOUR, STAGES) == STAGES
    assert thin(HOUR, ALL) == ALL


def test_shorter_counts_keep_their_share_of_the_steps() -> None:
    modern = load_settings(["modern"]).stage2
    assert (modern.steps, modern.pixel_steps, modern.pair_steps) == (6400, 200, 800)
    half = fit_stage(modern, 3200, 100)
    assert (half.steps, half.pixel_steps, half.pair_steps) == (3200, 100, 400)
    assert fit_stage(modern, 6400, 100) == modern
    rounded = fit_stage(modern, 1000, 100)
    assert (rounded.pixel_steps, rounded.pair_steps) == (31, 125)
    assert fit_stage(modern, 2, 100).pixel_steps == 1
    none = fit_stage(modern.model_copy(update={"pixel_steps": 0}), 3200, 100)
    assert (none.pixel_steps, none.halve_every_epochs) == (0, 0)
    untouched = {"steps", "pixel_steps", "pair_steps"}
    assert half.model_dump(exclude=untouched) == modern.model_dump(exclude=untouched)


def test_a_length_in_epochs_becomes_steps_with_its_halvings_in_proportion() -> None:
    paper = StageSettings(epochs=600)
    stage = fit_stage(paper, 30_000, 100)
    assert (stage.steps, stage.epochs, stage.halve_every_epochs) == (30_000, None, 50)


def test_what_is_saved_and_shown_follows_the_speed_and_the_length() -> None:
    assert cadence(4000, 0.5, 50) == {
        "checkpoint_every": 250, "sheet_every": 400, "log_every": 50
    }  # fmt: skip
    assert cadence(4000, 0.01, 50)["checkpoint_every"] == 500
    assert cadence(4000, 60.0, 50)["checkpoint_every"] == 50
    assert cadence(205, 1.0, 50) == {"checkpoint_every": 100, "sheet_every": 21, "log_every": 25}
    for steps in (1, 9, 10, 11, 200, 4321):
        every = cadence(steps, 1.0, 50)["sheet_every"]
        assert 1 <= math.ceil(steps / every) <= 10


def test_settings_hold_the_plan_and_nothing_else_changes() -> None:
    settings = load_settings(["modern"])
    costs = {"encoder": Cost(0.2, 64, 2000, 0.1, most=3000), **STAGES}
    budget = Budget(HOUR, costs=costs)
    steps = {"encoder": 1500, "stage1": 3000, "stage2": 3200}
    fitted = fit(settings, budget, steps, 6000)
    assert planned(budget, fitted) == steps
    assert fitted.encoder.photographs == 2000
    assert (fitted.stage2.pixel_steps, fitted.stage2.pair_steps) == (100, 400)
    assert (fitted.checkpoint_every, fitted.sheet_every, fitted.log_every) == (250, 300, 50)
    changed = {name for name, value in flat(fitted) if value != dict(flat(settings))[name]}
    assert all(is_planned(name) for name in changed)
    kept = fit(settings, replace(budget, kept=("checkpoint_every",)), steps, 6000)
    assert (kept.checkpoint_every, kept.sheet_every) == (settings.checkpoint_every, 300)
    asked = settings.model_copy(
        update={"encoder": settings.encoder.model_copy(update={"photographs": 70})}
    )
    there = replace(budget, costs=ALL)
    assert fit(asked, there, steps, 6000).encoder.photographs == 70


def flat(settings: Any) -> list[tuple[str, Any]]:
    values = settings.model_dump()
    return [
        (f"{part}.{name}" if isinstance(inner, dict) else part, value)
        for part, inner in values.items()
        for name, value in (inner.items() if isinstance(inner, dict) else [(part, inner)])
    ]


@pytest.mark.parametrize(
    ("given", "named"),
    [({"stage1": {"steps": 5}}, "stage1.steps"), ({"stage2": {"epochs": 5}}, "stage2.epochs"),
     ({"encoder": {"steps": 5}}, "encoder.steps"), ({"stage2": {"steps": 1}}, "stage2.steps")],
)  # fmt: skip
def test_a_length_beside_a_budget_is_refused_by_its_name(given: Any, named: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"leave {named} out, or --budget")):
        refuse_planned({"seed": 3, "encoder": {"dim": 4}} | given)


def test_other_settings_stand_beside_a_budget() -> None:
    refuse_planned({"seed": 3, "stage1": {"batch_size": 4}, "stage2": {"pair_steps": 3}})
    refuse_planned({})


def test_a_budget_survives_its_json() -> None:
    budget = Budget(HOUR, 31.5, ("encoder", "stage1"), dict(ALL), ("log_every",))
    assert Budget.from_json(budget.as_json()) == budget
    for broken in ({}, {"seconds": 3}, budget.as_json() | {"more": 1}):
        with pytest.raises((TypeError, KeyError)):
            Budget.from_json(broken)


def test_a_stage_that_begins_is_settled_with_what_was_measured_then() -> None:
    budget = Budget(HOUR, 30.0, ("encoder",), dict(ALL))
    slower = Cost(0.9, 16)
    after = advance(budget, 700.0, {"stage1": slower}, "stage1")
    assert (after.used_s, after.settled) == (700.0, ("encoder", "stage1"))
    assert after.costs == ALL | {"stage1": slower} and list(after.costs) == list(ALL)


def test_the_table_and_its_values_add_up_to_the_budget() -> None:
    costs = {"encoder": Cost(0.2, 64, 1200, 0.25, apart_s=60.0, most=3000), **STAGES}
    budget = Budget(HOUR, used_s=20.0, costs=costs)
    settings = fit(load_settings(["modern"]), budget, divide(HOUR - 20, costs), 6000)
    lines = table(budget, settings).splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "training", "image features", "text encoder", "Stage-I", "Stage-II",
        "decoding, embedding, sheets, checkpoints",
    ]  # fmt: skip
    assert len({len(line) for line in lines}) == 1
    minutes = [float(line.split()[-1]) for line in lines[1:]]
    assert sum(minutes) == pytest.approx(60, abs=0.3)
    assert (
        f"{settings.stage1.steps:,}" in lines[3] and f"{16 * settings.stage1.steps:,}" in lines[3]
    )
    told = rows(budget, settings)
    assert told["trainings"]["stage2"]["images"] == 8 * settings.stage2.steps
    seconds = sum(each["seconds"] for each in told["trainings"].values())
    assert seconds + told["rest_s"] == pytest.approx(HOUR)
    assert told["rest_s"] == rest_seconds(budget, settings) > 60 + 20 + 0.02 * (HOUR - 20)


def test_the_least_is_a_name_of_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "LEAST_STEPS", 3)
    assert Cost(1.0, 2).least == 3 and Cost(1.0, 2, most=2).least == 2
