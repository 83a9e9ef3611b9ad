"""Optional packages: one that is installed and broken is one that is absent, with its reason."""

from __future__ import annotations

import importlib
from types import ModuleType


class NotUsable(ImportError):
    """An optional package is absent, or cannot be imported; ``why`` ends a sentence about it."""

    def __init__(self, package: str, reason: str | None) -> None:
        self.absent = reason is None
        broken = f"is installed and cannot be imported ({reason})"
        self.why = "is not installed" if reason is None else broken
        super().__init__(f"{package} {self.why}", name=package)


def load_optional(module: str, package: str | None = None) -> ModuleType:
    """Import ``module``, which needs ``package`` (None: the first part of its name).

    Code of other versions may raise anything while it is imported, and may ask to exit.

    Raises:
        NotUsable: in place of whatever it raised.
    """
    package = package or module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == package:
            raise NotUsable(package, None) from None
        told = " ".join(str(error).split())[:200]
        reason = f"{type(error).__name__}: {told}" if told else type(error).__name__
        raise NotUsable(package, reason) from None
