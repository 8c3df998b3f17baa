"""Files that are written whole or not at all: to a temporary name beside them, then renamed."""

import os
from pathlib import Path

import numpy as np


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all: to a temporary name beside it, flushed, then renamed."""
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes float32 pictures (1, C, H, W) by output kind as one .npz, whole or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **{k: a.astype(np.float32) for k, a in arrays.items()})
    temporary.replace(path)
