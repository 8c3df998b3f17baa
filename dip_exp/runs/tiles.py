"""In: a picture that is too large for one run. Out: its tiles, and the run of each, before any is computed.

A tile is an ordinary run with `image.box`. No torch.
"""

import copy
import hashlib
import json
import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from omegaconf import DictConfig

from dip_exp import config as cfgs
from dip_exp import images
from dip_exp.component import Settings, located
from dip_exp.config.build import build, refusing
from dip_exp.errors import Refused
from dip_exp.images.tiling import Grid
from dip_exp.runs import memory
from dip_exp.runs.folder import RunFolder
from dip_exp.runs.order import Named, identify
from dip_exp.runs.price import Expected, expected
from dip_exp.shapes import Float32

if TYPE_CHECKING:
    from dip_exp.tasks.task import Task

AUTO = "auto"
SIDES = (512, 384, 256, 192, 128)
"""The sides that `auto` chooses from."""

MULTIPLE = 32
"""Sides are multiples of it, as most networks need."""


@dataclass(frozen=True, eq=False)
class Whole:
    """A picture, and its mask of known pixels (1, 1 or C, H, W), or None for a task without one."""

    picture: images.Picture
    known: Float32[np.ndarray, "1 _ H W"] | None


@dataclass(frozen=True, eq=False)
class Tiling:
    """A picture and its tiles. cfg, choices: the configuration of the whole. corner: its (left, top) in its file."""

    cfg: DictConfig
    choices: dict[str, str]
    grid: Grid
    whole: Whole
    corner: tuple[int, int]

    @property
    def picture(self) -> images.Picture:
        """The whole picture."""
        return self.whole.picture

    @property
    def known(self) -> Float32[np.ndarray, "1 _ H W"] | None:
        """The whole mask, or None."""
        return self.whole.known

    @cached_property
    def boxes(self) -> list[list[int]]:
        """`image.box` of each tile, row by row."""
        left, top = self.corner
        return [[left + x, top + y, width, height] for x, y, width, height in self.grid.boxes]

    @cached_property
    def copied(self) -> set[int]:
        """The tiles (by place in `boxes`) that are copied: nothing is missing there, or an observed picture has one
        colour there, or is wholly transparent."""
        return {number for number in range(len(self.grid.boxes)) if self._is_copied(number)}

    def _is_copied(self, number: int) -> bool:
        if self.known is not None:
            return bool((self.part(self.known, number) > 0).all())
        if self.cfg.image.role == "clean":
            return False
        x, alpha = self.part(self.picture.x, number), self.picture.alpha
        hidden = alpha is not None and not self.part(alpha, number).any()
        return hidden or bool((x == x[..., :1, :1]).all())

    @cached_property
    def named(self) -> dict[int, Named]:
        """The runs of the tiles that are not copied, by place in `boxes`."""
        there = [number for number in range(len(self.boxes)) if number not in self.copied]
        first = identify(self.member(there[0]), self.choices) if there else None
        return {} if first is None else {number: self._like(first, number) for number in there}

    def _like(self, first: Named, number: int) -> Named:
        """Returns the run of a tile, which differs from another's by its box alone."""
        config = {**first.config, "image": {**first.config["image"], "box": self.boxes[number]}}
        return replace(first, config=config, identity=cfgs.identity(config, first.contents))

    @property
    def folders(self) -> dict[int, RunFolder]:
        """The folders of these runs."""
        results = located(self.cfg.results)
        return {number: RunFolder(results, one.run_id) for number, one in self.named.items()}

    @property
    def left(self) -> list[int]:
        """The tiles whose runs are to be computed."""
        force = self.cfg.force
        return [number for number, folder in self.folders.items() if force or folder.record() is None]

    def part(self, x: Float32[np.ndarray, "*batch H W"], number: int) -> Float32[np.ndarray, "*batch h w"]:
        """Returns the part of x (..., H, W), which has the size of the whole, that is one tile."""
        left, top, width, height = self.grid.boxes[number]
        return x[..., top : top + height, left : left + width]

    def member(self, number: int) -> DictConfig:
        """Returns the configuration of the run of one tile."""
        member = copy.deepcopy(self.cfg)
        member.image.box = self.boxes[number]
        member.tiles, member.tile_overlap, member.out = None, None, None
        return member

    def identity(self) -> str:
        """Returns the run_id of the merged picture."""
        members = {str(self.boxes[number]): one.run_id for number, one in self.named.items()}
        text = json.dumps({"numerics": cfgs.NUMERICS, "tiles": self.boxes, "of": members}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def planned(cfg: DictConfig, choices: dict[str, str]) -> Tiling:
    """Returns the tiles of a picture. Raises Refused.

    With `tiles=auto`, they are the largest whose runs fit into half of the memory that is free; or those that an
    earlier command has begun, since what is free changes.
    """
    config = cfgs.plain(cfg)
    image = config["image"]
    if config["runs"] > 1:
        raise Refused(f"tiles: given {cfg.tiles} with runs={config['runs']}; a tile is one run  [runs=1]")
    for key in ("trim_multiple", "shrink_to", "crop_multiple"):
        if image.get(key) is not None:
            raise Refused(f"tiles: image.{key} is {image[key]}; tiles are cut from the file  [image.{key}=null]")
    with refusing("image", choices):
        picture = build(config, "image", choices).read()
    whole = Whole(picture, _known(config, choices, picture))
    left, top = image["box"][:2] if image["box"] is not None else (0, 0)

    def of(side: int) -> Tiling:
        overlap = side // 4 if config["tile_overlap"] is None else config["tile_overlap"]
        with refusing("tiles", {}):
            grid = Grid(picture.size, side, overlap)
        found = Tiling(cfg, choices, grid, whole, (left, top))
        if not found.named:
            _check_task(config, choices)
            raise Refused("tiles: the picture has one colour, or none of its pixels is missing; nothing is to be done")
        return found

    if config["tiles"] != AUTO:
        return of(_side(config["tiles"]))
    each = [of(side) for side in SIDES if config["tile_overlap"] is None or side >= 2 * config["tile_overlap"]]
    begun = [one for one in each if any(folder.path.is_dir() for folder in one.folders.values())]
    return begun[0] if begun else _fitting(each)


def _side(given: object) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given < MULTIPLE or given % MULTIPLE:
        raise Refused(
            f"tiles: given {given!r}; must be auto, or a side in pixels that is a multiple of {MULTIPLE}  "
            f"[tiles=auto, tiles=512]"
        )
    return given


def _fitting(each: list[Tiling]) -> Tiling:
    needed, free = 0.0, 0.0
    for tiling in each:
        ahead = _expected(tiling)
        needed, free = ahead.cost.memory, memory.available_here(ahead.device, tiling.cfg["memory_limit"]) or math.inf
        if needed <= free / 2:
            return tiling
    raise Refused(
        f"tiles: the smallest that auto chooses, of {SIDES[-1]} pixels, need {needed / 1e9:.1f} GB each, more than "
        f"half of the {free / 1e9:.1f} GB that are free; give a side, or a narrower network  [tiles=64, scale=mini]"
    )


def _known(config: Settings, choices: dict[str, str], picture: images.Picture) -> Float32[np.ndarray, "1 _ H W"] | None:
    """Returns the mask of a task that has one: known pixels are above 0. Raises Refused if it is not that of a file."""
    if "mask" not in config["task"]:
        return None
    numbers = np.isfinite(picture.x)
    mask = build({"task.mask": config["task"]["mask"], "trust": config["trust"]}, "task.mask", {})
    if "path" in config["task"]["mask"]:
        with refusing("task", choices):
            shape = (picture.channels, picture.size[1], picture.size[0])
            ours = mask if picture.frame is None else mask.along(picture.frame)
            known = ours.draw(shape, np.random.default_rng(0))
            return known if numbers.all() else known * numbers
    if config["image"]["role"] == "observed" and not numbers.all():
        return numbers.astype(np.float32)
    raise Refused(
        f"tiles: the mask ({type(mask).__name__}) would be another one in each tile; give that of the whole picture  "
        f"[task/mask=file task.mask.path=...]"
    )


def _expected(tiling: Tiling) -> Expected:
    """Returns what the first tile's run will be. All are alike. Raises Refused."""
    number, first = next(iter(tiling.named.items()))
    width, height = tiling.grid.tile
    return expected(first.config, tiling.choices, (tiling.part(tiling.picture.x, number).shape[1], height, width))


def _check_task(config: Settings, choices: dict[str, str]) -> "Task":
    """Returns the task. Raises Refused for one whose pictures cannot be restored part by part."""
    task = build(config, "task", choices)
    if not task.local:
        raise Refused(f"tiles: task={choices['task']} does not restore a part of a picture on its own  [tiles=null]")
    return task


def checked(tiling: Tiling) -> Expected:
    """Returns what each tile's run will be, after checking that none of them will be refused. Raises Refused."""
    task = _check_task(next(iter(tiling.named.values())).config, tiling.choices)
    role, picture = tiling.cfg.image.role, tiling.picture
    with refusing("task", tiling.choices):
        task.check(picture.x, role)
        for number in tiling.named:
            if tiling.known is None:
                task.problem(tiling.part(picture.x, number), role, np.random.default_rng(0))
            elif not tiling.part(tiling.known, number).any():
                raise Refused(
                    f"tiles: in the tile {tiling.boxes[number]} no pixel is known; give larger ones  [tiles=...]"
                )
    ahead = _expected(tiling)
    width, height = tiling.grid.tile
    factor = max(1, ahead.shape[1] // height)
    if ahead.shape[1:] != (height * factor, width * factor):
        raise Refused(
            f"tiles: task={tiling.choices['task']} makes {ahead.shape[2]}x{ahead.shape[1]} of a tile of "
            f"{width}x{height}; its sides must be multiples of the task's factor  [tiles=..., image.box=...]"
        )
    _check_merged(tiling, ahead, factor)
    return ahead


MERGED_BYTES = 20.0
"""Memory per value of the merged picture while it is put together and written: 17 were measured for 12 megapixels."""


def _check_merged(tiling: Tiling, ahead: Expected, factor: int) -> None:
    """Raises Refused if the merged picture itself would not fit into memory at the end, hours later."""
    import torch

    from dip_exp.cost.estimate import BASE_BYTES

    width, height = (side * factor for side in tiling.grid.size)
    needed = BASE_BYTES + MERGED_BYTES * ahead.shape[0] * width * height
    limit = tiling.cfg["memory_limit"] if ahead.device.type == "cpu" else None  # pictures are merged beside a GPU
    free = memory.available_here(torch.device("cpu"), limit) or math.inf
    if needed > free:
        raise Refused(
            f"tiles: the merged picture of {width}x{height} needs about {needed / 1e9:.1f} GB at the end, and "
            f"{free / 1e9:.1f} GB can be had here; restore it in parts  [image.box=[left,top,width,height]]"
        )
