"""Is a state another machine's but for rounding? Means and norms within what rounding moves them.

Another processor sums in another order. Adam's first steps are nearly the signs of the gradients,
so an entry whose gradient is all rounding goes up here and down there, and a unit near zero passes
its gradient here and not there: after three steps that is a part in 10^7 in one tensor and a tenth
of another. No tolerance by hand fits both, so it is measured when the record is made: the same
trainings by the instructions of older processors, and with weights of the text encoder nudged by a
millionth. A figure may be ``TIMES`` as far off as the furthest of these were, plus ``FLOOR`` of the
tensor's root mean square. One figure in fifty may be further off: a single flipped sign moves a
tensor of few entries as far as it likes (each of those trainings, measured by the others, had one
in 140 at most). What Stage-I says of its first step, before anything could add up, is held to
``FIRST`` of itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from fence.machines import RECORDED
from fence.states import STAGES, entries, state_of, train_small
from torch import Tensor

TIMES, FLOOR, SHARE, FIRST = 10.0, 1e-4, 0.02, 1e-3
FILE = "summaries.npz"

Figures = dict[str, tuple[float, float]]
"""Mean and root mean square of each tensor; of a number itself, and its size."""


def figures(state: dict[str, Any]) -> Figures:
    """The figures of a state's tensors and numbers by name."""
    found: Figures = {}
    for name, leaf in entries(state):
        if isinstance(leaf, Tensor) and leaf.numel():
            values = leaf.double()
            found[name] = float(values.mean()), float(values.square().mean().sqrt())
        elif isinstance(leaf, int | float) and not isinstance(leaf, bool):
            found[name] = float(leaf), abs(float(leaf))
    return found


def all_figures(
    folder: Path, presets: Iterable[str], nudge: int | None = None
) -> dict[str, Figures]:
    """The figures of the presets' stages, each trained anew in ``folder``."""
    runs = {preset: train_small(folder, preset, nudge) for preset in presets}
    return {f"{p}/{s}": figures(state_of(run, s)) for p, run in runs.items() for s in STAGES}


def record(here: dict[str, Figures], others: list[dict[str, Figures]]) -> None:
    """Keep the figures, and how far those of ``others`` were from them at most.

    What is recorded under other names stays.
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    if (RECORDED / FILE).is_file():
        with np.load(RECORDED / FILE) as before:
            arrays |= {name: before[name] for name in before}
    for name, told in here.items():
        mine = np.array(list(told.values()))
        theirs = np.array([[other[name][key] for key in told] for other in others])
        arrays[name] = np.concatenate([mine, np.abs(theirs - mine).max(0)], 1).astype(np.float32)
        arrays[f"{name} names"] = np.array(list(told))
    np.savez_compressed(RECORDED / FILE, allow_pickle=False, **arrays)


def faults(name: str, state: dict[str, Any]) -> list[str]:
    """What of a state is no rounding of what was recorded for ``name``, such as "paper/stage1"."""
    if not (RECORDED / FILE).is_file():
        return ["nothing is recorded"]
    with np.load(RECORDED / FILE) as arrays:
        recorded = dict(zip(arrays[f"{name} names"].tolist(), arrays[name].tolist(), strict=True))
    now = figures(state)
    if now.keys() != recorded.keys():
        apart = sorted(now.keys() ^ recorded.keys())
        return [f"{len(apart)} entries only here or only there: {', '.join(apart[:8])}"]
    off, first = list[str](), list[str]()
    for key, (mean, size) in now.items():
        was_mean, was_size, moved_mean, moved_size = recorded[key]
        floor = FLOOR * max(was_size, size)
        far = abs(mean - was_mean) > TIMES * moved_mean + floor
        if far or abs(size - was_size) > TIMES * moved_size + floor:
            off.append(f"{key}: {mean:.6g}, {size:.6g}, recorded {was_mean:.6g}, {was_size:.6g}")
        begun = name.endswith("stage1") and key.startswith("log.0.")
        if begun and abs(mean - was_mean) > FIRST * (1e-3 + was_size):
            first.append(f"{key} is {mean:.6g}, recorded {was_mean:.6g}")
    return first + (off if len(off) > SHARE * len(now) else [])
