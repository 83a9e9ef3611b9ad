"""The frame around every verb: help, version, exit codes, one sentence for each error."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import stackgan
from stackgan.cli import main as frame
from stackgan.errors import CheckFailed, InputError, RunFailed

SOURCE = Path(__file__).parents[2] / "src"
FAST = """
import sys
from stackgan.cli.main import run
code = run({arguments!r})
loaded = {{name.split(".")[0] for name in sys.modules}}
heavy = loaded & {{"torch", "rich", "lightning_fabric", "numpy", "PIL", "pydantic"}}
sys.exit(f"imported {{heavy}}" if heavy else code)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["generate", "--help"]])
def test_help_and_version_import_nothing_heavy(arguments):
    done = subprocess.run(
        [sys.executable, "-c", FAST.format(arguments=arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_help_names_every_verb(command_line):
    done = command_line("--help")
    assert done.code == 0
    for verb in frame.VERBS:
        assert f"  {verb} " in done.out


@pytest.mark.parametrize("verb", frame.VERBS)
def test_every_verb_has_help_of_its_own(command_line, verb):
    done = command_line(verb, "--help")
    assert done.code == 0 and done.err == ""
    assert f"stackgan {verb}" in done.out


def test_version(command_line):
    done = command_line("--version")
    assert (done.code, done.out, done.err) == (0, f"stackgan {stackgan.__version__}\n", "")


def test_no_verb_is_wrong_use_and_shows_help(command_line):
    done = command_line()
    assert done.code == 2 and "generate" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generat", "x"], "did you mean 'generate'"),
        (["generate", "--seeed", "1", "x"], "hyphen goes after --"),
        (["generate", "x", "-n", "0"], "-n"),
        (["generate", "x", "--seed", "none"], "--seed"),
        (["--what"], "--what"),
        (["interpolate", "a"], "'B'"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_2(command_line, arguments, message):
    done = command_line(*arguments)
    assert done.code == 2 and done.out == ""
    assert done.err.startswith("stackgan: ") and done.err.count("\n") == 1
    assert message.lower() in done.err.lower()


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("bad caption"), 2, "bad caption"),
        (CheckFailed("3 faults"), 1, "3 faults"),
        (RunFailed("the loss is NaN"), 1, "the loss is NaN"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), 1, "/x/y: no space is left"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 1, "/x: permission denied"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_errors_become_sentences_and_codes(command_line, monkeypatch, error, code, said):
    import stackgan.cli.inspect as verb

    def fail(path):
        raise error

    monkeypatch.setattr(verb, "describe", fail)
    done = command_line("inspect", "x")
    assert done.code == code
    assert done.err.startswith(f"stackgan: {said}") and "Traceback" not in done.err


def test_a_defect_of_ours_keeps_its_traceback(command_line, monkeypatch):
    import stackgan.cli.inspect as verb

    monkeypatch.setattr(verb, "describe", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        command_line("inspect", "x")


def test_a_verb_whose_file_is_missing_says_so(command_line, monkeypatch):
    monkeypatch.setitem(frame.VERBS, "paint", "Not there.")
    done = command_line("paint")
    assert done.code == 2 and "`stackgan paint`" in done.err
    assert command_line("--help").code == 0


def test_a_closed_pipe_ends_quietly():
    program = "from stackgan.cli.main import main; main(['--help'])"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 1
