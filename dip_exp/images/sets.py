"""The manifest of the paper's test pictures and network weights, which are not in the repository.

`sets.csv` has one row per file: its source, its sha256 and its path. `scripts/fetch_images.py` downloads from it.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from urllib.parse import quote

HOST = "https://raw.githubusercontent.com"
"""The server of the source repositories' files."""

FETCH = "python scripts/fetch_images.py"


FREE = "free"
"""The licence of a file that may be committed, and results on it. Hearsay is not enough ("said to be free")."""


@dataclass(frozen=True)
class Entry:
    """One file of a set.

    path: below the data folder. width, height: in pixels; 0 if the file is not a picture. mode: Pillow's mode, "text",
    or "weights" (of a network). size: in bytes. role: its role under `image=`: "clean", or "observed" if the picture is
    itself noisy, masked or a JPEG to be restored; empty if the file is not a picture. sha256: of the file, 64
    hexadecimal digits. repo, commit, source: the public repository (owner/name, or the address of a host other than
    GitHub), the commit, and the path in the repository. licence: FREE, or what is known.
    note: remarks on the file.
    """

    set: str
    name: str
    path: str
    width: int
    height: int
    mode: str
    size: int
    role: str
    sha256: str
    repo: str
    commit: str
    source: str
    licence: str
    note: str

    @property
    def option(self) -> str:
        """Its value for `image=`: set/name."""
        return f"{self.set}/{self.name}"

    @property
    def is_picture(self) -> bool:
        """Whether the file is a picture, so that `image=` accepts it."""
        return self.width > 0

    @property
    def family(self) -> str:
        """The name under which the set is fetched: its first part ("authors" for "authors/sr")."""
        return self.set.partition("/")[0]

    def url(self, host: str = HOST) -> str:
        """Returns the public address of the file. `host` serves GitHub's repositories under the same paths. The `repo`
        of a file that is not on GitHub is the address of its host; a `host` other than HOST replaces it."""
        if self.repo.startswith("https://"):
            place = self.repo if host == HOST else host.rstrip("/")
            return f"{place}/{self.commit}/{quote(self.source)}"
        return f"{host.rstrip('/')}/{self.repo}/{self.commit}/{quote(self.source)}"


@cache
def manifest() -> tuple[Entry, ...]:
    """Returns the files of all sets, in the manifest's order."""
    text = files("dip_exp.images").joinpath("sets.csv").read_text(encoding="utf-8")
    return tuple(_entry(row) for row in csv.DictReader(text.splitlines()))


def _entry(row: dict[str, str]) -> Entry:
    return Entry(
        set=row["set"],
        name=row["name"],
        path=row["path"],
        width=int(row["width"] or 0),
        height=int(row["height"] or 0),
        mode=row["mode"],
        size=int(row["bytes"]),
        role=row["role"],
        sha256=row["sha256"],
        repo=row["source_repo"],
        commit=row["source_commit"],
        source=row["source_path"],
        licence=row["licence"],
        note=row["note"],
    )


@cache
def families() -> dict[str, tuple[Entry, ...]]:
    """Returns {family: its files}."""
    found: dict[str, list[Entry]] = {}
    for entry in manifest():
        found.setdefault(entry.family, []).append(entry)
    return {name: tuple(entries) for name, entries in found.items()}


def by_content(sha256: str | None) -> Entry | None:
    """Returns the file with this sha256, or None if no set has it."""
    return next((entry for entry in manifest() if entry.sha256 == sha256), None)


def missing(path: str, sha256: str | None) -> str:
    """Returns the error text for a missing declared file: its set, and the command that fetches it."""
    entry = by_content(sha256)
    if entry is None:
        return f"{path!r} is not there"
    wanted = entry.family if entry.is_picture else entry.option
    return f"{path!r} is not there; it is of the set {entry.family}: {FETCH} {wanted}, or with --from FOLDER"
