"""The errors of a run that cannot continue. A message says who refuses, what was given, what is valid and where to fix
it."""

from hydra.errors import CompactHydraException


class Refused(CompactHydraException):
    """Refused before the first step, with nothing left behind. Exit status 2 (a multirun's other jobs continue)."""


class Failed(CompactHydraException):
    """The run failed after it had begun (disk full, loss not finite), and wrote no record. Exit status 1."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM: the run stopped between two steps and its checkpoint is on disk. Exit status 130."""


class Damaged(ValueError):  # noqa: N818
    """The content of a checkpoint is not what was written into it."""


def first_line(error: BaseException) -> str:
    """Returns the first line of what an error says, or its class if it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]
