"""``stackgan VERB ...``: finds the verb's file, runs it, turns errors into sentences and codes.

Exit codes: 0 done, 1 ran and failed, 2 wrong use or input, 130 interrupted. Only the file of the
verb asked for is imported, and torch, rich and fabric only inside a verb that is run: ``--help``
takes under 0.3 s.
"""

from __future__ import annotations

import difflib
import errno
import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from keyword import iskeyword
from typing import Any

import typer

from stackgan.cli import options
from stackgan.cli.answer import answer, say
from stackgan.errors import StackGANError
from stackgan.memory import is_out_of_memory, keep_freed_memory
from stackgan.threads import Look, sleep_where_busy
from stackgan.version import __version__

VERBS = {
    "generate": "Draw pictures from captions.",
    "interpolate": "Walk from one caption to another, one row of pictures.",
    "inspect": "Say what a model, run, encoder, checkpoint or PNG is.",
    "data": "List, check, prepare or draw data sets.",
    "encoder": "Train a text encoder, embed captions, caption photographs.",
    "train": "Train Stage-I, Stage-II or both on a data set.",
    "import": "Import the authors' weights, encoders and embeddings.",
    "evaluate": "Measure a model against photographs.",
    "bench": "Measure speed and memory against the plain recipe.",
}
"""Each verb's file in this folder and its line in ``--help``."""

TAKES_CAPTIONS = {"generate", "interpolate"}
TAKES_LESS_MEMORY = {
    "generate": "draw fewer pictures into one file (-n), or name a folder for --out",
    "interpolate": "take fewer --steps",
    "data": "with `prepare` choose a smaller --size, or close other programs",
    "encoder": "with `train` choose a smaller --batch, or close other programs",
    "train": "choose a smaller stage1.batch_size and stage2.batch_size with --set, work through a "
    "batch in parts (stage1.accumulate=2), compute maps again (stage1.recompute=all), or take "
    "narrower networks (architecture.*_width)",
    "evaluate": "draw fewer pictures (-n)",
}
"""By verb, what helps where memory ran out."""
_WRONG_NAME = {errno.ENAMETOOLONG, errno.ELOOP}
INTERRUPTED = 130
EPILOG = "`stackgan VERB --help` tells a verb's options, `stackgan --version` the version."


def main(argv: Sequence[str] | None = None) -> None:
    """The console script: run and exit."""
    _open_closed_streams()
    sleep_where_busy()
    options.started = Look()
    keep_freed_memory()
    code = run(sys.argv[1:] if argv is None else argv)
    try:
        sys.stdout.flush()
    except OSError as error:
        if not code and not isinstance(error, BrokenPipeError):
            _say(f"standard output: {_os_sentence(error)}", 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = code or 1
    sys.exit(code)


def _open_closed_streams() -> None:
    """Put nothing in the place of standard streams that the caller closed (``>&-``).

    Python has None for these; and the first file opened would take a closed one's number, to be
    written into by whatever prints.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nothing = os.open(os.devnull, os.O_RDWR)  # the lowest number free: this very one
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
            mode = "r" if number == 0 else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def run(argv: Sequence[str]) -> int:
    """Run one command line; return its exit code. Errors go to stderr as one sentence each."""
    arguments = list(argv) or ["--help"]
    verb = None if arguments[0].startswith("-") else arguments[0]
    if held := next((word for word in arguments if "\0" in word), None):
        return _say(f"{held[:60]!r} holds a zero byte, which no name and no caption can have", 2)
    if option := _without_value(arguments):
        return _say(f"{option} is given an empty value; name one, or leave the option out", 2)
    try:
        if arguments[0] in ("--version", "-V"):
            answer(f"stackgan {__version__}", {}, False)
            return 0
        command = typer.main.get_command(build_app(verb))
        code = command.main(arguments, prog_name="stackgan", standalone_mode=False)
        if code == INTERRUPTED:
            return _say("interrupted", INTERRUPTED)
        return (code if isinstance(code, int) else 0) if argv else 2
    except StackGANError as error:
        return _say(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _say("interrupted", INTERRUPTED)
    except typer.Abort as error:
        interrupted = isinstance(error.__cause__, KeyboardInterrupt)
        return _say("interrupted" if interrupted else "aborted", INTERRUPTED if interrupted else 1)
    except BrokenPipeError:
        return 1
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except Exception as error:
        if is_out_of_memory(error):
            return _say(_memory_sentence(verb), 1)
        if isinstance(error, OSError):
            return _say(_os_sentence(error), 2 if error.errno in _WRONG_NAME else 1)
        if not hasattr(error, "format_message"):
            raise
        return _say(_usage_sentence(error, arguments), int(getattr(error, "exit_code", 2)))


def build_app(verb: str | None = None) -> typer.Typer:
    """The typer app with ``verb``'s own command; the other verbs are names with a line of help."""
    app = typer.Typer(
        help="From a sentence to a 256x256 picture, and from captioned photographs to a model.",
        epilog=EPILOG,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=False,
        add_help_option=verb not in VERBS,  # else the verb's own; reading a second costs 0.15 s
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_group)
    for name, line in VERBS.items():
        if name != verb:
            app.command(name, help=line)(_stub)
            continue
        file = f"{__package__}.{name}{'_' * iskeyword(name)}"
        if find_spec(file) is None:
            app.command(name, help=line)(_missing(name))
            continue
        module = import_module(file)
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name, help=line)
        else:
            app.command(name, help=module.command.__doc__)(module.command)
    return app


def _group() -> None:
    """Make the app a group of verbs, without options of its own."""


def _stub() -> None:
    """Stand for a verb that this command line does not call."""


def _missing(name: str) -> Callable[[], None]:
    def command() -> None:
        raise StackGANError(f"`stackgan {name}` is not part of this installation")

    return command


def _say(sentence: str, code: int) -> int:
    try:
        say(sentence)
    except BrokenPipeError:
        code = code or 1
    return code


def _without_value(arguments: Sequence[str]) -> str | None:
    """The first option whose value is an empty word, as of a variable that is not set."""
    for option, value in zip(arguments, [*arguments[1:], None], strict=True):
        if option == "--":
            return None
        if option.startswith("--") and (value == "" or option.endswith("=")):
            return option.rstrip("=")
    return None


def _os_sentence(error: OSError) -> str:
    place = str(error.filename2 or error.filename or "")
    place = place if len(place) <= 300 else f"{place[:140]} ... {place[-140:]}"
    reason = (error.strerror or str(error)).lower()
    if error.errno == errno.ENOSPC:
        reason = "no space is left on the disk"
    return f"{place}: {reason}" if place else reason


def _memory_sentence(verb: str | None) -> str:
    helps = TAKES_LESS_MEMORY.get(verb or "", "close other programs")
    return f"the memory of this machine or device is not enough: {helps}"


def _usage_sentence(error: Any, arguments: Sequence[str]) -> str:
    message = " ".join(str(error.format_message()).split()).rstrip(".")
    message = _with_value(message.replace("Value error, ", ""), _given(error, arguments))
    verb = next((word for word in arguments if word in VERBS), None)
    if verb in TAKES_CAPTIONS and message.lower().startswith("no such option"):
        return f"{message}; a caption that begins with a hyphen goes after -- (see --help)"
    hint = f"stackgan {verb} --help" if verb else "stackgan --help"
    return f"{message[:1].lower()}{message[1:]} (see `{hint}`)"


def _given(error: Any, arguments: Sequence[str]) -> str | None:
    """The value that the option had which ``error`` is about."""
    for option in getattr(getattr(error, "param", None), "opts", []):
        for place, word in enumerate(arguments):
            if word == option and place + 1 < len(arguments):
                return arguments[place + 1]
            if word.startswith(f"{option}=") and option.startswith("--"):
                return word.partition("=")[2]
    return None


def _with_value(message: str, value: str | None) -> str:
    """The message with the value that was found, and the nearest of the values it lists."""
    if value is None or not message.startswith("Invalid value"):
        return message
    listed = re.findall("'([^']*)'", message.partition("not one of")[2])
    close = difflib.get_close_matches(value, listed, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{message}{'' if repr(value) in message else f', found {value[:60]!r}'}{hint}"


if __name__ == "__main__":
    main()
