"""Some files of others -> one model folder, encoder or data set: told apart by what they hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stackgan.errors import DataError, InputError, ModelError, StackGANError
from stackgan.files import file_sha256, whole_folder
from stackgan.hub import save_model
from stackgan.legacy import authors_pt, char_cnn_rnn, pickles, torch7
from stackgan.legacy.pth import is_pth, read_pth
from stackgan.legacy.recognise import recognise, text_in, whose
from stackgan.safe_pickle import Refused, opened
from stackgan.text import TextEncoder
from stackgan.text.absent import Absent
from stackgan.text.precomputed import Precomputed


@dataclass
class Files:
    """What the files given are, each with its path."""

    networks: dict[authors_pt.Kind, tuple[Path, dict[str, Tensor]]] = field(default_factory=dict)
    encoder: tuple[Path, TextEncoder] | None = None
    data: dict[str, tuple[Path, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Imported:
    """What was written, in words and as facts."""

    kind: str
    path: Path
    sentences: list[str]


def import_files(
    paths: list[Path],
    to: Path,
    *,
    encoder: TextEncoder | None = None,
    texts: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Read ``paths`` and write what they make together to the folder ``to``, whole or not at all.

    Args:
        encoder: the one that made the embeddings of the authors' generators, where its file is not
            among ``paths``.
        texts: a folder of captions, IMAGE.txt, for embeddings that come without.

    Raises:
        ModelError, DataError: a file is damaged, asks for what is not allowed, or is none of those
            that can be imported; the message names it.
        InputError: ``to`` is in use, or the files make nothing together.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise InputError(f"--to {to} is not an empty folder; give a new one")
    files = Files()
    for done, path in enumerate(paths):
        _sort(path, files)
        if progress is not None:
            progress(done + 1, len(paths))
    if files.networks:
        if files.data.keys() - {"captions"}:
            path = next(iter(files.data.values()))[0]
            raise InputError(f"{path} is data and belongs to no model; import it by itself")
        return _model(files, to, encoder)
    if encoder is not None:
        raise InputError("--encoder belongs to generators, and none of these files holds one")
    if files.encoder is not None and not files.data:
        return _encoder(files.encoder, to)
    if files.encoder is not None:
        raise InputError(f"{files.encoder[0]} is a text encoder; import it by itself")
    return _data(files.data, to, texts)


def _sort(path: Path, files: Files) -> None:
    """Read one file and put it where it belongs."""
    if _is_tensorflow(path):
        raise ModelError(
            f"{path} is a TensorFlow checkpoint, which cannot be imported yet; the authors' "
            "PyTorch networks (.pth) can"
        )
    _refuse_others(path)
    try:
        _read(path, files)
    except StackGANError as error:
        text = None if "not allowed" in str(error) else _text_or_none(path)
        if text is None or not str(error).startswith(f"{path}: it"):
            raise
        raise ModelError(f"{path}: it is no pickle but text, beginning {text!r}") from None


def _refuse_others(path: Path) -> None:
    """Raise ModelError where the bytes say what the file is, and that is nothing of these."""
    try:
        kind = recognise(path)
    except Refused as error:
        raise DataError(f"{path}: {error}") from None
    if kind is not None:
        raise ModelError(f"{path}: it is {kind}")


def _text_or_none(path: Path) -> str | None:
    start = _first_bytes(path)
    return None if torch7.is_t7(start) else text_in(path)


def _read(path: Path, files: Files) -> None:
    start = _first_bytes(path)
    if torch7.is_t7(start):
        found = torch7.read_t7(path)
        if char_cnn_rnn.holds_encoder(found):
            state = char_cnn_rnn.encoder_state(path, found)
            _set_encoder(files, path, char_cnn_rnn.to_encoder(path, state))
        else:
            _set_data(files, "captions", path, pickles.read_captions(path, found))
        return
    if path.suffix == ".t7":
        torch7.read_t7(path)  # says why it is none
    if is_pth(start) or path.suffix in (".pth", ".pt"):
        weights = read_pth(path)
        network = authors_pt.kind_of(weights)
        if network is not None:
            if network in files.networks:
                raise InputError(f"{path} and {files.networks[network][0]} are both a {network}")
            files.networks[network] = (path, weights)
        elif char_cnn_rnn.MARK in weights:
            _set_encoder(files, path, char_cnn_rnn.to_encoder(path, weights))
        elif (other := whose(weights)) is not None:
            raise ModelError(
                f"{path} is {other}, which cannot be imported; expected a network of StackGAN's "
                "authors' PyTorch code or a char-CNN-RNN"
            )
        else:
            raise ModelError(
                f"{path} is neither a network of the authors' PyTorch code nor a char-CNN-RNN: "
                f"its first tensor is {next(iter(weights))[:80]!r}"
            )
        return
    kind, found = pickles.read_pickle(path)
    _set_data(files, kind, path, found)


def _is_tensorflow(path: Path) -> bool:
    """Whether the name is a TensorFlow checkpoint's, or its prefix's; PyTorch's has other bytes."""
    name = path.name
    if name == "checkpoint" or name.endswith((".index", ".meta")) or ".data-0" in name:
        return True
    if ".ckpt" not in name:
        return False
    return not (path.is_file() and is_pth(_first_bytes(path)))


def _first_bytes(path: Path) -> bytes:
    try:
        with opened(path) as data:
            return bytes(data[:512])
    except Refused as error:
        raise DataError(f"{path}: {error}") from None


def _set_encoder(files: Files, path: Path, encoder: TextEncoder) -> None:
    if files.encoder is not None:
        raise InputError(f"{path} and {files.encoder[0]} are both text encoders; give one of them")
    files.encoder = (path, encoder)


def _set_data(files: Files, kind: str, path: Path, found: Any) -> None:
    if kind in files.data:
        raise InputError(f"{path} and {files.data[kind][0]} are both {kind}; give one of them")
    files.data[kind] = (path, found)


# What they make.


def _model(files: Files, to: Path, given: TextEncoder | None) -> Imported:
    """A model folder of the authors' networks, in float32, with where they came from."""
    kinds = set(files.networks)
    if not kinds & {"stage1_G", "stage2_G"}:
        raise InputError(
            "a model needs a generator, and these are discriminators: "
            + ", ".join(str(path) for path, _ in files.networks.values())
        )
    made = authors_pt.to_networks(files.networks)
    if made.stage1 is None:
        raise ModelError(
            f"{files.networks['stage2_G'][0]} holds no Stage-I; add the Stage-I generator's file"
        )
    captions: tuple[Path, Precomputed] | None = files.data.get("captions")
    encoders = [e for e in (given, files.encoder and files.encoder[1]) if e is not None]
    encoders += [captions[1]] if captions else []
    if len(encoders) > 1:
        raise InputError("several text encoders were given; a model has one")
    dim = made.architecture.embedding_dim
    encoder: TextEncoder = encoders[0] if encoders else Absent(dim)
    if encoder.dim != dim:
        raise ModelError(
            f"the generators read embeddings of {dim} numbers, the encoder {encoder.name!r} "
            f"makes {encoder.dim}; give the one that they were trained with"
        )
    architecture = made.architecture
    if made.stage2 is None:
        architecture = architecture.model_copy(update={"stages": 1})
    sources = {
        kind: {"file": path.name, "sha256": file_sha256(path)}
        for kind, (path, _) in sorted(files.networks.items())
    }
    last = made.stage2_discriminator if made.stage2 is not None else made.stage1_discriminator
    save_model(
        to,
        architecture=architecture.model_dump(),
        stage1=made.stage1,
        stage2=made.stage2,
        encoder=encoder,
        discriminator=last,
        stage1_discriminator=made.stage1_discriminator,
        training={"imported": {"from": "the authors' PyTorch code", **sources}},
        card=_card(to.name, sources),
        dtype=torch.float32,
        keep_encoder=True,
    )
    sentences = [f"{to}: a model of {', '.join(sorted(kinds))}", *made.notes]
    if not encoders:
        sentences.append(
            "it has no text encoder: import it with the encoder's file beside, or name one with "
            "--encoder"
        )
    return Imported("model folder", to, sentences)


def _card(name: str, sources: Mapping[authors_pt.Kind, dict[str, str]]) -> str:
    lines = "".join(
        f"- {kind}: `{s['file']}`, sha256 {s['sha256']}\n" for kind, s in sources.items()
    )
    return (
        f"# {name}\n\nWeights of StackGAN's authors' PyTorch code, imported by `stackgan import` "
        f"from\n\n{lines}\nTheir licence and the terms of the data they were trained on apply.\n"
    )


def _encoder(found: tuple[Path, TextEncoder], to: Path) -> Imported:
    path, encoder = found
    with whole_folder(to, replaces=False) as fresh:
        encoder.save(fresh)  # type: ignore[attr-defined]
    return Imported(
        "text encoder",
        to,
        [f"{to}: the text encoder {encoder.name!r} of {path}, {encoder.dim} numbers"],
    )


def _data(data: dict[str, tuple[Path, Any]], to: Path, texts: Path | None) -> Imported:
    """``metadata.jsonl`` for the reader `folder` and the embeddings as ``.npz``."""
    if "captions" in data:
        path, rows = data["captions"]
        if len(data) > 1:
            raise InputError(f"{path} has its own captions; import it by itself")
        with whole_folder(to, replaces=False) as fresh:
            _write_npz(fresh / f"{path.stem}.npz", rows)
        file = to / f"{path.stem}.npz"
        return Imported(
            "embeddings", to, [f"{file}: {len(rows.captions)} captions with embeddings"]
        )
    if "filenames" not in data:
        path = next(iter(data.values()))[0]
        raise InputError(f"{path} says nothing of its images; add the filenames.pickle beside it")
    if "embeddings" not in data and texts is None:
        path = data["filenames"][0]
        raise InputError(
            f"{path} names images without captions; add char-CNN-RNN-embeddings.pickle, or the "
            "captions' folder by --texts"
        )
    images = pickles.joined(data["filenames"], data.get("embeddings"), data.get("classes"), texts)
    sentences = [
        f"{to / 'metadata.jsonl'}: {len(images)} images; put them there and train on folder"
    ]
    with whole_folder(to, replaces=False) as fresh:
        lines = [
            {"file_name": i.file_name, "text": list(i.captions), "class": i.class_name}
            for i in images
        ]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (fresh / "metadata.jsonl").write_text(text, encoding="utf-8")
        if "embeddings" in data:
            path, arrays = data["embeddings"]
            rows = pickles.to_precomputed(path.stem, images, arrays)
            _write_npz(fresh / f"{path.stem}.npz", rows)
            sentences.append(
                f"{to / path.stem}.npz: their {len(rows.captions)} embeddings, for --encoder"
            )
    return Imported("data set", to, sentences)


def _write_npz(file: Path, rows: Precomputed) -> None:
    np.savez(file, embeddings=rows.embeddings, captions=np.array(rows.captions))


def facts(made: Imported) -> dict[str, Any]:
    """The answer as JSON."""
    return {**asdict(made), "path": str(made.path)}
