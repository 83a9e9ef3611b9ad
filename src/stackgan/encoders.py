"""Which encoder a model has: found by name or path, kept in its folder or told where it was."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stackgan.errors import ModelError, nearest
from stackgan.files import file_sha256
from stackgan.model_folder import (
    CONFIG,
    ENCODER,
    find_model,
    read_config,
    require_file,
    shipped_models,
    verify_file,
)
from stackgan.text import TextEncoder, encoder_names, is_encoder, load_encoder
from stackgan.text.absent import Absent

MOST_ENCODER_BYTES = 10_000_000
"""An encoder up to this size travels in the model folder."""


def find_encoder(name_or_path: str | Path) -> TextEncoder:
    """Load an encoder by name, file or folder; else the one of a shipped, model or run folder.

    Raises:
        ModelError: none of these is there (with the nearest name), or the file is no encoder.
        InputError: it needs a package that is not installed.
    """
    path = Path(name_or_path)
    in_model = (path / CONFIG).is_file() and (path / ENCODER).is_file()
    if is_encoder(name_or_path) and not in_model:
        return load_encoder(name_or_path)
    try:
        folder = find_model(name_or_path)
    except ModelError as error:
        if os.sep in str(name_or_path) or Path(name_or_path).exists():
            raise ModelError(f"{name_or_path} is no encoder file or folder, and {error}") from None
        hint = nearest(str(name_or_path), [*encoder_names(), *shipped_models()])
        raise ModelError(
            f"no encoder and no model named {str(name_or_path)!r}, and no such file or folder; "
            f"{hint}"
        ) from None
    return matching_encoder(folder, read_config(folder), None)


def describe(encoder: TextEncoder, at_any_size: bool = False) -> dict[str, Any]:
    """What ``config.json`` keeps of an encoder; ``file`` is None where it does not travel."""
    size = getattr(encoder, "file_bytes", None)
    inside = size is not None and (at_any_size or size() <= MOST_ENCODER_BYTES)
    return {
        "name": encoder.name,
        "dim": encoder.dim,
        "sha256": encoder.sha256,
        "file": ENCODER if inside else None,
        "source": None if inside else getattr(encoder, "source", None),
    }


def matching_encoder(
    folder: Path, config: Mapping[str, Any], given: TextEncoder | None
) -> TextEncoder:
    """The encoder the generators were trained with: the folder's own, or the one given."""
    wanted = config["encoder"]
    if not wanted["sha256"]:
        return _for_absent(folder, wanted, given)
    if given is not None:
        _require_same(folder, wanted, given.name, given.sha256)
        return given
    if not wanted.get("file"):
        return _encoder_elsewhere(folder, wanted)
    require_file(folder, ENCODER)
    intact = file_sha256(folder / ENCODER) == config["files"].get(ENCODER, {}).get("sha256")
    try:
        encoder = load_encoder(folder / ENCODER)
    except ModelError:
        if not intact:
            verify_file(folder, ENCODER, config)
        raise
    if not intact:
        if encoder.name != wanted["name"]:
            _require_same(folder, wanted, encoder.name, encoder.sha256)
        verify_file(folder, ENCODER, config)
    return encoder


def _for_absent(folder: Path, wanted: Mapping[str, Any], given: TextEncoder | None) -> TextEncoder:
    """The encoder of a model that was imported without one: any whose embeddings it can read."""
    if given is not None and given.dim != wanted["dim"]:
        raise ModelError(
            f"{folder} reads embeddings of {wanted['dim']} numbers, the encoder {given.name!r} "
            f"makes {given.dim}"
        )
    return given or Absent(int(wanted["dim"]))


def _encoder_elsewhere(folder: Path, wanted: Mapping[str, Any]) -> TextEncoder:
    """An encoder that is not in the model folder, from where it was found in training.

    That is a name, a path, or the folder ``encoder`` of the run that ``folder`` lies in.
    """
    source = wanted.get("source")
    places = [place for place in (source, folder.parent / "encoder") if place and is_encoder(place)]
    for place in places:
        encoder = load_encoder(place)
        if encoder.sha256 == wanted["sha256"]:
            return encoder
    where = f", which was at {source}" if source else ""
    if source and places:
        _require_same(folder, wanted, f"what is now at {source}", encoder.sha256)
    raise ModelError(
        f"{folder} keeps no encoder: name {wanted['name']!r} (sha256 "
        f"{str(wanted['sha256'])[:12]}){where}, with --encoder or encoder="
    )


def _require_same(folder: Path, wanted: Mapping[str, Any], name: str, sha256: str) -> None:
    if sha256 != wanted["sha256"]:
        raise ModelError(
            f"{folder} was trained with encoder {wanted['name']!r} (sha256 "
            f"{str(wanted['sha256'])[:12]}), not with {name!r} ({sha256[:12]}); give it the "
            "encoder it was trained with"
        )
