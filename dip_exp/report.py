"""What a run says on the terminal: one line before, one table after. No torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

    from dip_exp.cost import Cost
    from dip_exp.problems.problem import Problem

SMALLER_ABOVE_SECONDS = 600

MEANING = {
    "observation": "what was given",
    "baseline": "classical",
    "last": "last iterate",
    "average": "running average, last step",
    "stopped": "average at the step the stop rule chose",
    "pasted": "stopped, known pixels pasted back",
    "peak": "oracle: best iterate by the truth",
    "peak_average": "oracle: best average by the truth",
}


def note(text: str) -> None:
    """Says one line."""
    print(text, flush=True)


RESULT = "made of the stopped picture"


def opening(what: str, problem: "Problem", cost: "Cost", steps: int, device: "torch.device", smaller: str) -> None:
    """Says what will run, how long it should take here, how much memory it needs, and the command of a smaller run.

    what: "superres of astronaut with skip". smaller: that command; empty where there is none smaller.
    """
    seconds = cost.seconds * steps
    scored = "clean: degraded here and scored" if problem.x is not None else "observed: restored as it is"
    _, height, width = problem.shape
    note(
        f"{what} ({cost.weights:,} weights), {width}x{height} ({scored}), {steps} steps on {device.type}: "
        f"about {duration(seconds)}, {cost.memory / 1e9:.1f} GB"
    )
    for told in problem.notes:
        note(f"note: {told}")
    if seconds > SMALLER_ABOVE_SECONDS and smaller:
        note(f"smaller: {smaller}")


def already(done: dict[str, Any], folder: Path) -> None:
    """Says that the run is finished, where it ran, and what it came to."""
    note(f"already finished on {done['device']} (nothing was computed or logged; force=true does it again)")
    closing(done, folder)


def closing(done: dict[str, Any], folder: Path) -> None:
    """Says what each output kind scored, the time, and the folder."""
    scores = done["scores"]
    if scores:
        columns = ["psnr", "ssim", *(["psnr_missing"] if any("psnr_missing" in row for row in scores.values()) else [])]
        width = max(14, *(len(kind) + 2 for kind in scores))
        heads = {"psnr": "PSNR dB", "ssim": "SSIM", "psnr_missing": "missing dB"}
        lines = [
            "",
            f"{'':{width}}{''.join(f'{heads[c]:>12}' for c in columns)}  step    (protocol {done['protocol']})",
        ]
        for kind, row in scores.items():
            values = "".join(_cell(row.get(column), 4 if column == "ssim" else 2) for column in columns)
            step = done["steps_of"].get(kind, "")
            lines.append(f"{kind:{width}}{values}  {step!s:7} {_meaning(done, kind)}")
    else:
        lines = ["", "nothing is scored: there is no truth to score against"]
    lines += [
        "",
        *(f"note: {told}" for told in done.get("remarks", [])),
        f"ended: {done['stop']['reason']}",
        f"{done['steps']} steps in {duration(done['seconds'])} ({done['seconds_per_step']:.3g} s each)",
        f"restored picture: {folder / 'restored.png'}",
        f"side by side:     {folder / 'comparison.png'}",
        f"everything:       {folder}",
    ]
    note("\n".join(lines))  # one write: the tables of jobs that end together stay whole


def _meaning(done: dict[str, Any], kind: str) -> str:
    """Returns what an output kind is, in words; a classical restorer's with its name and seconds."""
    restorers = {"baseline": done["baseline"], **done.get("rivals", {})}  # older runs have no rivals
    told = done["stop"].get("told", {}).get(kind)
    if told is not None:
        ended = told["ended"]
        end = "would not have ended the run" if ended is None else f"would have ended the run at {ended}"
        return f"average that the rule {kind.removeprefix('stopped_')} chose; it {end}"
    if kind not in restorers:
        return MEANING.get(kind, RESULT)
    keeps = ", keeps known pixels: compare with pasted" if "pasted" in done["scores"] else ""
    return f"{MEANING['baseline']}: {restorers[kind]['name']} ({restorers[kind]['seconds']:.2g} s){keeps}"


def captions(
    problem: "Problem",
    outputs: dict[str, np.ndarray],
    scores: dict[str, dict[str, float | None]],
    result: str,
) -> list[tuple[str, np.ndarray]]:
    """Returns the labelled panels of the side-by-side picture: truth, observation, baseline, restored (`result`)."""
    chosen = [(kind, kind) for kind in ("guide", "observation") if kind in outputs]
    if "baseline" in outputs and problem.baseline is not None:
        chosen.append((problem.baseline[0], "baseline"))
    chosen.append(("restored", result))
    rows = [] if problem.x is None else [("truth", problem.x.float().cpu().numpy())]
    for label, kind in chosen:
        psnr = scores.get(kind, {}).get("psnr")
        rows.append((f"{label}\n{psnr:.2f} dB" if psnr is not None else f"{label}\n", outputs[kind]))
    return rows


def duration(seconds: float) -> str:
    """Returns a time in words: 45 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _cell(value: float | None, digits: int) -> str:
    return f"{'-':>12}" if value is None else f"{value:>12.{digits}f}"
