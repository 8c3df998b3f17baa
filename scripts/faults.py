"""Faults on purpose: what a process changes in a folder is counted, and at one of the changes something goes wrong."""

import errno
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SOME_BYTES = 10
"""The part of a file that `cut_short` leaves."""


class Writes:
    """Counts what a process changes in a folder, and calls `at` with the count before each change.

    Python tells audit hooks of every file that is opened, renamed or deleted; an exception of theirs comes out of the
    call itself.
    """

    def __init__(self, folder: Path, at: Callable[[int], None]) -> None:
        self.folder, self.at, self.count = str(folder), at, 0
        sys.addaudithook(self._told)

    def _told(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = args
            writes = set(mode or "") & set("wax+") or (mode is None and flags & (os.O_WRONLY | os.O_RDWR))
        elif event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"):
            path, writes = args[0], True
        else:
            return
        if writes and isinstance(path, str | os.PathLike) and os.fspath(path).startswith(self.folder):
            self.count += 1
            self.at(self.count)


def at_the(number: int, does: Callable[[], None], *, and_later: bool = False) -> Callable[[int], None]:
    """Returns a function of the count of writes that acts at one of them, or from it on."""

    def at(count: int) -> None:
        if count == number or (and_later and count > number):
            does()

    return at


def killed() -> None:
    """Kills this process as a power loss would: nothing of it is run any more."""
    os.kill(os.getpid(), signal.SIGKILL)


def cut_short() -> None:
    """Kills this process in the middle of the next file that it writes: some bytes of it are there, and no more."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (SOME_BYTES, SOME_BYTES))


def disk_full() -> None:
    """Refuses a write as a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
