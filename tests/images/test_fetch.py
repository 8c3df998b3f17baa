"""The test pictures' manifest, and getting them: from a server, from a folder; whole and verified, or not at all."""

import hashlib
import importlib.util
import io
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dip_exp.images import fetch, sets
from dip_exp.images.sets import Entry
from tests.conftest import ROOT

SCRIPT = ROOT / "scripts" / "fetch_images.py"
Main = Callable[..., int]


class Server:
    """A loopback server: files by path, and every path it was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.cut: int | None = None  # send no more bytes than this, and hang up
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                content = server.files.get(self.path)
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write((content or b"")[: server.cut])

            def log_message(self, format: str, *args: Any) -> None:
                pass  # not into the test's stderr

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"http://127.0.0.1:{self.http.server_port}"


def picture(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


# Two of "one" have one size, so that size alone cannot tell them apart.
CONTENTS = {"one/a": picture(0), "one/b": picture(1), "one/c": b"text", "two/part/d": picture(3)}
assert len(CONTENTS["one/a"]) == len(CONTENTS["one/b"])


def declared(option: str, content: bytes) -> Entry:
    family, _, name = option.rpartition("/")
    digest = hashlib.sha256(content).hexdigest()
    source = f"some folder/{name}#1.png"
    return Entry(
        family,
        name,
        f"{option}.png",
        8,
        8,
        "RGB",
        len(content),
        "clean",
        digest,
        "who/what",
        "c0ffee",
        source,
        "unclear",
        "",
    )


ENTRIES = {option: declared(option, content) for option, content in CONTENTS.items()}


REAL = sets.manifest()


@pytest.fixture(autouse=True)
def _small_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets, "manifest", lambda: tuple(ENTRIES.values()))
    monkeypatch.setattr(sets, "families", sets.families.__wrapped__)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serves every file of the small manifest, at its address there."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    serving = Server()
    serving.files = {ENTRIES[option].url(""): content for option, content in CONTENTS.items()}
    thread = threading.Thread(target=serving.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield serving
    serving.http.shutdown()
    thread.join()
    serving.http.server_close()


@pytest.fixture
def main() -> Main:
    """The script's main, taking words of any kind."""
    spec = importlib.util.spec_from_file_location("fetch_images", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *words: module.main([str(word) for word in words])


def files_in(folder: Path) -> dict[str, bytes]:
    """Everything below the folder, temporary files too: {path: content}."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def as_declared(*options: str) -> dict[str, bytes]:
    return {ENTRIES[option].path: CONTENTS[option] for option in options}


def put(folder: Path, path: str, content: bytes) -> Path:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content)
    return folder / path


# The manifest


def test_every_row_names_one_checkable_public_file():
    for entry in REAL:
        assert re.fullmatch("[0-9a-f]{64}", entry.sha256), entry
        in_repository = not entry.repo.startswith("https://")
        assert re.fullmatch("[0-9a-f]{40}", entry.commit) or not in_repository, entry
        assert re.fullmatch(r"https://[!-~]+", entry.url()), f"{entry.url()}: spaces or no https"
        assert entry.path == f"{entry.option}{Path(entry.path).suffix}"
        assert ".." not in Path(entry.path).parts
        assert entry.size > 0
        assert (entry.width > 0) == (entry.height > 0) == (entry.mode not in ("text", "weights"))
        assert entry.is_picture == (entry.role in ("clean", "observed"))
    for unique in ("option", "path"):
        values = [getattr(entry, unique).lower() for entry in REAL]  # some disks do not tell a from A
        assert len(set(values)) == len(values), unique
    addresses = [entry.url() for entry in REAL]
    assert len(set(addresses)) == len(addresses)


def test_an_address_is_escaped():
    assert ENTRIES["one/a"].url("http://mirror/") == "http://mirror/who/what/c0ffee/some%20folder/a%231.png"


# From a server


def test_downloads_are_whole_verified_and_readable_by_whom_new_files_are(
    main: Main, server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    assert main("all", "--host", server.host, "--into", tmp_path / "data") == 0
    assert files_in(tmp_path / "data") == as_declared(*CONTENTS)
    new = put(tmp_path, "new", b"")
    assert {path.stat().st_mode for path in (tmp_path / "data").rglob("*.png")} == {new.stat().st_mode}
    out, err = capfd.readouterr()
    assert out.splitlines()[0].startswith("The licence is unclear for 4 of these files")
    assert "4 of 4 files are here as declared; 4 came just now" in out
    assert not err, "pooch's log is not the script's"


def test_a_set_is_all_of_its_parts_and_nothing_else(main: Main, server: Server, tmp_path: Path):
    assert main("two", "two", "--host", server.host, "--into", tmp_path) == 0
    assert files_in(tmp_path) == as_declared("two/part/d")


def test_only_what_is_missing_is_asked_for(main: Main, server: Server, tmp_path: Path):
    put(tmp_path, "one/a.png", CONTENTS["one/a"])
    words = ("one", "--host", server.host, "--into", tmp_path)
    assert main(*words) == 0
    assert server.asked == [ENTRIES[option].url("") for option in ("one/b", "one/c")]
    server.asked.clear()
    assert main(*words) == 0
    assert server.asked == []


@pytest.mark.parametrize("sent", [CONTENTS["one/b"], CONTENTS["one/a"][:-1], b"<html>log in</html>", b""])
def test_other_content_is_refused_and_nothing_of_it_stays(
    sent: bytes, main: Main, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    address = ENTRIES["one/a"].url("")
    server.files[address] = sent
    assert main("one", "--host", server.host, "--into", tmp_path) == 1
    assert files_in(tmp_path) == as_declared("one/b", "one/c")
    err = capsys.readouterr().err
    assert "one/a.png (0 kB): failed: what came is not the declared file: its sha256 is another; nothing of it" in err
    assert server.host + address in err


def test_a_failed_file_stops_no_other_and_leaves_no_folder(
    main: Main, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for option in ("one/b", "two/part/d"):
        del server.files[ENTRIES[option].url("")]
    assert main("all", "--host", server.host, "--into", tmp_path) == 1
    assert files_in(tmp_path) == as_declared("one/a", "one/c")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    out, err = capsys.readouterr()
    assert "2 of 4 files are here as declared" in out
    assert err.count("failed: the server answers 404") == 2
    assert "error: 2 of 4 files are not here as declared" in err


def test_no_connection_is_said_of_each_file(main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    silent = Server()  # its port was free a moment ago, and nobody listens there any more
    silent.http.server_close()
    assert main("one", "--host", silent.host, "--into", tmp_path) == 1
    assert capsys.readouterr().err.count(f"failed: no connection (ConnectionError): {silent.host}/who/what/") == 3
    assert files_in(tmp_path) == {}


def test_a_connection_that_breaks_off_leaves_nothing(
    main: Main, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    server.cut = 2
    assert main("one", "--host", server.host, "--into", tmp_path) == 1
    assert files_in(tmp_path) == {}
    assert capsys.readouterr().err.count("failed: the download broke off") == 3


def test_an_interrupted_download_leaves_nothing(main: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupted(_: Entry, folder: Path) -> Path:
        put(folder, "half", b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch, "network", lambda _: interrupted)
    assert main("one", "--into", tmp_path) == 130
    assert list(tmp_path.iterdir()) == []


# A file that is there, and wrong


def test_a_wrong_file_stays_unless_replaced(
    main: Main, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = ("one", "--host", server.host, "--into", tmp_path)
    edited = CONTENTS["one/b"]  # the size of the declared one
    wrong = put(tmp_path, "one/a.png", edited)
    assert main(*words) == 1
    assert files_in(tmp_path) == {**as_declared("one/b", "one/c"), "one/a.png": edited}
    err = capsys.readouterr().err
    assert f"wrong: {wrong} is not the declared file: its sha256 is another; it is left as it is" in err
    assert "--replace" in err
    assert main(*words, "--replace") == 0
    assert files_in(tmp_path) == as_declared("one/a", "one/b", "one/c")


def test_a_wrong_file_stays_when_its_replacement_fails(main: Main, server: Server, tmp_path: Path):
    put(tmp_path, "two/part/d.png", b"mine")
    server.files.clear()
    assert main("two", "--host", server.host, "--into", tmp_path, "--replace") == 1
    assert files_in(tmp_path) == {"two/part/d.png": b"mine"}


def test_what_cannot_be_written_is_said_and_stops_no_other(
    main: Main, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    put(tmp_path, "two", b"a file where a folder must be")
    (tmp_path / "one" / "a.png").mkdir(parents=True)
    assert main("all", "--host", server.host, "--into", tmp_path, "--replace") == 1
    err = capsys.readouterr().err
    assert f"failed: cannot write {tmp_path / 'two/part/d.png'}: " in err
    assert f"failed: cannot write {tmp_path / 'one/a.png'}: Is a directory" in err
    assert files_in(tmp_path) == {**as_declared("one/b", "one/c"), "two": b"a file where a folder must be"}


# From a folder


def test_from_a_folder_by_path_and_by_content(main: Main, server: Server, tmp_path: Path):
    hand, into = tmp_path / "hand", tmp_path / "data"
    put(hand, "one/a.png", CONTENTS["one/a"])
    put(hand, "one/b.png", CONTENTS["one/a"])  # at the path, but another file
    put(hand, "elsewhere/any name", CONTENTS["one/b"])
    put(hand, "one/part/c.png", CONTENTS["one/c"])
    before = files_in(hand)
    assert main("one", "--from", hand, "--into", into) == 0
    assert files_in(into) == as_declared("one/a", "one/b", "one/c")
    assert files_in(hand) == before
    assert server.asked == []


def test_a_server_that_sends_without_end_is_cut_off(
    main: Main, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """More than was declared is not even kept for its hash."""
    path = ENTRIES["one/a"].url("")
    server.files[path] = CONTENTS["one/a"] + bytes(10**6)
    assert main("one/a", "--host", server.host, "--into", tmp_path / "data") == 1
    size = len(CONTENTS["one/a"])
    assert f"more than the declared {size:,} bytes came; nothing was kept" in capsys.readouterr().err
    assert files_in(tmp_path / "data") == {}


def test_a_download_never_leaves_https(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    class Answer:
        url, history = "http://elsewhere/a.png", ()

        def __enter__(self):
            return self

        def __exit__(self, *_: object) -> None: ...

        def raise_for_status(self) -> None: ...

    monkeypatch.setattr("requests.get", lambda *_, **__: Answer())
    with pytest.raises(fetch.FetchError, match=r"an address without https: http://elsewhere/a\.png"):
        fetch._within(10)("https://mirror/a.png", str(tmp_path / "a"), None)


def test_a_source_is_not_believed(tmp_path: Path):
    """A file that changes between being found and being copied does not get in."""
    lie = put(tmp_path, "hand/changed", CONTENTS["one/b"])
    results = list(fetch.fetch([ENTRIES["one/a"]], tmp_path / "data", lambda *_: lie))
    assert [(result.status, result.ok) for result in results] == [("failed", False)]
    assert files_in(tmp_path / "data") == {}


def test_from_a_folder_reads_only_files_of_the_right_size(main: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    put(tmp_path, "hand/other size", b"x" * 1000)
    put(tmp_path, "hand/right size", CONTENTS["two/part/d"])
    read: list[str] = []
    real = fetch.file_sha256
    monkeypatch.setattr(fetch, "file_sha256", lambda path: read.append(Path(path).name) or real(path))
    assert main("two", "--from", tmp_path / "hand", "--into", tmp_path / "data") == 0
    assert "right size" in read
    assert "other size" not in read


def test_from_a_folder_says_what_it_has_not(main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    put(tmp_path, "hand/one/a.png", CONTENTS["one/a"])
    put(tmp_path, "hand/one/b.png", CONTENTS["one/b"][:-1] + b"?")
    assert main("one", "--from", tmp_path / "hand", "--into", tmp_path / "data") == 1
    assert files_in(tmp_path / "data") == as_declared("one/a")
    err = capsys.readouterr().err
    for option in ("one/b", "one/c"):
        assert f"no file below {tmp_path / 'hand'} has its sha256 ({ENTRIES[option].sha256})" in err


# Looking


def test_check_tells_and_changes_nothing(main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for option in CONTENTS:
        put(tmp_path, ENTRIES[option].path, CONTENTS[option])
    assert main("--check", "--into", tmp_path) == 0
    put(tmp_path, "one/a.png", b"edited")
    (tmp_path / "two/part/d.png").unlink()
    before = files_in(tmp_path)
    assert main("--check", "--into", tmp_path) == 1
    err = capsys.readouterr().err
    assert "one/a.png (0 kB): wrong" in err
    assert "two/part/d.png (0 kB): missing" in err
    assert main("two", "--check", "--into", tmp_path / "no such folder") == 1
    assert files_in(tmp_path) == before
    assert not (tmp_path / "no such folder").exists()


def test_no_name_lists(main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    put(tmp_path, "one/a.png", CONTENTS["one/a"])
    put(tmp_path, "one/b.png", b"wrong")
    assert main("--into", tmp_path) == 0
    out = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()[:3]}
    assert rows == {
        "set": ["files", "MB", "here", "from"],
        "one": ["3", "0.0", "1", "who/what"],
        "two": ["1", "0.0", "0", "who/what"],
    }
    assert fetch.licences(ENTRIES.values()) in out


# Refused, with nothing begun


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["thre", "one", "four"], "no set is called 'four', 'thre'; there are: one, two, all"),
        (["one", "--host", "mirror.org"], "--host 'mirror.org' is no address that begins with https://"),
        (["one", "--host", "http://mirror.org"], "--host 'http://mirror.org' is no address that begins with https://"),
        (["one", "--host", "file:///etc"], "--host 'file:///etc' is no address that begins with https://"),
        (["one", "--from", "no/such"], "--from 'no/such' is no folder; name the one that holds the files"),
        (["--from", "."], "no set is named; there are: one, two, all"),
        (["--replace"], "no set is named"),
        (["one", "--check", "--replace"], "--check changes nothing, so --replace has no meaning beside it"),
    ],
)
def test_refusals(words: list[str], told: str, main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(*words, "--into", tmp_path / "data") == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"error: {told}")
    assert not out
    assert not (tmp_path / "data").exists()


def test_a_target_that_is_no_folder_is_refused(main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = put(tmp_path, "file", b"")
    assert main("one", "--from", tmp_path, "--into", file) == 2
    assert f"error: --into {str(file)!r} cannot be made (File exists); name another folder" in capsys.readouterr().err


@pytest.mark.parametrize("pair", [("--from", ".", "--check"), ("--from", ".", "--host", "http://x")])
def test_one_source_at_a_time(pair: tuple[str, ...], main: Main):
    with pytest.raises(SystemExit) as end:
        main("one", *pair)
    assert end.value.code == 2


def test_the_script_runs_and_helps_without_anything_heavy():
    code = (
        f"import runpy, sys; sys.argv = ['fetch_images.py', '--help']\n"
        f"try: runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert not {'torch', 'skimage', 'pooch', 'requests', 'hydra'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "set5" in done.stdout


@pytest.mark.network
def test_a_real_file_is_still_where_the_manifest_says(tmp_path: Path):
    smallest = {entry.repo: entry for entry in sorted(REAL, key=lambda entry: -entry.size)}
    for result in fetch.fetch(smallest.values(), tmp_path, fetch.network()):
        assert result.status == "fetched", result.in_words
