"""What the fence's tests share: the recording code beside them, and a small run of each preset."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # `fence`: what record.py records with


@pytest.fixture(scope="session")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``run_of("paper")`` is a run of that preset, trained once a session; read it only."""
    from fence.states import train_small

    folder = tmp_path_factory.mktemp("fence")
    return cache(lambda preset: train_small(folder, preset))
