"""`python -m dip_exp.leash ...` is `python -m dip_exp ...`, but ends in order when its parent process is gone.

The parent starts it in a session of its own, with the reading end of a pipe as standard input. The pipe closes when the
parent dies for any reason, including SIGKILL. The run then gets SIGTERM, writes its checkpoint and exits.
"""

import contextlib
import os
import signal
import sys
import threading
from pathlib import Path

from dip_exp.cli import main

AUTOGROUP = Path("/proc/self/autogroup")


def stand_back() -> None:
    """Gives this session's autogroup the niceness of this process.

    With autogroups, Linux divides CPU time between sessions first, and niceness only counts within a session. A run
    alone in its session would otherwise take half of a core from the user's other work.
    """
    niceness = os.nice(0)
    if niceness > 0 and AUTOGROUP.exists():
        with contextlib.suppress(OSError):  # a sandbox may forbid it
            AUTOGROUP.write_text(f"{niceness}")


def watch(pipe: int) -> None:
    """Waits until the pipe closes, then sends this process SIGTERM."""
    while os.read(pipe, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    stand_back()
    threading.Thread(target=watch, args=(sys.stdin.fileno(),), daemon=True).start()
    main()
