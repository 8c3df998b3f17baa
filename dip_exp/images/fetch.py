"""Gets the paper's test pictures: a file at a time, from its public source or a folder at hand, checked by sha256."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from dip_exp.errors import Refused
from dip_exp.images import sets
from dip_exp.images.files import file_sha256
from dip_exp.images.sets import Entry

Source = Callable[[Entry, Path], Path]
"""Returns where the content of a file of a set now lies, given an empty folder to work in. Raises FetchError."""

WEIGHTS = "weights"
"""The set that is no pictures, and is got only when it is named."""

LICENCE = (
    "The licences of these pictures are unclear (Kodak's excepted): "
    "they are for your own use, and no part of this project."
)

OTHER = "is not the declared file: its sha256 is another"


class FetchError(Exception):
    """One file could not be had from a source; the text is the reason."""


@dataclass(frozen=True)
class Result:
    """What became of one file. here: it was, as declared; wrong: it is there with other content. why: in words."""

    entry: Entry
    status: Literal["here", "fetched", "missing", "wrong", "failed"]
    why: str = ""

    @property
    def ok(self) -> bool:
        """Whether the file is here now, with the declared sha256."""
        return self.status in ("here", "fetched")

    @property
    def said(self) -> str:
        """The status in words."""
        return f"{self.status}: {self.why}" if self.why else self.status


def choose(names: Iterable[str]) -> tuple[Entry, ...]:
    """Returns the files of the named sets and the named files (set/name), in the manifest's order; "all": of all sets
    but the networks' weights, which are large. Raises Refused, listing the sets."""
    wanted = set(names)
    unknown = sorted(wanted - {"all", *sets.families(), *(entry.option for entry in sets.manifest())})
    if unknown:
        raise Refused(f"no set is called {', '.join(map(repr, unknown))}; there are: {', '.join(sets.families())}, all")
    whole = wanted | ({*sets.families()} - {WEIGHTS} if "all" in wanted else set())
    return tuple(entry for entry in sets.manifest() if entry.family in whole or entry.option in wanted)


def _is(path: Path, entry: Entry) -> bool:
    # The size first: nothing of another size need be read.
    return path.is_file() and path.stat().st_size == entry.size and file_sha256(path) == entry.sha256


def listing(into: Path) -> str:
    """Returns a table of the sets: files, megabytes (10^6 bytes), how many are in `into` as declared, where from."""
    width = max(map(len, sets.families()))
    lines = [f"{'set':{width}}  files     MB  here  from"]
    for name, entries in sets.families().items():
        here = sum(result.ok for result in check(entries, into))
        repos = ", ".join(dict.fromkeys(entry.repo for entry in entries))
        lines.append(f"{name:{width}}  {len(entries):5}  {megabytes(entries):5.1f}  {here:4}  {repos}")
    return "\n".join(lines)


def megabytes(entries: Iterable[Entry]) -> float:
    """Returns what the files take together, in 10^6 bytes."""
    return sum(entry.size for entry in entries) / 1e6


def check(entries: Iterable[Entry], into: Path) -> Iterator[Result]:
    """Yields for each file whether it is in the folder `into`: here, missing, wrong or failed. Changes nothing."""
    for entry in entries:
        path = into / entry.path
        try:
            if not path.exists():
                yield Result(entry, "missing")
            elif _is(path, entry):
                yield Result(entry, "here")
            else:
                yield Result(entry, "wrong", f"{path} {OTHER}")
        except OSError as error:
            yield Result(entry, "failed", str(error))


def fetch(entries: Iterable[Entry], into: Path, source: Source, replace: bool = False) -> Iterator[Result]:
    """Gets what is not in the folder `into` yet, and yields each file when it is done with; it goes as far as iterated.

    A file lands whole and verified, or not at all. One that is there and wrong stays, unless `replace`. A file that
    fails does not stop the others. Raises Refused if there can be no folder `into`.
    """
    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"--into {str(into)!r} cannot be made ({error.strerror}); name another folder") from None
    for result in check(entries, into):
        if result.status == "missing" or (replace and not result.ok):
            yield _get(result.entry, into / result.entry.path, source)
        elif result.status == "wrong":
            why = f"{result.why}; it is left as it is: move it away, or --replace it"
            yield Result(result.entry, "wrong", why)
        else:
            yield result


def _get(entry: Entry, target: Path, source: Source) -> Result:
    # In the nearest folder there is: on the target's own disk, so that renaming is one step, and no empty set is left.
    nearest = next(folder for folder in target.parents if folder.exists())
    try:
        with TemporaryDirectory(prefix=".fetch-", dir=nearest) as name:
            given = Path(name, "given")
            given.mkdir()
            # Copied, not moved: the copy is what is verified, and gets a new file's rights (pooch's are private).
            copy = shutil.copyfile(source(entry, given), Path(name, "copy"))
            if not _is(copy, entry):
                return Result(entry, "failed", f"what came {OTHER}; nothing of it was kept")
            target.parent.mkdir(parents=True, exist_ok=True)
            copy.replace(target)
    except FetchError as error:
        return Result(entry, "failed", str(error))
    except OSError as error:
        return Result(entry, "failed", f"cannot write {target}: {error.strerror or error}")
    return Result(entry, "fetched")


def network(host: str = sets.HOST) -> Source:
    """Returns the source that downloads from the files' public repositories. Raises Refused for no http(s) address."""
    if not host.startswith(("https://", "http://")):
        raise Refused(f"--host {host!r} is no address; it begins with https:// or http://, like {sets.HOST}")
    import pooch
    import requests

    pooch.get_logger().setLevel("ERROR")  # it tells of every file on stderr

    def download(entry: Entry, folder: Path) -> Path:
        url = entry.url(host)
        try:
            return Path(pooch.retrieve(url, f"sha256:{entry.sha256}", "download", folder))
        except requests.HTTPError as error:
            raise FetchError(f"the server answers {error}") from None
        except requests.Timeout:
            reason = "no answer in time"
        except requests.ConnectionError as error:
            reason = f"no connection ({type(error).__name__})"
        except requests.RequestException as error:
            reason = f"the download broke off ({type(error).__name__})"
        except ValueError:  # pooch's word for a wrong hash; requests' own ValueErrors are RequestExceptions
            reason = f"what came {OTHER}; nothing of it was kept"
        raise FetchError(f"{reason}: {url}")

    return download


def folder(root: Path) -> Source:
    """Returns the source that takes files from below `root`: by the manifest's path, else by content, of any name.

    Raises Refused if there is no such folder.
    """
    if not root.is_dir():
        raise Refused(f"--from {str(root)!r} is no folder; name the one that holds the files, under any names")

    @cache
    def by_size() -> dict[int, list[Path]]:
        found: dict[int, list[Path]] = {}
        for place, _, names in os.walk(root):  # passes over folders that may not be read
            for path in (Path(place, name) for name in sorted(names)):
                if path.is_file():
                    found.setdefault(path.stat().st_size, []).append(path)
        return found

    def find(entry: Entry, _: Path) -> Path:
        try:
            if _is(root / entry.path, entry):
                return root / entry.path
            return next(path for path in by_size().get(entry.size, []) if _is(path, entry))
        except StopIteration:
            raise FetchError(f"no file below {root} has its sha256 ({entry.sha256})") from None
        except OSError as error:
            raise FetchError(str(error)) from None

    return find
