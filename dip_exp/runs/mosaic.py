"""In: the tiles of a picture. Out: their runs, and their merged picture as a derived record that lists them.

`tiles=512` uses this: each tile has its own folder, is reused if finished and resumed if interrupted. No torch.
"""

import shlex
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from omegaconf import DictConfig

from dip_exp import config as cfgs
from dip_exp import images, metrics
from dip_exp.component import located
from dip_exp.config import commandline
from dip_exp.errors import Refused
from dip_exp.images.tiling import merged
from dip_exp.metrics import kinds
from dip_exp.runs import page, report
from dip_exp.runs.delivery import Delivery, delivery
from dip_exp.runs.folder import RunFolder, writing
from dip_exp.runs.mean import attempts, derived
from dip_exp.runs.price import Expected
from dip_exp.runs.record import Record
from dip_exp.runs.run import run
from dip_exp.runs.tiles import Tiling, checked, planned
from dip_exp.shapes import Float32


def run_tiles(
    cfg: DictConfig, choices: dict[str, str], command: list[str], *, tabled: bool = False, several: bool = False
) -> Record:
    """Returns the record of the picture that is merged from the tiles of `cfg.tiles`. With `out`, it is written there.

    Computes the tiles that are not finished, one after the other. tabled: the run is a job of an experiment, which is
    refused. several: as for a run. Raises Refused, Failed and Interrupted as a run does.
    """
    if tabled:
        raise Refused(f"tiles: given {cfg.tiles} for the jobs of an experiment; must be null  [tiles=null]")
    tiling = planned(cfg, choices)
    folder = folder_of(tiling)
    out = delivery(cfgs.plain(cfg), several=several)
    if out is not None:
        out.check(folder.path)
    done = None if cfg.force else folder.record()
    if done is not None and done["attempts"] == attempts(list(tiling.folders.values())):
        report.note("already finished (nothing was computed; force=true does all of it again)")
        page.ensure(folder)
    else:
        if tiling.left:
            begin(tiling, out)
        done = _computed(folder, tiling, command)
    report.tiled(done, folder.path)
    if out is not None:
        out.deliver(folder.path)
        report.delivered(out.path)
    return done


def begin(tiling: Tiling, out: Delivery | None) -> None:
    """Checks that every tile that is left can be computed, and prints how long they should take. Raises Refused.

    out: where the merged picture will go besides its folder; checked to hold it.
    """
    ahead = checked(tiling)
    if out is not None:
        factor = ahead.shape[1] // tiling.grid.tile[1]
        size = (tiling.grid.size[0] * factor, tiling.grid.size[1] * factor)
        out.check(folder_of(tiling).path, size, has_alpha=tiling.picture.alpha is not None)
    _announce(tiling, ahead)


def folder_of(tiling: Tiling) -> RunFolder:
    """Returns the folder of the merged picture."""
    return RunFolder(located(tiling.cfg.results), tiling.identity())


def _announce(tiling: Tiling, ahead: Expected) -> None:
    """Prints how many tiles there are and how long those that are left should take."""
    width, height = tiling.grid.tile
    left, copied = len(tiling.left), len(tiling.copied)
    others = [f"{copied} copied"] if copied else []
    others += [f"{len(tiling.named) - left} already finished"] if left < len(tiling.named) else []
    beside = f" ({', '.join(others)})" if others else ""
    seconds = ahead.seconds * left
    about, most = ("at most", "at most ") if ahead.sooner else ("about", "")
    cores = f" of {ahead.cost.threads} quiet cores" if ahead.cost.threads > 1 else ""
    report.note(
        f"{tiling.grid.size[0]}x{tiling.grid.size[1]} in {len(tiling.boxes)} tiles of {width}x{height}, which share "
        f"{tiling.grid.overlap} pixels{beside}: {left} runs of {most}{ahead.steps} steps, one after the other {about} "
        f"{report.duration(seconds)}{cores}, {ahead.cost.memory / 1e9:.1f} GB each"
    )


def _computed(folder: RunFolder, tiling: Tiling, command: list[str]) -> Record:
    """Runs the tiles and writes their merged picture; returns its record."""
    shared = commandline.of_one_tile(command)
    for number in tiling.named:
        report.note(f"\ntile {number + 1} of {len(tiling.boxes)}")
        box = str(tiling.boxes[number]).replace(" ", "")
        run(tiling.member(number), tiling.choices, [*shared, f"{commandline.BOX}={box}"])
    with writing(folder.path):
        lock = folder.lock(lambda: report.note("another process is at these tiles: waiting for it"))
        try:
            return _write(folder, tiling, command)
        finally:
            lock.release()


def _write(folder: RunFolder, tiling: Tiling, command: list[str]) -> Record:
    """Writes the folder of a merged picture, its record last, and returns the record."""
    folders, picture, grid = tiling.folders, tiling.picture, tiling.grid
    records = [done for one in folders.values() if (done := one.record()) is not None]
    first, one = records[0], next(iter(folders.values()))
    result = first["result"]
    factor = _load(one, result).shape[2] // grid.tile[1]

    def tile(kind: str, number: int) -> Float32[np.ndarray, "1 C h w"]:
        if number in folders:
            return _load(folders[number], kind)
        return tiling.part(picture.x, number).repeat(factor, axis=2).repeat(factor, axis=3)

    restored = merged(grid, partial(tile, result), factor)
    scores = {}
    if first["scores"]:
        truth = merged(grid, partial(tile, "truth"), factor)
        missing = None if tiling.known is None else tiling.known == 0
        scores = {result: metrics.scores(restored, truth, metrics.PROTOCOLS[first["protocol"]], missing)}
    like = picture
    if picture.alpha is not None and tiling.known is not None:  # as for a run: what was missing is to be seen
        hole = (tiling.known == 0).any(axis=(0, 1))
        like = replace(picture, alpha=np.where(hole, np.float32(1), picture.alpha))
    folder.begin(afresh=True)
    images.write_restored(folder.path, restored, like)
    images.write(folder.path / f"{result}.png", restored)
    del restored
    _write_observation(folder, tiling, tile)
    seconds, steps = (sum(one[key] for one in records) for key in ("seconds", "steps"))
    placed = {"side": grid.side, "overlap": grid.overlap, "factor": factor, "boxes": tiling.boxes}
    made = {
        "kind": "tiles",
        "config": cfgs.plain(tiling.cfg),
        "command": shlex.join(command),
        "attempts": [one["attempt"] for one in records],
        "picture": {**first["picture"], "size": list(picture.size)},
        "tiles": {**placed, "copied": sorted(tiling.copied)},
        "result": result,
        "scores": scores,
        "baseline": None,
        "rivals": {},
        "stop": {"reason": "", "ended": None, "step": None, "told": {}},
        "peak_memory_bytes": max((one["peak_memory_bytes"] or 0 for one in records), default=None),
        "seconds_per_step": round(seconds / steps, 6),
    }
    done = derived(records, folder.run_id, str(tiling.cfg.seed), made, ("seconds", "steps", "rollbacks"))
    page.finish(folder, done)
    return done


def _write_observation(folder: RunFolder, tiling: Tiling, tile: Callable[[str, int], np.ndarray]) -> None:
    """Writes what was observed of the whole picture. tile: a tile's picture of an output kind.

    A picture that was degraded here, tile by tile, is merged again, unless its observation has another size.
    """
    observed = tiling.picture.x
    if tiling.cfg.image.role == "clean":
        first, (width, height) = next(iter(tiling.named)), tiling.grid.tile
        if tile(kinds.OBSERVATION, first).shape[2:] != (height, width):
            return
        observed = merged(tiling.grid, partial(tile, kinds.OBSERVATION), 1)
    images.write(folder.path / f"{kinds.OBSERVATION}.png", np.nan_to_num(observed))


def _load(folder: RunFolder, kind: str) -> Float32[np.ndarray, "1 _ _ _"]:
    """Returns one picture of a finished run."""
    with np.load(folder.path / "outputs.npz") as arrays:
        return arrays[kind]
