"""The cost of a run's step on this machine, from its settings alone."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dip_exp import provenance
from dip_exp.component import Settings
from dip_exp.config.build import build, refusing
from dip_exp.config.trust import class_of, trusted

if TYPE_CHECKING:
    import torch

    from dip_exp.cost.estimate import Cost
    from dip_exp.tasks.problem import Problem


@dataclass(frozen=True)
class Expected:
    """What a run will be. shape: (C, H, W) of its result. cost: that of a step, with the stop rule's share. sooner:
    whether a stop rule may end it before its last step."""

    shape: tuple[int, int, int]
    cost: "Cost"
    steps: int
    sooner: bool
    device: "torch.device"

    @property
    def seconds(self) -> float:
        """The time of all steps on this machine."""
        return self.cost.seconds * self.steps


def expected(config: Settings, choices: dict[str, str], shape: tuple[int, int, int]) -> Expected:
    """Returns what a run will be and cost on this machine, from its settings and its picture's shape (C, H, W).

    Raises Refused as `priced`, and for a picture that is too small for the network.
    """
    import torch

    from dip_exp.cost import estimate
    from dip_exp.fit import draw

    torch.set_num_threads(config["threads"] or provenance.cores())
    arch, source, optim, trainer, stop = (
        build(config, group, choices) for group in ("arch", "input", "optim", "trainer", "stop")
    )
    problem = _outlined(config, choices, shape)
    with refusing("arch", choices):
        z_shape = draw.z_shape(problem, arch, source)
        draw.check(arch, torch.empty(z_shape, device="meta"), problem.shape, optim.over)
        setting = estimate.Setting(trainer.device, config["precision"])
        cost = estimate.estimate(arch, z_shape, problem, optim, setting)
    cost = replace(cost, seconds=cost.seconds * stop.slowdown)
    return Expected(problem.shape, cost, optim.steps, stop.ends, trainer.device)


def priced(config: Settings, choices: dict[str, str], shape: tuple[int, int, int]) -> float:
    """Returns the seconds per step of a run on this machine, from its settings and its picture's shape (C, H, W).

    Draws no network. Reads the picture only for tasks that need its content. Raises Refused as a run does.
    """
    import torch

    from dip_exp.cost import estimate
    from dip_exp.fit import draw

    torch.set_num_threads(config["threads"] or provenance.cores())
    arch, source, optim, trainer, stop = (
        build(config, group, choices) for group in ("arch", "input", "optim", "trainer", "stop")
    )
    problem = _outlined(config, choices, shape)
    with refusing("arch", choices):
        z_shape = draw.z_shape(problem, arch, source)
        of, _, _ = estimate.counted(arch, z_shape, problem, optim)
    return estimate.Setting(trainer.device, config["precision"]).rates()[1].seconds(of) * stop.slowdown


def _outlined(config: Settings, choices: dict[str, str], shape: tuple[int, int, int]) -> "Problem":
    """Returns a problem with the shapes of the run's. Reads the picture only if the task needs its content."""
    task, image = (build(config, group, choices) for group in ("task", "image"))
    with refusing("task", choices):
        try:
            return task.outline(shape, image.role)
        except ValueError:
            picture = image.read()
            whole = task if picture.frame is None else task.along(picture.frame)
            return whole.problem(picture.x, image.role, np.random.default_rng(0))


def free_of(config: Settings) -> Settings:
    """Returns those settings of a run's task that may change the cost of a step."""
    task = config["task"]
    free = getattr(class_of(task["_target_"], "task", trusted(config.get("trust"))), "free", ())
    return {key: value for key, value in task.items() if key not in free}
