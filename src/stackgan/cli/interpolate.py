"""``stackgan interpolate``: from one caption to another in one row of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stackgan.cli.answer import answer, warn
from stackgan.cli.options import (
    IN_A_GRID,
    Device,
    Encoder,
    Json,
    Model,
    Precision,
    Threads,
    check_png,
    is_png,
    say_kept,
    use_threads,
)


def command(
    first: Annotated[str, typer.Argument(metavar="A", help="The caption to start from.")],
    last: Annotated[str, typer.Argument(metavar="B", help="The caption to end at.")],
    steps: Annotated[
        int,
        typer.Option("--steps", min=2, max=IN_A_GRID, help="Pictures, both ends included."),
    ] = 8,
    model: Model = "flowers",
    encoder: Encoder = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, help="Draw noise from this seed; without it noise is zero."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE.png",
            help="Default: ./A-to-B.png. A name that is another picture's gets -2, -3, ...",
        ),
    ] = None,
    json: Json = False,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
) -> None:
    """Walk from caption A to caption B in even steps of the embedding, one row of pictures."""
    from stackgan.data.examples import plain
    from stackgan.errors import InputError

    first, last = plain(first).strip(), plain(last).strip()
    for caption in (first, last):
        if not caption:
            raise InputError("a caption is empty; expected a sentence")
    if out is not None:
        if not is_png(out):
            raise InputError(f"--out is {out}, expected a name that ends in .png")
        check_png(out)

    use_threads(threads)
    from stackgan.pipeline import StackGAN
    from stackgan.result import save_png, slug

    path = out or Path(f"{slug(first, 5, 40)}-to-{slug(last, 5, 40)}.png")
    network = StackGAN.from_pretrained(model, device, encoder, precision)  # type: ignore[arg-type]
    for sentence in network.remarks([first, last]):
        warn(sentence)
    result = network.interpolate(first, last, steps, seed)
    fields = {
        "caption": f"{first} -> {last}",
        "seed": "none" if seed is None else str(seed),
        **result.common_fields(),
    }
    written = save_png(result.row(), path, fields)
    say_kept(path, written)
    answer(str(written), {"file": str(written), "steps": steps, **fields}, json)
