"""The key points of CUB-200-2011: ``parts/parts.txt`` and ``parts/part_locs.txt``.

``parts.txt`` gives a part's number and name a line ("7 left eye"), ``part_locs.txt`` a photograph's
number, a part's number, x, y and whether it is visible (1 or 0). Left and right are the bird's.
The places are taken as they are written, in pixels from the photograph's upper left corner.
"""

from __future__ import annotations

import math
from pathlib import Path

from stackgan.data.examples import Fault, KeyPoints, read_lines, read_text

NAMES, PLACES = "parts/parts.txt", "parts/part_locs.txt"

_Place = tuple[float, float, bool]
_HIDDEN: _Place = (0.0, 0.0, False)


def read_points(home: Path, problems: list[Fault]) -> dict[str, KeyPoints]:
    """Return the key points of each photograph by its number in ``images.txt``.

    A part without a line is not visible, a photograph without one is not among them, and without
    ``part_locs.txt`` none is. A line that cannot be used is added to ``problems``.
    """
    path = home / PLACES
    if not path.is_file():
        return {}
    if not (home / NAMES).is_file():
        problems.append(Fault(home / NAMES, f"is missing; {path.name} names parts by its numbers"))
        return {}
    parts = _parts(home / NAMES, problems)
    known = {number: place for place, number in enumerate(parts)}
    found: dict[str, list[_Place]] = {}
    for line, text in enumerate(read_text(path).split("\n"), start=1):  # 176,820 lines
        words = text.split()
        point = _place(words, known)
        if point is not None:
            if words[0] not in found:
                found[words[0]] = [_HIDDEN] * len(parts)
            found[words[0]][known[words[1]]] = point
        elif words:
            expected = "expected a photograph's number, a part's of parts.txt, x, y and 1 or 0"
            problems.append(Fault(path, f"line {line} is {text.strip()[:80]!r}; {expected}"))
    names = tuple(parts.values())
    return {image: KeyPoints(names, *zip(*points, strict=True)) for image, points in found.items()}


def _place(words: list[str], known: dict[str, int]) -> _Place | None:
    """Where a line's words say that a part is; None where they cannot be used."""
    if len(words) != 5 or words[1] not in known or words[4] not in ("0", "1"):
        return None
    try:
        x, y = float(words[2]), float(words[3])
    except ValueError:
        return None
    if not math.isfinite(x + y):
        return None
    return (x, y, True) if words[4] == "1" else _HIDDEN


def _parts(path: Path, problems: list[Fault]) -> dict[str, str]:
    """Return the name of each part by its number, in the order of the file."""
    parts: dict[str, str] = {}
    for line, text in enumerate(read_lines(path), start=1):
        number, _, name = text.partition(" ")
        name = name.strip()
        if name and number not in parts and name not in parts.values():
            parts[number] = name
        else:
            expected = "expected a number and the name of a part, each once"
            problems.append(Fault(path, f"line {line} is {text[:80]!r}; {expected}"))
    return parts
