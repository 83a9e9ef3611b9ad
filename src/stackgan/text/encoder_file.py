"""The file of a text encoder: safetensors, its kind and all that is no tensor in the metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor

from stackgan.errors import ModelError
from stackgan.files import whole_file

FORMAT = "stackgan-encoder/1"
FILE_NAME = "text_encoder.safetensors"


def encoder_file(folder_or_file: Path) -> Path:
    """The encoder's file where ``folder_or_file`` is a folder, else that file."""
    return folder_or_file / FILE_NAME if folder_or_file.is_dir() else folder_or_file


def to_file_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Return the whole file, its header's keys sorted.

    The library writes metadata in the order of a hash map, another one each time; the same encoder
    must be the same bytes.
    """
    file = to_safetensors(dict(tensors), metadata={**metadata, "format": FORMAT})
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + file[end:]


def write_file(path: Path, data: bytes) -> Path:
    """Write an encoder's file, atomically; ``path`` may be a folder. Returns the file."""
    file = path if path.suffix == ".safetensors" else path / FILE_NAME
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as part:
        part.write_bytes(data)
    return file


def read_metadata(file: Path) -> dict[str, str]:
    """Return the metadata of an encoder's file, ``kind`` among them.

    Raises:
        ModelError: no such file, no safetensors file, or one that is no text encoder.
    """
    if not file.is_file():
        raise ModelError(
            f"{file}: no such encoder file; make one with `stackgan encoder train --out DIR`"
        )
    try:
        with safe_open(file, framework="pt") as opened:
            metadata = dict(opened.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise _unreadable(file, error) from None
    if metadata.get("format") != FORMAT or "kind" not in metadata:
        found = metadata.get("format", "another safetensors file")
        raise ModelError(f"{file} is {found!r}, expected a text encoder ({FORMAT})")
    return metadata


def read_file(file: Path, kind: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return metadata and tensors of a ``kind`` of encoder; nothing in it is ever executed.

    Raises:
        ModelError: no such file, a damaged one, or another kind of encoder.
    """
    metadata = read_metadata(file)
    if metadata["kind"] != kind:
        raise ModelError(f"{file} is of kind {metadata['kind']!r}, expected a text encoder {kind}")
    try:
        with safe_open(file, framework="pt") as opened:
            return metadata, {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise _unreadable(file, error) from None


def read_table(file: Path, kind: str, rows: str, table: str) -> tuple[list[str], Tensor, str]:
    """Read an encoder that is a table of float32 ``table``: its ``rows``' texts, and its name.

    Raises:
        ModelError: as :func:`read_file`, or a table that does not fit its texts.
    """
    metadata, tensors = read_file(file, kind)
    try:
        texts = [str(text) for text in json.loads(metadata[rows])]
        values, name = tensors[table], metadata["name"]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{file}: the metadata of this encoder is damaged: {error}") from None
    if values.ndim != 2 or len(values) != len(texts) or values.dtype != torch.float32:
        found = f"{values.dtype} {list(values.shape)}"
        raise ModelError(f"{file}: tensor {table!r} is {found}, expected float32 [{len(texts)}, E]")
    return texts, values, name


def _unreadable(file: Path, error: Exception) -> ModelError:
    return ModelError(
        f"{file} is not a safetensors file, expected one that `stackgan encoder train` wrote "
        f"(a published .pth file is read by `stackgan import`): {error}"
    )
