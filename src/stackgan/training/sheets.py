"""The captions that a run's sheets show, the same to its end."""

from __future__ import annotations

from pathlib import Path

from stackgan.data import Example, read_examples
from stackgan.errors import DataError
from stackgan.training.plan import Plan

SHEET_CAPTIONS = 8


def sheet_captions(plan: Plan, examples: list[Example]) -> list[str]:
    """Eight captions for the sheets: of the test split where there is one, evenly spaced."""
    try:
        shown = read_examples(plan.data, Path(plan.root), "test", **plan.options) or examples
    except DataError:  # everything is in the training split
        shown = examples
    step = max(1, len(shown) // SHEET_CAPTIONS)
    return [example.captions[0] for example in shown[::step] if example.captions][:SHEET_CAPTIONS]


def write_captions(folder: Path, captions: list[str]) -> None:
    """Write them beside the sheets, one a line."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "captions.txt").write_text("\n".join(captions) + "\n", encoding="utf-8")
