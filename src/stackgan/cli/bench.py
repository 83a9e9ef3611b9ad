"""``stackgan bench``: how fast and how small, against the same networks written plainly."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stackgan.cli.options import Device, Json


def command(
    figures: Annotated[
        list[str] | None,
        typer.Option(
            "--figures",
            metavar="NAME",
            help="Of stage1, stage2, sampling, shipped, precision, convolution, memory, data, "
            "cold, cost and processes; with commas, or repeated. Without it, all.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE.json", help="Write the figures; the cost's plot beside them."
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Tiny networks: whether it runs, not how fast.")
    ] = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Measure steps, sampling, data, memory and cold start against the plain recipe.

    Plain and fast take turns, each in a process of its own; medians of five, repeated while they
    lie more than a fifth apart. The machine should be idle: all figures take about twenty minutes
    on two cores.
    """
    from stackgan.cli.answer import answer
    from stackgan.cli.progress import bar
    from stackgan.devices import choose_device
    from stackgan.errors import InputError
    from stackgan.evaluation.bench.report import check_figures, measure, plot_cost
    from stackgan.evaluation.bench.setup import Bench
    from stackgan.files import write_json

    wanted = check_figures([n.strip() for each in figures or [] for n in each.split(",")])
    if out is not None and (out.is_dir() or not out.absolute().parent.is_dir()):
        raise InputError(f"--out {out} cannot be written: give a file in a folder that exists")
    where = choose_device(device)
    bench = Bench(where, quick, 1 if quick else 5, 1 if quick else 3)
    with bar("measuring") as progress:
        report = measure(bench, wanted, progress)
    if out is not None:
        write_json(out, report.as_json())
        for figure in report.figures:
            if "points" in figure.details:
                plot_cost(figure.details["points"], out.with_name(f"{out.stem}-cost.png"))
    answer(report.as_text(), report.as_json(), json)
