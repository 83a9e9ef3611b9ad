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
        text = "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
    lines = map(printable, text.split("\n"))
    try:
        print(_encodable("\n".join(lines), sys.stdout.encoding), file=sys.stdout)
    except BrokenPipeError:
        raise
    except OSError as error:  # which names no file
        raise OSError(error.errno, error.strerror, "standard output") from None


def warn(sentence: str) -> None:
    """Print one sentence of warning on stderr."""
    say(f"warning: {sentence}")


def say(sentence: str) -> None:
    """Print one sentence on stderr, in one line."""
    print(_encodable(f"stackgan: {printable(sentence)}", sys.stderr.encoding), file=sys.stderr)


def printable(text: str) -> str:
    """Return one line with an escape for each character that a terminal would obey or not show.

    Names of files and captions hold anything; raw, they could clear the screen.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _encodable(text: str, encoding: str | None) -> str:
    """Return ``text`` with escapes for what ``encoding`` does not have."""
    encoding = encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def write_text(path: Path, text: str) -> None:
    """Write a file that is whole or not there: a temporary one beside it, then a rename."""
    from stackgan.files import whole_file

    try:
        with whole_file(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value.item()
