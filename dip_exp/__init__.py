"""Deep Image Prior (Ulyanov, Vedaldi, Lempitsky, CVPR 2018 / IJCV 2020) as an experiment framework.

From the command line: `python run.py task=superres arch=skip`. From Python: `restore`, `Problem`, `StopRule`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dip_exp import threads

threads.settle()  # here, since every door comes through here before PyTorch is loaded

if TYPE_CHECKING:
    from dip_exp.api import Restored, restore
    from dip_exp.stopping.rule import StopRule, Verdict
    from dip_exp.tasks.operators import adjoint_gap
    from dip_exp.tasks.problem import Problem

__all__ = ["Problem", "Restored", "StopRule", "Verdict", "adjoint_gap", "restore"]

_HOMES = {
    "Problem": "tasks.problem",
    "Restored": "api",
    "StopRule": "stopping.rule",
    "Verdict": "stopping.rule",
    "adjoint_gap": "tasks.operators",
    "restore": "api",
}


def __getattr__(name: str) -> Any:
    """PyTorch and Lightning are imported when something of theirs is first asked for, not before."""
    if name not in _HOMES:
        raise AttributeError(f"module 'dip_exp' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"dip_exp.{_HOMES[name]}"), name)
