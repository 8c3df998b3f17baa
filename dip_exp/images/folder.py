"""The pictures in a folder or behind a pattern, and the files beside them that are none."""

import glob
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

from dip_exp.images.decode import NPY
from dip_exp.images.tiff import MAGIC

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".npy")
OF_THE_SYSTEM = ("thumbs.db", "desktop.ini", "ehthumbs.db")
STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", NPY, *MAGIC)
MOST_NAMES = 5


class Found(NamedTuple):
    """pictures: sorted by name. passed_by: the names of other files, sorted."""

    pictures: list[Path]
    passed_by: list[str]

    @property
    def note(self) -> str:
        """Says what was passed by; empty if nothing was."""
        if not self.passed_by:
            return ""
        more = len(self.passed_by) - MOST_NAMES
        names = ", ".join(map(repr, self.passed_by[:MOST_NAMES])) + (f" and {more} more" if more > 0 else "")
        return f"passed by, as no pictures: {names}"


def in_folder(folder: Path) -> Found:
    """Returns the pictures among the files of a folder, by their suffix."""
    files = [entry for entry in folder.iterdir() if entry.is_file()]
    return _parted(files, [entry for entry in files if _is_named_so(entry)])


def matching(pattern: str) -> Found:
    """Returns the pictures among the files that match a pattern (*, ?, [...], **). A pattern that ends in a suffix of
    its own means all such files; otherwise a file is a picture by its suffix or by how it starts."""
    forms = dict.fromkeys([pattern, *(normalize(form, pattern) for form in ("NFC", "NFD"))])
    names = {name for form in forms for name in glob.glob(form, recursive=True)}  # noqa: PTH207  # Path.glob rejects absolute patterns
    files = [Path(name) for name in names if Path(name).is_file()]
    suffix = Path(pattern).suffix
    means_all = bool(suffix) and not any(mark in suffix for mark in "*?[]")
    chosen = [one for one in files if not _is_of_the_system(one)]
    return _parted(files, chosen if means_all else [one for one in chosen if _is_named_so(one) or _starts_so(one)])


def _parted(files: list[Path], pictures: list[Path]) -> Found:
    others = set(files) - set(pictures)
    return Found(sorted(pictures, key=str), sorted(entry.name for entry in others))


def _is_of_the_system(path: Path) -> bool:
    return path.name.startswith("._") or path.name in (".DS_Store",) or path.name.lower() in OF_THE_SYSTEM


def _is_named_so(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _starts_so(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError:
        return True  # a job of its own says what is wrong with it
    return start.startswith(STARTS) or (start.startswith(b"RIFF") and start[8:12] == b"WEBP")
