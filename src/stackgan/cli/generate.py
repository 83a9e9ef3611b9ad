"""``stackgan generate``: captions to pictures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from stackgan.cli.answer import answer, say, warn
from stackgan.cli.options import (
    IN_A_GRID,
    MOST,
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
    say_kept,
    use_threads,
)
from stackgan.cli.progress import bar

if TYPE_CHECKING:
    from stackgan.result import Result


CaptionsOption = Annotated[
    list[str] | None,
    typer.Argument(metavar="CAPTION...", help="One that begins with a hyphen goes after --."),
]
NumImagesOption = Annotated[
    int,
    typer.Option("-n", "--num-images", min=1, max=MOST, help="Pictures of each caption."),
]
SeedOption = Annotated[
    int, typer.Option("--seed", min=0, help="Picture i of a caption has seed SEED + i.")
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE.png|DIR",
        help="One PNG (several pictures: a labelled grid), or a folder of PNGs. "
        "Without it: ./FIRST-WORDS-SEED.png for each. A name that is another picture's gets "
        "-2, -3, ...",
    ),
]
StageOption = Annotated[
    int | None,
    typer.Option("--stage", min=1, max=2, help="1: 64x64 sketches; 2: pictures (default)."),
]
CaptionsFileOption = Annotated[
    str | None,
    typer.Option("--captions", metavar="FILE", help="Captions, one a line; - is stdin."),
]
SketchesOption = Annotated[
    bool, typer.Option("--sketches", help="The Stage-I sketch beside each picture.")
]
TruncationOption = Annotated[
    float | None,
    typer.Option(
        "--truncation",
        min=0.0,
        help="Under 1: safer and less varied. Without it the model's own, else 1.",
    ),
]
BestOfOption = Annotated[
    int,
    typer.Option(
        "--best-of",
        metavar="N",
        min=1,
        max=MOST,
        help="Draw N for each picture, keep the one that fits best: of seeds SEED + i N ...",
    ),
]


def command(
    captions: CaptionsOption = None,
    model: Model = "flowers",
    encoder: Encoder = None,
    num_images: NumImagesOption = 1,
    seed: SeedOption = 0,
    out: OutOption = None,
    stage: StageOption = None,
    captions_file: CaptionsFileOption = None,
    sketches: SketchesOption = False,
    truncation: TruncationOption = None,
    best_of: BestOfOption = 1,
    json: Json = False,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
) -> None:
    """Draw pictures from captions. Every PNG carries caption, seed, model and version."""
    from stackgan.errors import InputError

    asked = _asked(captions, captions_file)
    one_file = out is not None and is_png(out)
    if out is not None and one_file:
        check_png(out)
        if len(asked) * num_images > IN_A_GRID:
            raise InputError(
                f"--out {out} would hold {len(asked) * num_images:,} pictures in one, more than "
                f"the {IN_A_GRID} that can be looked at; name a folder, such as --out {out.stem}"
            )
    else:
        check_folder(out or Path())

    from stackgan.arguments import check_count, check_seed
    from stackgan.pipeline import StackGAN

    check_count(len(asked), num_images, best_of)
    check_seed(seed, num_images * best_of)
    use_threads(threads)
    network = StackGAN.from_pretrained(model, device, encoder, precision)  # type: ignore[arg-type]
    remarks = network.remarks(asked, num_images, truncation, best_of)
    for sentence in remarks:
        warn(sentence)
    with bar("drawing") as progress:
        parts = network.stream(asked, num_images, seed, stage, truncation, best_of, progress)
        if out is not None and one_file:
            saved = save_one(parts, out, sketches)
        else:
            saved = save_each(parts, out or Path(), sketches, len(asked) * num_images)
    answer("\n".join(map(str, saved.paths)), {**saved.told, "remarks": remarks}, json)


def _asked(captions: list[str] | None, captions_file: str | None) -> list[str]:
    """The captions of the command line and of ``--captions``; InputError where one is missing."""
    from stackgan.data.examples import plain
    from stackgan.errors import InputError

    asked = list(captions or [])
    if len(asked) > 1 and not any(" " in caption.strip() for caption in asked):
        warn(
            f"{len(asked)} captions of one word each are drawn; a sentence goes into quotation "
            f'marks: "{" ".join(asked)[:60]}"'
        )
    if captions_file is not None:
        asked += read_captions(captions_file)
    if not asked:
        raise InputError(
            'no caption was given, such as `stackgan generate "a flower with pink petals"`'
        )
    for caption in asked:
        if not plain(caption).strip():
            raise InputError("a caption is empty; expected a sentence")
    return asked


class Saved(NamedTuple):
    """Files that were written, and what a program is told about them."""

    paths: list[Path]
    told: dict[str, Any]


def save_each(parts: Iterable[Result], folder: Path, sketches: bool, count: int) -> Saved:
    """Write a PNG for each picture as it is drawn; what is written stays, whatever stops it."""
    from stackgan.result import Album

    album = Album(folder)
    paths: list[Path] = []
    told: dict[str, Any] = {}
    try:
        for part in parts:
            written = album.add(part, sketches)
            paths += written
            more = description(part, written)
            told = {**more, "pictures": told.get("pictures", []) + more["pictures"]}
    except BaseException:
        if paths:
            say(f"{len(paths):,} of {count:,} pictures are drawn and lie in {folder.absolute()}")
        raise
    return Saved(paths, told)


def save_one(parts: Iterable[Result], out: Path, sketches: bool) -> Saved:
    """Write one PNG: the picture, or all of them as a labelled grid."""
    from stackgan.result import Result, save_png

    result = Result.join(list(parts))
    if len(result) > 1:
        path = result.save_grid(out, sketches=sketches)
    else:
        path = save_png(result.pictures(sketches)[0], out, result.fields(0))
    say_kept(out, path)
    return Saved([path], description(result, [path] * len(result)))


def description(result: Result, files: list[Path]) -> dict[str, Any]:
    """The answer for a program: the call's settings, each picture's caption, seed and file."""
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
    }
