"""Keeping freed memory in the process, and telling from an error that there is none left."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from functools import cache

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # glibc's <malloc.h>
_HUGE_PAGES = 14  # MADV_HUGEPAGE of Linux's <sys/mman.h>
_HUGE = 2**21
_SHORT = (
    "can't allocate memory",  # torch on a CPU: DefaultCPUAllocator
    "not enough memory",  # the same on Windows
    "out of memory",  # CUDA, MPS
    "bad_alloc",
    "cannot allocate memory",
    "failed to map segment",  # a library that did not fit
    "could not create a memory",  # oneDNN
    "storage size calculation overflowed",  # more than could ever be there
    "numel: integer multiplication overflow",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` is a shortage of memory: Python's, numpy's, torch's on any device, C's."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    said = str(error).lower()
    return isinstance(error, RuntimeError | ImportError) and any(each in said for each in _SHORT)


@cache
def keep_freed_memory() -> bool:
    """Tell glibc to keep what is freed; return whether it was told (elsewhere nothing happens).

    A step allocates and frees the same large maps again and again. By default glibc maps each from
    the kernel and gives it back, and every page is cleared and faulted in anew: a quarter of a
    Stage-II step on two cores (docs/performance.md). Once told, it takes them from its heap,
    of which the kernel is asked for huge pages. Holds for the whole process, so only the
    console script calls it, never an import.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        library = ctypes.CDLL(None)
        told = [
            library.mallopt(name, value)
            for name, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_TOP_PAD, 2**28))
        ]
    except (AttributeError, OSError):  # another C library
        return False
    if all(told):
        _ask_for_huge_pages(library)
    return all(told)


def _ask_for_huge_pages(library: ctypes.CDLL) -> None:
    """Let the heap grow by half of the machine's memory, none of it used yet, in huge pages."""
    size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes = [ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    start = library.malloc(size)
    if start is None:  # a limit on address space: ordinary pages
        return
    first = -(-start // _HUGE) * _HUGE
    library.madvise(first, (start + size - first) // _HUGE * _HUGE, _HUGE_PAGES)
    library.free(start)
