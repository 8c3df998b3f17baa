"""What runs of today compute, in numbers: `python -m tests.golden` adds to tests/golden.json what it does not have yet.

Existing entries are never replaced. A change that moves one changes what a configuration computes, and needs a new
`NUMERICS` in dip_exp (every run is then a new run, and the file is made again from nothing).
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dip_exp import config
from dip_exp.config.build import build
from dip_exp.errors import Refused
from dip_exp.runs.folder import RunFolder
from dip_exp.runs.order import GROUPS, identify, place
from dip_exp.runs.run import prepare
from dip_exp.seeds import named_seed
from tests.options import options, pose, words

FILE = Path(__file__).with_suffix(".json")

SMOKE = (
    "experiment=smoke",
    "optim.steps=3",
    "trainer=cpu",
    "trainer.progress=off",
    "logger=csv",
    "threads=1",
    "rivals=none",
)


def words_of(of: str) -> list[str]:
    return [*SMOKE, *words(*of.split("=", 1))]


def losses(of: str) -> list[float]:
    """Returns the first three losses of the smoke run with one option of its own."""
    with tempfile.TemporaryDirectory() as folder:
        words = [*words_of(of), f"results={folder}"]
        cfg = config.layered(words)
        named = identify(cfg, dict.fromkeys(GROUPS, "?"))
        parts = prepare(place(cfg, named, RunFolder(Path(folder), named.run_id), ["python", "run.py", *words]))
        fitted = parts.trainer.run(parts.fit, precision=named.config["precision"])
        return [row["loss"] for row in fitted.rows[:3]]


def problem(of: str) -> dict[str, list[float]]:
    """Returns what an option's observation and weight are like: mean, deviation and six values."""
    posed = pose(config.plain(config.layered(words_of(of))))
    found = {"y": posed.y, "weight": posed.weight}
    return {name: sample(array.numpy()) for name, array in found.items() if array is not None}


def z(of: str) -> list[float]:
    """Returns what an input's z of eight by eight is like."""
    import torch

    words = [*words_of(of), "image.shrink_to=8"]
    cfg = config.plain(config.layered(words))
    choices = dict.fromkeys(GROUPS, "?")
    y = torch.linspace(0, 1, 3 * 64).reshape(1, 3, 8, 8)
    generator = torch.Generator().manual_seed(named_seed(cfg["seed"], "input"))
    return sample(build(cfg, "input", choices).draw((8, 8), y, generator).numpy())


def sample(array: np.ndarray) -> list[float]:
    flat = array.astype(np.float64).ravel()
    places = np.linspace(0, len(flat) - 1, 6).round().astype(int)
    return [float(flat.mean()), float(flat.std()), *(float(value) for value in flat[places])]


def seeds() -> dict[str, int]:
    names = ("degrade", "weights", "input", "perturb", "heldout", "sure 7")
    return {f"{name}:{seed}": named_seed(seed, name) for name in names for seed in (0, 1, 12345)}


KINDS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "losses": ("task optim stop arch input", losses),
    "problems": ("task", problem),
    "masks": ("task/mask", problem),
    "z": ("input", z),
}
"""What is held: by kind, the groups whose options have one, and how it is found."""


def entries() -> Iterator[tuple[str, str, Callable[[str], Any]]]:
    for kind, (groups, make) in KINDS.items():
        for group in groups.split():
            for option in options(group):
                yield kind, f"{group}={option}", make


def main() -> None:
    held = json.loads(FILE.read_text()) if FILE.is_file() else {"seeds": seeds()}
    for kind, of, make in entries():
        if of in held.setdefault(kind, {}):
            continue
        try:
            held[kind][of] = make(of)
        except (Refused, ValueError) as error:
            print(f"{kind}: {of} is left out: {str(error).splitlines()[0][:150]}")
    FILE.write_text(json.dumps(held, indent=1) + "\n")


if __name__ == "__main__":
    main()
