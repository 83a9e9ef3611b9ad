"""Which machine this is, as far as the last bits of a sum depend on it, and where records lie."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch

from stackgan.machine import processor

RECORDED = Path(__file__).resolve().parents[1] / "recorded" / "fence"
ANEW = "record it anew: `python tests/fence/record.py`"
DECIDING = ("ATEN_", "ONEDNN_", "DNNL_", "MKL_")
"""How the variables begin that have a library take other instructions than the processor's best."""


def kind() -> str:
    """The machine: processor, what the libraries may use of it, their versions, one thread.

    A cloud calls processors of several generations by one name, so the model's number and the
    cache, by which oneDNN cuts its sums, are told too.
    """
    told = [processor()]
    if sys.platform == "linux":
        text = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
        for name in ("cpu family", "model", "stepping", "cache size"):
            found = re.search(rf"^{name}\s*:\s*(.*)$", text, re.MULTILINE)
            told += [f"{name} {found[1]}"] if found else []
    told += [f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith(DECIDING)]
    versions = (
        f"torch {torch.__version__}",
        f"numpy {np.__version__}",
        f"Pillow {PIL.__version__}",
    )
    return ", ".join([*told, *versions, f"threads {torch.get_num_threads()}"])


def sha256(data: bytes) -> str:
    """The digest of some bytes."""
    return hashlib.sha256(data).hexdigest()


def read(name: str) -> dict[str, Any]:
    """The record ``name``; empty where it was never made."""
    path = RECORDED / name
    return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else {}


def write(name: str, record: Mapping[str, Any]) -> None:
    """Replace the record ``name``."""
    RECORDED.mkdir(parents=True, exist_ok=True)
    (RECORDED / name).write_text(json.dumps(record, indent=1) + "\n", "utf-8")
