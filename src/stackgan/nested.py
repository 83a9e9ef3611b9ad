"""Nested dictionaries of settings: written as assignments, merged, kept to numbers that exist."""

from __future__ import annotations

import tomllib
from typing import Any

from stackgan.errors import InputError

LARGEST = 2**31 - 1
"""No whole number among the settings but the seed is larger."""


def refuse_huge(values: dict[str, Any], prefix: str = "") -> None:
    """InputError for a whole number that no tensor's size and no count of steps can be."""
    for name, value in values.items():
        if isinstance(value, dict):
            refuse_huge(value, f"{prefix}{name}.")
        elif isinstance(value, int) and value > LARGEST and prefix + name != "seed":
            digits = str(value) if value < 10**30 else f"a number of {len(str(value))} digits"
            raise InputError(f"the setting {prefix}{name} is {digits}: expected at most {LARGEST}")


def parse_assignment(assignment: str) -> dict[str, Any]:
    """``stage1.steps=4000`` as {"stage1": {"steps": 4000}}, the value read as TOML or as a word."""
    key, equals, text = assignment.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set takes key=value, such as stage1.steps=4000, not {assignment!r}")
    try:
        value: Any = tomllib.loads(f"value = {text.strip()}")["value"]
    except (ValueError, RecursionError):  # no TOML, a number of thousands of digits, too deep
        value = None if text.strip() == "none" else text.strip()
    for part in reversed(key.strip().split(".")):
        value = {part: value}
    return dict(value)


def merge(base: dict[str, Any], over: dict[str, Any]) -> None:
    """Put ``over`` into ``base``, the later one of a stage's two lengths (steps, epochs) alone."""
    if "steps" in over and "epochs" not in over:
        base.pop("epochs", None)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = value
