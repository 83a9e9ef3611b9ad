"""The machine a pickle drives: its stack, marks and memory, every bound in one place."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from stackgan.errors import DataError

SPARE_BYTES = 256 * 2**20
MAX_DEPTH = 100  # containers inside one another

Buffer = bytes | mmap.mmap
Rebuild = Callable[..., Any]


class Refused(DataError):
    """A file asks for what is not allowed, or is damaged; the message lacks the file's name."""


class Global:
    """A name a pickle mentions, as two words; it is never looked up."""

    def __init__(self, module: str, name: str) -> None:
        self.path = f"{module}.{name}"


class Dtype:
    """A numpy dtype while it is being described; an array's state turns it into a real one."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.order = "="

    def real(self) -> np.dtype[Any]:
        """The dtype described."""
        return np.dtype(self.code).newbyteorder(self.order)  # type: ignore[arg-type]


class OrderedDict(dict[Any, Any]):
    """A dictionary that may be given the attribute torch's state dicts carry."""


class Machine:
    """Stack, marks, memory of one pickle being read, and the bounds on them."""

    def __init__(self, data: Buffer, start: int) -> None:
        self.data = data
        self.size = len(data)
        self.position = start
        self.budget = 4 * self.size + SPARE_BYTES
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.unbuilt: dict[int, Any] = {}  # arrays made empty, waiting for their state
        self.rebuild: dict[str, Rebuild] = {}
        self.persistent: Callable[[Any], Any] | None = None
        self.allowed: tuple[type, ...] = PLAIN

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
                f"it builds more by byte {self.position} than {SPARE_BYTES >> 20} MiB and four "
                "times its size"
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

    def check(self, found: Any) -> None:
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
                raise Refused(f"it holds {kind(child)}, which is not allowed")
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
PLAIN = (
    *(type(None), bool, int, float, complex, str, bytes, bytearray),
    *(list, tuple, dict, set, frozenset, np.ndarray, np.generic),
)


def shown(text: str) -> str:
    """``text`` from a file, fit for an error's sentence."""
    return repr(text if len(text) <= 80 else text[:77] + "...")[1:-1]


def kind(value: Any) -> str:
    """What ``value`` is, in an error's words."""
    if isinstance(value, Global):
        return f"the name {shown(value.path)}"
    return "a numpy dtype" if isinstance(value, Dtype) else type(value).__name__


def plain_key(key: Any) -> Any:
    """A dictionary's key or a set's entry; only short plain values are hashed."""
    for part in key if isinstance(key, tuple) else (key,):
        good = isinstance(part, str | bytes | float | int | type(None) | np.generic)
        if not good or (isinstance(part, int) and abs(part) >= 2**64):
            raise Refused(f"it uses {kind(part)} as a key")
    return key


def expect(value: Any, *types: type) -> Any:
    """``value`` where it is of one of ``types``; refused else. True and False are no numbers."""
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise Refused(f"it has {kind(value)} where {types[0].__name__.strip('_')} is expected")
    return value


def text_of(value: Any) -> str:
    """Text, or the bytes Python 2 wrote for it."""
    return str(value, "latin-1") if isinstance(value, bytes) else str(expect(value, str))
