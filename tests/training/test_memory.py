"""Freed memory stays in the process where glibc is."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import resource, torch
from stackgan.training.memory import keep_freed_memory
keep_freed_memory() if {keep} else None
def work():
    for _ in range(9): torch.ones(20_000_000)
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep: bool) -> int:
    program = PROGRAM.format(keep=keep)
    path = os.pathsep.join(part for part in sys.path if part)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone is told")
def test_the_same_memory_is_not_faulted_in_again() -> None:
    assert faults(keep=True) < 1000 < faults(keep=False)
