"""What can go wrong, as a tree. Every message is one sentence for the person who can act on it.

StackGANError                exit code 2
├── InputError               an argument, setting or caption that cannot be used (also a ValueError)
├── DataError                a data set or image file that is missing or broken
├── ModelError               a model folder, checkpoint or encoder file that cannot be used
├── CheckFailed              exit code 1: a check ran and found faults
└── RunFailed                exit code 1: a run started and could not go on
    └── NonFiniteLoss        a loss became NaN or infinite
"""


class StackGANError(Exception):
    """Base of every error this package raises on purpose; ``exit_code`` is the command line's."""

    exit_code = 2


class InputError(StackGANError, ValueError):
    """An argument, setting or caption cannot be used."""


class DataError(StackGANError):
    """A data set or an image file is missing or broken."""


class ModelError(StackGANError):
    """A model folder, checkpoint or encoder file is missing, damaged or of another kind."""


class CheckFailed(StackGANError):
    """A check ran to its end and found faults."""

    exit_code = 1


class RunFailed(StackGANError):
    """A run started properly and then could not go on."""

    exit_code = 1


class NonFiniteLoss(RunFailed):
    """A loss became NaN or infinite; the last good checkpoint stays as it was."""


def nearest(word: str, known: list[str]) -> str:
    """Return ``known`` as a phrase for an error, the name nearest to ``word`` first."""
    import difflib

    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    listed = ", ".join(known)
    return f"did you mean {close[0]!r}? (known: {listed})" if close else f"known: {listed}"
