"""What a verb says: its answer on stdout, as words or as JSON; its warnings on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def answer(text: str, as_json: Mapping[str, Any], json_wanted: bool) -> None:
    """Print ``text``, or ``as_json`` as one JSON object where ``--json`` was given."""
    if json_wanted:
        text = json.dumps(as_json, indent=2, ensure_ascii=False, default=_plain)
    print(text, file=sys.stdout)


def warn(sentence: str) -> None:
    """Print one sentence of warning on stderr."""
    print(f"stackgan: warning: {sentence}", file=sys.stderr)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value.item()
