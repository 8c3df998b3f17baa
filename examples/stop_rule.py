"""A stop rule of your own: a fit that may take so many seconds and no more.

    python examples/stop_rule.py seconds=20

Further words: steps=500 side=128 arch=skip_tiny.
"""

import sys
import time

import skimage.data
from skimage.transform import resize
from torch import Tensor

from dip_exp import StopRule, Verdict, restore


class Deadline(StopRule):
    """Ends a fit after some seconds; the running average at that step is the result."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.end = time.monotonic() + seconds

    def update(self, step: int, x_hat: Tensor, loss: Tensor) -> Verdict:
        if time.monotonic() < self.end:
            return Verdict()  # go on
        return Verdict(keep=True, stop=True, reason=f"deadline: {self.seconds:g} s are over")


def main(seconds: str = "20", side: str = "128", steps: str = "5000", arch: str = "skip") -> None:
    y = resize(skimage.data.rocket(), (int(side), int(side)), anti_aliasing=True)
    rule = Deadline(float(seconds))
    _, record = restore(y, "denoise", arch=arch, stop=rule, scale="mini", overrides=[f"optim.steps={steps}"])
    print(f"{record['steps']} steps in {record['seconds']:.1f} s; {record['stop']['reason']}")


if __name__ == "__main__":
    main(**dict(word.split("=", 1) for word in sys.argv[1:]))
