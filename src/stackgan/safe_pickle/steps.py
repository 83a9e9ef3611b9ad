"""A pickle's instructions, by their byte; what is not listed is refused."""

from __future__ import annotations

import codecs
import re
import struct
import sys
from collections.abc import Callable
from typing import Any

from stackgan.safe_pickle.builders import build
from stackgan.safe_pickle.machine import (
    Global,
    Machine,
    Refused,
    expect,
    plain_key,
    shown,
)

MAX_INT_BYTES = 64

_ESCAPED = re.compile(rb"(?:[^\\]++|\\(?:x[0-9a-fA-F]{2}|[\\'\"abfnrtv]|[0-3]?[0-7]{1,2}))*+")

Step = Callable[[Machine], None]


def _put(value: Any, cost: int = 0) -> Step:
    return lambda m: m.push(value, cost)


def _int(m: Machine) -> None:
    line = m.line()
    m.push({b"00": False, b"01": True}[line] if line in (b"00", b"01") else _decimal(line))


def _decimal(line: bytes) -> int:
    if len(line) > 2 * MAX_INT_BYTES or not re.fullmatch(rb"[+-]?[0-9]+L?", line):
        raise Refused(f"it holds no whole number in {shown(str(line[:60], 'latin-1'))}")
    return int(line.rstrip(b"L"))


def _long(form: str) -> Step:
    def step(m: Machine) -> None:
        length = m.number(form)
        if not 0 <= length <= MAX_INT_BYTES:
            raise Refused(f"it holds a whole number of {length} bytes")
        m.push(int.from_bytes(m.take(length), "little", signed=True), 32 + length)

    return step


def _old_string(m: Machine, raw: bytes) -> None:
    try:
        m.push(str(raw, "utf-8"), 50 + len(raw))
    except UnicodeDecodeError:
        m.push(raw, 33 + len(raw))


def _quoted(m: Machine) -> None:
    line = m.line().strip()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise Refused(f"it has a string without quotes before byte {m.position}")
    if not _ESCAPED.fullmatch(line, 1, len(line) - 1):
        raise Refused(f"it has a string of unknown escapes before byte {m.position}")
    _old_string(m, bytes(codecs.escape_decode(line[1:-1])[0]))


def _unicode_line(m: Machine) -> None:
    text = str(m.line(), "raw-unicode-escape")
    text.encode("utf-8")  # a lone surrogate is no text
    m.push(text, sys.getsizeof(text))


def _counted(form: str, push: Callable[[Machine, bytes], None]) -> Step:
    return lambda m: push(m, m.take(m.number(form)))


def _push_text(m: Machine, raw: bytes) -> None:
    text = str(raw, "utf-8")
    m.push(text, sys.getsizeof(text))


def _push_bytes(m: Machine, raw: bytes) -> None:
    m.push(raw, 33 + len(raw))


def _push_bytearray(m: Machine, raw: bytes) -> None:
    m.push(bytearray(raw), 56 + 2 * len(raw))


def _mark(m: Machine) -> None:
    m.charge(40)
    m.marks.append(len(m.stack))


def _duplicate(m: Machine) -> None:
    top = m.pop()
    m.stack.append(top)
    m.push(top, 0)


def _discard(m: Machine) -> None:
    if m.marks and m.marks[-1] == len(m.stack):
        m.marks.pop()
    else:
        m.pop()


def _extend(m: Machine, items: list[Any]) -> None:
    m.charge(16 * len(items))
    m.stack.append(target := m.pop())
    expect(target, list).extend(items)


def _add(m: Machine) -> None:
    items = m.pop_to_mark()
    m.charge(64 * len(items))
    m.stack.append(target := m.pop())
    expect(target, set).update(plain_key(item) for item in items)


def _fill_dict(m: Machine, items: list[Any]) -> None:
    if len(items) % 2:
        raise Refused(f"it has a key without a value before byte {m.position}")
    m.charge(100 * len(items))
    m.stack.append(target := m.pop())
    expect(target, dict).update(
        (plain_key(key), value) for key, value in zip(items[::2], items[1::2], strict=True)
    )


def _set_item(m: Machine) -> None:
    value, key = m.pop(), m.pop()
    _fill_dict(m, [key, value])


def _dict(m: Machine) -> None:
    items = m.pop_to_mark()
    m.push({}, 64)
    _fill_dict(m, items)


def _tuple(count: int) -> Step:
    return lambda m: m.push(tuple([m.pop() for _ in range(count)][::-1]), 40 + 8 * count)


def _from_mark(kind: Callable[[list[Any]], Any]) -> Step:
    def step(m: Machine) -> None:
        items = m.pop_to_mark()
        m.push(kind(items), 56 + 8 * len(items))

    return step


def _global(m: Machine) -> None:
    module, name = str(m.line(), "utf-8"), str(m.line(), "utf-8")
    m.push(Global(module, name), 200)


def _stack_global(m: Machine) -> None:
    name, module = m.pop(), m.pop()
    m.push(Global(expect(module, str), expect(name, str)), 200)


def _reduce(m: Machine) -> None:
    arguments, function = m.pop(), m.pop()
    m.push(m.call(function, arguments))


def _build(m: Machine) -> None:
    state = m.pop()
    target = m.pop()
    build(m, target, state)
    m.stack.append(target)


def _instance(m: Machine) -> None:
    """INST, OBJ, NEWOBJ, NEWOBJ_EX: the class is the last name on the stack, or in the lines."""
    named = [value for value in m.stack[-1000:] if isinstance(value, Global)]
    of = shown(named[-1].path) if named else "a class"
    raise Refused(f"it makes an instance of {of}, which is not allowed")


def _instance_of_lines(m: Machine) -> None:
    _global(m)
    _instance(m)


def _persistent(m: Machine, identity: Any) -> None:
    if m.persistent is None:
        raise Refused("it refers to an object outside itself (a persistent id)")
    m.push(m.persistent(identity))


def _protocol(m: Machine) -> None:
    if (number := m.take(1)[0]) > 5:
        raise Refused(f"it has pickle protocol {number}; known are 0 to 5")


def _frame(m: Machine) -> None:
    length = m.number("<Q")
    if length > m.size - m.position:
        raise Refused(f"it claims {length} bytes at byte {m.position}, more than it holds")


STOP = ord(".")
STEPS: dict[int, Step] = {
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
    ord("i"): _instance_of_lines,
    ord("o"): _instance,
    0x81: _instance,
    0x92: _instance,
    ord("P"): lambda m: _persistent(m, str(m.line(), "utf-8")),
    ord("Q"): lambda m: _persistent(m, m.pop()),
}
_REFUSED = {
    0x82: "uses an extension code (EXT1)",
    0x83: "uses an extension code (EXT2)",
    0x84: "uses an extension code (EXT4)",
    0x97: "refers to a buffer outside itself (NEXT_BUFFER)",
    0x98: "refers to a buffer outside itself (READONLY_BUFFER)",
}


def unknown(code: int, position: int) -> str:
    """The sentence about an instruction that is not read."""
    asked = _REFUSED.get(code)
    if asked is not None:
        return f"it {asked} at byte {position}, which is not allowed"
    return f"it is no pickle, or a damaged one: byte {position} is 0x{code:02x}"
