"""`python -m dip_exp.leash ...` is `python -m dip_exp ...` that ends, in order, when whoever started it is gone.

It is started in a session of its own, with the reading end of a pipe as its standard input. The pipe ends with the
process that holds the other end, however that dies, SIGKILL included; the run is then told as by SIGTERM, writes its
checkpoint and exits.
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
    """Makes this session as nice as this process is.

    Linux shares processors among sessions first where it has autogroups: a niceness then counts only among the
    processes of one session, and a run that is alone in its own takes half of a core from the user's other work.
    """
    niceness = os.nice(0)
    if niceness > 0 and AUTOGROUP.exists():
        with contextlib.suppress(OSError):  # a sandbox may forbid it
            AUTOGROUP.write_text(f"{niceness}")


def watch(pipe: int) -> None:
    """Waits for the end of a pipe, then sends this process SIGTERM."""
    while os.read(pipe, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    stand_back()
    threading.Thread(target=watch, args=(sys.stdin.fileno(),), daemon=True).start()
    main()
