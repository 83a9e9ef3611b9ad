"""Weights of a ``.pth`` file: ``torch.save``'s old and new format, read without torch's own loader.

Both formats are pickles that name tensors, with the numbers beside them: behind the pickle in the
old one, as entries of a zip archive in the new one. Only tensors are built, each inside its own
storage; a compressed entry (which could unpack to any size) is refused.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stackgan.errors import ModelError
from stackgan.safe_pickle import Refused, Unpickler, opened
from stackgan.safe_pickle.machine import Buffer, Global, Machine, expect, kind, shown

MAGIC = 0x1950A86A20F9469CFC6C
_START = b"\x80\x02\x8a\x0a" + MAGIC.to_bytes(10, "little") + b"."
_TYPES = {
    "Float": torch.float32,
    "Double": torch.float64,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
}
_STORAGES = {
    f"{home}.{name}Storage": dtype
    for home in ("torch", "torch.cuda")
    for name, dtype in _TYPES.items()
}
_INNER = ("state_dict", "model", "netG", "netD")


@dataclass(frozen=True)
class _Storage:
    """Numbers a pickle refers to: ``count`` of them from ``start`` of what ``key`` holds."""

    key: str
    dtype: torch.dtype
    whole: int
    start: int
    count: int


@dataclass(frozen=True)
class _View:
    """A tensor that a pickle describes, before its numbers are read."""

    storage: _Storage
    start: int
    sides: tuple[int, ...]
    steps: tuple[int, ...]


def is_pth(start: bytes) -> bool:
    """Whether a file that starts so was written by ``torch.save``, in any format."""
    return start[:2] == b"PK" or start[:15] == _START or start[257:262] == b"ustar"


def read_pth(path: Path) -> dict[str, Tensor]:
    """Read the state dict of a ``.pth`` file; a leading ``module.`` goes from every name.

    Raises:
        ModelError: one sentence with the file's name and what was refused, or where it is damaged.
    """
    try:
        with opened(path) as data:
            found, numbers = (_zipped if data[:2] == b"PK" else _plain)(data)
            views = _views(found)
            return {key: _tensor(view, numbers) for key, view in views.items()}
    except Refused as error:
        raise ModelError(f"{path}: {error}") from None
    except (ValueError, RuntimeError, OverflowError, TypeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ModelError(f"{path}: it is damaged ({type(error).__name__}: {reason})") from None


def _views(found: Any) -> dict[str, _View]:
    for key in _INNER:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not found:
        raise Refused(f"it holds {_what(found)}, expected a state dict: tensors by their names")
    prefixed = all(isinstance(key, str) and key.startswith("module.") for key in found)
    views = {}
    for key, value in found.items():
        if not isinstance(key, str):
            raise Refused(f"it calls a tensor {shown(str(key))}, expected a name")
        if not isinstance(value, _View):
            raise Refused(f"it holds {_what(value)} under {shown(str(key))}, expected a tensor")
        views[key.removeprefix("module.") if prefixed else key] = value
    return views


def _what(found: Any) -> str:
    """What a file holds, in an error's words."""
    if isinstance(found, _View):
        return "a tensor alone"
    if isinstance(found, _Storage):
        return "a tensor's numbers alone"
    if isinstance(found, dict) and not found:
        return "an empty dictionary"
    return kind(found) if isinstance(found, Global) else f"a value of type {kind(found)}"


def _tensor(view: _View, numbers: Callable[[_Storage], Tensor]) -> Tensor:
    """A view of its numbers where it covers them all, else a copy that frees the rest."""
    whole = numbers(view.storage)
    part = whole.as_strided(view.sides, view.steps, view.storage.start + view.start)
    covered = part.numel() == whole.numel() and part.is_contiguous()
    return part if covered else part.clone()


# The two formats.


def _unpickle(data: Buffer, start: int = 0) -> tuple[Any, int]:
    machine = Unpickler(
        data, start, rebuild=_REBUILD, persistent=_persistent, allowed=(_View, _Storage)
    )
    return machine.load(), machine.position


def _plain(data: Buffer) -> tuple[Any, Callable[[_Storage], Tensor]]:
    """The old format: magic number, version, machine, object, storage keys, then the numbers."""
    if data[257:262] == b"ustar":
        raise Refused("it is a tar archive of PyTorch before 0.1.10; load and save it there first")
    magic, end = _unpickle(data)
    if magic != MAGIC:
        raise Refused(f"it is a pickle of a {kind(magic)}, expected a file of torch.save")
    version, end = _unpickle(data, end)
    system, end = _unpickle(data, end)
    if version != 1001 or not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Refused("it is of another version of torch.save, or of a big-endian machine")
    found, end = _unpickle(data, end)
    keys, end = _unpickle(data, end)
    places: dict[str, tuple[int, int]] = {}
    sizes = {view.storage.key: view.storage for view in _all_views(found)}
    for key in expect(keys, list):
        if key not in sizes:
            raise Refused(f"it holds numbers {shown(str(key))} that no tensor uses")
        storage = sizes[key]
        count = int.from_bytes(data[end : end + 8], "little", signed=True)
        length = count * storage.dtype.itemsize
        if count != storage.whole or end + 8 + length > len(data):
            raise Refused(
                f"it claims {max(count, storage.whole)} numbers at byte {end}, where "
                f"{max(0, len(data) - end - 8)} bytes are left"
            )
        places[key] = (end + 8, length)
        end += 8 + length

    def bytes_of(storage: _Storage) -> bytes:
        if storage.key not in places:
            raise Refused(f"it lacks the numbers {shown(storage.key)}")
        start, length = places[storage.key]
        return data[start : start + length]

    return found, _cached(bytes_of)


def _all_views(found: Any) -> list[_View]:
    """Every view in nested dictionaries, lists and tuples; the unpickler has bounded the depth."""
    if isinstance(found, _View):
        return [found]
    if isinstance(found, dict):
        found = list(found.values())
    if isinstance(found, list | tuple):
        return [view for item in found for view in _all_views(item)]
    return []


def _zipped(data: Buffer) -> tuple[Any, Callable[[_Storage], Tensor]]:
    """The new format: a zip archive with ``data.pkl`` and an entry for each storage."""
    try:
        archive = zipfile.ZipFile(BytesIO(data))
        entries = {}
        for entry in archive.infolist():
            _check_entry(entry, len(data))
            if entry.filename in entries:
                raise Refused(f"it holds {shown(entry.filename)} twice")
            entries[entry.filename] = entry
        roots = [name.removesuffix("data.pkl") for name in entries if name.endswith("/data.pkl")]
        if len(roots) != 1 or f"{roots[0]}constants.pkl" in entries:
            what = "a TorchScript program" if roots else "a zip archive without data.pkl"
            raise Refused(f"it is {what}, expected weights written by torch.save")
        order = entries.get(f"{roots[0]}byteorder")
        if order is not None and archive.read(order) != b"little":
            raise Refused("it is of a big-endian machine")
        found, _ = _unpickle(archive.read(entries[f"{roots[0]}data.pkl"]))
    except _BAD_ZIP as error:
        raise _damaged(error) from None

    def bytes_of(storage: _Storage) -> bytes:
        entry = entries.get(f"{roots[0]}data/{storage.key}")
        if entry is None or entry.file_size != storage.whole * storage.dtype.itemsize:
            has = "none" if entry is None else f"{entry.file_size} bytes"
            raise Refused(
                f"it claims {storage.whole} numbers for {shown(storage.key)} and has {has}"
            )
        try:
            return archive.read(entry)
        except _BAD_ZIP as error:
            raise _damaged(error) from None

    return found, _cached(bytes_of)


_BAD_ZIP = (
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError),
    *(ValueError, IndexError, OverflowError),
)


def _damaged(error: Exception) -> Refused:
    return Refused(f"it is a damaged zip archive ({' '.join(str(error).split())[:100]})")


def _check_entry(entry: zipfile.ZipInfo, size: int) -> None:
    name = shown(entry.filename)
    if entry.filename.startswith("/") or ".." in entry.filename.split("/") or ":" in name:
        raise Refused(f"it holds an entry {name} that leads out of it")
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
        raise Refused(f"its entry {name} is compressed, which torch.save never does")
    if entry.file_size > size:
        raise Refused(f"its entry {name} claims {entry.file_size} bytes, more than the file holds")


def _cached(bytes_of: Callable[[_Storage], bytes]) -> Callable[[_Storage], Tensor]:
    kept: dict[str, Tensor] = {}

    def numbers(storage: _Storage) -> Tensor:
        if storage.key not in kept:
            raw = bytearray(bytes_of(storage))
            made = torch.frombuffer(raw, dtype=torch.uint8) if raw else torch.empty(0).byte()
            kept[storage.key] = made
        return kept[storage.key].view(storage.dtype)

    return numbers


# What a pickle of torch.save may name.


def _persistent(identity: Any) -> _Storage:
    tag, *rest = expect(identity, tuple) or ("nothing",)
    if tag == "module" and rest and isinstance(rest[0], Global):
        raise Refused(f"it holds the class {shown(rest[0].path)}, expected tensors alone")
    if tag != "storage" or len(rest) not in (4, 5) or not isinstance(rest[0], Global):
        raise Refused(f"it refers to {shown(str(tag))} outside itself in an unknown way")
    storage_type, key, _, count, *more = rest
    dtype = _STORAGES.get(storage_type.path)
    if dtype is None:
        raise Refused(f"it holds numbers of type {shown(storage_type.path)}, which is not allowed")
    key, count = expect(key, str), expect(count, int)
    start, part = 0, count
    if more and more[0] is not None:
        _, start, part = (expect(value, str, int) for value in expect(more[0], tuple))
    if not (0 <= count < 2**48 and start >= 0 and part >= 0 and start + part <= count):
        raise Refused(f"it claims {part} of {count} numbers for {shown(key)}")
    return _Storage(key, dtype, count, start, part)


def _rebuild(
    machine: Machine, storage: Any, start: Any, sides: Any, steps: Any, *more: Any
) -> _View:
    storage = expect(storage, _Storage)
    sides = tuple(expect(side, int) for side in expect(sides, tuple))
    steps = tuple(expect(step, int) for step in expect(steps, tuple))
    start = expect(start, int)
    count = math.prod(sides)
    last = start + sum((side - 1) * step for side, step in zip(sides, steps, strict=True))
    fits = start >= 0 and all(value >= 0 for value in (*sides, *steps)) and len(sides) <= 16
    if not fits or (count and last >= storage.count):
        raise Refused(f"it holds a tensor {list(sides)[:16]} that reaches out of its numbers")
    machine.charge(2 * count * storage.dtype.itemsize + 400)
    return _View(storage, start, sides, steps)


def _parameter(machine: Machine, data: Any, *more: Any) -> _View:
    made: _View = expect(data, _View)
    return made


_REBUILD: Mapping[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _rebuild,
    "torch._utils._rebuild_tensor_v2": _rebuild,
    "torch._utils._rebuild_parameter": _parameter,
}
