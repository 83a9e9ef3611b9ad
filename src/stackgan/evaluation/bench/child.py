"""Measurements that need a process of their own: ``python -m stackgan.evaluation.bench.child``.

``memory {"side": ...}`` says the peak above ``import torch``; ``steps`` warms up, says so, waits
for a line, and says how long its steps took. Each answer is one line of JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stackgan.evaluation.bench.setup import Bench, Number


def main(what: str, options: dict[str, Any]) -> None:
    """Do one measurement and write what was found."""
    import torch

    before = peak_bytes()
    from stackgan.evaluation.bench.setup import Bench

    bench = Bench(torch.device("cpu"), options["quick"])
    if what == "memory":
        step_of(bench, 2, options["side"], options["batch"], options["steps"])
        write({"bytes": peak_bytes() - before})
        return
    step = step_of(bench, 1, "fast", options["batch"], 1)
    write({"warm": True})
    sys.stdin.readline()
    started = bench.clock()
    for _ in range(options["steps"]):
        step()
    write({"seconds": bench.clock() - started})


def step_of(
    bench: Bench, number: Number, side: str, batch: int, steps: int
) -> Callable[[], object]:
    """Make one side alone, do its first steps, and return it for more."""
    from stackgan.evaluation.bench import setup

    architecture = setup.published_architecture(bench)
    example = setup.noise_batch(bench, number, batch, architecture)
    if side == "plain":
        work = partial(setup.one_plain_step, setup.plain_stage(bench, number), *example)
    else:
        work = partial(setup.one_fast_step, setup.fast_stage(bench, number), *example)
    for _ in range(steps):
        work()
    return work


def peak_bytes() -> int:
    """The most resident memory this process ever had.

    Of Linux its own record: what getrusage tells begins with the parent's.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (line,) = (line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def write(found: dict[str, Any]) -> None:
    """Say what was found, in one line."""
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
