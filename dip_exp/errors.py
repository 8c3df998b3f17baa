"""What a run says when it cannot go on: who, what was given, what is allowed, where to fix it."""

from hydra.errors import CompactHydraException


class Refused(CompactHydraException):
    """Refused before the first step, with nothing left behind. Exit status 2 (a multirun's other jobs go on)."""


class Failed(CompactHydraException):
    """The run broke off after it had begun (disk full, loss not finite); no record was written. Exit status 1."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM: the run stopped between two steps and its checkpoint is on disk. Exit status 130."""
