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

import mmap
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stackgan.errors import DataError
from stackgan.safe_pickle.builders import REBUILD
from stackgan.safe_pickle.machine import PLAIN, Buffer, Machine, Rebuild, Refused
from stackgan.safe_pickle.steps import STEPS, STOP, unknown

__all__ = ["Refused", "Unpickler", "load", "opened"]


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


class Unpickler(Machine):
    """Reads one pickle of ``data`` from ``start``; afterwards ``position`` is just behind it.

    ``rebuild`` names further callables a file may use, each with the function that does it here;
    ``persistent`` answers persistent ids, which are refused without it; ``allowed`` are the types
    that either makes.
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
        super().__init__(data, start)
        self.rebuild = {**REBUILD, **(rebuild or {})}
        self.persistent = persistent
        self.allowed = (*PLAIN, *allowed)

    def load(self) -> Any:
        """Return the object; ``Refused`` says what the file asked for that is not allowed."""
        try:
            while (code := self.take(1)[0]) != STOP:
                step = STEPS.get(code)
                if step is None:
                    raise Refused(unknown(code, self.position - 1))
                step(self)
            if len(self.stack) != 1:
                raise Refused(f"it ends with {len(self.stack)} objects in place of one")
            found = self.stack.pop()
            self.check(found)
        except (IndexError, KeyError, TypeError, ValueError, OverflowError, struct.error) as error:
            reason = " ".join(str(error).split())[:100]
            raise Refused(
                f"it is damaged near byte {self.position} ({type(error).__name__}: {reason})"
            ) from None
        return found
