"""Options that several verbs share, in the same words, and the captions they read."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from stackgan.cli.answer import warn
from stackgan.errors import InputError
from stackgan.threads import Look, cores, free_threads

Model = Annotated[
    str, typer.Option("--model", metavar="NAME|DIR", help="Shipped model, model or run folder.")
]
Encoder = Annotated[
    str | None,
    typer.Option(
        "--encoder", metavar="NAME|DIR", help="The model's text encoder, where it keeps none."
    ),
]
Device = Annotated[
    str, typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where to compute.")
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        max=1024,
        metavar="N",
        help="Threads to compute with. Without it one a core; training leaves busy cores out.",
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="auto|fp32|bf16",
        help="What Stage-II computes in; auto: the faster one on this processor, measured once.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]

MOST = 1_000_000
"""Pictures of a caption; the pipeline allows as many in a call."""
IN_A_GRID = 512
"""Pictures in one PNG: those of 256 pixels, with their sketches, are then as large as Pillow opens
without a warning."""
PICTURES = {".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"}


started: Look | None = None
"""The cores as the console script found them; None where this is no console script."""


def use_threads(asked: int | None) -> None:
    """Compute with as many threads as were asked for; torch's own number where none was."""
    import torch

    if asked is not None:
        torch.set_num_threads(asked)


def use_free_threads(asked: int | None) -> None:
    """Compute with as many threads: those asked for, else one for each core that is free.

    $OMP_NUM_THREADS stands, and so does torch's own number where the system does not tell how busy
    it is. That cores are busy is said.
    """
    import torch

    if asked is not None:
        torch.set_num_threads(asked)
        return
    others = None if started is None else started.others_since()
    if others is None or "OMP_NUM_THREADS" in os.environ:
        return
    most = torch.get_num_threads()
    free = free_threads(others, most)
    if free < most:
        torch.set_num_threads(free)
        with_them = "1 thread" if free == 1 else f"{free} threads"
        warn(
            f"the machine is busy ({others:.1f} of {cores()} cores), so this computes with "
            f"{with_them}; --threads {most} takes all"
        )


def read_captions(path: str) -> list[str]:
    """Captions of a text file, one a line; ``-`` is standard input. Empty lines are skipped.

    Where the encoding is guessed it is said: the captions then stand in what is drawn, to be seen.
    """
    from stackgan.plain_text import decode_text, not_utf8, plain

    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"the captions file {path} cannot be read: {reason}") from None
    text = decode_text(data)
    if text is None:
        raise InputError(f"{path} is not text; expected a caption a line")
    captions = [line for line in (plain(line).strip() for line in text.split("\n")) if line]
    if not captions:
        raise InputError(f"{path} holds no caption; expected one a line")
    if (guessed := not_utf8(data)) is not None:
        typer.echo(f"stackgan: {'standard input' if path == '-' else path} {guessed}", err=True)
    return captions


def is_png(out: Path) -> bool:
    """Whether ``--out`` names one PNG; InputError for another kind of picture."""
    if out.suffix.lower() in PICTURES:
        raise InputError(f"--out is {out}, expected a .png (its text fields tell caption and seed)")
    return out.suffix.lower() == ".png"


def check_png(out: Path) -> None:
    """Find out before the work whether the PNG can be written there."""
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; give it another name than .png")
    check_folder(out.parent)


def check_file(out: Path) -> None:
    """Find out before the work whether a file can be written as ``out``."""
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; give a file's name")
    folder = out.absolute().parent
    if not folder.is_dir():
        raise InputError(f"--out {out}: the folder {folder} does not exist")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"--out: {folder} is not writable")


def say_kept(wanted: Path, written: Path) -> None:
    """Where the picture got another name than the one wanted, say so."""
    if written != wanted:
        warn(f"{wanted} is another picture and stays as it is; the new one is {written}")


def check_folder(folder: Path) -> None:
    """Make ``folder`` if the one above it exists; find out before the work if it is writable."""
    if not folder.exists():
        if not folder.parent.is_dir():
            raise InputError(f"--out: there is no folder {folder.parent}; make it first")
        try:
            folder.mkdir()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise InputError(f"--out: {folder} cannot be made: {reason}") from None
    if not folder.is_dir():
        raise InputError(f"--out: {folder} is a file, expected a folder or a name ending in .png")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"--out: {folder} is not writable")
