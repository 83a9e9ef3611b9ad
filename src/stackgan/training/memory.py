"""Keeping freed memory in the process, so that a step does not fault it in again."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4  # glibc's <malloc.h>


def keep_freed_memory() -> bool:
    """Tell glibc to keep what is freed; return whether it was told (elsewhere nothing happens).

    A step allocates and frees the same large maps again and again. By default glibc maps each from
    the kernel and gives it back, and every page is cleared and faulted in anew: a tenth to a
    quarter of a training step on two cores. Holds for the whole process, so only a command calls
    it, never an import.
    """
    return _tell((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**28))


def let_memory_go() -> bool:
    """Undo :func:`keep_freed_memory`: glibc's own ways, as they are once large maps were freed."""
    largest = 32 * 2**20  # up to here glibc raises the size that it maps by itself
    return _tell(
        (_MMAP_MAX, 2**16),
        (_MMAP_THRESHOLD, largest),
        (_TRIM_THRESHOLD, 2 * largest),
        (_TOP_PAD, 2**17),
    )


def _tell(*options: tuple[int, int]) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    return all([mallopt(name, value) for name, value in options])
