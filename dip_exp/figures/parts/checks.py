"""What a figure must show to show the paper's effect."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One thing that a figure must show, whether it does, and the numbers that say so."""

    name: str
    passed: bool
    detail: str
