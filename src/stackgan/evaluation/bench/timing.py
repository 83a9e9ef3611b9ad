"""Seconds of several pieces of work, taken in turns: medians, and how far they lie apart.

A machine shared with others is not equally fast for a minute; work measured in turns is slowed
alike, so that ratios hold where seconds do not.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

SPREAD = 0.2
"""A measurement whose times lie further apart, as a share of their median, is repeated."""

Work = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Seconds of one piece of work, in the order measured."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Longest minus shortest, as a share of the median."""
        return (max(self.seconds) - min(self.seconds)) / self.median


def interleaved(
    works: Mapping[str, Work],
    repeats: int = 5,
    rounds: int = 3,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timing]:
    """Time each piece of work ``repeats`` times, in turns, after one of each to warm up.

    The whole is done again, at most ``rounds`` times, while any spread is above :data:`SPREAD`; the
    round with the smallest largest spread counts. ``clock`` waits for the device before it reads.
    """
    for work in works.values():
        work()
    best: dict[str, Timing] | None = None
    for _ in range(rounds):
        taken = _round(works, repeats, clock)
        if best is None or _largest(taken) < _largest(best):
            best = taken
        if _largest(best) <= SPREAD:
            break
    return best or {}


def _round(
    works: Mapping[str, Work], repeats: int, clock: Callable[[], float]
) -> dict[str, Timing]:
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            started = clock()
            work()
            seconds[name].append(clock() - started)
    return {name: Timing(tuple(each)) for name, each in seconds.items()}


def _largest(timings: Mapping[str, Timing]) -> float:
    return max(timing.spread for timing in timings.values())
