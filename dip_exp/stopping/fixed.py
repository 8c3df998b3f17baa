"""The paper's rule: the step count is set by hand."""

from torch import Tensor

from dip_exp.component import component
from dip_exp.shapes import Float
from dip_exp.stopping.rule import CONTINUE, StopRule, Verdict


@component
class Fixed(StopRule):
    """Never ends the run: it takes all optim.steps, and its last average is the result."""

    ends = False

    def update(self, step: int, x_hat: Float[Tensor, "1 C H W"], loss: Float[Tensor, ""]) -> Verdict:
        return CONTINUE
