"""What helps where a stage's training does not fit the memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from stackgan.config import StageSettings
from stackgan.errors import RunFailed
from stackgan.memory import is_out_of_memory


@contextmanager
def shortage_told(settings: StageSettings, number: Literal[1, 2]) -> Iterator[None]:
    """Turn a shortage of memory within into :class:`RunFailed`, which names what takes less."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise RunFailed(advice(settings, number)) from error


def advice(settings: StageSettings, number: Literal[1, 2]) -> str:
    """One sentence with the settings that need less memory than these, the cheapest first."""
    name, batch = f"stage{number}", settings.batch_size
    finer = range(settings.accumulate + 1, batch // 2 + 1)
    parts = next((count for count in finer if batch % count == 0), None)
    helps = [] if parts is None else [f"--set {name}.accumulate={parts}"]
    if settings.recompute != "all":
        helps.append(f"--set {name}.recompute=all")
    if batch > 2:
        helps.append(f"a smaller {name}.batch_size")
    listed = ", ".join([*helps, f"or narrower networks (architecture.{name}_generator_width)"])
    return (
        f"Stage-{'I' * number} does not fit the memory with {name}.batch_size={batch}: begin anew "
        f"with {listed}"
    )
