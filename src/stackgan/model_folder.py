"""What lies in a model folder, and where one is found; nothing here reads a network.

A model folder holds

==============================  ==================================================================
``config.json``                 format tag, architecture, encoder, training card, measured scores,
                                ``sampling`` (the truncation that is used where none is named), and
                                the sha256 of every other file
``generator.safetensors``       both generators, prefixed ``stage1.`` and ``stage2.``
``text_encoder.safetensors``    the encoder whose embeddings the generators read; of one over 10 MB
                                ``config.json`` keeps name, sha256 and where it was found
``discriminator.safetensors``   the last stage's discriminator, for nearest neighbours (optional)
``stage1_discriminator...``     Stage-I's, where that is not the last: fine-tuning goes on from it
                                (``stage1_discriminator.safetensors``, optional)
``projected.safetensors``       the last stage's projected discriminator without its frozen network
                                (and ``stage1_projected.safetensors``, Stage-I's), for the same
``README.md``                   the model card (optional)
==============================  ==================================================================
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stackgan.config import Architecture
from stackgan.errors import ModelError, nearest
from stackgan.files import file_sha256, older

FORMAT = "stackgan-model/1"
CONFIG = "config.json"
GENERATOR = "generator.safetensors"
ENCODER = "text_encoder.safetensors"
DISCRIMINATOR = "discriminator.safetensors"
STAGE1_DISCRIMINATOR = "stage1_discriminator.safetensors"
PROJECTED = "projected.safetensors"
STAGE1_PROJECTED = "stage1_projected.safetensors"
CARD = "README.md"
SHIPPED = Path(__file__).parent / "shipped"


def shipped_models() -> list[str]:
    """Names of the models inside the package, sorted."""
    if not SHIPPED.is_dir():
        return []
    return sorted(folder.name for folder in SHIPPED.iterdir() if (folder / CONFIG).is_file())


def find_model(name_or_dir: str | Path) -> Path:
    """Find the model folder meant by a shipped name, a model folder or a run folder.

    A shipped name wins over a folder of the same name; write ``./flowers`` for the folder.

    Raises:
        ModelError: nothing is there, with the nearest shipped name.
    """
    text = str(name_or_dir)
    if text in shipped_models():
        return SHIPPED / text
    path = Path(name_or_dir).expanduser()
    for folder in (path, path / "model", older(path), older(path / "model")):
        if (folder / CONFIG).is_file():
            return folder
    if path.is_dir():
        raise ModelError(
            f"{path} is neither a model folder nor a run folder: it holds no {CONFIG} and no "
            f"model/{CONFIG}"
        )
    if path.exists():
        raise ModelError(f"{path} is a file; give the model folder that holds {CONFIG}")
    if os.sep in text:
        raise ModelError(f"no model folder at {path}")
    hint = nearest(text, shipped_models()) if shipped_models() else "none is shipped"
    raise ModelError(f"no model named {text!r} and no such folder; shipped models: {hint}")


def read_config(folder: Path) -> dict[str, Any]:
    """Read and check a model folder's ``config.json``; ModelError where it is not one of ours."""
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as JSON ({error})") from error
    found = config.get("format") if isinstance(config, dict) else None
    if found != FORMAT:
        raise ModelError(f"{path} has format {found!r}; this version reads {FORMAT!r}")
    missing = {"architecture", "encoder", "files"} - config.keys()
    if missing:
        raise ModelError(f"{path} lacks {', '.join(sorted(missing))}")
    return dict(config)


def read_architecture(folder: Path) -> Architecture:
    """The architecture a model folder's ``config.json`` tells; ModelError where it is unusable."""
    try:
        return Architecture(**read_config(folder)["architecture"])
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{folder / CONFIG}: unusable architecture ({reason})") from error


def read_truncation(config: Mapping[str, Any]) -> float:
    """The truncation a model folder names for sampling; 1.0, none, where it names none.

    Raises:
        ModelError: it is no number from 0 on.
    """
    sampling = config.get("sampling", {})
    found: Any = sampling.get("truncation", 1.0) if isinstance(sampling, Mapping) else None
    number = isinstance(found, int | float) and not isinstance(found, bool)
    if not number or not 0 <= found < math.inf:
        raise ModelError(
            f"{CONFIG} has sampling truncation {found!r}; expected a number from 0 on, 1 is none"
        )
    return float(found)


def model_name(folder: Path) -> str:
    """A model's name by its place: RUN for ``RUN/model``, else the folder's own name."""
    folder = folder.absolute()
    name = folder.parent.name if folder.name in {"model", ".model.old"} else folder.name
    return name or "model"


def require_file(folder: Path, name: str) -> None:
    """ModelError where a model folder lacks one of its files."""
    if not (folder / name).is_file():
        raise ModelError(f"{folder} lacks {name}; copy the whole model folder again")


def verify_file(folder: Path, name: str, config: Mapping[str, Any]) -> None:
    """ModelError where a file is not the one that ``config.json`` describes."""
    expected = config["files"].get(name, {}).get("sha256")
    found = file_sha256(folder / name)
    if found != expected:
        raise ModelError(
            f"{folder / name} is damaged: its sha256 is {found[:12]}, {CONFIG} says "
            f"{str(expected)[:12]}; copy the model folder again"
        )
