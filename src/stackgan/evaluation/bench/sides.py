"""The plain recipe and the project's own way, each in a process of its own, taking turns.

In one process each would pay for the other's memory: what one gives back to the kernel the other
faults in again, and a command that trains or draws never runs beside another recipe.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stackgan.errors import RunFailed
from stackgan.evaluation.bench.setup import Bench

SIDES = ("plain", "fast")


class Child:
    """A measuring process (``child.py``) that answers each line with one line of JSON."""

    def __init__(self, bench: Bench, what: str, threads: int | None = None, **options: Any) -> None:
        environment = dict(os.environ)
        if threads is not None:
            environment |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        words = {"quick": bench.quick, "device": str(bench.device), **options}
        self.what = what
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stackgan.evaluation.bench.child", what, json.dumps(words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def say(self, **words: Any) -> None:
        """Send one line."""
        if self.process.stdin is not None:
            self.process.stdin.write(json.dumps(words) + "\n")
            self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """The next answer; RunFailed with the process's last words where it ends first."""
        line = self.process.stdout.readline() if self.process.stdout is not None else ""
        if not line:
            said = self.process.communicate()[1].strip().splitlines()
            reason = said[-1] if said else "it said nothing"
            raise RunFailed(f"measuring {self.what} in a process of its own failed: {reason}")
        return dict(json.loads(line))

    def ask(self, **words: Any) -> dict[str, Any]:
        """Say and hear."""
        self.say(**words)
        return self.hear()


class Sides(dict[str, Child]):
    """Both sides by name; each does what :meth:`prepare` named, once a turn."""

    def prepare(self, **work: Any) -> dict[str, Any]:
        """Let both make ready; returns what times them in turns: a call each."""
        for side in self.values():
            side.say(prepare=work)
        for side in self.values():
            side.hear()
        return {name: side.ask for name, side in self.items()}


@contextmanager
def both_sides(bench: Bench) -> Iterator[Sides]:
    """Start both processes, and end them."""
    with Child(bench, "plain") as plain, Child(bench, "fast") as fast:
        yield Sides(plain=plain, fast=fast)
