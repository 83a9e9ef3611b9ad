"""The restricted unpickler: what it builds is what was pickled, everything else is refused."""

import collections
import io
import os
import pickle
import struct
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackgan.errors import DataError
from stackgan.safe_pickle import load, machine

PROTOCOLS = range(6)
KEYS = st.one_of(
    st.text(max_size=5), st.integers(-(2**63), 2**63), st.booleans(), st.binary(max_size=4)
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**200), 2**200),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.complex_numbers(allow_nan=False),
    st.builds(bytearray, st.binary()),
    st.frozensets(KEYS, max_size=3),
)
OBJECTS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(KEYS, inner, max_size=4),
        st.sets(KEYS, max_size=4),
    ),
    max_leaves=12,
)


@given(OBJECTS, st.sampled_from(PROTOCOLS))
def test_plain_values_come_back(value, protocol):
    found = load(pickle.dumps(value, protocol))
    assert found == value and type(found) is type(value)


ARRAYS = {
    "matrix": np.arange(12, dtype=np.float32).reshape(3, 4),
    "columns first": np.arange(12.0).reshape(3, 4).T,
    "big-endian": np.arange(4, dtype=">i4"),
    "empty": np.zeros((0, 3)),
    "one number": np.array(2.5),
    "half": np.arange(3, dtype=np.float16),
    "bool": np.array([True, False]),
    "complex": np.array([1 + 2j]),
    "text": np.array(["ab", "é"]),
    "bytes": np.array([b"ab", b"c"]),
    "high bytes": np.full(9, 0xFE, dtype=np.uint8),
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays_come_back(name, protocol):
    array = ARRAYS[name]
    found, again = load(pickle.dumps([array, array], protocol))
    np.testing.assert_array_equal(found, array)
    assert found.shape == array.shape and found.dtype.kind == array.dtype.kind
    assert again is found and found.flags.writeable


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numpys_old_and_new_names_and_its_scalars(protocol):
    value = [np.float32(1.5), np.int64(-3), np.bool_(True), np.arange(3)]
    raw = pickle.dumps(value, protocol)
    assert load(raw) == [*value[:3], pytest.approx(value[3])]
    other = raw.replace(b"numpy._core.", b"numpy.core.")
    if protocol < 4:  # later ones count the name's letters
        assert str(load(other)) == str(value)


def python2(value):
    """What Python 2's pickle module wrote for str: STRING of protocol 0, BINSTRING of 2."""
    return b"S" + repr(value)[1:].encode() + b"\np0\n.", b"U" + bytes([len(value)]) + value + b"."


@pytest.mark.parametrize("raw", [b"bird", b"", b"it's \\ \n\t", "é".encode(), b"\xff\x00\x80'"])
def test_python_2s_strings_are_text_where_they_can_be(raw):
    expected = raw if b"\xff" in raw else raw.decode()
    for file in python2(raw):
        assert load(file) == expected


def test_python_2s_array_is_read_from_its_string():
    values = np.array([0.0, 1.0, -2.5e-30], np.float32)
    state = b"(I1\n(I3\ntcnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\n"
    content = b"S" + repr(values.tobytes())[1:].encode() + b"\ntb."
    file = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR" + state + content
    )
    np.testing.assert_array_equal(load(file), values)


def test_an_ordered_dictionary_is_a_dictionary():
    ordered = collections.OrderedDict([("b", 1), ("a", [2])])
    for protocol in PROTOCOLS:
        assert list(load(pickle.dumps(ordered, protocol)).items()) == list(ordered.items())


class Calls:
    """Pickles as a call of ``function``."""

    def __init__(self, function, *arguments, state=None):
        self.made = (function, arguments) + ((state,) if state is not None else ())

    def __reduce__(self):
        return self.made


class Stateful:
    def __setstate__(self, state):
        open(state["canary"], "w").close()


def persistent():
    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return "elsewhere" if obj == 7 else None

    file = io.BytesIO()
    Pickler(file, 2).dump([7])
    return file.getvalue()


def array_of(count, raw, code="f4", shape=None):
    """A pickled array whose header claims ``count`` numbers and whose content is ``raw``."""
    dtype = np.dtype(code)
    state = (1, shape or (count,), dtype, False, raw)
    made = (np._core.multiarray._reconstruct, (np.ndarray, (0,), b"b"), state)

    class Claims:
        def __reduce__(self):
            return made

    return pickle.dumps(Claims(), 2)


HOSTILE = {
    "os.system": lambda c: pickle.dumps(Calls(os.system, f"touch {c}")),
    "os.system by protocol 0": lambda c: f"cos\nsystem\n(S'touch {c}'\ntR.".encode(),
    "eval": lambda c: pickle.dumps(Calls(eval, f"open({str(c)!r}, 'w')"), 2),
    "exec in a list": lambda c: pickle.dumps([1, {"a": Calls(exec, f"open({str(c)!r}, 'w')")}], 5),
    "a nested reduce": lambda c: pickle.dumps(Calls(getattr, Calls(__import__, "os"), "system")),
    "a dotted name": lambda c: b"\x80\x04\x8c\x08builtins\x8c\x0cset.__init__\x93.",
    "a name alone": lambda c: b"cos\nsystem\n.",
    "an instance": lambda c: f"(S'touch {c}'\nios\nsystem\n.".encode(),
    "an object": lambda c: f"(cos\nsystem\nS'touch {c}'\no.".encode(),
    "newobj": lambda c: b"\x80\x02cfractions\nFraction\nK\x01\x85\x81.",
    "newobj_ex": lambda c: b"\x80\x04\x8c\x02os\x8c\x06system\x93)}\x92.",
    "__setstate__": lambda c: (
        b"\x80\x02ctest_safe_pickle\nStateful\n)\x81}U\x06canaryU"
        + bytes([len(str(c))])
        + str(c).encode()
        + b"sb."
    ),
    "state of a list": lambda c: b"]}b.",
    "state of a set": lambda c: b"\x80\x04\x8f}b.",
    "extension code": lambda c: b"\x80\x02\x82\x01.",
    "extension code 4": lambda c: b"\x80\x02\x84\x01\x00\x00\x00.",
    "persistent id": lambda c: persistent(),
    "persistent id 0": lambda c: b"Pelsewhere\n.",
    "out-of-band buffer": lambda c: b"\x80\x05\x97.",
    "a fraction": lambda c: pickle.dumps(Fraction(1, 3)),
    "a class": lambda c: pickle.dumps(int),
    "bytes of a count": lambda c: b"\x80\x02c__builtin__\nbytes\nJ\xff\xff\xff\x7f\x85R.",
    "bytearray of a count": lambda c: b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
    "an object array": lambda c: pickle.dumps(np.array([1, None])),
    "an array of records": lambda c: pickle.dumps(np.zeros(2, [("a", "f4")])),
    "a subclass of arrays": lambda c: pickle.dumps(np.ma.array([1])),
    "another class of arrays": lambda c: (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nmatrix\n(I0\ntS'b'\ntR."
    ),
    "a dtype alone": lambda c: pickle.dumps(np.dtype("f4")),
    "an array never filled": lambda c: (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR."
    ),
    "an array that claims too much": lambda c: array_of(2**36, b"1234"),
    "an array that claims too little": lambda c: array_of(1, b"12345678"),
    "a negative side": lambda c: array_of(0, b"", shape=(-1,)),
    "endless empty strings": lambda c: array_of(0, b"", "S1", (0,)).replace(b"S1", b"S0"),
    "impossible characters": lambda c: array_of(1, b"\xff\xff\xff\x7f", "U1"),
    "booleans of seven": lambda c: array_of(1, b"\x07", "?"),
    "truncated": lambda c: pickle.dumps({"a": list(range(99))}, 2)[:-9],
    "truncated text": lambda c: pickle.dumps("x" * 99, 4)[:50],
    "truncated protocol 0": lambda c: b"S'abc",
    "empty": lambda c: b"",
    "wrong protocol": lambda c: b"\x80\x09K\x01.",
    "unknown instruction": lambda c: b"\x80\x02\xfe.",
    "no pickle": lambda c: b"PNG and so on",
    "a huge length": lambda c: b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"abc.",
    "a huge length of text": lambda c: b"X\xff\xff\xff\xffabc.",
    "a negative length": lambda c: b"T\xff\xff\xff\xffabc.",
    "a huge frame": lambda c: b"\x80\x04\x95" + struct.pack("<Q", 2**50) + b"N.",
    "a huge memo": lambda c: b"Nr\xff\xff\xff\xff.",
    "a memo never stored": lambda c: b"h\x05.",
    "a negative memo": lambda c: b"Np-1\n.",
    "a whole number of 2 GB": lambda c: b"\x8b\xff\xff\xff\x7f1.",
    "a whole number of 100 bytes": lambda c: b"\x8b\x64\0\0\0" + b"\1" * 100 + b".",
    "a whole number of 9,999 digits": lambda c: b"L" + b"9" * 9999 + b"L\n.",
    "no whole number": lambda c: b"I0x1\n.",
    "a list of itself": lambda c: b"]q\x00h\x00a.",
    "nested too deep": lambda c: b"]" * 300 + b"a" * 299 + b".",
    "a deep key": lambda c: b"}" + b")" + b"\x85" * 300 + b"Ns.",
    "keys of one hash": lambda c: b"}" + pickle.dumps(2**70)[:-1] + b"Ns.",
    "a list as a key": lambda c: b"}]Ns.",
    "a key without a value": lambda c: b"(Nd.",
    "nothing to take": lambda c: b"a.",
    "no mark": lambda c: b"t.",
    "below the mark": lambda c: b"](Na.",
    "two objects": lambda c: b"NN.",
    "quotes missing": lambda c: b"Sabc\n.",
    "an unknown escape": lambda c: b"S'\\q'\n.",
    "half a character": lambda c: b"V\\ud800\n.",
    "text not of UTF-8": lambda c: b"X\x01\x00\x00\x00\xff.",
    "to encode as idna": lambda c: b"c_codecs\nencode\n(Va\nVidna\ntR.",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_rest_is_refused_in_one_sentence(name, tmp_path):
    canary, path = tmp_path / "canary", tmp_path / "crafted.pickle"
    path.write_bytes(HOSTILE[name](canary))
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as told:
            load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    sentence = str(told.value)
    assert sentence.startswith(f"{path}: it") and "\n" not in sentence and sentence.isprintable()
    assert len(sentence) < len(str(path)) + 200
    assert peak < 4e6
    assert [file.name for file in tmp_path.iterdir()] == ["crafted.pickle"]


@pytest.mark.parametrize(
    "name, word",
    [
        ("os.system", "posix.system"),
        ("eval", "eval"),
        ("exec in a list", "builtins.exec"),
        ("newobj", "fractions.Fraction"),
        ("an instance", "os.system"),
        ("an object array", "dtype"),
        ("another class of arrays", r"numpy\.matrix"),
        ("persistent id", "persistent id"),
        ("extension code", "extension code"),
        ("an array that claims too little", "claims 4 bytes and has 8"),
        ("wrong protocol", "protocol 9"),
        ("a list of itself", "holds itself"),
        ("an array that claims too much", f"{2**38} bytes and has 4"),
        ("a huge length", f"{2**62} bytes at byte 11, where 4 are left"),
    ],
)
def test_it_is_said_what_was_found(name, word, tmp_path):
    with pytest.raises(DataError, match=word):
        load(HOSTILE[name](tmp_path / "canary"), "crafted")


@pytest.mark.parametrize(
    "unit", [b"\x8f", b"]", b"}", b"(", b"N\x94", b"K\x012", b")", b"cos\nsystem\n"]
)
def test_memory_is_bounded_by_the_files_size(unit, monkeypatch):
    monkeypatch.setattr(machine, "SPARE_BYTES", 2**14)
    raw = b"N" + unit * (10_000 // len(unit))
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            load(raw, "bomb")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * (len(raw) + 2**14)


def test_arrays_of_the_same_bytes_cannot_fill_the_memory(monkeypatch):
    content = b"B" + struct.pack("<I", 100_000) + b"\1" * 100_000 + b"q\xc80"
    dtype = b"cnumpy\ndtype\n(U\x02f4I00\nI01\ntR(K\x03U\x01<NNNK\x00K\x00K\x00tbq\xc90"
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
    again = made + b"(K\x01(M" + struct.pack("<H", 25_000) + b"th\xc9\x89h\xc8tb"
    assert len(load(content + dtype + b"(" + again * 60 + b"t.")) == 60
    monkeypatch.setattr(machine, "SPARE_BYTES", 2**20)
    with pytest.raises(DataError, match="builds more"):
        load(content + dtype + b"(" + again * 60 + b"t.", "bomb")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_array_takes_no_more_than_thrice_its_size_of_the_bound(protocol, monkeypatch):
    monkeypatch.setattr(machine, "SPARE_BYTES", 2**14)
    array = np.random.default_rng(0).normal(size=(40, 500))
    np.testing.assert_array_equal(load(pickle.dumps([array], protocol))[0], array)


@pytest.mark.parametrize("place", ["gone.pickle", ""])
def test_a_missing_file_and_a_folder(tmp_path, place):
    with pytest.raises(DataError, match="no such file" if place else "this is no file"):
        load(tmp_path / place)


def test_what_stands_behind_the_pickle_is_not_read():
    assert load(pickle.dumps(1, 2) + b"anything") == 1


SEEDS = [
    pickle.dumps({"a": [1, 2.5, "x", b"y", None], "b": ARRAYS["matrix"]}, protocol)
    for protocol in PROTOCOLS
]


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    st.integers(0, 500),
)
def test_damaged_pickles_raise_our_error_or_load(seed, changes, end):
    raw = bytearray(seed)
    for place, value in changes:
        raw[place % len(raw)] = value
    try:
        load(bytes(raw[: end or None]), "damaged")
    except DataError as error:
        assert str(error).startswith("damaged: it") and str(error).isprintable()


@given(st.binary(max_size=200))
def test_random_bytes_raise_our_error_or_load(raw):
    try:
        load(raw, "random")
    except DataError as error:
        assert str(error).startswith("random: it")
