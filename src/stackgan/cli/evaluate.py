"""``stackgan evaluate``: draw for a data set's captions and score against its photographs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from stackgan.cli.options import Encoder, check_file

if TYPE_CHECKING:
    from stackgan.data.examples import Split


ModelOption = Annotated[str, typer.Argument(help="A shipped name, a model folder or a run folder.")]
DataOption = Annotated[str, typer.Option(help="Name of the data set; `stackgan data list`.")]
RootOption = Annotated[Path, typer.Option(help="The folder that holds the data set.")]
SplitOption = Annotated[str, typer.Option(help="train, test or all.")]
MetricsOption = Annotated[str, typer.Option(help="Of kid, fd and swd, with commas.")]
CountOption = Annotated[
    int | None,
    typer.Option("-n", "--count", help="How many pictures; without it one for each example."),
]
CopiesOption = Annotated[
    int, typer.Option(min=1, help="Pictures of a sentence in a row; the authors' code: 16.")
]
SeedOption = Annotated[int, typer.Option(help="Added to a picture's place in the list.")]
StageOption = Annotated[int | None, typer.Option(help="1: the sketches; 2: the pictures.")]
FitOption = Annotated[str, typer.Option(help="As in training: crop, squeeze, box or box_authors.")]
OptionOption = Annotated[
    list[str] | None,
    typer.Option(help="One of the reader's options, such as missing=skip; may be repeated."),
]
OutOption = Annotated[Path | None, typer.Option(help="Write the report as JSON.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
AsJsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]


def command(
    model: ModelOption,
    data: DataOption,
    root: RootOption,
    encoder: Encoder = None,
    split: SplitOption = "test",
    metrics: MetricsOption = "kid,fd,swd",
    count: CountOption = None,
    copies: CopiesOption = 1,
    seed: SeedOption = 0,
    stage: StageOption = None,
    fit: FitOption = "box",
    option: OptionOption = None,
    out: OutOption = None,
    device: DeviceOption = "auto",
    as_json: AsJsonOption = False,
) -> None:
    """Score a model against photographs it never saw, the protocol beside the numbers."""
    import json

    from stackgan import StackGAN
    from stackgan.cli.answer import answer, write_text
    from stackgan.cli.progress import bar
    from stackgan.cli.train import reader_options
    from stackgan.data import read_examples
    from stackgan.data.crop import Fit
    from stackgan.data.examples import check_split
    from stackgan.errors import InputError, nearest
    from stackgan.evaluation.report import check_metrics, evaluate

    wanted = check_metrics([name.strip() for name in metrics.split(",") if name.strip()])
    check_split(split)
    if fit not in get_args(Fit):
        raise InputError(f"fit {fit!r} is unknown; {nearest(fit, list(get_args(Fit)))}")
    if out is not None:
        check_file(out)
    examples = read_examples(data, root, cast("Split", split), **reader_options(option or []))
    loaded = StackGAN.from_pretrained(model, device, encoder)
    with bar("evaluating") as progress:
        report = evaluate(
            loaded,
            examples,
            wanted,
            count,
            copies=copies,
            seed=seed,
            stage=stage,
            fit=cast(Fit, fit),
            split=f"{data} {split}",
            progress=progress,
        )
    if out is not None:
        write_text(out, json.dumps(report.as_json(), indent=2) + "\n")
    answer(report.as_text(), report.as_json(), as_json)
