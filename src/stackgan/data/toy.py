"""Stub for the moment."""
from pathlib import Path
from stackgan.data import folder
from stackgan.data.examples import Example, Fault, Progress, Split


def read(root: Path, split: Split = "train") -> list[Example]:
    """Read."""
    return folder.read(root, split)


def faults(root: Path, progress: Progress | None = None) -> tuple[int, list[Fault]]:
    """Check."""
    return folder.faults(root, progress)
