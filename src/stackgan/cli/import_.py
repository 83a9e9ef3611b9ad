"""``stackgan import``: other people's files as a model folder, an encoder or a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stackgan.cli.answer import answer
from stackgan.cli.options import Json


def command(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="The authors' .pth, char-CNN-RNN .pth or .t7, val_captions.t7, the pickles.",
        ),
    ],
    to: Annotated[Path, typer.Option("--to", help="A new folder.")],
    encoder: Annotated[
        str | None,
        typer.Option(
            "--encoder", metavar="NAME|DIR", help="The generators' text encoder, one of ours."
        ),
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option("--texts", help="Folder of captions, IMAGE.txt, for the embeddings' pickle."),
    ] = None,
    json_wanted: Json = False,
) -> None:
    """Import others' files. Nothing in them is executed; what asks for more is refused by name."""
    from stackgan.cli.progress import bar
    from stackgan.encoders import find_encoder
    from stackgan.legacy.importing import facts, import_files

    known = None if encoder is None else find_encoder(encoder)
    with bar("importing") as progress:
        made = import_files(files, to, encoder=known, texts=texts, progress=progress)
    answer("\n".join(made.sentences), facts(made), json_wanted)
