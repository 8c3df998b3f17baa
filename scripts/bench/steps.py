"""The cost of a step: the paper's loop written out, the released notebook's, and ours, in turns.

    python scripts/bench/steps.py                                 (make bench) about 15 minutes on two CPU cores
    python scripts/bench/steps.py --sizes 128 --widths 32 --rounds 3 --dry

Every turn has its own process, because memory allocated earlier in a process changes the time and the peak of what
follows. Turns run one at a time, round after round, so that a slowdown of the machine affects all contestants. The
median over rounds of a turn's median step goes to results/tables/bench.csv and results/figures/bench.png. Memory is the
peak of the resident set, minus what the process held after loading its libraries and before building a network.
"""

import argparse
import copy
import csv
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from dip_exp import provenance  # noqa: E402
from dip_exp.archs import fast  # noqa: E402
from dip_exp.cost.estimate import kept_bytes  # noqa: E402
from dip_exp.figures.parts import style  # noqa: E402
from scripts.bench.common import environment, machine, write_table  # noqa: E402
from scripts.bench.loops import network  # noqa: E402

CONTESTANTS = {
    "bare": "the paper's loop",
    "bare_tf32": "the paper's loop, TF32",
    "notebook": "the released notebook's loop",
    "bare_kept": "the paper's loop, freed memory kept",
    "ours_bare": "ours, without Lightning and log",
    "ours": "ours, as run.py runs it",
    "bare_bf16": "the paper's loop, autocast to bfloat16",
    "ours_bf16": "ours, precision=bf16",
}
PALE = "#C8C8C8"

COLUMNS = (
    *("machine", "threads", "torch", "size", "width", "contestant", "seconds", "speed", "bytes", "memory"),
    *("rounds", "least_seconds", "most_seconds"),
)
"""speed, memory: ratios to `bare`. bytes: the peak. Rows named floor_* are lower bounds, not measured runs."""


def turn(contestant: str, size: int, width: int, steps: int, threads: int) -> dict[str, Any]:
    """Returns the measurements of one contestant in its own process."""
    command = [sys.executable, "-m", "scripts.bench.loops", contestant]
    settings = {"size": size, "width": width, "steps": steps, "threads": threads}
    command += [word for key, value in settings.items() for word in (f"--{key}", str(value))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment(threads))
    if done.returncode != 0:
        raise SystemExit(f"error: bench: {contestant} at {size} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def rates() -> tuple[float, float]:
    """Returns the machine's FLOP per second (the better of matrix product and convolution) and bytes per second."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    a = torch.rand(2048, 2048, device=device)
    x, weight = torch.rand(1, 128, 130, 130, device=device), torch.rand(128, 128, 3, 3, device=device)
    product = 2 * 2048**3 / _best(lambda: a @ a)
    convolution = 2 * 9 * 128**2 * 128**2 / _best(lambda: torch.nn.functional.conv2d(x, weight))
    long, into = torch.rand(2**26, device=device), torch.empty(2**26, device=device)
    return max(product, convolution), 2 * 4 * 2**26 / _best(lambda: into.copy_(long))


def _best(work: Any) -> float:
    seconds = []
    for _ in range(7):
        began = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def floors(size: int, width: int) -> dict[str, float]:
    """Returns lower bounds on the seconds per step here: from the FLOP count of the plain network and of ours, and from
    the bytes that the backward pass reads again plus those of the optimizer."""
    rate, bandwidth = rates()
    plain = network(width)
    z = torch.rand(1, 32, size, size)
    found = {}
    for name, net in (("floor_flops_bare", plain), ("floor_flops_ours", fast.twin(plain))):
        with FlopCounterMode(display=False) as counted:
            net(z).sum().backward()
        found[name] = counted.get_total_flops() / rate
    weights = sum(p.numel() for p in plain.parameters())
    for name, net in (("floor_bytes_bare", plain), ("floor_bytes_ours", fast.twin(plain))):
        # A map is written once and read once. The optimizer reads weights, gradients and both moments of Adam, and
        # writes all but the gradients.
        found[name] = (2 * kept_bytes(copy.deepcopy(net).to("meta"), z) + 28 * weights) / bandwidth
    return found


def measure(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Returns the table's rows, and prints each as it is measured."""
    names = [name for name in CONTESTANTS if name != "bare_tf32" or torch.cuda.is_available()]
    where = {"machine": machine(), "threads": given.threads, "torch": torch.__version__}
    rows = []
    for size in given.sizes:
        for width in given.widths:
            turns: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
            steps = max(6, min(40, round(given.seconds / 0.15 * (128 / size) ** 2 * (128 / width))))
            for _ in range(given.rounds):
                for name in names:
                    turns[name].append(turn(name, size, width, steps, given.threads))
            each = {name: [median(one["seconds"]) for one in turns[name]] for name in names}
            peaks = {name: median(one["bytes"] or 0 for one in turns[name]) for name in names}
            for name in names:
                seconds = median(each[name])
                # The median of ratios within a round, in which the machine's state was the same.
                speed = median(bare / own for bare, own in zip(each["bare"], each[name], strict=True))
                row = {**where, "size": size, "width": width, "contestant": name, "rounds": given.rounds}
                row |= {"seconds": f"{seconds:.5f}", "speed": f"{speed:.3f}", "bytes": int(peaks[name])}
                row |= {"memory": f"{peaks[name] / peaks['bare']:.3f}"}
                row |= {"least_seconds": f"{min(each[name]):.5f}", "most_seconds": f"{max(each[name]):.5f}"}
                rows.append(row)
                print(f"{size} px, width {width}: {CONTESTANTS[name]:38} {seconds:.4f} s  x{speed:.2f}  ", end="")
                print(f"{peaks[name] / 1e6:5.0f} MB  x{peaks[name] / peaks['bare']:.2f}", flush=True)
            rows += floor_rows(where, size, width)
    return rows


def floor_rows(where: dict[str, Any], size: int, width: int) -> list[dict[str, Any]]:
    """Returns `floors` as rows of the table."""
    about = {**where, "size": size, "width": width}
    return [{**about, "contestant": name, "seconds": f"{value:.5f}"} for name, value in floors(size, width).items()]


def renewed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the table with newly measured floors."""
    runs = [row for row in rows if row["contestant"] in CONTESTANTS]
    where = {key: runs[0][key] for key in ("machine", "threads", "torch")}
    cases = dict.fromkeys((int(row["size"]), int(row["width"])) for row in runs)
    return runs + [row for case in cases for row in floor_rows(where, *case)]


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Writes the figure: seconds and bytes of every contestant, one panel per size and width."""
    import matplotlib.pyplot as plt

    cases = list(dict.fromkeys((row["size"], row["width"]) for row in rows))
    told = [name for name in CONTESTANTS if any(row["contestant"] == name for row in rows)]
    colours = dict(
        zip(
            CONTESTANTS,
            (style.GREY, style.BLACK, style.VERMILION, style.ORANGE, style.SKY, style.BLUE, PALE, style.PURPLE),
            strict=True,
        )
    )
    with style.styled():
        figure, grid = plt.subplots(
            2, len(cases), figsize=(style.TWO_COLUMNS, 4.4), squeeze=False, layout="constrained"
        )
        for column, (size, width) in enumerate(cases):
            own = {row["contestant"]: row for row in rows if (row["size"], row["width"]) == (size, width)}
            shown = [name for name in told if name in own]
            for axes, key, unit in ((grid[0, column], "seconds", 1e3), (grid[1, column], "bytes", 1e-6)):
                values = [float(own[name][key]) * unit for name in shown]
                bars = axes.barh([told.index(name) for name in shown], values, color=[colours[name] for name in shown])
                axes.bar_label(bars, [f"{value:.0f}" for value in values], padding=2, fontsize=6.5)
                axes.set_yticks(range(len(told)), [CONTESTANTS[name] for name in told] if column == 0 else [])
                axes.set_ylim(len(told) - 0.5, -0.5)
                axes.set_xlim(0, max(values) * 1.2)
                axes.set_xlabel("ms a step" if key == "seconds" else "MB at the peak")
            floor = float(own["floor_flops_ours"]["seconds"]) * 1e3
            grid[0, column].axvline(floor, color=style.GREEN, linewidth=1)
            grid[0, column].set_title(f"{size}², width {width}")
        where, runs = rows[0], [row for row in rows if row["contestant"] in CONTESTANTS]
        of: dict[str, list[str]] = {}
        for row in runs:
            of.setdefault(row["machine"], []).append(f"{row['size']}² width {row['width']}")
        machines = "; ".join(f"{machine} ({', '.join(dict.fromkeys(each))})" for machine, each in of.items())
        counts = " or ".join(sorted({row["rounds"] for row in runs}))
        figure.supxlabel(
            f"{machines}\n{where['threads']} threads, PyTorch {where['torch']}; "
            f"medians of {counts} rounds. Green: the multiplications of ours at the measured rate.",
            fontsize=6,
            color=style.GREY,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
        plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    on_gpu = torch.cuda.is_available()
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512, 1024] if on_gpu else [128, 256])
    parser.add_argument("--widths", type=int, nargs="+", default=[128, 32])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn's timed steps, about")
    parser.add_argument("--threads", type=int, default=provenance.cores())
    parser.add_argument("--dry", action="store_true", help="print, write nothing")
    parser.add_argument("--draw", action="store_true", help="only draw what the table holds")
    parser.add_argument("--floors", action="store_true", help="only measure the floors anew")
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    table = given.results / "tables" / "bench.csv"
    if not given.draw:
        rows = measure(given) if not given.floors else renewed(list(csv.DictReader(table.open())))
        if given.dry:
            return
        write_table(table, COLUMNS, rows)
    with table.open() as file:
        draw(list(csv.DictReader(file)), given.results / "figures" / "bench.png")


if __name__ == "__main__":
    main()
