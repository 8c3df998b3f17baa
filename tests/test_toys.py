"""One new file and one yaml make a new part, and every law of its kind finds it: tried on a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

TASK = '''"""A toy: the picture seen through a grey veil."""

import numpy as np

from dip_exp.component import Fraction, component
from dip_exp.tasks.presentation import Presentation
from dip_exp.tasks.problem import Problem
from dip_exp.tasks.task import Task, tensor


@component
class Toy(Task):
    """veil: how much of the observation is grey."""

    veil: Fraction = 0.5

    def problem(self, x: np.ndarray, role: str, rng: np.random.Generator) -> Problem:
        def veiled(x_hat):
            return (1 - self.veil) * x_hat + 0.5 * self.veil

        clean = tensor(x)
        if role == "observed":
            return Problem(y=clean, forward=veiled)
        return Problem(y=veiled(clean), x=clean, forward=veiled, presentation=Presentation(protocol=self.scoring))
'''
TASK_YAML = """# @package _global_
# A toy: the picture seen through a grey veil.
task:
  _target_: dip_exp.tasks.toy.Toy
  protocol: rgb
  tv_weight: 0.0
  tv_beta: 0.5
  veil: 0.5
optim:
  steps: ${own_steps:100,50}
"""

ARCH = '''"""A toy: two convolutions."""

from torch import nn

from dip_exp.archs.arch import Arch
from dip_exp.component import PositiveInt, component


@component
class Toy(Arch):
    """width: channels of the hidden map."""

    width: PositiveInt = 8

    @property
    def multiple(self) -> int:
        return 1

    def build(self, in_channels: int, out_channels: int, size: tuple[int, int]) -> nn.Module:
        middle = nn.Conv2d(in_channels, self.width, 3, padding=1)
        last = nn.Conv2d(self.width, out_channels, 1)
        return nn.Sequential(middle, nn.LeakyReLU(0.2), last, nn.Sigmoid())
'''
ARCH_YAML = """# A toy: two convolutions.
_target_: dip_exp.archs.toy.Toy
width: ${scaled:64,8}
"""

INPUT = '''"""A toy: a checkerboard."""

import torch
from torch import Tensor

from dip_exp.component import PositiveInt, component
from dip_exp.inputs.source import Input


@component
class Toy(Input):
    """channels: of z, all equal."""

    channels: PositiveInt = 4

    def draw(self, size: tuple[int, int], y: Tensor, generator: torch.Generator) -> Tensor:
        rows, columns = (torch.arange(side) for side in size)
        board = (rows[:, None] + columns[None, :]) % 2
        return board.float().expand(1, self.channels, *size).clone()
'''
OPTIM = '''"""A toy: RMSprop."""

from collections.abc import Iterable

import torch
from torch.nn import Parameter

from dip_exp.component import component
from dip_exp.optims.optim import Decay, Optim


@component
class Toy(Optim):
    """alpha: decay of the mean square of the gradient."""

    alpha: Decay = 0.99

    def build(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(parameters, lr=self.lr, alpha=self.alpha)
'''
STOP = '''"""A toy: a rule that ends the run after so many steps."""

from torch import Tensor

from dip_exp.component import PositiveInt, stateful
from dip_exp.stopping.rule import StopRule, Verdict


@stateful
class Toy(StopRule):
    """after: steps."""

    after: PositiveInt = 7

    def update(self, step: int, x_hat: Tensor, loss: Tensor) -> Verdict:
        return Verdict(stop=step + 1 >= self.after, reason="toy: it is late")
'''
FIGURE = '''"""A toy: how many runs there are."""

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts.score_table import Table

NAME = "toy"


def table(tables: Tables) -> Table:
    import pandas as pd

    return Table("Toy", pd.DataFrame({"runs": [tables.of(NAME).run_id.nunique()]}), ())
'''
FIGURE_YAML = """# @package _global_
# A toy figure.
about:
  title: Toy
  cite: not in the paper
  origin: study
  kind: stopped
hydra:
  sweeper:
    params:
      image: astronaut,chelsea
      seed: ${runs:1}
"""


def yaml_of(group: str, keys: str) -> str:
    """Returns the yaml of a toy that has the keys of its kind as the default option has them."""
    default = {"input": "noise", "optim": "adam", "stop": "fixed"}[group]
    lines = (ROOT / "conf" / group / f"{default}.yaml").read_text().splitlines()
    room = {"input": "inputs", "optim": "optims", "stop": "stopping"}[group]
    own = {"noise": ("law:", "scale:", "channels:"), "adam": ("betas:", "eps:"), "fixed": ()}[default]
    kept = [line for line in lines if line and not line.startswith(("#", "_target_", *own))]
    return "\n".join([f"# A toy.\n_target_: dip_exp.{room}.toy.Toy", *kept, keys]) + "\n"


TOYS = {
    "task": ("tasks/toy.py", TASK, "task/toy.yaml", TASK_YAML),
    "arch": ("archs/toy.py", ARCH, "arch/toy.yaml", ARCH_YAML),
    "input": ("inputs/toy.py", INPUT, "input/toy.yaml", yaml_of("input", "channels: 4")),
    "optim": ("optims/toy.py", OPTIM, "optim/toy.yaml", yaml_of("optim", "alpha: 0.99")),
    "stop": ("stopping/toy.py", STOP, "stop/toy.yaml", yaml_of("stop", "after: 7")),
    "experiment": ("figures/studies/toy.py", FIGURE, "experiment/toy.yaml", FIGURE_YAML),
}
"""By config group: the module and the yaml. Nothing else is touched."""

LAWS = {
    "task": r"test_laws.py::test_a_problem_fits_together\S*\[task=toy\]",
    "arch": r"test_laws.py::test_weights_follow_the_seed\S*\[toy\]",
    "input": r"test_laws.py::test_z_follows_its_seed\S*\[toy\]",
    "optim": r"test_laws.py::test_a_fit_descends\S*\[optim=toy\]",
    "stop": r"test_laws.py::test_a_fit_descends\S*\[stop=toy\]",
    "its page": r"test_docs.py::test_every_option_says_what_it_is\S*",
    "experiment": r"test_sweeps.py::test_every_job_of_every_experiment\S*\[mini-toy\]",
}
"""A law of each kind, which must have been tried on the toy."""

PLACES = ("test_laws.py", "test_docs.py", "config", "archs", "experiments", "figures/test_gallery.py")


@pytest.mark.long
def test_toys_of_one_module_and_one_yaml_each_pass_the_laws_of_their_kinds(tmp_path: Path):
    for folder in ("conf", "dip_exp", "tests", "docs"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "run.py", "README.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("results", "scripts", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    for module, source, option, yaml in TOYS.values():
        (tmp_path / "dip_exp" / module).write_text(source)
        (tmp_path / "conf" / option).write_text(yaml)
    chosen = "toy or every_experiment_has_a_figure or bare_names or siblings or says_what_it_is"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-k", chosen),
            *("-m", "not slow and not gpu and not network"),
            *(f"tests/{place}" for place in PLACES),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    for kind, law in LAWS.items():
        assert re.search(rf"{law} PASSED", done.stdout), f"{kind}: its laws did not find the toy"
