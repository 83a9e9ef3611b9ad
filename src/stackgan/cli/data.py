"""``stackgan data``: list the data sets, fetch, check or prepare one, draw the toy set."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Name = Annotated[str, typer.Argument(help="A data set that `stackgan data list` names.")]
Root = Annotated[Path, typer.Option("--root", help="The folder that holds the data set.")]
Json = Annotated[bool, typer.Option("--json", help="Answer as one JSON object.")]


class _Split(StrEnum):
    train = "train"
    test = "test"
    all = "all"


class _Fit(StrEnum):
    crop = "crop"
    squeeze = "squeeze"
    box = "box"
    box_authors = "box_authors"


@app.command("list")
def list_data_sets(json_wanted: Json = False) -> None:
    """Name the data sets that can be read."""
    from stackgan.cli.answer import answer
    from stackgan.data.readers import READERS

    lines = [f"{name:<10} {reader.about}" for name, reader in READERS.items()]
    known = {
        name: {"about": reader.about, "options": reader.options} for name, reader in READERS.items()
    }
    answer("\n".join(lines), known, json_wanted)


@app.command()
def check(
    name: Name,
    root: Root,
    option: Annotated[
        list[str] | None,
        typer.Option(
            help="An option of the reader's that says where to look, such as "
            "caption_column=caption; may be repeated."
        ),
    ] = None,
    json_wanted: Json = False,
) -> None:
    """Name every missing or broken file, one a line; exit 1 where there is any."""
    from stackgan.cli.answer import answer, printable
    from stackgan.cli.progress import bar
    from stackgan.cli.train import reader_options
    from stackgan.data.check import Fault, problem_of_training, remarks, report
    from stackgan.errors import CheckFailed

    options = reader_options(option or [])
    with bar("checking") as progress:
        usable, faults = report(name, root, progress, **options)
    if not faults and (problem := problem_of_training(name, root, **options)) is not None:
        faults = [Fault(root, problem)]
    said = remarks(name, root, **options)
    summary = f"{name} in {root}: {usable} captioned images can be used, no fault found"
    lines = [printable(f"{fault.path}: {fault.problem}") for fault in faults] or [summary]
    lines += [printable(sentence) for sentence in said]
    found = [{"path": fault.path, "problem": fault.problem} for fault in faults]
    as_json = {"name": name, "root": root, "usable": usable, "faults": found}
    answer("\n".join(lines), {**as_json, **({"remarks": said} if said else {})}, json_wanted)
    if faults:
        raise CheckFailed(
            f"{root} has {len(faults)} {'fault' if len(faults) == 1 else 'faults'}; {usable} "
            "captioned images can be used"
        )


@app.command()
def prepare(
    name: Name,
    root: Root,
    size: Annotated[
        int, typer.Option("--size", min=1, max=4096, help="Side of the cached images in pixels.")
    ] = 64,
    split: Annotated[_Split, typer.Option("--split", help="Which examples.")] = _Split.train,
    fit: Annotated[
        _Fit,
        typer.Option("--fit", help="Cut out the centre or the box, or squeeze the whole image."),
    ] = _Fit.box,
    option: Annotated[
        list[str] | None,
        typer.Option(help="One of the reader's options, such as missing=skip; may be repeated."),
    ] = None,
    json_wanted: Json = False,
) -> None:
    """Write the memory-mapped cache of a data set's images into ROOT/.stackgan."""
    from stackgan.cli.answer import answer
    from stackgan.cli.progress import bar
    from stackgan.cli.train import reader_options
    from stackgan.data import read_examples
    from stackgan.data.cache import prepare_cache

    examples = read_examples(name, root, split.value, **reader_options(option or []))
    with bar("caching") as progress:
        cache = prepare_cache(examples, size, root / ".stackgan", fit.value, progress)
    text = f"{cache.path}: {len(examples)} images of {size}x{size}, {cache.pixels.nbytes:,} bytes"
    as_json = {"path": cache.path, "images": len(examples), "size_px": size}
    answer(text, {**as_json, "bytes": cache.pixels.nbytes}, json_wanted)


@app.command()
def download(
    name: Annotated[str, typer.Argument(help="oxford102, cub or coco.")],
    root: Annotated[Path, typer.Option("--root", help="The folder to fetch it into.")],
    year: Annotated[
        int | None, typer.Option("--year", help="Of coco: 2014 (the paper's) or 2017.")
    ] = None,
    json_wanted: Json = False,
) -> None:
    """Fetch a public data set, verified; what is there is not fetched again, a part goes on."""
    from stackgan.cli.answer import answer
    from stackgan.cli.progress import bar
    from stackgan.data.download import download as fetch_all

    done = fetch_all(name, root, year, bar)
    text = "\n".join(
        [f"{root / place}: fetched" for place in done.fetched]
        + [f"{root / place}: was there" for place in done.present]
    )
    as_json = {"name": name, "root": root, "fetched": done.fetched, "present": done.present}
    answer(text, as_json, json_wanted)


@app.command()
def toy(
    root: Annotated[Path, typer.Option("--root", help="A new folder to draw into.")],
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="The drawing is a function of it.")
    ] = 0,
    count: Annotated[
        int, typer.Option("--count", min=35, max=1_000_000, help="How many pictures.")
    ] = 2000,
    json_wanted: Json = False,
) -> None:
    """Draw a captioned toy set: coloured shapes, some combinations held out as the test split."""
    from stackgan.cli.answer import answer
    from stackgan.cli.progress import bar
    from stackgan.data.toy import draw, held_out

    with bar("drawing") as progress:
        draw(root, seed, count, progress)
    apart = sorted(f"{colour} {shape}" for colour, shape in held_out(seed))
    text = f"{root}: {count} captioned pictures; test split: {', '.join(apart)}"
    answer(text, {"root": root, "count": count, "seed": seed, "held_out": apart}, json_wanted)
