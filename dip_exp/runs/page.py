"""In: the folder of a finished run, mean or tiled picture. Out: its report.html. No torch."""

import contextlib
import csv
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from urllib.parse import quote

import numpy as np
import yaml

from dip_exp.atomic import write_text
from dip_exp.errors import first_line
from dip_exp.metrics import calibration, kinds
from dip_exp.pages import one_run
from dip_exp.pages.one_run import Box, Facts, Iterate, Mark, Number, RunPage, Side
from dip_exp.pages.pictures import drawn, opened
from dip_exp.runs import report
from dip_exp.runs.folder import PAGE, RunFolder
from dip_exp.runs.record import Record, restorers
from dip_exp.shapes import Float32

GROUPS = ("task", "arch", "input", "optim", "stop", "image", "experiment", "variant")
"""The choices that a page names, if the run has them."""

Arrays = Mapping[str, Float32[np.ndarray, "1 _ _ _"]]


def finish(folder: RunFolder, done: Record, *, keep_state: bool = False) -> None:
    """Writes a record, which marks the run as finished, and its page; then tidies its folder. Raises OSError if the
    record cannot be written.

    The page comes after the record: whatever becomes of it, the run is finished. keep_state: as for `tidy`.
    """
    folder.finish(done)
    _try(folder)
    folder.tidy(keep_state=keep_state)


def complete(folder: RunFolder, *, keep_state: bool, locked: bool = False) -> None:
    """Does what is left to do of a finished run whose process was killed after its record: its page, and tidying up.
    Nothing is done while another process is at the run, or where nothing can be written.

    keep_state: as for `tidy`. locked: whether the caller holds the run's lock.
    """
    with contextlib.suppress(OSError), nullcontext(True) if locked else folder.if_free() as free:
        if free:
            _try_if_missing(folder)
            folder.tidy(keep_state=keep_state)


def ensure(folder: RunFolder) -> None:
    """Writes the page of a finished run, unless it is there, or another process is at the run, or nothing can be
    written."""
    with contextlib.suppress(OSError), folder.if_free() as free:
        if free:
            _try_if_missing(folder)


def _try_if_missing(folder: RunFolder) -> None:
    if not folder.page.is_file() and os.access(folder.path, os.W_OK):
        _try(folder)


def _try(folder: RunFolder) -> None:
    """Writes the page of a run whose record is written. A page that cannot be made or written is told of."""
    try:
        done = folder.record()
        if done is not None:
            write(folder, done)
    except Exception as error:  # whatever is wrong with one of its files, the run itself is finished
        why = first_line(error) or type(error).__name__
        report.note(f"note: {folder.page} could not be made ({why}); the same command tries it again")


def write(folder: RunFolder, done: Record) -> Path:
    """Writes the page of a finished run into its folder, and returns its path. Raises OSError."""
    write_text(folder.page, one_run.html(page(folder, done)))
    return folder.page


def page(folder: RunFolder, done: Record) -> RunPage:
    """Returns what the page of a finished run shows: all is read from its folder. Raises OSError."""
    columns = curve(folder.path / "history.csv")
    sides = _pictures(folder.path, done)
    names = [side.name for side in sides]
    first = next((name for name in (kinds.OBSERVATION, "truth") if name in names), names[0])
    picture, settings = done["picture"], done["config"]
    heads, scores = report.scores(done)
    return RunPage(
        title=f"{done['choices']['task']}: {picture['name']}",
        subtitle=_subtitle(done),
        sides=list(one_run.in_words(sides)),
        pair=(first, names[0]),
        iterates=list(_iterates(folder.path / "snapshots", columns)),
        columns=columns,
        marks=_marks(done) if columns else [],
        boxes=_boxes(done),
        heads=heads,
        scores=scores,
        remarks=[*done["notes"], *done["remarks"]],
        facts=_facts(done),
        command=done.get("command", ""),
        config=yaml.safe_dump(settings, sort_keys=False, allow_unicode=True),
    )


def _pictures(folder: Path, done: Record) -> list[Side]:
    """Returns the pictures of a folder: of its arrays, of which one at a time is in memory; or of the PNG files of a
    tiled picture, which has no arrays and may be large."""
    path = folder / "outputs.npz"
    if path.is_file():
        with path.open("rb") as file, np.load(file) as arrays:  # np.load leaves a damaged file open
            return _sides(arrays, done)
    result = done["result"] if (folder / f"{done['result']}.png").is_file() else "restored"
    found = []
    for name in (result, kinds.OBSERVATION):
        file = folder / f"{name}.png"
        if file.is_file():
            image, size = opened(file)
            note = _note(done["scores"].get(done["result"] if name == result else name))
            found.append(Side(name, _label(name, done), note, image, _file(name), exact=True, size=size))
    return found


def _sides(arrays: Arrays, done: Record) -> list[Side]:
    """Returns the pictures to look at, the result first; of pictures that are the same, the first."""
    result = done["result"] if done["result"] in arrays else "restored"
    order = [result, "truth", kinds.OBSERVATION, "guide", kinds.BASELINE]
    estimates = [name for name in dict.fromkeys([*order, *arrays]) if name in arrays and not kinds.kind(name).is_map]
    found: dict[bytes, Side] = {}
    for name in estimates:
        image = drawn(arrays[name])
        side = Side(name, _label(name, done), _note(done["scores"].get(name)), image, _file(name), name in order)
        found.setdefault(hashlib.sha256(image.tobytes()).digest(), side)
    sides = list(found.values())
    return [*sides, *_maps(arrays, {side.name: side.label for side in sides})]


def _file(name: str) -> str:
    """Returns the address of a picture beside the page; names come from files, too."""
    return "" if name == "truth" else quote(f"{name}.png", safe="")


def _maps(arrays: Arrays, labels: dict[str, str]) -> Iterator[Side]:
    """Yields the maps: the error of the result (the first label) and of the classical restorer, and standard
    deviations. labels: of the pictures, by output kind."""
    for name in dict.fromkeys([next(iter(labels)), kinds.BASELINE]):
        if "truth" in arrays and name in labels:
            x, truth = arrays[name], arrays["truth"]
            if x.shape == truth.shape:
                yield one_run.error_map(x, truth, labels[name])
    for name in (kinds.POSTERIOR_STD, kinds.STD):
        if name in arrays:
            shown, white = calibration.shown(arrays[name])
            said = f"white: {white:.3g} and more"
            yield Side(name, kinds.kind(name).meaning, said, drawn(shown), _file(name), is_map=True)


def _label(name: str, done: Record) -> str:
    """Returns what an output kind is, in a few words."""
    classical = restorers(done).get(name)
    if name in (done["result"], "restored"):
        return "restored"
    if classical:
        return str(classical["name"])
    if name in done["stop"]["told"]:
        return f"chosen by {name.removeprefix('stopped_')}"
    return name if name == kinds.OBSERVATION else kinds.kind(name).meaning


def _note(row: dict[str, float | None] | None) -> str:
    """Returns a score in words."""
    row = row or {}
    told = [] if row.get("psnr") is None else [f"{row['psnr']:.2f} dB"]
    return ", ".join([*told, *([] if row.get("ssim") is None else [f"SSIM {row['ssim']:.3f}"])])


def curve(path: Path) -> dict[str, list[Number]]:
    """Returns the curve of a run, steps counted from 1; {} without one."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return {}
    from_zero = 1 - int(rows[0]["step"])  # older runs counted from 0
    numbers = {
        name: [float(row[name]) if row.get(name) else None for row in rows] for name in ("loss", "psnr", "psnr_average")
    }
    return {"step": [int(row["step"]) + from_zero for row in rows], **numbers}


def _iterates(folder: Path, columns: dict[str, list[Number]]) -> Iterator[Iterate]:
    psnr = dict(zip(columns.get("step", ()), columns.get("psnr", ()), strict=True))
    for path in sorted(path for path in folder.glob("*.png") if path.stem.isdecimal()):
        step = int(path.stem)
        value = psnr.get(step)
        yield Iterate(step, opened(path)[0], "" if value is None else f"{value:.2f} dB")


def _marks(done: Record) -> list[Mark]:
    """Returns the chosen steps: the result's, those of rules that only watched, and the oracles'."""
    steps, scores, stop = done["steps_of"], done["scores"], done["stop"]

    def said(kind: str) -> str:
        psnr = scores.get(kind, {}).get("psnr")
        return f"step {steps[kind]:,}" + ("" if psnr is None else f", {psnr:.2f} dB")

    found = []
    if kinds.STOPPED in steps:
        found.append(Mark(steps[kinds.STOPPED], f"result: {said(kinds.STOPPED)}. {stop['reason']}", "result"))
    for kind, told in stop["told"].items():
        if kind in steps:
            rule, ended = kind.removeprefix("stopped_"), told["ended"]
            end = "would not have ended the run" if ended is None else f"would have ended the run at {ended:,}"
            found.append(Mark(steps[kind], f"{rule} chose {said(kind)}; it {end}", "rule"))
    for kind in kinds.ORACLES:
        if kind in steps:
            found.append(Mark(steps[kind], f"{kinds.kind(kind).meaning}: {said(kind)}", "oracle"))
    return found


def _boxes(done: Record) -> list[Box]:
    """Returns the tiles of a merged picture, in its pixels."""
    placed = done.get("tiles")
    if placed is None:
        return []
    left, top = (min(box[side] for box in placed["boxes"]) for side in (0, 1))
    factor = placed["factor"]
    return [Box((x - left) * factor, (y - top) * factor, w * factor, h * factor) for x, y, w, h in placed["boxes"]]


def _subtitle(done: Record) -> str:
    choices = done["choices"]
    if "tiles" in done:
        what = f"merged from {len(done['tiles']['boxes'])} tiles"
    elif "members" in done:
        what = f"mean of {len(done['members'])} runs, seeds {done['seeds'].replace('+', ', ')}"
    else:
        what = f"seed {done['config']['seed']}"
    steps = "" if "members" in done else f"{done['steps']:,} steps in "
    cost = f"{steps}{report.duration(done['seconds'])}"
    return f"{choices['arch']}, {choices['optim']}, {what}; {cost}"


def _facts(done: Record) -> list[Facts]:
    picture, config, choices = done["picture"], done["config"], done["choices"]
    width, height = picture["size"]
    dirty = {True: ", with changes", False: "", None: ", changes unknown"}[done["dirty"]]
    memory = done["peak_memory_bytes"]
    of_one = "members" not in done  # steps, end and memory of several runs are those of each
    rows = [
        ("run", done["run_id"]),
        ("picture", f"{picture['name']}, {width}x{height}, channels: {picture['channels']}, {picture['role']}"),
        *((group, str(choices[group])) for group in GROUPS if choices.get(group)),
        ("precision", config["precision"]),
        ("seed", str(done.get("seeds", config["seed"])).replace("+", ", ")),
        ("seed of the degradation", str(config["degrade_seed"])),
        ("scored by", str(done["protocol"])),
        *([("steps", f"{done['steps']:,}, each {done['seconds_per_step']:.3g} s")] if of_one else []),
        *([("ended", done["stop"]["reason"])] if of_one and done["stop"]["reason"] else []),
        ("device", f"{done['device']}, threads: {done['threads']}"),
        *([("peak memory", f"{memory / 1e9:.2f} GB")] if of_one and memory is not None else []),
        ("commit", f"{done['commit']}{dirty}"),
        *((f"sha256 of {name}", value) for name, value in (done.get("sha256") or {}).items()),
    ]
    found = [Facts("This run", rows)]
    if "members" in done:
        found.append(Facts("Its runs", links=[(one, f"../{one}/{PAGE}") for one in done["members"]]))
    return [*found, Facts("Versions", [(name, str(version)) for name, version in done["versions"].items()])]
