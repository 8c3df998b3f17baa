"""How long a thread that waits for others spins before it sleeps: settled before PyTorch is loaded. Imports nothing."""

import os
import sys

SPIN = "GOMP_SPINCOUNT"
SPINS = "3000"
"""Turns. GNU's OpenMP takes 300,000, some milliseconds, in which a thread keeps a core from whoever else has work:
two runs on one machine then slow each other down many times over. `scripts/bench/pair.py` measured this one."""

OWN = (SPIN, "OMP_WAIT_POLICY")
"""What a user may have said of waiting: it wins."""


def settle() -> None:
    """Lets threads that wait sleep soon, in this process and those that it starts.

    The library reads the environment once, when it is loaded: after `import torch` this does nothing. No bit of a
    result changes.
    """
    if "torch" not in sys.modules and not any(name in os.environ for name in OWN):
        os.environ[SPIN] = SPINS
