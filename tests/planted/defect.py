"""One planted defect, and a short way to write several of one file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Defect:
    """One wrong line that the tests must notice."""

    file: str
    old: str
    """Occurs exactly once in the file."""
    new: str
    claim: str
    """What the tests hold, in words."""
    tests: tuple[str, ...]
    """The narrowest tests that should notice, as pytest names them."""


def of(file: str, tests: str) -> Callable[..., Defect]:
    """Return ``defect(old, new, claim, *names)`` for a file of the package and a file of tests.

    ``names`` are test functions of that file, or whole names of others ("tests/..."); without any,
    the whole file is run.
    """

    def defect(old: str, new: str, claim: str, *names: str) -> Defect:
        chosen = [name if name.startswith("tests/") else f"{tests}::{name}" for name in names]
        return Defect(f"src/stackgan/{file}", old, new, claim, tuple(chosen) or (tests,))

    return defect
