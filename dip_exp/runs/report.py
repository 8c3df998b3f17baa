"""What a run prints on the terminal: the estimate before, the table after, errors. No torch."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dip_exp.metrics import kinds
from dip_exp.metrics.kinds import BASELINE, KINDS
from dip_exp.runs import winners
from dip_exp.runs.folder import PAGE
from dip_exp.runs.record import Record, restorers

if TYPE_CHECKING:
    from dip_exp.cost.estimate import Cost
    from dip_exp.tasks.problem import Problem

SMALLER_ABOVE_SECONDS = 600

WATCHED_ABOVE_SECONDS = 20
"""A run that should take longer says where its current picture is."""

BUSY_BELOW = 0.9
"""If a process has its cores for less than this share of the time, the machine is busy."""


def describe(error: BaseException, traceback: bool) -> None:
    """Prints an error on standard error: one message, or the traceback if `traceback` is set."""
    if traceback:
        import traceback as traces

        traces.print_exception(error)
    else:
        print(f"error: {error}", file=sys.stderr)


def note(text: str) -> None:
    """Prints one message at once."""
    print(text, flush=True)


def opening(what: str, problem: "Problem", cost: "Cost", steps: int, how: str, smaller: str, *, sooner: bool) -> None:
    """Prints what will run, the estimated time and memory, and the command of a smaller run.

    what: "superres of astronaut with skip". how: "of muon in fp32 on cpu". smaller: that command, or empty if there is
    none. sooner: whether a stop rule may end the run before its last step.
    """
    seconds = cost.seconds * steps
    scored = "clean: degraded here and scored" if problem.x is not None else "observed: restored as it is"
    _, height, width = problem.shape
    most, about = ("at most ", "at most") if sooner else ("", "about")
    note(
        f"{what} ({cost.weights:,} weights), {width}x{height} ({scored}), {most}{steps} steps {how}: "
        f"{about} {duration(seconds)}{of_cores(cost.threads)}, {cost.memory / 1e9:.1f} GB"
    )
    for told in problem.presentation.notes:
        note(f"note: {told}")
    if seconds > SMALLER_ABOVE_SECONDS and smaller:
        note(f"smaller: {smaller}")


def of_cores(threads: int) -> str:
    """Returns which cores the estimate is for; empty on a GPU."""
    return "" if threads == 0 else " of one quiet core" if threads == 1 else f" of {threads} quiet cores"


def pace(seconds: float, share: float, *, sooner: bool) -> None:
    """Prints, on standard error, the total time predicted from the run's first steps, and whether the machine is busy.

    share: the fraction of the time for which this process had its cores. sooner: as in `opening`.
    """
    busy = f" (the machine is busy: this process gets {share:.0%} of its cores)" if share < BUSY_BELOW else ""
    print(f"measured: {'at most' if sooner else 'about'} {duration(seconds)} in all{busy}", file=sys.stderr, flush=True)


def already(done: Record, folder: Path, more: str = "") -> None:
    """Prints that the run is already finished, on which device, and its results. more: as in `closing`."""
    note(f"already finished on {done['device']} (nothing was computed or logged; force=true does it again)")
    closing(done, folder, more)


def closing(done: Record, folder: Path, more: str = "") -> None:
    """Prints the scores of each output kind, the time, and the folder. more: a sentence about going on, or ""."""
    heads, rows = scores(done)
    if rows:
        width = max(14, *(len(row[0]) + 2 for row in rows))
        values = heads[1:-2]
        lines = ["", f"{'':{width}}{''.join(f'{head:>12}' for head in values)}  step    (protocol {done['protocol']})"]
        for kind, *cells, step, meaning in rows:
            lines.append(f"{kind:{width}}{''.join(f'{cell:>12}' for cell in cells)}  {step:7} {meaning}")
    else:
        lines = ["", "nothing is scored: there is no truth to score against"]
    lines += [
        "",
        *(f"note: {told}" for told in done["remarks"]),
        *_of_the_map(done, "posterior_std.png"),
        f"ended: {done['stop']['reason']}",
        *(line for line in (more, winners.line(done, folder)) if line),
        f"{done['steps']} steps in {duration(done['seconds'])} ({done['seconds_per_step']:.3g} s each)",
        f"restored picture: {folder / 'restored.png'}",
        f"side by side:     {folder / 'comparison.png'}",
        *_of_the_page(folder),
        f"everything:       {folder}",
    ]
    note("\n".join(lines))  # one write, so that the tables of parallel jobs do not mix


def _of_the_page(folder: Path) -> list[str]:
    """Returns a line that names the run's page, if it is there."""
    path = folder / PAGE
    return [f"to look at it:    {path}"] if path.is_file() else []


def scores(done: Record) -> tuple[list[str], list[list[str]]]:
    """Returns a run's final table as text: its heads, and a row for each scored output kind. Without a truth there are
    no rows."""
    found = done["scores"]
    columns = {"psnr": "PSNR dB", "ssim": "SSIM"}
    if any("psnr_missing" in row for row in found.values()):
        columns["psnr_missing"] = "missing dB"
    rows = [
        [
            kind,
            *(_cell(row.get(column), 4 if column == "ssim" else 2).strip() for column in columns),
            str(done["steps_of"].get(kind, "")),
            _meaning(done, kind),
        ]
        for kind, row in found.items()
    ]
    return ["output kind", *columns.values(), "step", "meaning"], rows


def delivered(path: Path) -> None:
    """Prints where the restored picture is as well."""
    note(f"written to:       {path}")


def _meaning(done: Record, kind: str) -> str:
    """Returns the meaning of an output kind in words; for a classical restorer with its name and seconds."""
    made = restorers(done)
    told = done["stop"]["told"].get(kind)
    if told is not None:
        ended = told["ended"]
        end = "would not have ended the run" if ended is None else f"would have ended the run at {ended}"
        return f"average that the rule {kind.removeprefix('stopped_')} chose; it {end}"
    if kind not in made:
        return kinds.kind(kind).meaning
    keeps = ", keeps known pixels: compare with pasted" if "pasted" in done["scores"] else ""
    return f"{KINDS[BASELINE].meaning}: {made[kind]['name']} ({made[kind]['seconds']:.2g} s){keeps}"


def _of_the_map(done: Record, name: str) -> list[str]:
    """Returns lines that say which value is white in a map of standard deviations and, with a truth, how well the map
    predicts the error."""
    if "spread" not in done:
        return []
    spread, found = done["spread"], done["calibration"]
    lines = [f"{name}: standard deviation over {spread['of']} pictures; white is {spread['white']:.3g} and more"]
    if found is not None and found["ratio"] is not None:
        rank = "none" if found["rank_correlation"] is None else f"{found['rank_correlation']:.2f}"
        lines.append(f"{name}: the RMS error is {found['ratio']:.2f} times what it says; rank correlation {rank}")
    return lines


def combined(done: Record, folder: Path) -> None:
    """Prints the scores of a mean beside those of its runs, and its folder."""
    scores, single = done["scores"], done["scores_of_runs"]
    lines = ["", f"mean of {len(done['members'])} runs, seeds {done['seeds'].replace('+', ', ')}"]
    if scores:
        missing = any("psnr_missing" in row for row in scores.values())
        heads = f"{'PSNR dB':>12}{'of one run':>16}{'SSIM':>12}{'missing dB' if missing else '':>{12 * missing}}"
        lines.append(f"{'':14}{heads}  (protocol {done['protocol']})")
        for kind, row in scores.items():
            psnr = [value for value in single.get(kind, {}).get("psnr", []) if value is not None]
            each = f"{np.mean(psnr):.2f} ± {np.std(psnr, ddof=1):.2f}" if len(psnr) > 1 else "-"
            mark = "  <- restored.png" if kind == done["result"] else ""
            more = _cell(row.get("psnr_missing"), 2) if missing else ""
            lines.append(f"{kind:14}{_cell(row['psnr'], 2)}{each:>16}{_cell(row['ssim'], 4)}{more}{mark}")
    else:
        lines.append("nothing is scored: there is no truth to score against")
    lines += [
        "",
        *_of_the_map(done, "std.png"),
        f"{done['steps']} steps in {duration(done['seconds'])} over all runs",
        f"restored picture: {folder / 'restored.png'}",
        f"its spread:       {folder / 'std.png'}",
        f"side by side:     {folder / 'comparison.png'}",
        *_of_the_page(folder),
        f"everything:       {folder}",
    ]
    note("\n".join(lines))


def tiled(done: Record, folder: Path) -> None:
    """Prints the score of a picture that was merged from tiles, their time, and its folder."""
    width, height = done["picture"]["size"]
    lines = ["", f"{width}x{height} merged from {len(done['tiles']['boxes'])} tiles"]
    row = done["scores"].get(done["result"])
    if row is None:
        lines.append("nothing is scored: there is no truth to score against")
    else:
        names = {"psnr": "PSNR dB", "ssim": "SSIM", "psnr_missing": "missing dB"}
        told = [f"{names[name]} {_cell(value, 4 if name == 'ssim' else 2).strip()}" for name, value in row.items()]
        lines.append(f"{done['result']}: {', '.join(told)}  (protocol {done['protocol']})")
    lines += [
        "",
        *(f"note: {told}" for told in done["remarks"]),
        f"{done['steps']} steps in {duration(done['seconds'])} over {len(done['members'])} runs",
        f"restored picture: {folder / 'restored.png'}",
        *_of_the_page(folder),
        f"everything:       {folder}",
    ]
    note("\n".join(lines))


def captions(
    problem: "Problem",
    outputs: dict[str, np.ndarray],
    scores: dict[str, dict[str, float | None]],
    result: str,
) -> list[tuple[str, np.ndarray]]:
    """Returns the labelled panels of the side-by-side picture: truth, observation, baseline, restored (`result`)."""
    chosen = [(kind, kind) for kind in ("guide", "observation") if kind in outputs]
    baseline = problem.presentation.baseline
    if "baseline" in outputs and baseline is not None:
        chosen.append((baseline[0], "baseline"))
    chosen.append(("restored", result))
    rows = [] if problem.x is None else [("truth", problem.x.float().cpu().numpy())]
    for label, kind in chosen:
        psnr = scores.get(kind, {}).get("psnr")
        rows.append((f"{label}\n{psnr:.2f} dB" if psnr is not None else f"{label}\n", outputs[kind]))
    return rows


def duration(seconds: float) -> str:
    """Returns a duration in words: 45 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _cell(value: float | None, digits: int) -> str:
    return f"{'-':>12}" if value is None else f"{value:>12.{digits}f}"
