"""Keeps freed blocks in glibc's heap between steps, instead of returning them to the kernel.

Every step frees memory that the next one allocates again. glibc returns every block above some MB to the kernel at
once, and the kernel then provides zeroed pages whose zeros nobody reads: up to half of a step's time on a CPU.
"""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
"""Parameters of mallopt(3)."""

LARGEST_THRESHOLD = 32 * 2**20
"""The limit, in bytes, to which glibc raises its mmap threshold by itself. A block above that threshold is mapped from
the kernel and returned to it."""


@contextmanager
def kept() -> Iterator[None]:
    """Keeps freed memory in the process while the context is open, then returns it. Does nothing without glibc."""
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
