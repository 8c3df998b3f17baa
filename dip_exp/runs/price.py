"""The cost of a run's step on this machine, from its settings alone."""

import numpy as np

from dip_exp import provenance
from dip_exp.component import Settings
from dip_exp.config.build import build, refusing


def priced(config: Settings, choices: dict[str, str], shape: tuple[int, int, int]) -> float:
    """Returns the seconds per step of a run on this machine, from its settings and its picture's shape (C, H, W).

    Draws no network. Reads the picture only for tasks that need its content. Raises Refused as a run does.
    """
    import torch

    from dip_exp.cost import estimate
    from dip_exp.fit import draw

    torch.set_num_threads(config["threads"] or provenance.cores())
    task, arch, source, optim, trainer, stop, image = (
        build(config, group, choices) for group in ("task", "arch", "input", "optim", "trainer", "stop", "image")
    )
    with refusing("task", choices):
        try:
            problem = task.outline(shape, image.role)
        except ValueError:
            picture = image.read()
            whole = task if picture.frame is None else task.along(picture.frame)
            problem = whole.problem(picture.x, image.role, np.random.default_rng(0))
    with refusing("arch", choices):
        z_shape = draw.z_shape(problem, arch, source)
        of, _, _ = estimate.counted(arch, z_shape, problem, optim)
    return estimate.Setting(trainer.device, config["precision"]).rates()[1].seconds(of) * stop.dearer


def free_of(config: Settings) -> Settings:
    """Returns those settings of a task that may change the cost of a step."""
    from hydra.utils import get_class

    free = getattr(get_class(config["_target_"]), "free", ())
    return {key: value for key, value in config.items() if key not in free}
