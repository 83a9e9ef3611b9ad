"""The names in run folders, model folders and checkpoints are those recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fence import keys, pictures, states
from fence.machines import ANEW

pytestmark = pytest.mark.timeout(600)  # a run of a preset is seconds, on a busy machine minutes


@pytest.mark.parametrize("preset", states.PRESETS)
def test_a_run_holds_the_recorded_names(preset: str, run_of: Callable[[str], Path]) -> None:
    difference = keys.difference(preset, keys.of_run(run_of(preset)))
    assert not difference, f"{preset}: other names; if they are meant, {ANEW}\n{difference}"


def test_the_shipped_model_holds_the_recorded_names() -> None:
    now = keys.of_model(pictures.SHIPPED, measured=False)
    difference = keys.difference(pictures.MODEL, now)
    assert not difference, f"{pictures.MODEL}: other names; if they are meant, {ANEW}\n{difference}"


def test_a_list_tells_names_kinds_and_shapes() -> None:
    state = {
        "step": 3,
        "none": None,
        "empty": {},
        "taps": [8, 16],
        "groups": [{"lr": 0.1}, {"lr": 0.2}],
        "net": {"w": torch.zeros(2, 3), "n": torch.tensor(1)},
    }
    assert keys.leaves(state) == [
        "empty: empty",
        "groups.0.lr: float",
        "groups.1.lr: float",
        "net.n: int64 []",
        "net.w: float32 [2, 3]",
        "none: nothing",
        "step: int",
        "taps: list of int",
    ]


def test_an_optimizer_s_numbers_are_folded_where_they_hold_the_same() -> None:
    rows = [f"g_optimizer.state.{i}.{n}: float32 [{i}]" for i in range(12) for n in ("avg", "step")]
    rows.remove("g_optimizer.state.5.avg: float32 [5]")
    assert keys.folded(["g.w: float32 [1]", *rows]) == [
        "g.w: float32 [1]",
        "g_optimizer.state.0 to 4: avg float32, step float32",
        "g_optimizer.state.5 to 5: step float32",
        "g_optimizer.state.6 to 11: avg float32, step float32",
    ]
