"""``.t7`` files, binary and ascii: tables, tensors and objects as they were saved, and no more."""

import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stackgan.errors import DataError
from stackgan.legacy import torch7
from stackgan.legacy.torch7 import LuaObject, Table, Tensor, read_t7, walk

FORMS = pytest.mark.parametrize("ascii_form", [False, True])


def plain(found):
    """Tables as dictionaries, tensors as arrays."""
    if isinstance(found, Table):
        return {plain(key): plain(value) for key, value in found.items.items()}
    return found.values if isinstance(found, Tensor) else found


@FORMS
def test_values_come_back(write_t7, tmp_path, ascii_form):
    value = {"a": 1, "b": 2.5, "c": True, "d": False, "e": "x y\nz", "f": "", "g": "é", 4: -7}
    value |= {"h": 1e300, "i": 0.1}
    found = plain(read_t7(write_t7(tmp_path / "v.t7", value, ascii_form)))
    assert found == value and type(found["a"]) is int and found["c"] is True


@FORMS
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "int8"])
def test_tensors_come_back(write_t7, tmp_path, ascii_form, dtype):
    array = np.array([[1, 0, 127], [32, 10, 13]], dtype)
    found = read_t7(write_t7(tmp_path / "v.t7", {"t": array, "u": array[:0]}, ascii_form))
    np.testing.assert_array_equal(found.get("t").values, array)
    assert found.get("t").values.dtype == dtype and not found.get("t").values.flags.writeable
    assert found.get("u").values.size == 0


@FORMS
def test_tensors_that_share_a_storage_are_told(write_t7, t7, tmp_path, ascii_form):
    shared = t7.Shared(np.arange(12.0))
    tensors = [t7.View(shared, (2, 3)), t7.View(shared, (2, 3)), t7.View(shared, (2, 3), 6)]
    one, same, other = read_t7(write_t7(tmp_path / "v.t7", tensors, ascii_form)).sequence()
    assert one.same == same.same != other.same
    np.testing.assert_array_equal(other.values, np.arange(6.0, 12).reshape(2, 3))


@FORMS
def test_objects_and_tables_that_refer_to_each_other(write_t7, t7, tmp_path, ascii_form):
    node = {"name": "n"}
    node["self"] = node
    net = t7.Lua("nn.Linear", {"node": node})
    node["net"] = net
    found = read_t7(write_t7(tmp_path / "v.t7", net, ascii_form))
    inner = found.fields.get("node")
    assert isinstance(found, LuaObject) and found.name == "nn.Linear"
    assert inner.get("self") is inner and inner.get("net") is found
    assert len(list(walk(found))) == 3


def test_a_table_may_be_a_key(t7, tmp_path):
    class Writer(t7.Writer):
        def object(self, value):
            return super().object(KEY if value == "KEY" else value)

    KEY = {"is": "a key"}
    path = tmp_path / "v.t7"
    path.write_bytes(b"".join(Writer().object({"KEY": 1, "value": KEY}).parts))
    found = read_t7(path)
    assert found.items[found.get("value")] == 1


def test_a_deep_chain_does_not_end_in_a_recursion_error(write_t7, tmp_path, t7):
    raw = b"\3\0\0\0" + struct.pack("<ii", 1, 1)
    chain = b"".join(
        b"\1\0\0\0" + struct.pack("<d", 1) + b"\3\0\0\0" + struct.pack("<ii", k, 1)
        for k in range(2, 3000)
    )
    end = b"\1\0\0\0" + struct.pack("<d", 1) + b"\0\0\0\0"
    (tmp_path / "deep.t7").write_bytes(raw + chain + end)
    assert len(list(walk(read_t7(tmp_path / "deep.t7")))) == 2999


def whole(*values):
    return b"".join(struct.pack("<i", value) for value in values)


def longs(*values):
    return b"".join(struct.pack("<q", value) for value in values)


def text(value):
    return whole(len(value)) + value


def table(*pairs):
    return whole(3, 1, len(pairs)) + b"".join(key + value for key, value in pairs)


A = whole(2) + text(b"a")


def storage(count=6):
    content = struct.pack("<6f", *range(6))
    return whole(4, 3) + text(b"V 1") + text(b"torch.FloatStorage") + longs(count) + content


def tensor(sides=(2, 3), steps=(3, 1), start=1, stored=None, count=None):
    head = whole(4, 2) + text(b"V 1") + text(b"torch.FloatTensor")
    sizes = whole(len(sides) if count is None else count) + longs(*sides, *steps, start)
    return head + sizes + (storage() if stored is None else stored)


HOSTILE = {
    "a function": whole(6) + text(b"\x1bLJ os.execute('touch canary')") + whole(0),
    "a recursive function": table((A, whole(8, 2) + text(b"\x1bLJ") + whole(3, 3, 0))),
    "an old function": table((A, whole(7, 2) + text(b"\x1bLJ") + whole(3, 3, 0))),
    "a function as a key": table((whole(8, 2) + text(b"\x1bLJ") + whole(3, 3, 0), A)),
    "a huge string": whole(2, 2**31 - 1) + b"abc",
    "a negative string": whole(2, -1) + b"abc",
    "a huge table": whole(3, 1, 2**31 - 1) + A + A,
    "a huge storage": table((A, storage(2**60))),
    "a negative storage": table((A, storage(-1))),
    "a storage of 4 GB": table((A, storage(2**30))),
    "a tensor past its storage": table((A, tensor(start=2))),
    "a tensor before its storage": table((A, tensor(start=0))),
    "a tensor of wide steps": table((A, tensor(steps=(4, 1)))),
    "a tensor of negative steps": table((A, tensor(steps=(-3, 1), start=4))),
    "an endless tensor": table((A, tensor((2**40, 2), (0, 0)))),
    "sides that overflow": table((A, tensor((2**62, 2**62), (0, 0)))),
    "a tensor of 1,000 sides": table((A, tensor(count=1000))),
    "a tensor of -1 sides": table((A, tensor(count=-1))),
    "a tensor of a table": table((A, tensor(stored=whole(3, 9, 0)))),
    "a tensor inside its own storage": table((A, tensor(stored=whole(4, 2)))),
    "a class that is not read": table((A, whole(4, 2) + text(b"V 1") + text(b"tds.Hash"))),
    "a class without fields": table((A, whole(4, 2) + text(b"V 1") + text(b"nn.X") + A)),
    "a class of strange name": table((A, whole(4, 2) + text(b"V 1") + text(b"\x1b[2J") + A)),
    "another type": whole(9, 1, 1),
    "a negative type": table((A, whole(-4))),
    "nil as a key": table((whole(0), A)),
    "nan as a key": table((whole(1) + struct.pack("<d", float("nan")), A)),
    "a tensor as a key": table((tensor(), A)),
    "cut short": table((A, tensor()))[:-1],
    "cut in a name": table((A, tensor()))[:40],
    "empty": b"",
    "a pickle": b"(lp0\nVabc\np1\na.",
    "nested without end": b"".join(whole(3, k, 1) for k in range(1, 1_000)),
    "ascii: a word for a number": b"3\n1\n1\n2\n1\na\n1\nten\n",
    "ascii: a number for a whole one": b"3\n1.5\n1\n",
    "ascii: a huge number": b"3\n" + b"9" * 4000 + b"\n1\n",
    "ascii: a huge string": b"2\n99999999999\nabc\n",
    "ascii: a huge storage": b"4\n1\n3\nV 1\n18\ntorch.FloatStorage\n99999999\n1 2 3\n",
    "ascii: a huge long": b"4\n1\n3\nV 1\n17\ntorch.LongStorage\n1\n9999999999999999999\n",
    "ascii: a negative storage": b"4\n1\n3\nV 1\n18\ntorch.FloatStorage\n-4\n1 2 3\n",
    "ascii: cut short": b"3\n1\n2\n2\n1\na\n",
    "ascii: a function": b"6\n3\nabc\n0\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_rest_is_refused_in_one_sentence(name, tmp_path, monkeypatch):
    monkeypatch.setattr(torch7, "MAX_DEPTH", 800)
    path = tmp_path / "crafted.t7"
    path.write_bytes(HOSTILE[name])
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as told:
            read_t7(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    sentence = str(told.value)
    assert sentence.startswith(f"{path}: it") and sentence.isprintable()
    assert peak < 4e6 + 100 * len(HOSTILE[name])
    assert [file.name for file in tmp_path.iterdir()] == ["crafted.t7"]


@pytest.mark.parametrize(
    "name, word",
    [
        ("a function", "a Lua function"),
        ("a recursive function", "a Lua function under a"),
        ("a huge string", f"claims {2**31 - 1} bytes"),
        ("a tensor past its storage", "2x3 numbers that reaches out of its storage of 6"),
        ("a class that is not read", r"tds\.Hash"),
        ("a tensor of 1,000 sides", "1000 dimensions"),
        ("an endless tensor", "reaches out of its storage"),
        ("a pickle", "begins neither"),
        ("nested without end", "nested more than"),
    ],
)
def test_it_is_said_what_was_found(name, word, tmp_path, monkeypatch):
    monkeypatch.setattr(torch7, "MAX_DEPTH", 800)
    (tmp_path / "crafted.t7").write_bytes(HOSTILE[name])
    with pytest.raises(DataError, match=word):
        read_t7(tmp_path / "crafted.t7")


def test_the_crafted_tensor_is_sound_but_for_its_fault(tmp_path):
    (tmp_path / "v.t7").write_bytes(table((A, tensor())))
    found = read_t7(tmp_path / "v.t7").get("a").values
    np.testing.assert_array_equal(found, np.arange(6.0).reshape(2, 3))


def test_views_of_one_storage_cannot_fill_the_memory(t7, write_t7, tmp_path, monkeypatch):
    shared = t7.Shared(np.zeros(5000, np.float32))
    path = write_t7(tmp_path / "v.t7", [t7.View(shared, (5000,)) for _ in range(40)])
    assert len(read_t7(path).sequence()) == 40
    monkeypatch.setattr(torch7, "SPARE_BYTES", 2**16)
    with pytest.raises(DataError, match="builds more"):
        read_t7(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 999), st.integers(0, 255)), max_size=5),
    st.integers(0, 999),
)
def test_damaged_files_raise_our_error_or_load(write_t7, t7, tmp_path, ascii_form, changes, end):
    value = {"a": [1, 2.5, "x"], "t": np.ones((3, 2)), "o": t7.Lua("nn.Linear", {"b": True})}
    path = write_t7(tmp_path / "damaged.t7", value, ascii_form)
    raw = bytearray(path.read_bytes())
    for place, byte in changes:
        raw[place % len(raw)] = byte
    path.write_bytes(raw[: end or None])
    try:
        read_t7(path)
    except DataError as error:
        assert str(error).startswith(f"{path}: it") and str(error).isprintable()
