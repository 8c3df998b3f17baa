"""The options of every config group, found in conf, and how each is run alone: what the laws of a kind go over."""

from pathlib import Path
from typing import Any

import numpy as np

from dip_exp.config.build import build
from dip_exp.seeds import named_seed
from dip_exp.tasks.problem import Problem

ROOT = Path(__file__).resolve().parent.parent

NEEDS = {
    "task=enhance": ["image=chelsea"],
    "task=flash": ["task/flash=synthetic"],
    "task=invert": ["task/net=efficientnet_lite0", "task.layer=block1", "image.shrink_to=64"],
    "task=maximize": ["task/net=efficientnet_lite0", "task.layer=block3", "task.unit=0"],
    "input=picture": ["task=flash", "task/flash=synthetic"],
    "optim=sgld": ["optim.steps=10"],
    "stop=sure": ["input=picture"],
    "arch=skip_depth6": ["image.shrink_to=192"],
    "arch=skip_maximize": ["image.shrink_to=192"],
}
"""What an option needs beside itself, where it cannot run alone."""


def options(group: str) -> list[str]:
    """Returns a group's options, by the files that are there."""
    return sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml"))


def words(group: str, option: str) -> list[str]:
    """Returns the words that run an option on a small picture: networks as narrow as the miniature's, since the paper's
    would take too long, and on a picture that five scales fit into."""
    word = f"{group}={option}"
    small = ["scale=mini", "image.shrink_to=128"] if group == "arch" else []
    mask = ["task=inpaint", "image=astronaut"] if group == "task/mask" else []
    return [*small, *mask, *NEEDS.get(word, []), word]


def pose(settings: dict[str, Any], role: str | None = None) -> Problem:
    """Returns the problem of plain settings, as a run poses it; `role` in the place of the picture's own."""
    image = build(settings, "image", {})
    rng = np.random.default_rng(named_seed(settings["degrade_seed"], "degrade"))
    return build(settings, "task", {}).problem(image.read().x, role or image.role, rng)
