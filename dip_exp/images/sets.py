"""The paper's test pictures and networks, not in the repository: where each comes from, what it must be, where it lies.

`sets.csv` is the manifest: one row a file, with its source and sha256. `scripts/fetch_images.py` downloads by it.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from urllib.parse import quote

HOST = "https://raw.githubusercontent.com"
"""Where the source repositories are served from."""

FETCH = "python scripts/fetch_images.py"


@dataclass(frozen=True)
class Entry:
    """One file of a set.

    path: below the data folder. width, height: pixels, 0 for no picture. mode: Pillow's, "text" or "weights" (a
    network's). size: bytes. role: what
    `image=` takes it for: "clean", or "observed" where it is itself noisy, masked or a JPEG to be restored; a text has
    none. sha256: of the file, 64 hexadecimal digits. repo, commit, source: the public repository (owner/name) it is in,
    the commit it was taken at, and its path in there. note: what is known of it.
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
    note: str

    @property
    def option(self) -> str:
        """What `image=` calls it: set/name."""
        return f"{self.set}/{self.name}"

    @property
    def is_picture(self) -> bool:
        """Whether it is one: `image=` takes it."""
        return self.width > 0

    @property
    def family(self) -> str:
        """The set as it is fetched: the first part of its name ("authors" of "authors/sr")."""
        return self.set.partition("/")[0]

    def url(self, host: str = HOST) -> str:
        """Returns the public address of the file; `host` serves GitHub's repositories under the same paths. A file that
        is in no repository of GitHub's has its own host as `repo`, which another `host` stands for."""
        if self.repo.startswith("https://"):
            place = self.repo if host == HOST else host.rstrip("/")
            return f"{place}/{self.commit}/{quote(self.source)}"
        return f"{host.rstrip('/')}/{self.repo}/{self.commit}/{quote(self.source)}"


@cache
def manifest() -> tuple[Entry, ...]:
    """Returns every file of every set, in the manifest's order."""
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
        note=row["note"],
    )


@cache
def families() -> dict[str, tuple[Entry, ...]]:
    """Returns {set as it is fetched: its files}."""
    found: dict[str, list[Entry]] = {}
    for entry in manifest():
        found.setdefault(entry.family, []).append(entry)
    return {name: tuple(entries) for name, entries in found.items()}


def by_content(sha256: str | None) -> Entry | None:
    """Returns the file of a set that has this content, or None."""
    return next((entry for entry in manifest() if entry.sha256 == sha256), None)


def missing(path: str, sha256: str | None) -> str:
    """Returns the words for a declared file that is not there: which set it is of, and the command that gets it."""
    entry = by_content(sha256)
    if entry is None:
        return f"{path!r} is not there"
    wanted = entry.family if entry.is_picture else entry.option
    return f"{path!r} is not there; it is of the set {entry.family}: {FETCH} {wanted}, or with --from FOLDER"
