"""Torch7's ``.t7`` files, binary and ascii, as plain values: nothing is called, no bound is left.

Tables come back as :class:`Table`, objects of Torch classes as :class:`LuaObject` (a name and a
table of fields), tensors as read-only numpy arrays inside their storage. Functions, which such a
file may hold as byte code, are passed over where old modules carry one by habit and are refused
everywhere else. The reader keeps a stack of its own, so that no nesting exhausts Python's.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stackgan.errors import DataError
from stackgan.safe_pickle import Refused, opened
from stackgan.safe_pickle.machine import SPARE_BYTES, Buffer, shown

MAX_DEPTH = 20_000  # a graph of modules is read as deep as its longest path without return
_KINDS = {
    "Byte": "u1",
    "Char": "i1",
    "Short": "i2",
    "Int": "i4",
    "Long": "i8",
    "Float": "f4",
    "Double": "f8",
    "Half": "f2",
    "Cuda": "f4",
    "CudaByte": "u1",
    "CudaChar": "i1",
    "CudaShort": "i2",
    "CudaInt": "i4",
    "CudaLong": "i8",
    "CudaDouble": "f8",
    "CudaHalf": "f2",
}
_TENSORS = {f"torch.{name}Tensor": f"torch.{name}Storage" for name in _KINDS}
_STORAGES = {f"torch.{name}Storage": np.dtype(f"<{code}") for name, code in _KINDS.items()}
_HABITUAL = {"accUpdateGradParameters"}  # a function that nn.Module:share leaves in its modules

Array = np.ndarray[Any, np.dtype[Any]]


class Table:
    """A Lua table; a key may be a table itself, told from others by identity."""

    def __init__(self) -> None:
        self.items: dict[Any, Any] = {}

    def get(self, key: Any) -> Any:
        """The value under ``key``, or None as in Lua."""
        return self.items.get(key)

    def sequence(self) -> list[Any]:
        """The values under 1, 2, 3 ... to the first gap."""
        found: list[Any] = []
        while len(found) + 1 in self.items:
            found.append(self.items[len(found) + 1])
        return found


class LuaObject:
    """An object of a Torch class: its name and its fields."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.fields = Table()


class Storage:
    """A tensor's numbers, which tensors may share."""

    def __init__(self, numbers: Array) -> None:
        self.numbers = numbers


class Tensor:
    """A tensor and its place in a storage: ``same`` is equal for tensors that are one."""

    def __init__(self, values: Array, same: tuple[int, int]) -> None:
        self.values = values
        self.same = same


class _Function:
    """Where a function stood."""


def read_t7(path: Path) -> Any:
    """Read a ``.t7`` file of either form.

    Raises:
        DataError: one sentence with the file's name and what was refused, or where it is damaged.
    """
    try:
        with opened(path) as data:
            return _Reader(data).read()
    except Refused as error:
        raise DataError(f"{path}: {error}") from None
    except (ValueError, OverflowError, struct.error, TypeError) as error:
        reason = " ".join(str(error).split())[:100]
        raise DataError(f"{path}: it is damaged ({type(error).__name__}: {reason})") from None


def is_t7(start: bytes) -> bool:
    """Whether a file that starts so may be a ``.t7``: a table or an object, binary or ascii."""
    return start[:4] in (b"\3\0\0\0", b"\4\0\0\0") or start[:2] in (b"3\n", b"4\n")


class _Binary:
    """Little-endian: int of 4 bytes, long of 8."""

    def __init__(self, data: Buffer) -> None:
        self.data = data
        self.position = 0

    def whole(self) -> int:
        return int.from_bytes(self.characters(4), "little", signed=True)

    def long(self) -> int:
        return int.from_bytes(self.characters(8), "little", signed=True)

    def wholes(self, count: int) -> list[int]:
        return [self.long() for _ in range(count)]

    def double(self) -> float:
        (value,) = struct.unpack("<d", self.characters(8))
        return float(value)

    def characters(self, count: int) -> bytes:
        left = len(self.data) - self.position
        if not 0 <= count <= left:
            raise Refused(f"it claims {count} bytes at byte {self.position}, where {left} are left")
        self.position += count
        return self.data[self.position - count : self.position]

    def numbers(self, dtype: np.dtype[Any], count: int) -> Array:
        return np.frombuffer(self.characters(count * dtype.itemsize), dtype=dtype)


class _Ascii:
    """Numbers as words, one blank or line end behind each; characters as they are."""

    _WORD = re.compile(rb"\s*([^\s]{1,40})(\s|\Z)")

    def __init__(self, data: Buffer) -> None:
        self.data = data
        self.position = 0

    def _word(self) -> bytes:
        found = self._WORD.match(self.data, self.position)
        if found is None:
            raise Refused(f"it is cut short, or holds no number at byte {self.position}")
        self.position = found.end()
        return found[1]

    def whole(self) -> int:
        word = self._word()
        if not re.fullmatch(rb"-?[0-9]{1,19}", word):
            raise Refused(
                f"it holds {shown(str(word, 'latin-1'))} where a whole number is expected"
            )
        return int(word)

    long = whole

    def wholes(self, count: int) -> list[int]:
        return [self.whole() for _ in range(count)]

    def double(self) -> float:
        return float(self._word())

    def characters(self, count: int) -> bytes:
        left = len(self.data) - self.position
        if not 0 <= count <= left:
            raise Refused(f"it claims {count} bytes at byte {self.position}, where {left} are left")
        taken = self.data[self.position : self.position + count]
        self.position += count
        if count and self.data[self.position : self.position + 1] == b"\n":
            self.position += 1
        return taken

    def numbers(self, dtype: np.dtype[Any], count: int) -> Array:
        if dtype.itemsize == 1:
            return np.frombuffer(self.characters(count), dtype=dtype)
        if not 0 <= 2 * count - 1 <= len(self.data) - self.position and count:
            raise Refused(f"it claims {count} numbers at byte {self.position}, more than it holds")
        read = float if dtype.kind == "f" else int
        return np.fromiter((read(self._word()) for _ in range(count)), dtype, count)


_Source = _Binary | _Ascii
_Step = Generator[None, Any, Any]


class _Reader:
    """Reads one object; ``_step`` generators yield to be sent the next one."""

    def __init__(self, data: Buffer) -> None:
        self.source: _Source = _form(data)
        self.budget = 4 * len(data) + SPARE_BYTES
        self.seen: dict[int, Any] = {}

    def read(self) -> Any:
        steps: list[_Step] = [self._object()]
        sent: Any = None
        while steps:
            try:
                steps[-1].send(sent)
            except StopIteration as done:
                steps.pop()
                sent = done.value
            else:
                if len(steps) >= MAX_DEPTH:
                    raise Refused(f"its objects are nested more than {MAX_DEPTH} deep")
                steps.append(self._object())
                sent = None
        if isinstance(sent, _Function):
            raise Refused("it holds a Lua function, which is not allowed")
        return sent

    def _charge(self, count: int) -> None:
        self.budget -= count
        if self.budget < 0:
            raise Refused(
                f"it builds more by byte {self.source.position} than {SPARE_BYTES >> 20} MiB and "
                "four times its size"
            )

    def _object(self) -> _Step:
        self._charge(100)
        source = self.source
        tag = source.whole()
        if tag == 0:
            return None
        if tag == 1:
            value = source.double()
            return int(value) if value.is_integer() and abs(value) < 2**53 else value
        if tag == 2:
            return _text(self._string())
        if tag == 5:
            return source.whole() == 1
        if tag not in (3, 4, 6, 7, 8):
            raise Refused(
                f"it is no .t7 file, or a damaged one: object type {tag} near byte "
                f"{source.position}"
            )
        index = 0 if tag == 6 else source.whole()
        if tag != 6 and index in self.seen:
            return self.seen[index]
        if tag == 3:
            return (yield from self._table(index))
        if tag == 4:
            return (yield from self._torch(index))
        self._string()
        if tag != 6:
            self.seen[index] = _Function()
        yield
        return _Function()

    def _string(self) -> bytes:
        taken = self.source.characters(self.source.whole())
        self._charge(len(taken) + 60)
        return taken

    def _table(self, index: int) -> _Step:
        table = self.seen[index] = Table()
        self._charge(400)
        for _ in range(self.source.whole()):
            key = yield
            value = yield
            if isinstance(value, _Function):
                if key not in _HABITUAL:
                    raise Refused(
                        f"it holds a Lua function under {_named(key)}, which is not allowed"
                    )
                continue
            if key is None or key != key or isinstance(key, _Function | Storage | Tensor):
                raise Refused(f"it uses a {type(key).__name__.strip('_')} as a key of a table")
            table.items[key] = value
        return table

    def _torch(self, index: int) -> _Step:
        version = self._string()
        name = _text(self._string() if version.startswith(b"V ") else version)
        if name in _STORAGES:
            numbers = self.source.numbers(_STORAGES[name], self.source.long())
            self._charge(numbers.nbytes)
            storage = self.seen[index] = Storage(numbers)
            return storage
        if name in _TENSORS:
            return (yield from self._tensor(index, name))
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]{0,79}", name) or name.startswith("tds."):
            raise Refused(f"it holds an object of class {shown(name)}, which is not read")
        made = self.seen[index] = LuaObject(name)
        fields = yield
        if not isinstance(fields, Table):
            raise Refused(f"it holds an object of class {shown(name)} without a table of fields")
        made.fields = fields
        return made

    def _tensor(self, index: int, name: str) -> _Step:
        sides_count = self.source.whole()
        if not 0 <= sides_count <= 16:
            raise Refused(f"it holds a tensor of {sides_count} dimensions")
        sides = self.source.wholes(sides_count)
        steps = self.source.wholes(sides_count)
        start = self.source.long() - 1
        storage = yield
        if storage is None or not sides:
            made = self.seen[index] = Tensor(np.empty(0, "f4"), (index, -1))
            return made
        if not isinstance(storage, Storage):
            raise Refused(f"it holds a {shown(name)} without a storage")
        held, count = storage.numbers, math.prod(sides)
        last = start + sum((side - 1) * step for side, step in zip(sides, steps, strict=True))
        fits = start >= 0 and all(value >= 0 for value in (*sides, *steps)) and count <= held.size
        if not fits or (count and last >= held.size):
            raise Refused(
                f"it holds a tensor of {'x'.join(map(str, sides))} numbers that reaches out of its "
                f"storage of {held.size}"
            )
        self._charge(count * held.itemsize)
        strides = [step * held.itemsize for step in steps]
        values = np.lib.stride_tricks.as_strided(held[start:], sides, strides, writeable=False)
        made = self.seen[index] = Tensor(values, (id(storage), start))
        return made


def _form(data: Buffer) -> _Source:
    if len(data) >= 4 and data[1:4] == b"\0\0\0" and data[0] <= 8:
        return _Binary(data)
    if re.match(rb"[0-8]\r?\n", data[:3]):
        return _Ascii(data)
    raise Refused("it is no .t7 file: it begins neither as the binary nor as the ascii form")


def _text(raw: bytes) -> str:
    """Lua's strings are bytes: UTF-8 where they can be, else latin-1."""
    try:
        return str(raw, "utf-8")
    except UnicodeDecodeError:
        return str(raw, "latin-1")


def _named(key: Any) -> str:
    return shown(key) if isinstance(key, str) else f"a {type(key).__name__}"


def walk(found: Any) -> Iterator[Table | LuaObject]:
    """Every table and object that ``found`` reaches, each once, in the file's order."""
    done: set[int] = set()
    todo = [found]
    while todo:
        value = todo.pop()
        if not isinstance(value, Table | LuaObject) or id(value) in done:
            continue
        done.add(id(value))
        yield value
        if isinstance(value, LuaObject):
            todo.append(value.fields)
        else:
            todo += [part for pair in value.items.items() for part in pair][::-1]
