"""``.pth`` files: both formats give the tensors that were saved, and nothing else ever happens."""

import io
import os
import pickle
import struct
import tracemalloc
import zipfile

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stackgan.errors import ModelError
from stackgan.legacy.pth import MAGIC, read_pth


def state():
    base = torch.arange(24.0)
    return {
        "weight": base.view(4, 6),
        "turned": base.view(4, 6).t(),
        "part": base[3:9],
        "scalar": torch.tensor(7),
        "half": torch.ones(2, dtype=torch.float16),
        "brain": torch.ones(2, dtype=torch.bfloat16),
        "bytes": torch.tensor([0, 255], dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.tensor([1.5, -2])),
    }


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("inside", [None, "state_dict"])
def test_what_torch_saved_is_read(tmp_path, new, prefix, inside):
    saved = {prefix + key: value for key, value in state().items()}
    path = tmp_path / "net.pth"
    torch.save({inside: saved, "epoch": 3} if inside else saved, path,
               _use_new_zipfile_serialization=new)  # fmt: skip
    found = read_pth(path)
    assert found.keys() == state().keys()
    for key, value in state().items():
        assert torch.equal(found[key], value.detach()) and found[key].dtype == value.dtype


def test_module_goes_only_where_every_name_has_it(tmp_path):
    torch.save({"module.a": torch.zeros(1), "b": torch.zeros(1)}, tmp_path / "n.pth")
    assert set(read_pth(tmp_path / "n.pth")) == {"module.a", "b"}


def test_a_modules_own_state_dict_and_the_oldest_way_to_name_a_tensor(tmp_path):
    torch.save(torch.nn.BatchNorm2d(3).state_dict(), tmp_path / "n.pth")  # has _metadata
    assert len(read_pth(tmp_path / "n.pth")) == 5
    (tmp_path / "o.pth").write_bytes(old(b"ctorch._utils\n_rebuild_tensor\n" + TENSOR + b"tR"))
    assert torch.equal(read_pth(tmp_path / "o.pth")["a"], torch.tensor([[1.0, 2.0]]))


PAIR = struct.pack("<2f", 1, 2)


def storage(kind="torch\nFloatStorage", key=b"k", count=2, view=b"N"):
    number = b"J" + struct.pack("<i", count)
    name = kind.encode()
    return b"(U\x07storagec" + name + b"\nU\x01" + key + b"U\x03cpu" + number + view + b"tQ"


TENSOR = b"(" + storage() + b"K\x00(K\x01K\x02t(K\x02K\x01t"


def old(tensor, claimed=2, content=PAIR, keys=("k",)):
    """A file of the old format with one tensor; ``tensor`` is the pickle of it."""
    parts = [pickle.dumps(MAGIC, 2), pickle.dumps(1001, 2)]
    parts.append(pickle.dumps({"little_endian": True, "protocol_version": 1001}, 2))
    parts += [b"\x80\x02}U\x01a" + tensor + b"s.", pickle.dumps(list(keys), 2)]
    return b"".join(parts) + struct.pack("<q", claimed) + content


def rebuilt(start=b"K\x00", sides=b"(K\x01K\x02t", steps=b"(K\x02K\x01t", stored=None):
    arguments = b"(" + (stored or storage()) + start + sides + steps + b"\x89}tR"
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments


def big(number):
    return b"\x8a\x08" + struct.pack("<q", number)


class Runs:
    def __init__(self, function, *arguments):
        self.made = function, arguments

    def __reduce__(self):
        return self.made


def saved(value, new):
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=new)
    return file.getvalue()


def zipped(entries, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return file.getvalue()


def packed(pickled, more=(), **options):
    entries = [("net/data.pkl", pickled), ("net/version", "3\n"), *more]
    return zipped(entries, **options)


ONE = b"\x80\x02}U\x01a" + rebuilt() + b"s."
NUMBERS = [("net/data/k", struct.pack("<2f", 1, 2))]


HOSTILE = {
    "system, old": lambda c: saved({"a": Runs(os.system, f"touch {c}")}, False),
    "system, new": lambda c: saved({"a": Runs(os.system, f"touch {c}")}, True),
    "eval in place of the magic number": lambda c: pickle.dumps(
        Runs(eval, f"open({str(c)!r}, 'w')"), 2
    ),
    "a whole module": lambda c: saved(torch.nn.Linear(2, 2), False),
    "a whole module, new": lambda c: saved(torch.nn.Linear(2, 2), True),
    "a call among the storage keys": lambda c: old(rebuilt()).replace(
        pickle.dumps(["k"], 2), pickle.dumps([Runs(os.system, f"touch {c}")], 2)
    ),
    "numbers of another type": lambda c: old(rebuilt(stored=storage("os\nsystem"))),
    "another persistent id": lambda c: old(rebuilt(stored=b"(U\x06moduleNNNNtQ")),
    "a short persistent id": lambda c: old(rebuilt(stored=b"(U\x07storagetQ")),
    "out of its numbers": lambda c: old(rebuilt(start=b"K\x01")),
    "before its numbers": lambda c: old(rebuilt(start=b"J\xff\xff\xff\xff")),
    "wide steps": lambda c: old(rebuilt(steps=b"(K\x02K\x02t")),
    "negative steps": lambda c: old(rebuilt(steps=b"(K\x01J\xff\xff\xff\xfft")),
    "endless by steps of zero": lambda c: old(rebuilt(sides=b"(" + big(2**40) + b"t",
                                                      steps=b"(K\x00t")),
    "sides that overflow": lambda c: old(rebuilt(sides=b"(" + big(2**62) * 2 + b"t",
                                                 steps=b"(K\x00K\x00t")),
    "more sides than steps": lambda c: old(rebuilt(steps=b"(K\x02t")),
    "numbers that are not there": lambda c: old(rebuilt(), keys=("other",)),
    "keys without numbers": lambda c: old(rebuilt(), keys=()),
    "a huge claim": lambda c: old(rebuilt(stored=storage(count=2**31 - 1)), 2**31 - 1),
    "two claims that differ": lambda c: old(rebuilt(), 2**40),
    "two claims that differ by one": lambda c: old(rebuilt(), 1),
    "a negative claim": lambda c: old(rebuilt(stored=storage(count=-5)), -5),
    "a view out of its storage": lambda c: old(
        rebuilt(stored=storage(view=b"(U\x01vK\x01K\x02t"))
    ),
    "cut short": lambda c: old(rebuilt())[:-3],
    "cut in the pickle": lambda c: old(rebuilt())[:120],
    "big-endian": lambda c: old(rebuilt()).replace(
        b"little_endianq\x01\x88", b"little_endianq\x01\x89"
    ),
    "another version": lambda c: old(rebuilt()).replace(b"M\xe9\x03.", b"M\xea\x03.", 1),
    "a tar archive": lambda c: b"sys_info".ljust(257, b"\0") + b"ustar\0" + b"\0" * 300,
    "a state dict of numbers": lambda c: saved({"a": 1}, False),
    "a list": lambda c: saved([torch.zeros(1)], True),
    "an empty state dict": lambda c: saved({}, True),
    "names that are numbers": lambda c: saved({1: torch.zeros(1)}, True),
    "empty": lambda c: b"",
    "no such format": lambda c: b"hello, this is no file of torch",
    "zip: no data.pkl": lambda c: zipped([("net/other", b"")]),
    "zip: a path out": lambda c: packed(ONE, [*NUMBERS, ("../../canary", b"x")]),
    "zip: an absolute path": lambda c: packed(ONE, [*NUMBERS, (str(c), b"x")]),
    "zip: a bomb": lambda c: packed(
        ONE, [("net/data/k", b"\0" * 50_000_000)], compression=zipfile.ZIP_DEFLATED
    ),
    "zip: too few numbers": lambda c: packed(ONE, [("net/data/k", b"1234")]),
    "zip: no numbers": lambda c: packed(ONE),
    "zip: TorchScript": lambda c: packed(ONE, [*NUMBERS, ("net/constants.pkl", b"N.")]),
    "zip: two models": lambda c: packed(ONE, [*NUMBERS, ("other/data.pkl", ONE)]),
    "zip: big-endian": lambda c: packed(ONE, [*NUMBERS, ("net/byteorder", b"big")]),
    "zip: cut short": lambda c: packed(ONE, NUMBERS)[:-30],
    "zip: wrong checksum": lambda c: packed(ONE, NUMBERS).replace(
        struct.pack("<2f", 1, 2), struct.pack("<2f", 1, 3)
    ),
    "zip: claims more than it holds": lambda c: packed(ONE, NUMBERS).replace(
        struct.pack("<II", 8, 8), struct.pack("<II", 2**31, 2**31)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_the_rest_is_refused_in_one_sentence(name, tmp_path):
    path = tmp_path / "crafted.pth"
    path.write_bytes(HOSTILE[name](tmp_path / "canary"))
    size = path.stat().st_size
    tracemalloc.start()
    try:
        with pytest.raises(ModelError) as told:
            read_pth(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    sentence = str(told.value)
    assert sentence.startswith(f"{path}: it") and sentence.isprintable()
    assert peak < 4e6 + 4 * size
    assert [file.name for file in tmp_path.iterdir()] == ["crafted.pth"]


@pytest.mark.parametrize(
    "name, word",
    [
        ("system, old", r"posix\.system"),
        ("system, new", r"posix\.system"),
        ("a whole module", r"torch\.nn\.modules\.linear\.Linear"),
        ("zip: a path out", r"\.\./\.\./canary"),
        ("zip: a bomb", "compressed"),
        ("endless by steps of zero", "reaches|builds more"),
        ("two claims that differ", f"{2**40} numbers at byte"),
        ("two claims that differ by one", "claims 2 numbers at byte"),
        ("out of its numbers", "reaches out of its numbers"),
        ("before its numbers", "reaches out of its numbers"),
        ("negative steps", "reaches out of its numbers"),
        ("zip: TorchScript", "TorchScript program"),
        ("a tar archive", "tar archive"),
    ],
)
def test_it_is_said_what_was_found(name, word, tmp_path):
    path = tmp_path / "crafted.pth"
    path.write_bytes(HOSTILE[name](tmp_path / "canary"))
    with pytest.raises(ModelError, match=word):
        read_pth(path)


def test_the_crafted_files_are_sound_but_for_their_fault(tmp_path):
    for content in (old(rebuilt()), packed(ONE, NUMBERS)):
        (tmp_path / "n.pth").write_bytes(content)
        assert torch.equal(read_pth(tmp_path / "n.pth")["a"], torch.tensor([[1.0, 2.0]]))


SEEDS = [saved({"a": torch.ones(3, 2), "b": torch.zeros(2).long()}, new) for new in (False, True)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=5),
    st.integers(0, 3000),
)
def test_damaged_files_raise_our_error_or_load(tmp_path, seed, changes, end):
    raw = bytearray(seed)
    for place, value in changes:
        raw[place % len(raw)] = value
    path = tmp_path / "damaged.pth"
    path.write_bytes(raw[: end or None])
    try:
        read_pth(path)
    except ModelError as error:
        assert str(error).startswith(f"{path}: it") and str(error).isprintable()


def test_a_part_of_a_storage_is_a_copy(tmp_path):
    base = torch.arange(1000.0)
    torch.save({"part": base[3:9], "whole": base}, tmp_path / "n.pth")
    found = read_pth(tmp_path / "n.pth")
    assert found["part"].untyped_storage().nbytes() == 24
    found["part"].zero_()
    assert torch.equal(found["whole"], base)
