"""How long a waiting OpenMP thread spins before it sleeps. Must be set before PyTorch is loaded. Imports nothing."""

import os
import sys

SPIN = "GOMP_SPINCOUNT"
SPINS = "3000"
"""Iterations. GNU OpenMP's default of 300,000 takes milliseconds, during which a waiting thread occupies a core: two
runs on one machine then slow each other down many times over. `scripts/bench/pair.py` measured this value."""

OWN = (SPIN, "OMP_WAIT_POLICY")
"""Variables with which a user sets the waiting policy; if one is set, it is kept."""


def settle() -> None:
    """Makes waiting threads sleep soon, in this process and its children.

    The library reads the environment once, when it is loaded: after `import torch` this does nothing. It does not
    change any bit of a result.
    """
    if "torch" not in sys.modules and not any(name in os.environ for name in OWN):
        os.environ[SPIN] = SPINS
