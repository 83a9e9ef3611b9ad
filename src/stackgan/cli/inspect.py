"""``stackgan inspect``: what a file or folder is, in words or as JSON."""

from __future__ import annotations

import json as json_module
import struct
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from stackgan.cli.answer import answer
from stackgan.cli.options import Json
from stackgan.errors import InputError, ModelError


def command(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH", help="Model, run, encoder, checkpoint, PNG or shipped name."
        ),
    ],
    json: Json = False,
) -> None:
    """Say what a model folder, run folder, encoder, checkpoint or PNG is and what made it."""
    found = describe(path)
    answer("\n".join(_lines(found)), found, json)


def describe(path: str) -> dict[str, Any]:
    """Facts of whatever lies at ``path``, ``kind`` among them."""
    file = Path(path).expanduser()
    if not file.is_file():
        return _model(path)
    kind = file.suffix.lower()
    if kind == ".png":
        return _png(file)
    if kind == ".safetensors":
        return _safetensors(file)
    try:
        with file.open("rb") as opened:
            start = opened.read(4)
    except OSError as error:  # a failing read names no file
        raise InputError(f"{file} cannot be read: {(error.strerror or '').lower()}") from None
    if start == b"PK\x03\x04":
        return _checkpoint(file)
    if start == b"\x89PNG":
        return _png(file)
    raise InputError(
        f"{file} is no file of ours; expected a PNG, .safetensors, checkpoint or model folder"
    )


def _png(file: Path) -> dict[str, Any]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            image.load()
            size, fields = list(image.size), dict(getattr(image, "text", {}))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{file} is not a whole PNG ({error})") from None
    if "caption" not in fields:
        raise InputError(f"{file} is a PNG without a caption field; this program did not write it")
    return {"kind": "picture", "path": str(file), "size_px": size, **fields}


def _safetensors(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            if length > min(file.stat().st_size, 100_000_000):
                raise ValueError("its header is cut short")
            header = json_module.loads(opened.read(length))
            metadata = header.pop("__metadata__", {})
            shapes = {name: entry["shape"] for name, entry in header.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise ModelError(f"{file} is not a safetensors file ({error})") from None
    if "kind" in metadata:
        metadata["network"] = metadata.pop("kind")
    long = {"alphabet", "vocabulary", "words", "captions"}
    kept = {k: v for k, v in metadata.items() if k not in long}
    if "vocabulary" in metadata:
        kept["vocabulary_words"] = len(json_module.loads(metadata["vocabulary"]))
    encoder = str(metadata.get("format", "")).startswith("stackgan-encoder/")
    return {
        "kind": "text encoder" if encoder else "tensors",
        "path": str(file),
        **kept,
        "tensors": len(shapes),
        "parameters": sum(_product(shape) for shape in shapes.values()),
        "bytes": file.stat().st_size,
    }


def _checkpoint(file: Path) -> dict[str, Any]:
    from stackgan.training.checkpoint import read_checkpoint

    state = read_checkpoint(file)
    plain = {k: v for k, v in state.items() if isinstance(v, str | int | float | bool)}
    return {
        "kind": "checkpoint",
        "path": str(file),
        **plain,
        "holds": sorted(k for k, v in state.items() if v is not None),
        "bytes": file.stat().st_size,
    }


def _model(path: str) -> dict[str, Any]:
    from stackgan.model_folder import find_model, model_name, read_config, read_truncation

    folder = Path(path).expanduser()
    try:
        folder = find_model(path)
    except ModelError:
        if (folder / "text_encoder.safetensors").is_file():
            return _safetensors(folder / "text_encoder.safetensors")
        raise
    config = read_config(folder)
    return {
        "kind": "run folder" if (Path(path) / "model").is_dir() else "model folder",
        "path": str(folder),
        "name": config.get("name") or model_name(folder),
        **{k: v for k, v in config.items() if k not in {"name", "files", "sampling"}},
        "sampling": {"truncation": read_truncation(config)},
        "files": {name: entry.get("bytes") for name, entry in config["files"].items()},
        "bytes": sum(file.stat().st_size for file in folder.iterdir() if file.is_file()),
        **_arithmetic(Path(path)),
    }


def _arithmetic(folder: Path) -> dict[str, Any]:
    """What a run computes in, where ``folder`` is a run's; and what is drawn in on this machine."""
    import torch

    from stackgan.machine import processor
    from stackgan.precision import faster_precision
    from stackgan.training.arithmetic import read_arithmetic

    begun = read_arithmetic(folder)
    of_run = {} if begun is None else {"computes": asdict(begun) | {"forms": len(begun.forms)}}
    here = {
        "processor": processor(),
        "precision": faster_precision("cpu"),
        "threads": torch.get_num_threads(),
    }
    return of_run | {"this machine": here}


def _lines(facts: dict[str, Any], indent: str = "") -> list[str]:
    lines = []
    for key, value in facts.items():
        if isinstance(value, dict) and value:
            lines += [f"{indent}{key}:", *_lines(value, indent + "  ")]
        elif value not in (None, {}, []):
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            lines.append(f"{indent}{key}: {text}".replace("\n", f"\n{indent}  "))
    return lines


def _product(shape: list[int]) -> int:
    total = 1
    for side in shape:
        total *= side
    return total
