"""Checks of whether a figure shows the paper's effect."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One property that a figure must show: its name, whether it holds, and the numbers behind it."""

    name: str
    passed: bool
    detail: str
