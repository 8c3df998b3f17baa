"""Downloads the paper's test pictures into data/ and verifies them: `python scripts/fetch_images.py set5`. Without a
name, lists the sets."""

import argparse
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dip_exp.images import sets

if TYPE_CHECKING:
    from dip_exp.images.fetch import Result

FAILED, REFUSED, INTERRUPTED = 1, 2, 130


def parser() -> argparse.ArgumentParser:
    """Returns the command line's parser."""
    words = argparse.ArgumentParser(
        description="Gets the paper's test pictures, one file at a time, each verified by its sha256. "
        "What is there already is not fetched again. Exit status: 0 all there; 1 some not; 2 refused; 130 interrupted.",
        epilog=f"sets: {', '.join(sets.families())}; all: every one but the weights (1.1 GB). SET/NAME is one file.",
    )
    words.add_argument("sets", nargs="*", metavar="SET", help="what to get; none: list what there is")
    words.add_argument("--into", type=Path, default=Path("data"), metavar="FOLDER", help="where to (default: data)")
    one = words.add_mutually_exclusive_group()
    one.add_argument(
        "--from", type=Path, dest="folder", metavar="FOLDER", help="take files at hand, by path or content"
    )
    one.add_argument("--host", default=sets.HOST, metavar="URL", help=f"a mirror of {sets.HOST}")
    one.add_argument("--check", action="store_true", help="verify what is there and change nothing; no SET: all sets")
    words.add_argument("--replace", action="store_true", help="overwrite a file that is there with another content")
    return words


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv` (default: this process's) and returns the exit status."""
    args = parser().parse_args(argv)
    from dip_exp.errors import Refused
    from dip_exp.runs import terminal

    terminal.prepare()

    try:
        return _run(args)
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on where it stopped", file=sys.stderr)
        return INTERRUPTED


def _run(args: argparse.Namespace) -> int:
    from dip_exp.errors import Refused
    from dip_exp.images import fetch

    if not args.sets and not args.check:
        if args.folder or args.replace or args.host != sets.HOST:
            raise Refused(f"no set is named; there are: {', '.join(sets.families())}, all")
        print(fetch.listing(args.into))
        print(f"MB: 10^6 bytes; here: in {args.into}, verified; from: public repositories, at fixed commits.")
        print(f"{fetch.licences(sets.manifest())}\nTo get some: {sets.FETCH} SET ..., or all")
        return 0
    entries = fetch.choose(args.sets or ["all"])
    if args.check:
        if args.replace:
            raise Refused("--check changes nothing, so --replace has no meaning beside it; leave one out")
        return _told(fetch.check(entries, args.into), len(entries))
    source = fetch.folder(args.folder) if args.folder else fetch.network(args.host)
    print(fetch.licences(entries))
    print(f"{len(entries)} files, {fetch.megabytes(entries):.1f} MB, from {args.folder or args.host} into {args.into}")
    return _told(fetch.fetch(entries, args.into, source, args.replace), len(entries))


def _told(results: "Iterable[Result]", total: int) -> int:
    """Prints each file's result (nothing for a file already present) and the counts. Returns the exit status."""
    begun, good, fetched = time.perf_counter(), 0, 0
    for number, result in enumerate(results, 1):
        good += result.ok
        fetched += result.status == "fetched"
        if result.status != "here":
            line = f"[{number}/{total}] {result.entry.path} ({result.entry.size / 1e3:.0f} kB): {result.in_words}"
            print(line, file=sys.stdout if result.ok else sys.stderr, flush=True)
    took = time.perf_counter() - begun
    print(f"{good} of {total} files are here as declared; {fetched} came just now; {took:.1f} s", flush=True)
    if good < total:
        print(
            f"error: {total - good} of {total} files are not here as declared; each is named above, with why",
            file=sys.stderr,
        )
    return FAILED if good < total else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # lets a stopped download delete its partial file
    sys.exit(main())
