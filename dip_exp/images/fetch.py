"""Fetches the paper's test pictures, one file at a time, from public sources or a local folder; checks each sha256."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from urllib.parse import urlsplit

from dip_exp.errors import Refused
from dip_exp.images import sets
from dip_exp.images.files import file_sha256
from dip_exp.images.sets import Entry

Source = Callable[[Entry, Path], Path]
"""Takes an entry and an empty working folder, and returns the path of the file's content. Raises FetchError."""

WEIGHTS = "weights"
"""The set of network weights, which is fetched only if it is named."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
TIMEOUT_SECONDS = 30

OTHER = "is not the declared file: its sha256 is another"


class FetchError(Exception):
    """A source could not provide a file; the text is the reason."""


@dataclass(frozen=True)
class Result:
    """The outcome for one file. here: it was already there and correct; wrong: it is there with other content. why: the
    reason in words."""

    entry: Entry
    status: Literal["here", "fetched", "missing", "wrong", "failed"]
    why: str = ""

    @property
    def ok(self) -> bool:
        """Whether the file is now in place, with the declared sha256."""
        return self.status in ("here", "fetched")

    @property
    def in_words(self) -> str:
        """The status in words."""
        return f"{self.status}: {self.why}" if self.why else self.status


def licences(entries: Iterable[Entry]) -> str:
    """Returns what is known of these files' licences, in one sentence."""
    counted = Counter(entry.licence for entry in entries).most_common()
    told = ", ".join(f"{licence} for {count}" for licence, count in counted)
    return f"The licence is {told} of these files: they are for your own use, and no part of this project."


def choose(names: Iterable[str]) -> tuple[Entry, ...]:
    """Returns the files of the named sets and the named files (set/name), in the manifest's order. "all" names all sets
    except the networks' weights, which are large. Raises Refused for an unknown name, listing the sets."""
    wanted = set(names)
    unknown = sorted(wanted - {"all", *sets.families(), *(entry.option for entry in sets.manifest())})
    if unknown:
        raise Refused(f"no set is called {', '.join(map(repr, unknown))}; there are: {', '.join(sets.families())}, all")
    whole = wanted | ({*sets.families()} - {WEIGHTS} if "all" in wanted else set())
    return tuple(entry for entry in sets.manifest() if entry.family in whole or entry.option in wanted)


def _is(path: Path, entry: Entry) -> bool:
    # Compare the size first, so that a file of another size is not read.
    return path.is_file() and path.stat().st_size == entry.size and file_sha256(path) == entry.sha256


def listing(into: Path) -> str:
    """Returns a table of the sets: files, megabytes (10^6 bytes), correct files in `into`, source repositories."""
    width = max(map(len, sets.families()))
    lines = [f"{'set':{width}}  files     MB  here  from"]
    for name, entries in sets.families().items():
        here = sum(result.ok for result in check(entries, into))
        repos = ", ".join(dict.fromkeys(entry.repo for entry in entries))
        lines.append(f"{name:{width}}  {len(entries):5}  {megabytes(entries):5.1f}  {here:4}  {repos}")
    return "\n".join(lines)


def megabytes(entries: Iterable[Entry]) -> float:
    """Returns the total size of the files, in 10^6 bytes."""
    return sum(entry.size for entry in entries) / 1e6


def check(entries: Iterable[Entry], into: Path) -> Iterator[Result]:
    """Yields the status of each file in the folder `into`: here, missing, wrong or failed. Changes nothing."""
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
    """Fetches the files that the folder `into` lacks, and yields the result of each; works only while it is iterated.

    A file is written complete and verified, or not at all. A wrong file that is already there is kept, unless `replace`
    is true. A file that fails does not stop the others. Raises Refused if the folder `into` cannot be created.
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
    # The nearest existing folder: on the target's filesystem, so that the rename is atomic, and no empty set is left.
    nearest = next(folder for folder in target.parents if folder.exists())
    try:
        with TemporaryDirectory(prefix=".fetch-", dir=nearest) as name:
            given = Path(name, "given")
            given.mkdir()
            # Copied, not moved: the copy is verified, and has a new file's permissions (those of pooch are private).
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
    """Returns the source that downloads from the public repositories.

    Raises Refused if `host` is no address that begins with https://; on this machine itself, http:// will do.
    """
    address = urlsplit(host)
    if address.scheme != "https" and (address.scheme, address.hostname) not in {("http", name) for name in LOOPBACK}:
        raise Refused(f"--host {host!r} is no address that begins with https://, like {sets.HOST}")
    import pooch
    import requests

    pooch.get_logger().setLevel("ERROR")  # it reports every file on stderr

    def download(entry: Entry, folder: Path) -> Path:
        url = entry.url(host)
        try:
            return Path(
                pooch.retrieve(url, f"sha256:{entry.sha256}", "download", folder, downloader=_within(entry.size))
            )
        except requests.HTTPError as error:
            raise FetchError(f"the server answers {error}") from None
        except requests.Timeout:
            reason = "no answer in time"
        except requests.ConnectionError as error:
            reason = f"no connection ({type(error).__name__})"
        except requests.RequestException as error:
            reason = f"the download broke off ({type(error).__name__})"
        except ValueError:  # pooch raises it for a wrong hash; those of requests are RequestExceptions
            reason = f"what came {OTHER}; nothing of it was kept"
        raise FetchError(f"{reason}: {url}")

    return download


def _within(size: int) -> Any:
    """Returns a downloader for pooch that takes no more bytes than were declared, and never leaves https for http."""
    import requests

    def get(url: str, path: Any, _: Any) -> None:
        with requests.get(url, stream=True, timeout=TIMEOUT_SECONDS) as answer:
            answer.raise_for_status()
            steps = [*answer.history, answer]
            if url.startswith("https://") and not all(step.url.startswith("https://") for step in steps):
                raise FetchError(f"the server sends us on to an address without https: {answer.url}")
            left = size
            with Path(path).open("wb") as file:
                for part in answer.iter_content(2**16):
                    left -= len(part)
                    if left < 0:
                        raise FetchError(f"more than the declared {size:,} bytes came; nothing was kept: {url}")
                    file.write(part)

    return get


def folder(root: Path) -> Source:
    """Returns the source that finds files below `root`: by the manifest's path, or else by content under any name.

    Raises Refused if the folder does not exist.
    """
    if not root.is_dir():
        raise Refused(f"--from {str(root)!r} is no folder; name the one that holds the files, under any names")

    @cache
    def by_size() -> dict[int, list[Path]]:
        found: dict[int, list[Path]] = {}
        for place, _, names in os.walk(root):  # skips unreadable folders
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
