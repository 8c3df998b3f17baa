"""Deep Image Prior (Ulyanov, Vedaldi, Lempitsky, CVPR 2018 / IJCV 2020) as an experiment framework.

From the command line: `python run.py task=superres arch=skip`. From Python: `restore`, or `solve` for a `Problem` of
your own.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from dip_exp import threads

threads.settle()  # here, because every entry point imports this before PyTorch is loaded

if TYPE_CHECKING:
    from dip_exp.api import Restored, restore, solve
    from dip_exp.archs.arch import Arch
    from dip_exp.inputs.source import Input
    from dip_exp.optims.optim import Optim
    from dip_exp.stopping.rule import StopRule, Verdict
    from dip_exp.tasks.operators import adjoint_gap
    from dip_exp.tasks.presentation import Presentation
    from dip_exp.tasks.problem import Problem
    from dip_exp.tasks.task import Task

__all__ = [
    "Arch",
    "Input",
    "Optim",
    "Presentation",
    "Problem",
    "Restored",
    "StopRule",
    "Task",
    "Verdict",
    "adjoint_gap",
    "restore",
    "solve",
]

_HOMES = {
    "Arch": "archs.arch",
    "Input": "inputs.source",
    "Optim": "optims.optim",
    "Presentation": "tasks.presentation",
    "Problem": "tasks.problem",
    "Restored": "api",
    "StopRule": "stopping.rule",
    "Task": "tasks.task",
    "Verdict": "stopping.rule",
    "adjoint_gap": "tasks.operators",
    "restore": "api",
    "solve": "api",
}


def __getattr__(name: str) -> Any:
    """Imports public names on first use, so that importing the package does not load PyTorch and Lightning."""
    if name == "__version__":
        return version("dip_exp")
    if name not in _HOMES:
        raise AttributeError(f"module 'dip_exp' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"dip_exp.{_HOMES[name]}"), name)
