"""Labels are said once, and numbers that a figure repeats are those of the configuration."""

import pytest

from dip_exp import config
from dip_exp.figures.parts import labels
from dip_exp.figures.studies import stopping
from tests.options import options


def test_every_label_is_of_a_task_and_no_two_are_the_same():
    assert labels.TASKS.keys() <= set(options("task"))
    assert len(set(labels.TASKS.values())) == len(labels.TASKS)


@pytest.mark.parametrize("task", stopping.STEPS)
def test_the_steps_that_a_figure_marks_are_the_tasks_own(task: str):
    cfg = config.plain(config.layered([f"task={task}", "scale=mini", "stop=fixed"]))
    assert cfg["optim"]["steps"] == stopping.STEPS[task]


def test_the_horizon_is_that_of_the_watched_runs():
    cfg = config.plain(config.layered(["variant=stopping/watch", "scale=mini"]))
    assert cfg["optim"]["steps"] == stopping.HORIZON
