"""Memory that runs out, streams that are closed, words handed on to torch or the system."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from stackgan.cli import main as frame
from stackgan.config import StageSettings, load_settings, validate_settings
from stackgan.data.examples import Example
from stackgan.devices import choose_device
from stackgan.errors import InputError, RunFailed
from stackgan.evaluation.protocol import sentences
from stackgan.files import write_json
from stackgan.memory import is_out_of_memory
from stackgan.pipeline import StackGAN
from stackgan.training.shortage import advice, shortage_told

SOURCE = Path(__file__).parents[2] / "src"
LONG = "x" * 300
CPU = (
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you"
)
SHORT = {
    "python": MemoryError(),
    "numpy": np._core._exceptions._ArrayMemoryError((2**40,), np.dtype("f4")),
    "torch on a CPU": RuntimeError(CPU),
    "torch on Windows": RuntimeError("DefaultCPUAllocator: not enough memory: you tried to"),
    "torch on a GPU": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "torch on a Mac": RuntimeError("MPS backend out of memory (MPS allocated: 9.0 GB)"),
    "C++": RuntimeError("std::bad_alloc"),
    "the system": OSError(errno.ENOMEM, "Cannot allocate memory"),
    "a library that does not fit": ImportError("x.so: failed to map segment from shared object"),
    "oneDNN": RuntimeError("could not create a memory object"),
    "a size beyond all memory": RuntimeError("Storage size calculation overflowed with sizes=[9]"),
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", SHORT)
@pytest.mark.parametrize(
    ("verb", "words", "helps"),
    [
        ("generate", ["a"], "-n"),
        ("interpolate", ["a", "b"], "--steps"),
        ("evaluate", ["MODEL", "--data", "toy", "--root", "toy"], "-n"),
    ],
)
def test_memory_that_runs_out_is_a_sentence_with_what_takes_less(
    command_line, monkeypatch, kind, verb, words, helps
):
    def fail(*_, **__):
        raise SHORT[kind]

    monkeypatch.setattr(StackGAN, "from_pretrained", fail)
    monkeypatch.setattr("stackgan.data.read_examples", lambda *_, **__: [])
    done = command_line(verb, *words)
    assert done.code == 1 and done.err.count("\n") == 1, done.err
    assert "memory" in done.err and helps in done.err


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes differ"), ValueError("the caption says: out of memory")]
)
def test_other_errors_are_no_shortage_of_memory(error):
    assert not is_out_of_memory(error)
    with pytest.raises(type(error)), shortage_told(StageSettings(), 1):
        raise error


@pytest.mark.parametrize("verb", frame.VERBS)
def test_every_verb_has_a_sentence_for_it(verb):
    assert frame._memory_sentence(verb).count(": ") == 1


def test_a_training_names_the_settings_of_its_stage_the_cheapest_first():
    matching = r"Stage-II .*stage2.batch_size=12"
    with (
        pytest.raises(RunFailed, match=matching) as caught,
        shortage_told(StageSettings(batch_size=12), 2),
    ):
        raise SHORT["torch on a CPU"]
    said = str(caught.value)
    order = ["stage2.accumulate=2", "stage2.recompute=all", "smaller stage2.batch_size", "narrower"]
    assert [said.index(each) for each in order] == sorted(said.index(each) for each in order)


@pytest.mark.parametrize(
    ("batch", "accumulate", "parts"),
    [(64, 1, 2), (64, 2, 4), (9, 1, 3), (12, 3, 4), (12, 6, None), (2, 1, None), (7, 1, None)],
)
def test_the_parts_that_are_advised_are_ones_that_settings_take(batch, accumulate, parts):
    said = advice(StageSettings(batch_size=batch, accumulate=accumulate, recompute="all"), 1)
    assert ("accumulate" in said) == (parts is not None) and "recompute" not in said
    if parts is not None:
        assert f"stage1.accumulate={parts}," in said
        StageSettings(batch_size=batch, accumulate=parts)


def test_a_dry_run_of_networks_that_fit_no_memory_is_a_sentence(command_line, here):
    assert command_line("data", "toy", "--root", "toy", "--count", "35").code == 0
    train = ["train", "--data", "toy", "--root", "toy", "--run", "run", "--preset", "toy"]
    train += ["--set", "stage1.batch_size=4", "--stage", "1", "--dry-run"]
    done = command_line(*train, "--set", "architecture.stage1_generator_width=2147483647")
    assert done.code == 1 and done.err.splitlines()[-1].startswith(
        "stackgan: Stage-I does not fit the memory with stage1.batch_size=4: begin anew with --set "
        "stage1.accumulate=2"
    )
    assert not (here / "run").exists()


START = "from stackgan.cli import main as m; m.sleep_where_busy = lambda: None; m.main({words!r})"
"""Without the look at the cores, whose files would take a closed stream's number for a while."""


def program(words, redirect, here):
    """The console script as a shell starts it: its exit code and what it said on stderr."""
    done = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" {redirect}', sys.executable, START.format(words=words)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    return done.returncode, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
@pytest.mark.parametrize(
    ("redirect", "code", "said"),
    [
        (">&-", 0, ""),
        (">&- 2>&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
        ("<&- >out.txt", 0, ""),
        ("> /dev/full", 1, "standard output: no space is left on the disk"),
    ],
)
def test_standard_streams_that_are_closed_end_quietly(here, redirect, code, said):
    found, err = program(["--version"], redirect, here)
    assert found == code
    assert said in err and err.count("\n") == bool(said)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_an_answer_that_a_full_disk_does_not_take_is_said(here):
    code, err = program(["--version"], "> /dev/full", here)
    assert (code, err) == (
        1,
        "stackgan: standard output: no space is left on the disk\n",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_what_is_written_beside_a_closed_stream_holds_nothing_that_was_printed(here, tiny_model):
    words = ["generate", "a pink flower", "--model", str(tiny_model), "--out", "a.png"]
    code, err = program(words, "<&- >&- 2>err.txt", here)
    assert (code, err) == (0, "")
    assert (here / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_wrong_command_with_closed_streams_keeps_its_code(here):
    assert program(["generat"], ">&- 2>&-", here)[0] == 2


@pytest.mark.parametrize(
    "name", ["", "gpu", "CUDA", "cpu:0", "cpu:1", "mps:1", "cuda:", "cuda:x", "cuda:-1", "meta",
             "cuda:0:1", "cuda:99999999999999999999", " cpu", "cuda:\uff11", LONG]
)  # fmt: skip
def test_devices_that_are_none_are_told_from_those_that_are_missing(name):
    with pytest.raises(InputError, match="expected auto, cpu, cuda or mps"):
        choose_device(name)


def test_a_card_that_is_not_there_is_said_with_those_that_are(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for count, there in ((1, "there is cuda:0$"), (4, "there is cuda:0 to cuda:3$")):
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        with pytest.raises(InputError, match=f"no device cuda:99; {there}"):
            choose_device("cuda:99")
        with pytest.raises(InputError, match=f"no device cuda:{count};"):
            choose_device(f"cuda:{count}")
        assert choose_device(f"cuda:{count - 1}").index == count - 1
    assert choose_device("cuda").index is None


@pytest.mark.parametrize(
    "assignment",
    [
        f"seed={2**62}",
        "seed=-1",
        "stage1.steps=1000000000000000000000",
        "stage1.steps=2147483648",
        "architecture.condition_dim=9223372036854775808",
        "architecture.noise_dim=10000000000000000",
        "encoder.photographs=99999999999999999999999",
        "encoder.batch_size=" + "9" * 400,
        "log_every=99999999999999999999999",
        "stage1.epochs=1000000000000000000000000",
        "stage1.generator_lr=1e400",
        "stage1.generator_lr=nan",
        "stage1.kl_weight=inf",
        "stage1.r1_weight=inf",
        "encoder.learning_rate=inf",
        "encoder.word_weight=inf",
        "stage1.betas=[2, 3]",
        "stage2.betas=[0.5, 1]",
        "stage1.betas=[-0.1, 0.9]",
        "stage1.betas=[nan, 0.9]",
    ],
)
def test_numbers_that_torch_would_refuse_are_refused_by_name(assignment):
    with pytest.raises(InputError) as caught:
        load_settings(["modern"], None, [assignment])
    assert f"the setting {assignment.partition('=')[0]}" in str(caught.value)
    assert len(str(caught.value)) < 250


def test_the_largest_numbers_are_taken():
    settings = validate_settings({"seed": 2**62 - 1, "stage1": {"steps": 2**31 - 1}})
    torch.Generator().manual_seed(settings.seed * 2 + 2)


MODEL, EVALUATE = "MODEL", ["evaluate", "MODEL", "--data", "toy", "--root", "toy", "-n", "4"]
CAPTION = ["encoder", "caption", "--encoder", "e", "--from", "toy", "--from-root", "toy"]
LINES = {
    "a long name to write": (["generate", "a", "--model", MODEL, "--out", LONG], "file name too"),
    "a long picture": (["generate", "a", "--model", MODEL, "--out", f"{LONG}.png"], "file name"),
    "a long model": (["generate", "a", "--model", LONG], "file name too long"),
    "a long path": (["inspect", "y/" * 2500], "file name too long"),
    "a long encoder": (["generate", "a", "--model", MODEL, "--encoder", LONG], "file name too"),
    "a long run": (["train", "--run", LONG, "--resume"], "file name too long"),
    "no value": (["generate", "a", "--model", MODEL, "--out", ""], "--out is given an empty"),
    "no value after =": (["generate", "a", "--model="], "--model is given an empty value"),
    "no run": (["train", "--data", "toy", "--root", "toy", "--run", ""], "--run is given"),
    "no seed of 64 bits": (
        ["encoder", "train", "--data", "toy", "--root", "toy", "--out", "e", "--seed", "9" * 30],
        "--seed",
    ),
    "threads without end": (
        ["generate", "a", "--model", MODEL, "--threads", "9" * 20],
        "--threads",
    ),
    "no threads": (["generate", "a", "--model", MODEL, "--threads", "0"], "--threads"),
    "a toy set without end": (["data", "toy", "--root", "t", "--count", "9" * 30], "--count"),
    "a report on a folder": ([*EVALUATE, "--out", "folder"], "--out folder is a folder"),
    "a report nowhere": ([*EVALUATE, "--out", "no/x.json"], "does not exist"),
    "captions on a folder": (
        [*CAPTION, "--root", "toy", "--out", "folder"],
        "--out folder is a folder",
    ),
    "embeddings on a folder": (
        ["encoder", "embed", "--encoder", MODEL, "--captions", "file", "--out", "f.npz"],
        "--out f.npz is a folder",
    ),
    "no run to resume": (["train", "--run", "gone", "--resume"], "(settings.json: no such file"),
    "a folder of settings": (
        ["train", "--data", "toy", "--root", "toy", "--run", "r", "--config", "folder"],
        "folder cannot be read: Is a directory",
    ),
}


@pytest.mark.parametrize("kind", LINES)
def test_words_handed_on_are_one_sentence_and_nothing_is_written(
    command_line, tiny_model, here, kind, monkeypatch
):
    words, said = LINES[kind]
    (here / "file").write_text("a flower")
    (here / "folder").mkdir()
    (here / "f.npz").mkdir()
    monkeypatch.setattr(StackGAN, "generate_pixels", lambda *_, **__: pytest.fail("it drew"))
    before = sorted(here.rglob("*"))
    done = command_line(*(tiny_model if word == MODEL else word for word in words))
    assert (done.code, done.out) == (2, ""), done
    assert done.err.count("\n") == 1 and len(done.err) < 500, done.err
    assert said in done.err and "Errno" not in done.err
    assert sorted(here.rglob("*")) == before


def test_a_caption_may_still_be_empty_after_two_hyphens_and_is_said_so(command_line):
    assert "a caption is empty" in command_line("generate", "--json", "--", "").err


def test_a_failing_read_names_its_file(command_line, here, monkeypatch):
    class Broken(io.BytesIO):
        def read(self, *_):
            raise OSError(errno.EIO, "Input/output error")

    (here / "file").write_text("a flower")
    monkeypatch.setattr(Path, "open", lambda *_: Broken())
    done = command_line("inspect", "file")
    assert done.code == 2 and done.err == "stackgan: file cannot be read: input/output error\n"


def test_more_copies_than_pictures_are_so_many_pictures():
    example = Example(Path("a.png"), ("red", "blue"))
    assert sentences([example], 3, 10**30) == ["red"] * 3
    assert sentences([example], 5, 2) == ["red", "red", "blue", "blue", "red"]


def test_json_that_a_full_disk_does_not_take_leaves_nothing(here, monkeypatch):
    write = Path.write_text

    def full(path, text, **how):
        write(path, text[:3], **how)
        raise OSError(errno.ENOSPC, "No space left on device")

    write_json(here / "kept.json", {"a": 1})
    monkeypatch.setattr(Path, "write_text", full)
    for name in ("new.json", "kept.json"):
        with pytest.raises(OSError, match="No space"):
            write_json(here / name, {"a": 2})
    assert [path.name for path in here.iterdir()] == ["kept.json"]
    assert (here / "kept.json").read_text() == '{\n  "a": 1\n}\n'
