"""All figures in one run: which there are, the table, the JSON, the plot of the cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from stackgan.errors import InputError, nearest
from stackgan.evaluation.bench import figures, resources
from stackgan.evaluation.bench.figures import Figure, Measure
from stackgan.evaluation.bench.setup import Bench, machine
from stackgan.files import whole_file

FIGURES: dict[str, Measure] = {
    "stage1": figures.stage1,
    "stage2": figures.stage2,
    "sampling": figures.sampling,
    "shipped": figures.shipped_model,
    "precision": figures.precisions,
    "convolution": figures.convolution,
    "memory": resources.memory,
    "data": resources.data,
    "cold": resources.cold,
    "cost": figures.cost,
    "processes": resources.processes,
}
"""What `stackgan bench --figures` may name, in the order measured."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class BenchReport:
    """The figures and what they were measured on."""

    machine: dict[str, Any]
    figures: tuple[Figure, ...]

    def as_json(self) -> dict[str, Any]:
        """One dictionary of plain values."""
        found = [asdict(figure) | {"met": figure.met} for figure in self.figures]
        return {"format": "stackgan-bench/1", "machine": self.machine, "figures": found}

    def as_text(self) -> str:
        """A table, one line a figure, and the machine under it."""
        rows: list[tuple[str, ...]] = [("figure", "value", "required", "aim", "spread", "")]
        rows += [_row(figure) for figure in self.figures]
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        lines = ["  ".join(_cells(row, widths)).rstrip() for row in rows]
        about = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        return "\n".join([*lines, "", about])


def check_figures(names: Sequence[str]) -> list[str]:
    """The figures asked for, in the order measured; all where none is named.

    Raises:
        InputError: one that does not exist, with the nearest that does.
    """
    for name in names:
        if name not in FIGURES:
            raise InputError(f"there is no figure {name!r}: {nearest(name, list(FIGURES))}")
    return [name for name in FIGURES if name in names or not names]


def measure(bench: Bench, names: Sequence[str], progress: Progress | None = None) -> BenchReport:
    """Measure the figures named (all: none); the machine should do nothing else meanwhile."""
    before = machine(bench)
    found: list[Figure] = []
    wanted = check_figures(names)
    for done, name in enumerate(wanted):
        if progress is not None:
            progress(done, len(wanted))
        found += FIGURES[name](bench)
    if bench.quick:  # says nothing of speed, so nothing is required of it
        found = [replace(figure, required=None, aim=None) for figure in found]
    if progress is not None:
        progress(len(wanted), len(wanted))
    return BenchReport(before, tuple(found))


def _row(figure: Figure) -> tuple[str, ...]:
    def limit(value: float | None) -> str:
        return "" if value is None else f"{'<=' if figure.lower_is_better else '>='} {value:g}"

    verdict = {None: "", True: "met", False: "missed"}[figure.met]
    spread = "" if figure.spread is None else f"{100 * figure.spread:.0f} %"
    value = f"{figure.value:.4g} {figure.unit}"
    return figure.name, value, limit(figure.required), limit(figure.aim), spread, verdict


def _cells(row: tuple[str, ...], widths: Sequence[int]) -> list[str]:
    return [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]


def plot_cost(points: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw seconds of a step against its arithmetic, a colour for what varies, through zero."""
    side, edge = 480, 48
    image = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(image)
    most_x = max(point["gflop"] for point in points)
    most_y = max(point["seconds"] for point in points)
    draw.line([(edge, edge), (edge, side - edge), (side - edge, side - edge)], fill="black")
    draw.text((edge, side - edge + 8), f"GFLOP of a step, to {most_x:.0f}", fill="black")
    draw.text((edge, edge - 20), f"seconds, to {most_y:.2f}", fill="black")
    colours = {"batch": "#1f77b4", "width": "#d62728", "size": "#2ca02c"}
    for place, (what, colour) in enumerate(colours.items()):
        draw.text((side - 90, edge + 14 * place), what, fill=colour)
    span = side - 2 * edge
    for point in points:
        x = edge + span * point["gflop"] / most_x
        y = side - edge - span * point["seconds"] / most_y
        draw.ellipse([x - 4, y - 4, x + 4, y + 4], fill=colours[point["what"]])
    with whole_file(path) as part:
        image.save(part, format="PNG")
