"""How many threads to compute with: those that the machine has free.

Torch takes a thread for each core, and a thread that waits for the others spins. On an idle machine
that is fastest; where another process wants a core, every pass waits for a thread that is not
running, and a step takes three to ten times as long as with one thread (docs/performance.md). So
the console script looks at how busy the cores are: waiting threads sleep where others want them,
and training takes no more threads than there are free cores. Drawing keeps torch's number: with
another one a pixel in a hundred thousand falls to the next level.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

STAT, LOAD = Path("/proc/stat"), Path("/proc/loadavg")
LEAST_S = 0.1
"""A shorter look says nothing: the kernel counts in hundredths of a second."""


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def sleep_where_busy() -> bool:
    """Let waiting threads sleep, not spin, where others want the cores; return whether they do.

    Torch must not be imported yet: it reads $OMP_WAIT_POLICY then, which stands where it is set. On
    an idle machine they spin: sleeping costs up to half of a small step there.
    """
    try:
        load, _, _, running, _ = LOAD.read_text(encoding="ascii").split()
        wanting = min(float(load), int(running.partition("/")[0]) - 1)
    except (OSError, ValueError):
        return False
    if wanting < cores() / 2:
        return False
    return os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE").upper() == "PASSIVE"


@dataclass
class Look:
    """The cores' busy seconds up to now, everybody's (``total_s``) and our own (``own_s``)."""

    total_s: float | None = field(default_factory=lambda: _busy_s())
    own_s: float = field(default_factory=lambda: _own_s())
    at: float = field(default_factory=time.monotonic)

    def others_since(self) -> float | None:
        """Cores that others kept busy since, on average; None where the system does not tell."""
        now = Look()
        seconds = now.at - self.at
        if self.total_s is None or now.total_s is None or seconds < LEAST_S:
            return None
        others = (now.total_s - self.total_s) - (now.own_s - self.own_s)
        return min(max(others / seconds, 0.0), float(cores()))


def free_threads(others: float, of: int) -> int:
    """Threads to compute with beside ``others`` busy cores of ``of``: the free ones, at least one.

    A core that is busy for less than half of the time counts as free.
    """
    return max(1, of - round(others))


def _busy_s() -> float | None:
    """Seconds that the cores this process may use were not idle; None where it is not told."""
    try:
        lines = STAT.read_text(encoding="ascii").split("\n")
        ticks = os.sysconf("SC_CLK_TCK")
        mine = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    except (OSError, ValueError, AttributeError):
        return None
    counted = [line.split() for line in lines if line.split(" ")[0] in mine]
    # user nice system idle iowait irq softirq steal: a stolen moment was not this machine's to use
    busy = [sum(map(int, each[1:4])) + sum(map(int, each[6:9])) for each in counted]
    return sum(busy) / ticks if busy else None


def _own_s() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system
