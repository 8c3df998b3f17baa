"""`python -m dip_exp.leash ...` is `python -m dip_exp ...` that ends, in order, when whoever started it is gone.

It is started with the reading end of a pipe as its standard input. The pipe ends with the process that holds the other
end, however that dies, SIGKILL included; the run is then told as by SIGTERM, writes its checkpoint and exits.
"""

import os
import signal
import sys
import threading

from dip_exp.cli import main


def watch(pipe: int) -> None:
    """Waits for the end of a pipe, then sends this process SIGTERM."""
    while os.read(pipe, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=watch, args=(sys.stdin.fileno(),), daemon=True).start()
    main()
