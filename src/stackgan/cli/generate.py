"""``stackgan generate``: captions to pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stackgan.cli.answer import answer, warn
from stackgan.cli.options import (
    Device,
    Encoder,
    Json,
    Model,
    Precision,
    Threads,
    check_folder,
    check_png,
    is_png,
    read_captions,
    use_threads,
)
from stackgan.cli.progress import bar

if TYPE_CHECKING:
    from stackgan.result import Result


def command(
    captions: Annotated[
        list[str] | None,
        typer.Argument(metavar="CAPTION...", help="One that begins with a hyphen goes after --."),
    ] = None,
    model: Model = "flowers",
    encoder: Encoder = None,
    num_images: Annotated[
        int, typer.Option("-n", "--num-images", min=1, help="Pictures of each caption.")
    ] = 1,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Picture i of a caption has seed SEED + i.")
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE.png|DIR",
            help="One PNG (several pictures: a labelled grid), or a folder of PNGs. "
            "Without it: ./FIRST-WORDS-SEED.png for each.",
        ),
    ] = None,
    stage: Annotated[
        int | None,
        typer.Option("--stage", min=1, max=2, help="1: 64x64 sketches; 2: pictures (default)."),
    ] = None,
    captions_file: Annotated[
        str | None,
        typer.Option("--captions", metavar="FILE", help="Captions, one a line; - is stdin."),
    ] = None,
    sketches: Annotated[
        bool, typer.Option("--sketches", help="The Stage-I sketch beside each picture.")
    ] = False,
    truncation: Annotated[
        float | None,
        typer.Option(
            "--truncation",
            min=0.0,
            help="Under 1: safer and less varied. Without it the model's own, else 1.",
        ),
    ] = None,
    best_of: Annotated[
        int,
        typer.Option(
            "--best-of",
            metavar="N",
            min=1,
            help="Draw N for each picture, keep the one that fits best: of seeds SEED + i N ...",
        ),
    ] = 1,
    json: Json = False,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
) -> None:
    """Draw pictures from captions. Every PNG carries caption, seed, model and version."""
    from stackgan.data.examples import plain
    from stackgan.errors import InputError

    asked = list(captions or [])
    if captions_file is not None:
        asked += read_captions(captions_file)
    if not asked:
        raise InputError(
            'no caption was given, such as `stackgan generate "a flower with pink petals"`'
        )
    for caption in asked:
        if not plain(caption).strip():
            raise InputError("a caption is empty; expected a sentence")
    one_file = out is not None and is_png(out)
    if out is not None and one_file:
        check_png(out)
    else:
        check_folder(out or Path())

    from stackgan.pipeline import StackGAN

    use_threads(threads)
    network = StackGAN.from_pretrained(model, device, encoder, precision)  # type: ignore[arg-type]
    remarks = network.remarks(asked, num_images, truncation, best_of)
    for sentence in remarks:
        warn(sentence)
    with bar("drawing") as progress:
        result = network(asked, num_images, seed, stage, truncation, best_of, progress)
    paths = save(result, out, one_file, sketches)
    answer("\n".join(str(path) for path in paths), description(result, paths, remarks), json)


def save(result: Result, out: Path | None, one_file: bool, sketches: bool) -> list[Path]:
    """Write the PNGs: one picture, a labelled grid, or a file each."""
    if out is None or not one_file:
        return result.save(out or Path(), sketches)
    if len(result) > 1:
        return [result.save_grid(out, sketches=sketches)]
    from stackgan.result import save_png

    save_png(result.pictures(sketches)[0], out, result.fields(0))
    return [out]


def description(result: Result, paths: list[Path], remarks: list[str]) -> dict[str, Any]:
    """The answer for a program: each picture's caption, seed and file, and what was remarked."""
    files = paths if len(paths) == len(result) else paths * len(result)
    return {
        "model": result.model,
        "version": result.version,
        "truncation": result.truncation,
        "best_of": result.best_of,
        "pictures": [
            {
                "caption": result.captions[i],
                "seed": result.seeds[i],
                "size_px": list(result.images[i].size),
                "file": str(files[i]),
            }
            for i in range(len(result))
        ],
        "remarks": remarks,
    }
