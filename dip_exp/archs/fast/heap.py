"""Memory that a step gives back is there for the next one, and not with the operating system in between.

A step frees what the next one asks for again. GNU's C library returns every block above some MB to the kernel at once,
which then hands out, page by page, zeros that nobody reads: up to half of the time of a step on a CPU.
"""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
"""Of mallopt(3)."""

LARGEST_THRESHOLD = 32 * 2**20
"""Where the library's own, growing threshold ends, above which a block is the kernel's."""


@contextmanager
def kept() -> Iterator[None]:
    """Keeps freed memory in the process while it lasts, then gives it back. Does nothing without GNU's C library."""
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_MAX, 0)
    libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        libc.mallopt(M_MMAP_MAX, 65536)
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_THRESHOLD)
        libc.mallopt(M_TRIM_THRESHOLD, 2 * LARGEST_THRESHOLD)
        libc.malloc_trim(0)
