"""In: a module, its tests, a mutant. Out: whether a test fails. Each trial is a fork of a process that has imported the
heavy packages and nothing of the project, so that it costs about a second and never touches a file of the project."""

import gc
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from scripts.mutation.mutate import Mutant

HEAVY = (
    *("torch", "lightning.pytorch", "torchmetrics", "hydra", "omegaconf", "pydantic", "pytest", "hypothesis"),
    *("hypothesis.extra.numpy", "pandas", "scipy.stats", "scipy.ndimage", "skimage.metrics", "skimage.color"),
    *("skimage.registration", "PIL.Image", "PIL.ImageDraw", "PIL.ImageFont", "tifffile", "pytest_timeout"),
)
MEMORY = 12 * 2**30
"""Bytes of address space that a trial may take; a mutant that asks for more fails its test."""

SLACK = 4, 20
"""A mutant may take this many times the processor time of its tests, and so many seconds more, before it counts as one
that never ends."""

BUDGET = 20.0
"""Seconds of the processor that the tests of one mutant may take together; the rest is left out."""

WALL = 1200
"""Seconds after which a trial is killed, however little of the processor it had."""


@dataclass(frozen=True)
class Baseline:
    """seconds: by test, the processor time with the code as it is. lines: by test, the lines of the modules that it
    runs, each as file:number. always: lines that run on import or while tests are collected."""

    seconds: dict[str, float]
    lines: dict[str, set[str]]
    always: set[str]

    def of(self, mutant: Mutant, path: Path) -> list[str]:
        """Returns the tests that can tell the mutant from the module, as far as BUDGET goes: file by file in the order
        that was given, the quickest of each first."""
        places = {f"{path}:{number}" for number in mutant.lines}
        everywhere = not places or places & self.always
        chosen = [test for test in self.seconds if everywhere or places & self.lines[test]]
        files = list(dict.fromkeys(test.partition("::")[0] for test in self.seconds))
        chosen.sort(key=lambda test: (files.index(test.partition("::")[0]), self.seconds[test]))
        spent = accumulate(self.seconds[test] for test in chosen)
        return [test for test, so_far in zip(chosen, spent, strict=True) if so_far <= BUDGET]


@dataclass
class Outcome:
    """killer: the test that failed, or why the trial ended; empty if the mutant survived. tests: how many could reach
    it. seconds: of the processor."""

    killer: str
    tests: int
    seconds: float


def prepare() -> None:
    """Imports the heavy packages on one thread, for all trials to come."""
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    for name in HEAVY:
        importlib.import_module(name)
    gc.freeze()  # no fork looks through their objects again, which took half of a trial's time


def baseline(paths: Iterable[Path], tests: Iterable[str]) -> Baseline:
    """Returns what the tests of some modules run and take. Raises RuntimeError if one of them fails as things are."""
    watch = _Watch(frozenset(map(str, paths)))
    found, _ = _forked(lambda: _tested(watch, list(tests)), WALL)
    if isinstance(found, str) or found["failed"]:
        why = found if isinstance(found, str) else f"{found['failed']}: {found['why']}"
        raise RuntimeError(f"mutants: the tests fail as things are: {why}")
    lines = {test: set(reached) for test, reached in found["lines"].items()}
    return Baseline(found["seconds"], lines, set(found["always"]))


def tried(mutant: Mutant, module: str, path: Path, known: Baseline) -> Outcome:
    """Returns what becomes of a mutant under the tests that reach it; they end with the first that fails."""
    chosen = known.of(mutant, path)
    if not chosen:
        return Outcome("", 0, 0.0)
    allowed = int(SLACK[0] * sum(known.seconds[test] for test in chosen) + SLACK[1])

    def trial() -> dict[str, Any]:
        resource.setrlimit(resource.RLIMIT_CPU, (allowed, allowed))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        if importlib.util.find_spec("tests"):  # its import hook puts itself first: the mutant goes before that
            importlib.import_module("tests.checked").install()
        sys.meta_path.insert(0, _Mutated(module, path, compile(mutant.tree, str(path), "exec")))
        return _tested(_Watch(frozenset(), chosen), sorted({test.partition("::")[0] for test in chosen}), "-x")

    found, seconds = _forked(trial, WALL)
    if isinstance(found, str):
        return Outcome(found, len(chosen), seconds)
    if found["none"]:
        raise RuntimeError(f"mutants: pytest found none of {chosen}")
    return Outcome(found["failed"], len(chosen), seconds)


def _tested(watch: "_Watch", tests: list[str], *options: str) -> dict[str, Any]:
    import pytest

    quiet = ("-q", "--tb=short", "--assert=plain", "--timeout=0", "-p", "no:cacheprovider", "-p", "no:xdist")
    folder = Path(tempfile.mkdtemp(prefix="mutant-"))
    try:
        with watch.tracing():
            code = pytest.main([*quiet, *options, f"--basetemp={folder / 'tests'}", *tests], plugins=[watch])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    none = code == pytest.ExitCode.NO_TESTS_COLLECTED
    if not none and code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        watch.failed = watch.failed or f"pytest ended with {code!s}"  # the import of the module fails
    lines = {test: sorted(reached | watch.shared[test.partition("::")[0]]) for test, reached in watch.lines.items()}
    return {
        "none": none,
        "failed": watch.failed,
        "why": watch.why,
        "seconds": watch.seconds,
        "lines": lines,
        "always": sorted(watch.always),
    }


@dataclass(eq=False)  # pytest puts plugins into sets
class _Watch:
    """A pytest plugin: runs the chosen tests in their order, and says which failed, what each took and which lines of
    some files it ran."""

    files: frozenset[str]
    chosen: list[str] | None = None
    failed: str = ""
    why: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    shared: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    always: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.current = self.always

    def tracing(self) -> "_Tracing":
        return _Tracing(self)

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        if self.chosen is not None:
            place = {test: n for n, test in enumerate(self.chosen)}
            items[:] = sorted((item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.current = self.lines[nodeid]
        self._began = time.process_time()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.seconds[nodeid] = time.process_time() - self._began

    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> None:
        if fixturedef.scope != "function":  # one test runs it and all of its file's tests use it
            self.current = self.shared[request._pyfuncitem.nodeid.partition("::")[0]]

    def pytest_runtest_call(self, item: Any) -> None:
        self.current = self.lines[item.nodeid]

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed = self.failed or report.nodeid
            self.why = self.why or str(report.longrepr)
        if report.skipped:
            self.lines[report.nodeid].clear()


class _Tracing:
    """Notes the lines of the watched files that run."""

    def __init__(self, watch: _Watch) -> None:
        self.watch = watch

    def __enter__(self) -> None:
        if self.watch.files:
            sys.settrace(self._enters)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _enters(self, frame: Any, event: str, arg: Any) -> Any:
        return self._runs if frame.f_code.co_filename in self.watch.files else None

    def _runs(self, frame: Any, event: str, arg: Any) -> Any:
        if event == "line":
            self.watch.current.add(f"{frame.f_code.co_filename}:{frame.f_lineno}")
        return self._runs


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Lets one module be imported from the code of a mutant."""

    def __init__(self, module: str, path: Path, code: CodeType) -> None:
        self.module, self.path, self.code = module, path, code

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.module:
            return None
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        exec(self.code, module.__dict__)


def _forked(work: Callable[[], dict[str, Any]], wall: float) -> tuple[dict[str, Any] | str, float]:
    """Returns the result of `work` done in a fork, or in words how it ended without one, and its processor time."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _work_and_leave(work, writer)
    os.close(writer)
    text, end = b"", time.monotonic() + wall
    while select.select([reader], [], [], max(0.0, end - time.monotonic()))[0]:
        part = os.read(reader, 65536)
        if not part:
            break
        text += part
    else:
        os.kill(child, signal.SIGKILL)
    os.close(reader)
    _, status, used = os.wait4(child, 0)
    seconds = used.ru_utime + used.ru_stime
    if text:
        return json.loads(text), seconds
    how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "an error"
    return f"ended by {how}: it went on for too long, or took the process with it", seconds


def _work_and_leave(work: Callable[[], dict[str, Any]], writer: int) -> None:
    """Does the work with its output thrown away, writes the result, and ends the process; returns never."""
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        text = json.dumps(work()).encode()
        while text:
            text = text[os.write(writer, text) :]
    finally:
        os._exit(0)
