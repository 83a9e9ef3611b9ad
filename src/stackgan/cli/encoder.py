"""``stackgan encoder``: train a text encoder, embed captions, caption photographs."""

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

Json = Annotated[bool, typer.Option("--json", help="Answer as one JSON object.")]

Encoder = Annotated[
    str,
    typer.Option(
        "--encoder",
        metavar="NAME|DIR",
        help="minilm, glove, an encoder's file or folder, word vectors, an .npz, or a model.",
    ),
]


CAPTION_FILES = "One a line, or .jsonl with `captions`; either .gz; - is stdin."


class _ImageNetwork(StrEnum):
    lite1 = "lite1"
    small = "small"


class _Objective(StrEnum):
    structured = "structured"
    contrastive = "contrastive"


class _Precision(StrEnum):
    float32 = "float32"
    bf16 = "bf16"


DataOption = Annotated[str, typer.Option("--data", help="A name of `stackgan data list`.")]
RootOption = Annotated[Path, typer.Option("--root", help="The folder that holds the data set.")]
OutOption = Annotated[Path, typer.Option("--out", help="A folder for the encoder and its cache.")]
StepsOption = Annotated[int, typer.Option("--steps", min=1, help="Mini-batches.")]
BatchOption = Annotated[
    int,
    typer.Option("--batch", min=2, help="Pairs in a mini-batch; of the paper's hinge one a class."),
]
LearningRateOption = Annotated[
    float, typer.Option("--learning-rate", min=1e-9, max=1.0, help="Adam's highest rate.")
]
ImageNetworkOption = Annotated[
    _ImageNetwork,
    typer.Option(help="Frozen EfficientNet-Lite1 features, or a small net trained along."),
]
ObjectiveOption = Annotated[
    _Objective, typer.Option(help="The paper's hinge over classes, or over single images.")
]
ImagePxOption = Annotated[
    int,
    typer.Option("--image-px", min=16, max=1024, help="Photographs are shrunk to this side."),
]
WordingsShareOption = Annotated[
    float,
    typer.Option("--wordings-share", min=0, max=1, help="Share of wordings as people type them."),
]
PrecisionOption = Annotated[
    _Precision, typer.Option(help="bf16 halves the time where the processor has it.")
]
NameOption = Annotated[str | None, typer.Option("--name", help="The encoder's name.")]
SeedOption = Annotated[
    int, typer.Option("--seed", min=0, max=2**62 - 1, help="All draws follow from it.")
]
OptionOption = Annotated[
    list[str] | None,
    typer.Option(help="One of the reader's options, such as missing=skip; may be repeated."),
]


@app.command()
def train(
    data: DataOption,
    root: RootOption,
    out: OutOption,
    steps: StepsOption = 6000,
    batch: BatchOption = 40,
    learning_rate: LearningRateOption = 7e-4,
    image_network: ImageNetworkOption = _ImageNetwork.lite1,
    objective: ObjectiveOption = _Objective.structured,
    image_px: ImagePxOption = 64,
    wordings_share: WordingsShareOption = 0.0,
    precision: PrecisionOption = _Precision.float32,
    name: NameOption = None,
    seed: SeedOption = 0,
    option: OptionOption = None,
    json_wanted: Json = False,
) -> None:
    """Train a char-CNN-RNN and an image side to one joint embedding. Ctrl-C saves what there is."""
    from dataclasses import asdict

    from stackgan.cli.answer import answer
    from stackgan.cli.options import check_folder
    from stackgan.cli.progress import bar
    from stackgan.cli.train import reader_options
    from stackgan.data import read_examples
    from stackgan.training.encoder import EncoderSettings, image_inputs, train_encoder
    from stackgan.training.trainable import require_encoder_data

    examples = read_examples(data, root, "train", **reader_options(option or []))
    settings = EncoderSettings(
        steps=steps,
        batch=batch,
        learning_rate=learning_rate,
        image_network=image_network.value,
        objective=objective.value,
        precision=precision.value,
        image_px=image_px,
        wordings_share=wordings_share,
        seed=seed,
        name=name or f"char-cnn-rnn-{data}",
    )
    require_encoder_data(root, examples, settings)
    check_folder(out)
    with bar("images") as progress:
        images = image_inputs(examples, settings, cache=out / "cache", progress=progress)
    with bar("training") as progress:
        encoder, report = train_encoder(
            [example.captions for example in examples],
            [example.class_name for example in examples],
            images,
            settings,
            subjects=[example.subject for example in examples],
            progress=progress,
        )
    file = encoder.save(out)
    as_json = {"file": file, "sha256": encoder.sha256, **asdict(report)}
    answer(f"{file}: {report}", as_json, json_wanted)


@app.command()
def embed(
    encoder: Encoder,
    captions: Annotated[str, typer.Option("--captions", help=CAPTION_FILES)],
    out: Annotated[Path, typer.Option("--out", help="The .npz to write.")],
    json_wanted: Json = False,
) -> None:
    """Write the embeddings of captions: arrays `embeddings`, `captions`, `encoder`.

    Stopped, the same call goes on from OUT.part.
    """
    from stackgan.cli.answer import answer, warn
    from stackgan.cli.options import check_file, check_folder, read_captions
    from stackgan.cli.progress import bar
    from stackgan.encoders import find_encoder
    from stackgan.errors import InputError
    from stackgan.text.captions import read_caption_file
    from stackgan.text.precomputed import embed_to_file

    if out.suffix != ".npz":
        raise InputError(f"--out is {out}, expected a name ending in .npz")
    texts = read_captions("-") if captions == "-" else read_caption_file(Path(captions))
    loaded = find_encoder(encoder)
    check_folder(out.absolute().parent)
    check_file(out)
    with bar("embedding") as progress:
        resumed = embed_to_file(loaded, texts, out, progress)
    if resumed:
        warn(f"went on from {out}.part, which an earlier call had left")
    text = f"{out}: {len(texts)} embeddings of {loaded.dim} numbers by {loaded.name}"
    as_json = {"file": out, "captions": len(texts), "dim": loaded.dim, "sha256": loaded.sha256}
    answer(text, as_json, json_wanted)


@app.command()
def caption(
    encoder: Encoder,
    source: Annotated[str, typer.Option("--from", help="Data set whose captions are given.")],
    source_root: Annotated[Path, typer.Option("--from-root", help="The folder that holds it.")],
    root: Annotated[Path, typer.Option("--root", help="The photographs, sub-folders included.")],
    out: Annotated[Path, typer.Option("--out", help="The metadata.jsonl to write.")],
    top: Annotated[int, typer.Option("--top", min=1, help="Captions for each photograph.")] = 5,
    class_map: Annotated[
        Path | None,
        typer.Option(
            "--class-map",
            help="JSON {sub-folder: [class names]}: take captions of these classes only.",
        ),
    ] = None,
    json_wanted: Json = False,
) -> None:
    """Give photographs without captions the nearest ones of a data set's training split.

    The file has one line a photograph: file_name (relative to ROOT), text (a list), class (its
    sub-folder), source.
    """
    from stackgan.cli.answer import answer
    from stackgan.cli.options import check_file
    from stackgan.cli.progress import bar
    from stackgan.data import read_examples
    from stackgan.encoders import find_encoder
    from stackgan.errors import InputError
    from stackgan.joint import JointEmbedding
    from stackgan.text import CharCnnRnn
    from stackgan.training.captioning import caption_photographs, photographs, write_metadata

    check_file(out)
    examples = read_examples(source, source_root, "train")
    paths = photographs(root)
    allowed = _class_map(class_map)
    loaded = find_encoder(encoder)
    if not isinstance(loaded, CharCnnRnn):
        raise InputError(
            f"the encoder {loaded.name!r} has no image side, expected one made by "
            "`stackgan encoder train`"
        )
    joint = JointEmbedding(loaded)
    with bar("captioning") as progress:
        entries = caption_photographs(
            joint, examples, root, paths, top=top, class_map=allowed, progress=progress
        )
    write_metadata(out, entries)
    text = f"{out}: {top} captions for each of {len(entries)} photographs"
    answer(text, {"file": out, "photographs": len(entries), "top": top}, json_wanted)


def _class_map(path: Path | None) -> dict[str, list[str]] | None:
    import json

    from stackgan.errors import InputError
    from stackgan.plain_text import decode_utf

    if path is None:
        return None
    try:
        found = json.loads(decode_utf(path.read_bytes()))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"--class-map {path} cannot be read as JSON: {reason}") from None
    fits = isinstance(found, dict) and all(
        isinstance(names, list) and all(isinstance(name, str) for name in names)
        for names in found.values()
    )
    if not fits:
        raise InputError(f"--class-map {path}: expected {{sub-folder: [class names]}}")
    return dict(found)
