"""The machine at hand: its processor's name, and what was measured on it, kept for next time."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs
import torch

from stackgan.files import write_json


@cache
def processor() -> str:
    """The processor's name, such as "AMD EPYC (x86_64, AVX2)"; its kind where none is told."""
    name = ""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n")
            named = [line for line in lines if line.startswith(("model name", "Hardware"))]
            name = named[0].partition(":")[2].strip() if named else ""
    name = name or platform.processor() or "processor"
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{' '.join(name.split())} ({platform.machine()}, {capability})"


def cache_folder() -> Path:
    """Where what was measured is kept: $STACKGAN_CACHE, else the system's place for caches."""
    if chosen := os.environ.get("STACKGAN_CACHE"):
        return Path(chosen)
    return platformdirs.user_cache_path("stackgan", appauthor=False, opinion=False)


def here() -> str:
    """What a measurement holds for: processor, torch's version, threads."""
    return f"{processor()}, torch {torch.__version__}, {torch.get_num_threads()} threads"


def kept(name: str) -> Any:
    """What :func:`keep` kept under ``name`` for this machine; None where nothing (readable) is."""
    found = _read().get(here(), {})
    return found.get(name) if isinstance(found, dict) else None


def keep(name: str, value: Any) -> None:
    """Keep a JSON value for this machine; where the folder cannot be written, it is measured again.

    The file is written whole or not at all. Of two processes at once the later wins, and what the
    other measured is measured again.
    """
    path = _file()
    everything = _read()
    mine = everything.get(here())
    everything[here()] = {**(mine if isinstance(mine, dict) else {}), name: value}
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, everything)


def _file() -> Path:
    return cache_folder() / "measured.json"


def _read() -> dict[str, Any]:
    try:
        found = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
