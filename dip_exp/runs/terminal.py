"""Standard output and error of a command: they take any letter, and a reader that has gone ends no run."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class _Whatever(io.RawIOBase):
    """Writes to a file descriptor; when its reader has gone (`| head -1`), what is written is dropped."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._gone = descriptor, False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: "bytes | memoryview") -> int:  # type: ignore[override]
        if not self._gone:
            try:
                return os.write(self._descriptor, data)
            except BrokenPipeError:
                self._gone = True
        return len(data)


def prepare() -> None:
    """Makes both streams of this process forgiving, whatever launcher started it.

    A letter that the console's encoding lacks is written escaped. A stream that was closed (`2>&-`) leads nowhere
    instead of into the next file that is opened. A stream that something else has replaced (a test, a notebook) is left
    as it is.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None or (stream is getattr(sys, f"__{name}__") and not _is_prepared(stream)):
            setattr(sys, name, _forgiving(stream, descriptor))
            setattr(sys, f"__{name}__", getattr(sys, name))


def _is_prepared(stream: TextIO) -> bool:
    return isinstance(getattr(getattr(stream, "buffer", None), "raw", None), _Whatever)


def _forgiving(stream: TextIO | None, descriptor: int) -> TextIO:
    encoding = "utf-8" if stream is None else stream.encoding
    if stream is not None:
        stream.flush()
    live = os.isatty(descriptor)
    raw = io.BufferedWriter(_Whatever(descriptor))  # type: ignore[arg-type]
    return io.TextIOWrapper(raw, encoding, "backslashreplace", line_buffering=live or descriptor == 2)


class _Kept(io.StringIO):
    """Text that is kept; a process that is started meanwhile gets the real stream."""

    def fileno(self) -> int:
        return 2


class Held:
    """Standard error kept back until it is known whether it is worth reading."""

    def __init__(self) -> None:
        self._before: TextIO | None = None
        self._within = False
        self._kept = _Kept()

    def __reduce__(self) -> tuple[type["Held"], tuple[()]]:
        """A launcher sends it along with a job; the process there keeps nothing back."""
        return Held, ()

    @contextmanager
    def back(self) -> Iterator[None]:
        """Keeps back what is written to standard error, until `release` is called or the block ends."""
        self._within = True
        self.again()
        try:
            yield
        finally:
            self._within = False
            self.release()

    def again(self) -> None:
        """Within `back`, keeps back what follows, after a `release`."""
        if self._within and self._before is None:
            self._before, sys.stderr = sys.stderr, self._kept

    def take(self) -> str:
        """Returns what was kept back and forgets it."""
        text = self._kept.getvalue()
        self._kept.seek(0)
        self._kept.truncate()
        return text

    def release(self) -> None:
        """Writes what was kept back, and all that follows, to standard error."""
        if self._before is not None:
            sys.stderr, self._before = self._before, None
            sys.stderr.write(self.take())
            sys.stderr.flush()
