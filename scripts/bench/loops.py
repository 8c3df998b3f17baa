"""One turn of one contestant of `steps.py`, in its own process. Prints the measurements as JSON.

python scripts/bench/loops.py bare --size 128 --width 128 --steps 12
"""

import argparse
import contextlib
import csv
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
from omegaconf import open_dict
from torch import Tensor, nn

from dip_exp import provenance
from dip_exp.archs import fast
from dip_exp.archs.fast import heap
from dip_exp.archs.skip import Skip
from dip_exp.config import compose
from dip_exp.runs.run import run as run_one
from dip_exp.seeds import named_seed

SIGMA_P = 1 / 30
BY_RUN = {"ours": "fp32", "ours_bf16": "bf16"}
"""Contestants that `run.py` runs, and their precision."""

UNTIMED = 3
"""Number of untimed first steps, in which memory is allocated and kernels are selected."""


def network(width: int) -> nn.Module:
    """Returns the paper's network, built by its plain definition."""
    torch.manual_seed(named_seed(0, "weights"))
    return Skip(down=[width] * 5, up=[width] * 5, skip=[4] * 5).build(32, 3, (1, 1))


Watch = Callable[[nn.Module, Tensor], None]


def loop(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    size: int,
    steps: int,
    device: torch.device,
    watch: Watch,
    half: bool = False,
) -> list[float]:
    """Returns the seconds of each step of a plain loop for the paper's denoising. half: with autocast to bfloat16."""
    generator = torch.Generator().manual_seed(0)
    z = (0.1 * torch.rand(1, 32, size, size, generator=generator)).to(device)
    y = torch.rand(1, 3, size, size, generator=generator).to(device)
    average = torch.zeros_like(y)
    seconds = []
    for _ in range(steps):
        began = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            x_hat = net(z + SIGMA_P * torch.randn_like(z))
        x_hat = x_hat.float()
        nn.functional.mse_loss(x_hat, y).backward()
        optimizer.step()
        average.lerp_(x_hat.detach(), 0.01)
        watch(net, x_hat.detach())
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return seconds


def unwatched(net: nn.Module, x_hat: Tensor) -> None:
    """Does nothing."""


class Notebook:
    """The extra work per step of the released denoising notebook: three PSNRs on the CPU, and a copy of the weights."""

    def __init__(self, size: int) -> None:
        rng = np.random.default_rng(0)
        self.noisy, self.clean = (rng.random((3, size, size), dtype=np.float32) for _ in range(2))
        self.average: np.ndarray | None = None
        self.weights: list[Tensor] = []

    def __call__(self, net: nn.Module, x_hat: Tensor) -> None:
        from skimage.metrics import peak_signal_noise_ratio

        out = x_hat.cpu().numpy()[0]
        self.average = out if self.average is None else 0.99 * self.average + 0.01 * out
        for truth, picture in ((self.noisy, out), (self.clean, out), (self.clean, self.average)):
            peak_signal_noise_ratio(truth, picture, data_range=1)
        self.weights = [parameter.detach().to("cpu", copy=True) for parameter in net.parameters()]


def warmed_up(device: torch.device) -> None:
    """Loads the libraries with a small network of another shape, so that their loading is not measured."""
    net = Skip(down=[16] * 3, up=[16] * 3, skip=[4] * 3).build(32, 3, (64, 64)).to(device)
    for each in (net, fast.twin(net)):
        each(torch.rand(1, 32, 64, 64, device=device)).sum().backward()
    torch.optim.Adam(net.parameters(), fused=True).step()


def by_hand(
    contestant: str, size: int, width: int, steps: int, device: torch.device, profile: bool
) -> dict[str, object]:
    """Returns the measurements of a loop without Lightning."""
    # Not at the top: the processes of `seeds` and `pair` need none of it, and Lightning takes seconds to import.
    from dip_exp.fit.trainer import peak_memory, reset_peak_memory

    warmed_up(device)
    base = resident(device)
    reset_peak_memory(device)
    plain = network(width).to(device)
    is_ours = contestant == "ours_bare"
    net = fast.twin(plain) if is_ours else plain
    optimizer = torch.optim.Adam(plain.parameters(), lr=0.01, fused=True if is_ours else None)
    watch = Notebook(size) if contestant == "notebook" else unwatched
    keeping = (
        heap.kept() if contestant in ("ours_bare", "bare_kept") and device.type == "cpu" else contextlib.nullcontext()
    )
    tf32 = contestant == "bare_tf32"
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
    with keeping:
        half = contestant == "bare_bf16"
        seconds = loop(net, optimizer, size, steps, device, watch, half)
        peak = peak_memory(device)
        measured = {"seconds": seconds[UNTIMED:], "bytes": None if peak is None else peak - base}
        if profile:
            kinds = profiled(lambda: loop(net, optimizer, size, 10, device, watch, half))
            measured["milliseconds_by_kind"] = {kind: round(100 * took, 1) for kind, took in kinds.items()}
    return measured


KINDS = {
    "noise": ("normal_",),
    "convolution": ("conv",),
    "batch norm": ("batch_norm",),
    "activation": ("relu", "sigmoid"),
    "padding": ("pad",),
    "upsampling": ("upsample",),
    "copies and sums": ("copy_", "add", "cat", "zero", "fill", "mul", "sum", "sub", "norm", "vecdot", "bmm", "mm"),
    "optimizer": ("adam", "lerp", "sqrt", "addc", "div"),
}
"""Parts of the names of PyTorch's operations; the first match counts."""


def profiled(work: Callable[[], object]) -> dict[str, float]:
    """Returns the seconds that each kind of operation took by itself in `work`; the remainder is under "other"."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as found:
        work()
    kinds = dict.fromkeys([*KINDS, "other"], 0.0)
    for event in found.key_averages():
        name = event.key.lower()
        kind = next((kind for kind, parts in KINDS.items() if any(part in name for part in parts)), "other")
        kinds[kind] += event.self_cpu_time_total / 1e6
    return kinds


def by_run(size: int, width: int, steps: int, precision: str) -> dict[str, object]:
    """Returns the measurements of `python run.py`, including its log, curve, checkpoint and progress line."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        common = [f"results={folder}", "logger=csv", "task=denoise", f"threads={torch.get_num_threads()}"]
        common.append(f"precision={precision}")
        run([*common, "experiment=smoke"])
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        base = resident(device)
        channels = f"[{','.join([str(width)] * 5)}]"
        picture = ["image=astronaut", f"image.shrink_to={size}"]
        facts = run([*common, *picture, f"arch.down={channels}", f"arch.up={channels}", f"optim.steps={steps}"])
        with Path(folder, "runs", facts["run_id"], "history.csv").open() as file:
            at = [float(row["seconds"]) for row in csv.DictReader(file)]
    peak = facts["peak_memory_bytes"]
    return {"seconds": np.diff(at)[UNTIMED:].tolist(), "bytes": None if peak is None else peak - base}


def run(words: list[str]) -> dict[str, Any]:
    """Returns the record of the run that these overrides describe."""
    cfg = compose(words, hydra_config=True)
    choices = {str(group): str(choice) for group, choice in cfg.hydra.runtime.choices.items()}
    with open_dict(cfg):
        del cfg["hydra"]
    record = run_one(cfg, choices, words)
    assert record is not None
    return record


def resident(device: torch.device) -> int:
    """Returns the bytes that the process holds at this point."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "contestant",
        choices=["bare", "bare_kept", "bare_tf32", "bare_bf16", "notebook", "ours_bare", *BY_RUN],
    )
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--threads", type=int, default=provenance.cores())
    parser.add_argument("--profile", action="store_true", help="what a step's time goes to, but for `ours`")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if given.contestant in BY_RUN:
        measured = by_run(given.size, given.width, given.steps + UNTIMED + 1, BY_RUN[given.contestant])
    else:
        measured = by_hand(given.contestant, given.size, given.width, given.steps + UNTIMED, device, given.profile)
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
