"""The progress bar of every verb: on stderr, with rate and time left, after two seconds.

Where stderr is a file or a pipe, a plain line a minute in its place.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE_S = 2.0
"""Work done sooner than this shows no bar."""
LINE_EVERY_S = 60.0
"""Where no bar can be drawn, a line comes this often."""


class _Bar:
    """``progress(done, total)``; the rich bar is made once the work has taken long enough."""

    def __init__(self, label: str, start: float) -> None:
        self.label = label
        self.start = self.told = start
        self.first: tuple[int, float] | None = None
        """What was done at the first call, and when: resumed work has done much before it."""
        self.shown: Progress | None = None
        self.task: TaskID | None = None

    def __call__(self, done: int, total: int) -> None:
        if not sys.stderr.isatty():
            self._tell(done, total)
            return
        if self.shown is None:
            if time.monotonic() - self.start < PATIENCE_S or done >= total:
                return
            self._show()
        if self.shown is not None and self.task is not None:
            self.shown.update(self.task, completed=done, total=total)

    def _tell(self, done: int, total: int) -> None:
        now = time.monotonic()
        self.first = self.first or (done, now)
        if now - self.told < LINE_EVERY_S:
            return
        self.told = now
        before, since = self.first
        rate = (done - before) / max(now - since, 1e-9)
        left = f", {(total - done) / rate / 60:.0f} minutes left" if rate else ""
        print(f"{self.label}: {done}/{total}, {rate:.3g}/s{left}", file=sys.stderr, flush=True)

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            ProgressColumn,
            Task,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.text import Text

        class Rate(ProgressColumn):
            def render(self, task: Task) -> Text:
                speed = task.finished_speed or task.speed
                return Text(f"{speed:.3g}/s" if speed else "-/s")

        self.shown = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            Rate(),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
        )
        self.task = self.shown.add_task(self.label, total=None)
        self.shown.start()

    def close(self) -> None:
        if self.shown is not None:
            self.shown.stop()


@contextmanager
def bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Give a ``progress(done, total)`` that draws a bar named ``label`` on anything over 2 s."""
    shown = _Bar(label, time.monotonic())
    try:
        yield shown
    finally:
        shown.close()
