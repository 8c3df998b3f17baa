"""The project's commands as processes of their own that start warm.

Importing PyTorch and Lightning takes longer than most of what the tests of the command line look at. Here each process
is a fork of one that has imported them and nothing of the project: working folder, output, signals and exit status are
its own. What depends on the very start (closed streams, the environment of OpenMP) needs a plain process.
"""

import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "lightning.pytorch", "hydra", "omegaconf", "pydantic", "numpy", "scipy.ndimage", "PIL.Image")

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([*HEAVY, __name__])


class Started:
    """A process that runs one of the project's scripts. returncode: None until it has ended."""

    def __init__(self, words: Sequence[str], cwd: Path, script: Path = ROOT / "run.py") -> None:
        self._streams = tempfile.TemporaryDirectory(prefix="warm-")
        self.out, self.err = (Path(self._streams.name) / name for name in ("out", "err"))
        given = (str(script), list(words), str(cwd), dict(os.environ), str(self.out), str(self.err))
        self._process = CONTEXT.Process(target=_run, args=given)
        self._process.start()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Returns the two streams once the process has ended; it is killed if it takes longer than `timeout` s."""
        self._process.join(timeout)
        if self.returncode is None:
            self.send_signal(signal.SIGKILL)
            raise TimeoutError(f"{timeout} s are over: {self.err.read_text()}")
        with self._streams:
            return self.out.read_text(), self.err.read_text()


def run(*words: str, cwd: Path = ROOT, script: Path = ROOT / "run.py", timeout: float = 240) -> tuple[int, str, str]:
    """Returns the exit status and the two streams of a command."""
    process = Started(words, cwd, script)
    out, err = process.communicate(timeout)
    assert process.returncode is not None
    return process.returncode, out, err


def _run(script: str, words: list[str], cwd: str, environment: dict[str, str], out: str, err: str) -> None:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for stream, path in ((1, out), (2, err)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, stream)
        os.close(opened)
    sys.argv = [script, *words]
    sys.path[0] = str(Path(script).parent)
    runpy.run_path(script, run_name="__main__")
