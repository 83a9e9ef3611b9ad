"""One side's work in a process of its own: ``python -m stackgan.evaluation.bench.child SIDE``.

It reads lines of JSON and answers each with one: ``prepare`` makes a piece of work and does it
``warm_up`` times (1), an empty object does it once (``times``: so often) and says the seconds,
``peak`` says the most memory above ``import torch`` that this process ever had.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stackgan.evaluation.bench.setup import Bench

Work = Callable[[], object]


def main(side: str, options: dict[str, Any]) -> None:
    """Answer lines until there are no more."""
    import torch

    before = peak_bytes()
    from stackgan.evaluation.bench.setup import Bench
    from stackgan.memory import keep_freed_memory

    if side == "fast":  # as the commands do; the plain recipe's memory is torch's own affair
        keep_freed_memory()
    bench = Bench(torch.device(options["device"]), options["quick"])
    work: Work | None = None
    for line in sys.stdin:
        asked = json.loads(line)
        if "prepare" in asked:
            work = None  # frees what the one before held
            work = _prepared(bench, side, asked["prepare"])
            write({"seconds": _seconds(bench, work, asked.get("warm_up", 1))})
        elif "peak" in asked:
            on_cpu = bench.device.type != "cuda"
            write({"bytes": peak_bytes() - before if on_cpu else torch.cuda.max_memory_allocated()})
        elif work is not None:
            write({"seconds": _seconds(bench, work, asked.get("times", 1))})


def _seconds(bench: Bench, work: Work, times: int) -> float:
    started = bench.clock()
    for _ in range(times):
        work()
    return bench.clock() - started


def _prepared(bench: Bench, side: str, asked: dict[str, Any]) -> Work:
    """A training step of one stage, or the sampling of a batch by both."""
    from stackgan.evaluation.bench import setup

    if asked["kind"] == "sample":
        return setup.sampling(bench, side, asked["batch"], asked["networks"])
    return setup.stepping(bench, side, asked["number"], asked["batch"], asked["networks"])


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
