"""Several seeds of one picture: one after another, in parallel, or in one network with batched weights.

    python scripts/bench/seeds.py                           about five minutes on two idle CPU cores

Plain loops of the paper's network (its definition, Adam), and of the network as `run.py` executes it where that exists.
Reports seconds per step of one seed, as medians over rounds. Writes results/tables/bench_seeds.csv.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.func import functional_call, grad, stack_module_state, vmap  # noqa: E402

from dip_exp import provenance  # noqa: E402
from dip_exp.archs import fast  # noqa: E402
from dip_exp.archs.fast import heap  # noqa: E402
from scripts.bench.common import environment, machine, write_table  # noqa: E402
from scripts.bench.loops import loop, network, unwatched  # noqa: E402

CASES = ((128, 128), (128, 32), (64, 32))
"""Size of the picture and width of the network."""

SEEDS = 2
FEWEST = 3
"""Number of untimed first steps, in which memory is allocated and kernels are selected."""

SECONDS = 2.5
"""Approximate duration of a turn's timed steps."""

RESULT = ROOT / "results" / "tables" / "bench_seeds.csv"


def alone(size: int, width: int, steps: int, *, ours: bool) -> list[float]:
    """Returns the seconds of each step of one seed, by the plain definition or as `run.py` executes it."""
    plain = network(width)
    optimizer = torch.optim.Adam(plain.parameters(), lr=0.01, fused=True)
    return loop(fast.twin(plain) if ours else plain, optimizer, size, steps, torch.device("cpu"), unwatched)


Named = dict[str, Tensor]


def slopes_of(net: nn.Module, y: Tensor) -> Callable[[Named, Named, Tensor], Named]:
    """Returns a function from the weights, buffers and inputs of a batch of networks like `net` to the gradients by
    weight. Each has the seeds as its first axis."""

    def energy(weight: Named, buffer: Named, x: Tensor) -> Tensor:
        return nn.functional.mse_loss(functional_call(net, (weight, buffer), (x,)), y)

    return vmap(grad(energy))


def batched(size: int, width: int, steps: int) -> list[float]:
    """Returns the seconds of each step of all seeds in one network with batched weights, by grouped convolutions."""
    nets = [network(width) for _ in range(SEEDS)]
    weights, buffers = stack_module_state(nets)
    z, y = torch.rand(SEEDS, 1, 32, size, size), torch.rand(1, 3, size, size)
    slopes = slopes_of(nets[0], y)
    optimizer = torch.optim.Adam(list(weights.values()), lr=0.01, fused=True)
    seconds = []
    for _ in range(steps):
        began = time.perf_counter()
        found = slopes(weights, buffers, z + torch.randn_like(z) / 30)
        for name, weight in weights.items():
            weight.grad = found[name]
        optimizer.step()
        seconds.append(time.perf_counter() - began)
    return seconds


WAYS: dict[str, Callable[[int, int, int], list[float]]] = {
    "definition": partial(alone, ours=False),
    "ours": partial(alone, ours=True),
    "batched": batched,
}


def beginning_together(each: list[tuple[list[str], int]], around: dict[str, str]) -> list[list[float]]:
    """Returns the seconds of each step of several simultaneous processes. They begin once all are ready.

    each: for each process, the arguments of `--turn` and its niceness. around: their environment.
    """
    words = [sys.executable, "-m", "scripts.bench.seeds", "--seconds", str(SECONDS), "--turn"]
    pipe = subprocess.PIPE
    started = [
        subprocess.Popen(
            ["nice", "-n", str(nice), *words, *turn], stdin=pipe, stdout=pipe, text=True, cwd=ROOT, env=around
        )
        for turn, nice in each
    ]
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()
    for process in started:
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it failed; its exit code is checked below
            process.stdin.write("go\n")
            process.stdin.flush()
    said = [process.communicate()[0] for process in started]
    failed = [
        (process.returncode, turn) for process, (turn, _) in zip(started, each, strict=True) if process.returncode
    ]
    if failed:
        code, (kind, size, width, *_) = failed[0]
        raise SystemExit(f"error: bench_seeds: {kind} at {size} px, width {width}: a process ended with {code}")
    return [json.loads(out.splitlines()[-1]) for out in said]


def turns(kind: str, size: int, width: int, processes: int, threads: int) -> float:
    """Returns the median seconds per step when `processes` processes with `threads` threads each run at once."""
    words = [kind, str(size), str(width), str(threads)]
    seconds = beginning_together([(words, 0)] * processes, environment(threads))
    return median(median(each) for each in seconds)


def turn(kind: str, size: int, width: int, duration: float) -> None:
    """Prints "ready", waits for a line, and prints the seconds of the steps that follow, for about `duration`
    seconds."""
    with heap.kept():
        untimed = WAYS[kind](size, width, 2 * FEWEST)[FEWEST:]
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps(WAYS[kind](size, width, FEWEST + max(FEWEST, round(duration / median(untimed))))[FEWEST:]))


def measure(rounds: int, threads: int) -> list[dict[str, Any]]:
    """Returns the table's rows, and prints each as it is measured."""
    if threads < SEEDS:
        raise SystemExit(f"error: bench_seeds: --threads is {threads}; must be {SEEDS} or more, one for each seed")
    rows = []
    for size, width in CASES:
        found: dict[tuple[str, str], list[float]] = {}
        for _ in range(rounds):
            for kind in ("definition", "ours"):
                found.setdefault(("after another", kind), []).append(turns(kind, size, width, 1, threads))
                beside = turns(kind, size, width, SEEDS, threads // SEEDS) / SEEDS
                found.setdefault(("beside, a process each", kind), []).append(beside)
            together = turns("batched", size, width, 1, threads) / SEEDS
            found.setdefault(("a batch of weights", "definition"), []).append(together)
        base = found["after another", "ours"]
        for (way, kind), seconds in found.items():
            speed = median(one / own for one, own in zip(base, seconds, strict=True))
            row = {"machine": machine(), "threads": threads, "torch": torch.__version__}
            row |= {"size": size, "width": width, "seeds": SEEDS}
            row |= {"way": way, "network": kind, "seconds": f"{median(seconds):.5f}", "speed": f"{speed:.3f}"}
            rows.append({**row, "rounds": rounds})
            print(f"{size} px, width {width}: {way:24} {kind:11} {median(seconds):.4f} s  x{speed:.2f}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=provenance.cores())
    parser.add_argument("--turn", nargs=4, metavar=("KIND", "SIZE", "WIDTH", "THREADS"), help="one process of it")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="duration of that process's timed steps (%(default)s)"
    )
    given = parser.parse_args()
    if given.turn:
        kind, (size, width, threads) = given.turn[0], map(int, given.turn[1:])
        torch.manual_seed(0)
        torch.set_num_threads(threads)
        turn(kind, size, width, given.seconds)
        return
    rows = measure(given.rounds, given.threads)
    write_table(RESULT, list(rows[0]), rows)


if __name__ == "__main__":
    main()
