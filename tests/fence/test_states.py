"""Three steps of each preset: to the bit where they were recorded, elsewhere within rounding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fence import likeness, states
from fence.machines import ANEW, kind, read

Runs = Callable[[str], Path]
pytestmark = pytest.mark.timeout(600)  # a run of a preset is seconds, on a busy machine minutes
each_stage = pytest.mark.parametrize("stage", states.STAGES)
each_preset = pytest.mark.parametrize("preset", states.PRESETS)


@each_preset
@each_stage
def test_three_steps_end_in_the_recorded_bits_on_a_recorded_machine(
    preset: str, stage: str, run_of: Runs
) -> None:
    recorded = read(states.RECORD).get(kind())
    if recorded is None:
        pytest.skip(f"no digests are recorded for {kind()}; the test of the figures holds here")
    told, now = (
        recorded[f"{preset}/{stage}"],
        states.digests(states.state_of(run_of(preset), stage)),
    )
    if now["everything"] != told["everything"]:
        parts = [part for part in {**told, **now} if told.get(part) != now.get(part)]
        named = (
            "the values are the same under other names" if now["values"] == told["values"] else ""
        )
        pytest.fail(f"{preset}/{stage}: other {', '.join(parts)} {named}; if it is meant, {ANEW}")


@each_preset
@each_stage
def test_three_steps_end_where_they_were_recorded_but_for_rounding(
    preset: str, stage: str, run_of: Runs
) -> None:
    faults = likeness.faults(f"{preset}/{stage}", states.state_of(run_of(preset), stage))
    shown = "\n".join(faults[:12])
    assert not faults, f"{preset}/{stage}: {len(faults)} off; if it is meant, {ANEW}\n{shown}"


def _state() -> dict[str, Any]:
    state = {"step": 3, "generator": {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(2)}}
    return state | {"average": None}


def test_a_digest_is_of_values_names_kinds_and_shapes_not_of_their_place_in_memory() -> None:
    kept = states.digests(_state())
    transposed = _state()
    transposed["generator"]["a"] = torch.arange(6.0).view(2, 3).t().contiguous().t()
    turned = dict(reversed(_state().items()))
    assert states.digests(transposed) == states.digests(turned) == kept
    changes: list[dict[str, Any]] = [
        {"a": torch.arange(6.0).view(3, 2)},
        {"a": torch.arange(6.0).view(2, 3).double()},
        {"a": torch.nextafter(torch.arange(6.0), torch.tensor(9.0)).view(2, 3)},
    ]
    for change in changes:
        other = _state()
        other["generator"] |= change
        found = states.digests(other)
        differ = {name for name in kept if found[name] != kept[name]}
        assert differ == {"everything", "values", "generator"}


def test_a_renamed_entry_keeps_the_values() -> None:
    other = _state()
    other["generator"]["c"] = other["generator"].pop("a")
    kept, found = states.digests(_state()), states.digests(other)
    assert found["values"] == kept["values"] and found["everything"] != kept["everything"]
    assert states.digests(_state() | {"step": 4})["everything"] != kept["everything"]


def test_figures_are_means_and_sizes() -> None:
    found = likeness.figures(_state())
    assert found == {
        "generator.a": (2.5, pytest.approx((55 / 6) ** 0.5)),
        "generator.b": (1.0, 1.0),
        "step": (3.0, 3.0),
    }


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A state of a hundred tensors, recorded with others that were a thousandth off."""
    random = torch.Generator().manual_seed(0)
    state = {f"t{i:02}": 1 + torch.randn(50, generator=random) for i in range(100)}
    others = [{k: (1.001 * m, 1.001 * s) for k, (m, s) in likeness.figures(state).items()}]
    monkeypatch.setattr(likeness, "RECORDED", tmp_path)
    likeness.record({"x": likeness.figures(state)}, [{"x": other} for other in others])
    return state


@pytest.mark.parametrize(("factor", "fits"), [(1.0, True), (1.009, True), (1.03, False)])
def test_ten_times_what_rounding_moved_is_rounding(
    factor: float, fits: bool, recorded: dict[str, Any]
) -> None:
    assert (not likeness.faults("x", {k: factor * v for k, v in recorded.items()})) == fits


@pytest.mark.parametrize(("count", "fits"), [(2, True), (3, False)])
def test_one_figure_in_fifty_may_be_further_off(
    count: int, fits: bool, recorded: dict[str, Any]
) -> None:
    names = list(recorded)[:count]
    assert (not likeness.faults("x", recorded | {k: 2 * recorded[k] for k in names})) == fits


def test_other_names_are_told(recorded: dict[str, Any]) -> None:
    renamed = {("new" if k == "t07" else k): v for k, v in recorded.items()}
    assert likeness.faults("x", renamed) == ["2 entries only here or only there: new, t07"]
