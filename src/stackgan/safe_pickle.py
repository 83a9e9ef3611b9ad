"""The restricted unpickler: arrays, numbers, strings and containers; anything else refused by name.

A pickle is a program. This module reads that program's instructions itself: nothing in a file is
ever imported, called or looked up, whatever it names. What a file may build is written down here:

* None, booleans, numbers, text, bytes, lists, tuples, dictionaries, sets (``OrderedDict`` comes
  back as a plain dictionary);
* numpy arrays and scalars of booleans, numbers and strings, by the names of numpy 1 and 2;
* what a caller allows by name in ``rebuild`` (the reader of ``.pth`` files allows tensors).

Python 2's ``str`` comes back as text where it is UTF-8, else as bytes. Memory is bounded: a length
that the file cannot hold is refused before anything of it is reserved, and what is built may
take four times the file's size and 256 MiB, no more. Time grows with the file's size alone.
"""

from __future__ import annotations

import codecs
import math
import mmap
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from stackgan.errors import DataError

SPARE_BYTES = 256 * 2**20
MAX_DEPTH = 100  # containers inside one another
MAX_INT_BYTES = 64

Buffer = bytes | mmap.mmap
Rebuild = Callable[..., Any]


class Refused(DataError):
    """A file asks for what is not allowed, or is damaged; the message lacks the file's name."""


class Global:
    """A name a pickle mentions, as two words; it is never looked up."""

    def __init__(self, module: str, name: str) -> None:
        self.path = f"{module}.{name}"


class _Dtype:
    """A numpy dtype while it is being described; an array's state turns it into a real one."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.order = "="

    def real(self) -> np.dtype[Any]:
        return np.dtype(self.code).newbyteorder(self.order)  # type: ignore[arg-type]


class _OrderedDict(dict[Any, Any]):
    """A dictionary that may be given the attribute torch's state dicts carry."""


def load(source: Path | bytes, name: str | None = None) -> Any:
    """Read a pickle of protocol 0 to 5, written by Python 2 or 3, without executing anything.

    Args:
        source: the file, or its bytes.
        name: what an error calls it; the path where it is one.

    Raises:
        DataError: one sentence with the file's name and what was refused, or where it is damaged.
    """
    label = name or (str(source) if isinstance(source, Path) else "the pickle")
    try:
        with opened(source) as data:
            return Unpickler(data).load()
    except Refused as error:
        raise DataError(f"{label}: {error}") from None


@contextmanager
def opened(source: Path | bytes) -> Iterator[Buffer]:
    """A file's bytes without reading them all; ``Refused`` where it cannot be opened."""
    if isinstance(source, bytes):
        yield source
        return
    if not source.exists():
        raise Refused("there is no such file")
    if not source.is_file():
        raise Refused("this is no file")
    try:
        with source.open("rb") as file:
            if not file.seek(0, 2):
                yield b""
                return
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                yield mapped
    except OSError as error:
        raise Refused(f"it cannot be read: {(error.strerror or str(error)).lower()}") from None


class Unpickler:
    """Reads one pickle of ``data`` from ``start``; afterwards ``position`` is just behind it.

    ``rebuild`` names further callables a file may use, each with the function that does it here;
    ``persistent`` answers persistent ids, which are refused without it.
    """

    def __init__(
        self,
        data: Buffer,
        start: int = 0,
        *,
        rebuild: Mapping[str, Rebuild] | None = None,
        persistent: Callable[[Any], Any] | None = None,
        allowed: tuple[type, ...] = (),
    ) -> None:
        self.data = data
        self.size = len(data)
        self.position = start
        self.budget = 4 * self.size + SPARE_BYTES
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.unbuilt: dict[int, Any] = {}  # arrays made empty, waiting for their state
        self.rebuild = {**_REBUILD, **(rebuild or {})}
        self.persistent = persistent
        self.allowed = (*_PLAIN, *allowed)

    def load(self) -> Any:
        """Return the object; ``Refused`` says what the file asked for that is not allowed."""
        try:
            while (code := self.take(1)[0]) != _STOP:
                step = _STEPS.get(code)
                if step is None:
                    raise Refused(_unknown(code, self.position - 1))
                step(self)
            if len(self.stack) != 1:
                raise Refused(f"it ends with {len(self.stack)} objects in place of one")
            found = self.stack.pop()
            self._check(found)
        except (IndexError, KeyError, TypeError, ValueError, OverflowError, struct.error) as error:
            reason = " ".join(str(error).split())[:100]
            raise Refused(
                f"it is damaged near byte {self.position} ({type(error).__name__}: {reason})"
            ) from None
        return found

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        end = self.position + count
        if count < 0 or end > self.size:
            left = self.size - self.position
            raise Refused(f"it claims {count} bytes at byte {self.position}, where {left} are left")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def line(self) -> bytes:
        """The bytes to the end of the line, without it."""
        end = self.data.find(b"\n", self.position)
        if end < 0:
            raise Refused(f"it is cut short: no line ends after byte {self.position}")
        return self.take(end + 1 - self.position)[:-1]

    def number(self, form: str) -> int:
        """The next number in the notation of ``struct``."""
        (value,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return int(value)

    def charge(self, count: int) -> None:
        """Count ``count`` bytes that are about to be reserved."""
        self.budget -= count
        if self.budget < 0:
            raise Refused(
                f"what it builds by byte {self.position} takes more than {SPARE_BYTES >> 20} MiB "
                "and four times its size"
            )

    def push(self, value: Any, cost: int = 32) -> None:
        """Put an object of about ``cost`` bytes on the stack."""
        self.charge(cost + 8)
        self.stack.append(value)

    def pop(self) -> Any:
        """Take the topmost object above the last mark."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise Refused(f"it takes an object that is not there, at byte {self.position}")
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        """Take all objects above the last mark."""
        if not self.marks:
            raise Refused(f"it looks for a mark that is not there, at byte {self.position}")
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def store(self, index: int) -> None:
        """Remember the topmost object under ``index``."""
        if not 0 <= index <= self.size:
            raise Refused(f"it numbers a remembered object {index}, more than it can hold")
        self.charge(100)
        top = self.pop()
        self.stack.append(top)
        self.memo[index] = top

    def recall(self, index: int) -> None:
        """Put the object remembered under ``index`` on the stack."""
        if index not in self.memo:
            raise Refused(f"it recalls object {index}, which it never stored")
        self.push(self.memo[index], 0)

    def call(self, function: Any, arguments: Any) -> Any:
        """What one of the allowed names makes of its arguments."""
        if not isinstance(function, Global):
            raise Refused(f"it calls a {type(function).__name__}, which nothing here may")
        made = self.rebuild.get(function.path)
        if made is None:
            raise Refused(f"it calls {shown(function.path)}, which is not allowed")
        if not isinstance(arguments, tuple):
            raise Refused(f"it calls {shown(function.path)} without a tuple of arguments")
        try:
            return made(self, *arguments)
        except TypeError:
            raise Refused(
                f"it calls {shown(function.path)} with {len(arguments)} arguments that do not fit"
            ) from None

    def build(self, target: Any, state: Any) -> None:
        """Give ``target`` its state: dtypes and arrays only."""
        if isinstance(target, _Dtype):
            _describe(target, state)
        elif id(target) in self.unbuilt:
            _fill_array(self, self.unbuilt.pop(id(target)), state)
        elif not (isinstance(target, _OrderedDict) and _only_metadata(state)):
            raise Refused(f"it sets the state of a {_kind(target)}, which is not allowed")

    def _check(self, found: Any) -> None:
        """Refuse what is left half-made, cyclic or nested too deep. No recursion, each once."""
        done: set[int] = set()
        path: list[tuple[int, Iterator[Any]]] = []
        open_ids: set[int] = set()
        todo: Any = iter((found,))
        own = 0
        while True:
            child = next(todo, _END)
            if child is _END:
                open_ids.discard(own)
                done.add(own)
                if not path:
                    break
                own, todo = path.pop()
                continue
            if not isinstance(child, self.allowed) or id(child) in self.unbuilt:
                raise Refused(f"it holds {_kind(child)}, which is not allowed")
            if not isinstance(child, _CONTAINERS) or id(child) in done:
                continue
            if id(child) in open_ids:
                raise Refused("it holds a container that holds itself")
            if len(path) >= MAX_DEPTH:
                raise Refused(f"its containers are nested more than {MAX_DEPTH} deep")
            path.append((own, todo))
            own = id(child)
            open_ids.add(own)
            todo = iter(child.values() if isinstance(child, dict) else child)


_END = object()
_CONTAINERS = (list, tuple, dict, set, frozenset)
_PLAIN = (
    *(type(None), bool, int, float, complex, str, bytes, bytearray),
    *(list, tuple, dict, set, frozenset, np.ndarray, np.generic),
)


def shown(text: str) -> str:
    """``text`` from a file, fit for an error's sentence."""
    return repr(text if len(text) <= 80 else text[:77] + "...")[1:-1]


def _kind(value: Any) -> str:
    if isinstance(value, Global):
        return f"the name {shown(value.path)}"
    return "a numpy dtype" if isinstance(value, _Dtype) else type(value).__name__


def plain_key(key: Any) -> Any:
    """A dictionary's key or a set's entry; only short plain values are hashed."""
    for part in key if isinstance(key, tuple) else (key,):
        good = isinstance(part, str | bytes | float | int | type(None) | np.generic)
        if not good or (isinstance(part, int) and abs(part) >= 2**64):
            raise Refused(f"it uses {_kind(part)} as a key")
    return key


# What the allowed names build. Each gets the unpickler, then the arguments of the file.


def _ordered(machine: Unpickler, pairs: Any = ()) -> dict[Any, Any]:
    machine.charge(64 + 100 * len(pairs))
    return _OrderedDict((plain_key(key), value) for key, value in pairs)


def _set(machine: Unpickler, items: Any = ()) -> set[Any]:
    machine.charge(216 + 64 * len(_is(items, list, tuple)))
    return {plain_key(item) for item in items}


def _frozenset(machine: Unpickler, items: Any = ()) -> frozenset[Any]:
    return frozenset(_set(machine, items))


def _bytes(machine: Unpickler) -> bytes:
    return b""


def _bytearray(machine: Unpickler, content: Any = b"", encoding: Any = "latin-1") -> bytearray:
    content = _encode(machine, content, encoding) if isinstance(content, str) else content
    machine.charge(len(_is(content, bytes, bytearray)))
    return bytearray(content)


def _complex(machine: Unpickler, real: Any, imaginary: Any) -> complex:
    return complex(_is(real, int, float), _is(imaginary, int, float))


def _encode(machine: Unpickler, text: Any, encoding: Any) -> bytes:
    """How Python 3 writes bytes under protocols 0 to 2."""
    if encoding not in ("latin1", "latin-1"):
        raise Refused("it encodes text as something else than latin1")
    machine.charge(len(_is(text, str)))
    return bytes(text.encode("latin-1"))


_DTYPE = re.compile(r"(b1|\?|[iu][1248]|f[248]|c8|c16|[SUa][1-9][0-9]{0,5})\Z")


def _dtype(machine: Unpickler, code: Any, align: Any = False, copy: Any = True) -> _Dtype:
    if not _DTYPE.match(_text(code)):
        raise Refused(f"it holds an array of dtype {shown(_text(code))}, which is not allowed")
    return _Dtype(_text(code).replace("a", "S"))


def _describe(dtype: _Dtype, state: Any) -> None:
    order = _text(_is(state, tuple)[1])
    fields = [part for part in state[2:5] if part is not None]
    if fields or order not in ("<", ">", "=", "|"):
        raise Refused("it holds an array of records, which is not allowed")
    dtype.order = order


def _reconstruct(machine: Unpickler, kind: Any, shape: Any, code: Any) -> np.ndarray[Any, Any]:
    if not (isinstance(kind, Global) and kind.path == "numpy.ndarray"):
        raise Refused(f"it holds an array of kind {_kind(kind)}, which is not allowed")
    made: np.ndarray[Any, Any] = np.empty(0)
    machine.charge(112)
    machine.unbuilt[id(made)] = made
    return made


def _fill_array(machine: Unpickler, array: np.ndarray[Any, Any], state: Any) -> None:
    shape, dtype, fortran, content = _is(state, tuple)[-4:]
    filled = _array(machine, content, dtype, shape, "F" if fortran else "C")
    real, sides = filled.dtype, filled.shape
    array.__setstate__((1, sides, real, bool(fortran), filled.tobytes("A")))


def _array(
    machine: Unpickler, content: Any, dtype: Any, shape: Any, order: Any = "C"
) -> np.ndarray[Any, Any]:
    """An array of its own memory; refused before reserving where content and shape disagree."""
    real = _is(dtype, _Dtype).real()
    sides = [_is(side, int) for side in _is(shape, tuple)]
    if len(sides) > 32 or any(not 0 <= side < 2**40 for side in sides):
        raise Refused("it holds an array of impossible shape")
    raw = content.encode("utf-8") if isinstance(content, str) else content
    wanted = math.prod(sides) * real.itemsize
    if len(_is(raw, bytes, bytearray)) != wanted:
        raise Refused(f"it holds an array that claims {wanted} bytes and has {len(raw)}")
    machine.charge(2 * wanted + 112)
    copied = np.frombuffer(raw, dtype=real).copy()
    return copied.reshape(sides, order="F" if _text(order) == "F" else "C")


def _scalar(machine: Unpickler, dtype: Any, content: Any) -> Any:
    return _array(machine, content, dtype, ())[()]


def _only_metadata(state: Any) -> bool:
    return isinstance(state, dict) and set(state) <= {"_metadata"}


def _is(value: Any, *types: type) -> Any:
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise Refused(f"it has {_kind(value)} where {types[0].__name__.strip('_')} is expected")
    return value


def _text(value: Any) -> str:
    return str(value, "latin-1") if isinstance(value, bytes) else str(_is(value, str))


_REBUILD: dict[str, Rebuild] = {
    "collections.OrderedDict": _ordered,
    "_codecs.encode": _encode,
    "numpy.dtype": _dtype,
    **{
        f"{module}.{name}": made
        for module in ("builtins", "__builtin__")
        for name, made in [
            ("set", _set),
            ("frozenset", _frozenset),
            ("bytes", _bytes),
            ("bytearray", _bytearray),
            ("complex", _complex),
        ]
    },
    **{
        f"numpy.{core}.{name}": made
        for core in ("core", "_core")
        for name, made in [
            ("multiarray._reconstruct", _reconstruct),
            ("multiarray.scalar", _scalar),
            ("numeric._frombuffer", _array),
        ]
    },
}


# The instructions, by their byte. What is not listed is refused.


def _put(value: Any, cost: int = 0) -> Callable[[Unpickler], None]:
    return lambda m: m.push(value, cost)


def _int(m: Unpickler) -> None:
    line = m.line()
    m.push({b"00": False, b"01": True}[line] if line in (b"00", b"01") else _decimal(line))


def _decimal(line: bytes) -> int:
    if len(line) > 2 * MAX_INT_BYTES or not re.fullmatch(rb"[+-]?[0-9]+L?", line):
        raise Refused(f"it holds no whole number in {shown(str(line[:60], 'latin-1'))}")
    return int(line.rstrip(b"L"))


def _long(form: str) -> Callable[[Unpickler], None]:
    def step(m: Unpickler) -> None:
        length = m.number(form)
        if not 0 <= length <= MAX_INT_BYTES:
            raise Refused(f"it holds a whole number of {length} bytes")
        m.push(int.from_bytes(m.take(length), "little", signed=True), 32 + length)

    return step


def _old_string(m: Unpickler, raw: bytes) -> None:
    try:
        m.push(str(raw, "utf-8"), 50 + len(raw))
    except UnicodeDecodeError:
        m.push(raw, 33 + len(raw))


def _quoted(m: Unpickler) -> None:
    line = m.line().strip()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise Refused(f"it has a string without quotes before byte {m.position}")
    _old_string(m, bytes(codecs.escape_decode(line[1:-1])[0]))  # type: ignore[attr-defined]


def _unicode_line(m: Unpickler) -> None:
    text = str(m.line(), "raw-unicode-escape")
    text.encode("utf-8")  # a lone surrogate is no text
    m.push(text, 50 + 4 * len(text))


def _counted(form: str, push: Callable[[Unpickler, bytes], None]) -> Callable[[Unpickler], None]:
    return lambda m: push(m, m.take(m.number(form)))


def _push_text(m: Unpickler, raw: bytes) -> None:
    m.push(str(raw, "utf-8"), 50 + (len(raw) if raw.isascii() else 4 * len(raw)))


def _push_bytes(m: Unpickler, raw: bytes) -> None:
    m.push(raw, 33 + len(raw))


def _push_bytearray(m: Unpickler, raw: bytes) -> None:
    m.push(bytearray(raw), 56 + 2 * len(raw))


def _mark(m: Unpickler) -> None:
    m.charge(40)
    m.marks.append(len(m.stack))


def _duplicate(m: Unpickler) -> None:
    top = m.pop()
    m.stack.append(top)
    m.push(top, 0)


def _discard(m: Unpickler) -> None:
    if m.marks and m.marks[-1] == len(m.stack):
        m.marks.pop()
    else:
        m.pop()


def _extend(m: Unpickler, items: list[Any]) -> None:
    m.charge(16 * len(items))
    m.stack.append(target := m.pop())
    _is(target, list).extend(items)


def _add(m: Unpickler) -> None:
    items = m.pop_to_mark()
    m.charge(64 * len(items))
    m.stack.append(target := m.pop())
    _is(target, set).update(plain_key(item) for item in items)


def _fill_dict(m: Unpickler, items: list[Any]) -> None:
    if len(items) % 2:
        raise Refused(f"it has a key without a value before byte {m.position}")
    m.charge(100 * len(items))
    m.stack.append(target := m.pop())
    _is(target, dict).update(
        (plain_key(key), value) for key, value in zip(items[::2], items[1::2], strict=True)
    )


def _set_item(m: Unpickler) -> None:
    value, key = m.pop(), m.pop()
    _fill_dict(m, [key, value])


def _dict(m: Unpickler) -> None:
    items = m.pop_to_mark()
    m.push({}, 64)
    _fill_dict(m, items)


def _tuple(count: int) -> Callable[[Unpickler], None]:
    return lambda m: m.push(tuple([m.pop() for _ in range(count)][::-1]), 40 + 8 * count)


def _from_mark(kind: Callable[[list[Any]], Any]) -> Callable[[Unpickler], None]:
    def step(m: Unpickler) -> None:
        items = m.pop_to_mark()
        m.push(kind(items), 56 + 8 * len(items))

    return step


def _global(m: Unpickler) -> None:
    module, name = str(m.line(), "utf-8"), str(m.line(), "utf-8")
    m.push(Global(module, name), 200)


def _stack_global(m: Unpickler) -> None:
    name, module = m.pop(), m.pop()
    m.push(Global(_is(module, str), _is(name, str)), 200)


def _reduce(m: Unpickler) -> None:
    arguments, function = m.pop(), m.pop()
    m.push(m.call(function, arguments))


def _build(m: Unpickler) -> None:
    state = m.pop()
    target = m.pop()
    m.build(target, state)
    m.stack.append(target)


def _persistent(m: Unpickler, identity: Any) -> None:
    if m.persistent is None:
        raise Refused("it refers to an object outside itself (a persistent id)")
    m.push(m.persistent(identity))


def _protocol(m: Unpickler) -> None:
    if (number := m.take(1)[0]) > 5:
        raise Refused(f"it has pickle protocol {number}; known are 0 to 5")


def _frame(m: Unpickler) -> None:
    length = m.number("<Q")
    if length > m.size - m.position:
        raise Refused(f"it claims {length} bytes at byte {m.position}, more than it holds")


_STOP = ord(".")
_STEPS: dict[int, Callable[[Unpickler], None]] = {
    0x80: _protocol,
    0x95: _frame,
    ord("("): _mark,
    ord("0"): _discard,
    ord("1"): lambda m: m.pop_to_mark().clear(),
    ord("2"): _duplicate,
    ord("N"): _put(None),
    0x88: _put(True),
    0x89: _put(False),
    ord("I"): _int,
    ord("L"): lambda m: m.push(_decimal(m.line()), 64),
    ord("J"): lambda m: m.push(m.number("<i")),
    ord("K"): lambda m: m.push(m.number("<B"), 0),
    ord("M"): lambda m: m.push(m.number("<H")),
    0x8A: _long("<B"),
    0x8B: _long("<i"),
    ord("F"): lambda m: m.push(float(m.line())),
    ord("G"): lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
    ord("S"): _quoted,
    ord("T"): _counted("<i", _old_string),
    ord("U"): _counted("<B", _old_string),
    ord("V"): _unicode_line,
    ord("X"): _counted("<I", _push_text),
    0x8C: _counted("<B", _push_text),
    0x8D: _counted("<Q", _push_text),
    ord("B"): _counted("<I", _push_bytes),
    ord("C"): _counted("<B", _push_bytes),
    0x8E: _counted("<Q", _push_bytes),
    0x96: _counted("<Q", _push_bytearray),
    ord("]"): lambda m: m.push([], 56),
    ord("a"): lambda m: _extend(m, [m.pop()]),
    ord("e"): lambda m: _extend(m, m.pop_to_mark()),
    ord("l"): _from_mark(list),
    ord(")"): _put(()),
    ord("t"): _from_mark(tuple),
    0x85: _tuple(1),
    0x86: _tuple(2),
    0x87: _tuple(3),
    ord("}"): lambda m: m.push({}, 64),
    ord("d"): _dict,
    ord("s"): _set_item,
    ord("u"): lambda m: _fill_dict(m, m.pop_to_mark()),
    0x8F: lambda m: m.push(set(), 216),
    0x90: _add,
    0x91: _from_mark(lambda items: frozenset(plain_key(item) for item in items)),
    ord("g"): lambda m: m.recall(_decimal(m.line())),
    ord("h"): lambda m: m.recall(m.number("<B")),
    ord("j"): lambda m: m.recall(m.number("<I")),
    ord("p"): lambda m: m.store(_decimal(m.line())),
    ord("q"): lambda m: m.store(m.number("<B")),
    ord("r"): lambda m: m.store(m.number("<I")),
    0x94: lambda m: m.store(len(m.memo)),
    ord("c"): _global,
    0x93: _stack_global,
    ord("R"): _reduce,
    ord("b"): _build,
    ord("P"): lambda m: _persistent(m, str(m.line(), "utf-8")),
    ord("Q"): lambda m: _persistent(m, m.pop()),
}
_REFUSED = {
    ord("i"): "makes an instance of a class (INST)",
    ord("o"): "makes an instance of a class (OBJ)",
    0x81: "makes an instance of a class (NEWOBJ)",
    0x92: "makes an instance of a class (NEWOBJ_EX)",
    0x82: "uses an extension code (EXT1)",
    0x83: "uses an extension code (EXT2)",
    0x84: "uses an extension code (EXT4)",
    0x97: "refers to a buffer outside itself (NEXT_BUFFER)",
    0x98: "refers to a buffer outside itself (READONLY_BUFFER)",
}


def _unknown(code: int, position: int) -> str:
    asked = _REFUSED.get(code)
    if asked is not None:
        return f"it {asked} at byte {position}, which is not allowed"
    return f"it is no pickle, or a damaged one: byte {position} is 0x{code:02x}"
