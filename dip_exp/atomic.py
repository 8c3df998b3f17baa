"""Files that are written whole or not at all: to a temporary name beside them, flushed to the disk, then renamed."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np


@contextmanager
def writing_whole(path: Path) -> Iterator[BinaryIO]:
    """Opens a binary file that takes the place of `path` when the block ends well, and is gone where it does not.

    Raises OSError where it cannot be written.
    """
    # The temporary name is short, since the target's may be as long as the file system allows.
    temporary = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Writes a file's bytes."""
    with writing_whole(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8, its line ends as they are."""
    write_bytes(path, text.encode("utf-8"))


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes float32 pictures (1, C, H, W) by output kind as one .npz."""
    with writing_whole(path) as file:
        np.savez_compressed(file, allow_pickle=False, **{k: a.astype(np.float32) for k, a in arrays.items()})
