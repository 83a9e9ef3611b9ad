"""What the names a pickle may use build here: each gets the machine, then the file's arguments."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackgan.safe_pickle.machine import (
    Dtype,
    Global,
    Machine,
    OrderedDict,
    Rebuild,
    Refused,
    expect,
    kind,
    plain_key,
    shown,
    text_of,
)


def build(machine: Machine, target: Any, state: Any) -> None:
    """Give ``target`` its state: dtypes and arrays only."""
    if isinstance(target, Dtype):
        _describe(target, state)
    elif id(target) in machine.unbuilt:
        _fill_array(machine, machine.unbuilt.pop(id(target)), state)
    elif not (isinstance(target, OrderedDict) and _only_metadata(state)):
        raise Refused(f"it sets the state of a {kind(target)}, which is not allowed")


def _ordered(machine: Machine, pairs: Any = ()) -> dict[Any, Any]:
    machine.charge(64 + 100 * len(pairs))
    return OrderedDict((plain_key(key), value) for key, value in pairs)


def _set(machine: Machine, items: Any = ()) -> set[Any]:
    machine.charge(216 + 64 * len(expect(items, list, tuple)))
    return {plain_key(item) for item in items}


def _frozenset(machine: Machine, items: Any = ()) -> frozenset[Any]:
    return frozenset(_set(machine, items))


def _bytes(machine: Machine) -> bytes:
    return b""


def _bytearray(machine: Machine, content: Any = b"", encoding: Any = "latin-1") -> bytearray:
    content = _encode(machine, content, encoding) if isinstance(content, str) else content
    machine.charge(len(expect(content, bytes, bytearray)))
    return bytearray(content)


def _complex(machine: Machine, real: Any, imaginary: Any) -> complex:
    return complex(expect(real, int, float), expect(imaginary, int, float))


def _encode(machine: Machine, text: Any, encoding: Any) -> bytes:
    """How Python 3 writes bytes under protocols 0 to 2."""
    if encoding not in ("latin1", "latin-1"):
        raise Refused("it encodes text as something else than latin1")
    machine.charge(len(expect(text, str)))
    return bytes(text.encode("latin-1"))


_DTYPE = re.compile(r"(b1|\?|[iu][1248]|f[248]|c8|c16|[SUa][1-9][0-9]{0,5})\Z")


def _dtype(machine: Machine, code: Any, align: Any = False, copy: Any = True) -> Dtype:
    if not _DTYPE.match(text_of(code)):
        raise Refused(f"it holds an array of dtype {shown(text_of(code))}, which is not allowed")
    return Dtype(text_of(code).replace("a", "S"))


def _describe(dtype: Dtype, state: Any) -> None:
    order = text_of(expect(state, tuple)[1])
    fields = [part for part in state[2:5] if part is not None]
    if fields or order not in ("<", ">", "=", "|"):
        raise Refused("it holds an array of records, which is not allowed")
    dtype.order = order


def _reconstruct(machine: Machine, subtype: Any, shape: Any, code: Any) -> NDArray[Any]:
    if not (isinstance(subtype, Global) and subtype.path == "numpy.ndarray"):
        raise Refused(f"it holds an array of another class, {kind(subtype)}, which is not allowed")
    made: NDArray[Any] = np.empty(0)
    machine.charge(112)
    machine.unbuilt[id(made)] = made
    return made


def _fill_array(machine: Machine, array: NDArray[Any], state: Any) -> None:
    shape, dtype, fortran, content = expect(state, tuple)[-4:]
    raw, real, sides = _checked(machine, content, dtype, shape)
    fresh: Any = array  # numpy's own types know the lists of object arrays alone
    fresh.__setstate__((1, sides, real, bool(expect(fortran, int, bool)), bytes(raw)))


def _array(
    machine: Machine, content: Any, dtype: Any, shape: Any, order: Any = "C"
) -> NDArray[Any]:
    raw, real, sides = _checked(machine, content, dtype, shape)
    copied: NDArray[Any] = np.frombuffer(raw, dtype=real).copy()
    return copied.reshape(sides, order="F" if text_of(order) == "F" else "C")


def _checked(
    machine: Machine, content: Any, dtype: Any, shape: Any
) -> tuple[bytes | bytearray, np.dtype[Any], tuple[int, ...]]:
    """An array's bytes, type and sides; refused where they disagree, before any is reserved."""
    real = expect(dtype, Dtype).real()
    sides = tuple(expect(side, int) for side in expect(shape, tuple))
    if len(sides) > 32 or any(not 0 <= side < 2**40 for side in sides):
        raise Refused("it holds an array of impossible shape")
    raw = content.encode("utf-8") if isinstance(content, str) else content
    wanted = math.prod(sides) * real.itemsize
    if len(expect(raw, bytes, bytearray)) != wanted:
        raise Refused(f"it holds an array that claims {wanted} bytes and has {len(raw)}")
    machine.charge(wanted + 112)
    if real.kind == "U":
        points = np.frombuffer(raw, dtype=np.dtype("u4").newbyteorder(real.byteorder))
        if (bad := (points > 0x10FFFF) | ((points >= 0xD800) & (points < 0xE000))).any():
            raise Refused(f"it holds an array of text with {int(bad.sum())} impossible characters")
    if real.kind == "b" and raw.strip(b"\0\1"):
        raise Refused("it holds an array of booleans that are neither 0 nor 1")
    return raw, real, sides


def _scalar(machine: Machine, dtype: Any, content: Any) -> Any:
    return _array(machine, content, dtype, ())[()]


def _only_metadata(state: Any) -> bool:
    return isinstance(state, dict) and set(state) <= {"_metadata"}


_PLAIN: dict[str, Rebuild] = {
    "set": _set,
    "frozenset": _frozenset,
    "bytes": _bytes,
    "bytearray": _bytearray,
    "complex": _complex,
}
_NUMPY: dict[str, Rebuild] = {
    "multiarray._reconstruct": _reconstruct,
    "multiarray.scalar": _scalar,
    "numeric._frombuffer": _array,
}
REBUILD: dict[str, Rebuild] = {
    "collections.OrderedDict": _ordered,
    "_codecs.encode": _encode,
    "numpy.dtype": _dtype,
    **{f"{home}.{n}": made for home in ("builtins", "__builtin__") for n, made in _PLAIN.items()},
    **{f"numpy.{core}.{n}": made for core in ("core", "_core") for n, made in _NUMPY.items()},
}
