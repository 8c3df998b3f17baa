"""The cost of watching: the time of each passive stop rule's update, relative to the step itself.

    python scripts/bench/stops.py

One process, and one picture of noise per size. Medians over many updates, and over a few steps of the paper's network.
Writes results/tables/bench_stops.csv.
"""

import csv
import statistics
import time
from itertools import pairwise
from pathlib import Path

import torch

from dip_exp import config as cfgs
from dip_exp.config.build import build
from dip_exp.fit import draw
from dip_exp.fit.module import Fit
from dip_exp.fit.trainer import Trainer
from dip_exp.inputs.noise import Noise
from dip_exp.optims.adam import Adam
from dip_exp.stopping.fixed import Fixed
from dip_exp.stopping.rule import StopRule, View
from dip_exp.tasks import noise
from dip_exp.tasks.problem import Problem

SIZES = (128, 256, 512)
LOOKS = 300
STEPS = 6
MEMORY = 100
RESULT = Path(__file__).resolve().parents[2] / "results" / "tables" / "bench_stops.csv"


def looked(rule: StopRule, problem: Problem) -> float:
    """Returns the median seconds per update, over blocks of ten consecutive updates."""
    average = torch.rand((1, *problem.shape))
    rule.begin(View(problem, average, MEMORY, 0))
    pictures = [torch.rand((1, *problem.shape)) for _ in range(4)]
    loss = torch.tensor(0.01)
    blocks = []
    for block in range(LOOKS // 10):
        began = time.perf_counter()
        for step in range(10 * block, 10 * block + 10):
            rule.update(step, pictures[step % 4], loss / (1 + step))
        blocks.append((time.perf_counter() - began) / 10)
    return statistics.median(blocks[2 * MEMORY // 10 :])


def stepped(problem: Problem) -> float:
    """Returns the median seconds per step of the paper's network."""
    arch = build(cfgs.plain(cfgs.compose()), "arch", {})
    net, z = draw.draw(problem, arch, Noise(), 0)
    fit = Fit(problem, net, z, optim=Adam(steps=STEPS), stop=Fixed())
    fitted = Trainer(accelerator="cpu", progress="off").run(fit)
    times = [row["seconds"] for row in fitted.rows]
    return statistics.median(after - before for before, after in pairwise(times[1:]))


def main() -> None:
    rows = []
    config = cfgs.plain(cfgs.compose(["stop=watch"]))
    for size in SIZES:
        y = torch.rand((1, 3, size, size))
        problem = Problem(y=y, noise=noise.gaussian(0.1, clipped=True))
        step = stepped(problem)
        rules = build(config, "stop", {}).rules
        for name, rule in rules.items():
            seconds = looked(rule, problem)
            rows.append({"size": size, "rule": name, "ms": f"{1e3 * seconds:.4f}", "step_ms": f"{1e3 * step:.1f}"})
            print(f"{size} x {size}: {name:12} {1e3 * seconds:8.3f} ms of {1e3 * step:.0f} ms: {seconds / step:.3%}")
    with RESULT.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    main()
