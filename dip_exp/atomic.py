"""Atomic file writing: to a temporary name in the same folder, flushed to disk, then renamed."""

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

UNFINISHED = ".*.part"
"""The names of files that are being written; a process that is killed leaves one behind."""


@contextmanager
def writing_whole(path: Path, instead: Callable[[], None] | None = None) -> Iterator[BinaryIO]:
    """Opens a binary file that replaces `path` if the block succeeds, and is deleted if it fails.

    instead: called when the new file is complete, just before it takes the place of the old one. Raises OSError if it
    cannot be written.
    """
    # The temporary name is short, because the target's may already be as long as the file system permits.
    temporary = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if instead is not None:
            instead()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Flushes a folder's entries to disk, so that a file that was renamed has its new name after a power loss too."""
    with contextlib.suppress(OSError):  # not every system lets a folder be opened, or flushed
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def drop_unfinished(folder: Path) -> None:
    """Deletes what killed processes were writing in a folder and below; nobody else may be writing there. Raises
    OSError."""
    for half in folder.glob(f"**/{UNFINISHED}"):
        half.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Writes bytes to a file."""
    with writing_whole(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8, without converting line ends."""
    write_bytes(path, text.encode("utf-8"))


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes arrays, such as pictures (1, C, H, W) by output kind, as float32 into one .npz file."""
    with writing_whole(path) as file:
        np.savez_compressed(file, allow_pickle=False, **{k: a.astype(np.float32) for k, a in arrays.items()})
