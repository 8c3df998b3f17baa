"""The schema of the configuration's top level, and what Hydra must know before it composes. No torch."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from dip_exp.config import resolvers
from dip_exp.config.resolvers import Scale
from dip_exp.images import sets


class Precision(Enum):
    fp32 = "fp32"
    fp64 = "fp64"
    tf32 = "tf32"
    bf16 = "bf16"
    auto = "auto"


class Rivals(Enum):
    quick = "quick"
    all = "all"
    none = "none"


class Start(Enum):
    own = "own"
    classical = "classical"


class Origin(Enum):
    paper = "paper"
    study = "study"


@dataclass
class Place:
    """The place of some of an experiment's jobs in a campaign's order: lower numbers first.

    jobs: a job's overrides, with the wildcards of file names in values ("task=superres image=set5/*"). Several values
    (image=a,b) match any of them, and the jobs follow their order. Empty matches every job.
    """

    at: float = MISSING
    jobs: str = ""


@dataclass
class Number:
    """A number that the paper or its authors report, and the selection of our rows to compare with it.

    what: a description. select: the sweep settings that select our runs. images: the common prefix of its pictures
    ("set5/"). kind: our output kind, or `iterate` for kept steps. score: `psnr`; for an iterate, `fit` (PSNR of the fit
    to the observation, where there is no truth) or `loss`.

    The reported number is a mean over pictures: `table` and `method` select it in results/reference/paper.csv and
    published.csv; `printed` is its output kind there, empty if the paper prints none; pictures: whether the authors'
    pictures are of that kind. Or it is a point of a curve: `curve` ("trajectories/snail": file and run), after each of
    `steps`.
    """

    what: str = MISSING
    select: dict[str, str] = field(default_factory=dict)
    images: str = ""
    kind: str = "last"
    score: str = "psnr"
    table: str = ""
    method: str = "deep_prior"
    printed: str = ""
    pictures: bool = True
    curve: str = ""
    steps: list[int] = field(default_factory=list)


@dataclass
class About:
    """An experiment's description of itself. Nothing here changes a pixel.

    title, cite: what it shows, and where it is in the paper. origin: `paper` if it reproduces one of the paper's
    results, `study` if it is this project's own. kind: the output kind of the paper's numbers. paper: the paper's
    numbers, in words. ours: what was measured here (scale, hardware, seconds), in words. sets: the picture sets needed
    at paper scale. mean_of: how many runs (consecutive seeds) on one observation an extra mean row averages; 1 for no
    mean. panels: the output kinds of the first seed that the figure shows. iterates: steps whose iterates it shows.
    order: the places of its jobs in a campaign; the first matching entry counts, and jobs without a match come last.
    numbers: the paper's numbers that our runs at paper scale are compared with.
    """

    title: str = MISSING
    cite: str = MISSING
    origin: Origin = Origin.paper
    kind: str = "last"
    paper: str = ""
    ours: str = ""
    sets: list[str] = field(default_factory=list)
    mean_of: int = 1
    panels: list[str] = field(default_factory=list)
    iterates: list[int] = field(default_factory=list)
    order: list[Place] = field(default_factory=list)
    numbers: list[Number] = field(default_factory=list)


@dataclass
class Config:
    """The top level of the configuration. A group's own keys are checked by the class that its `_target_` names."""

    image: Any = MISSING
    task: Any = MISSING
    arch: Any = MISSING
    input: Any = MISSING
    optim: Any = MISSING
    stop: Any = MISSING
    logger: Any = MISSING
    trainer: Any = MISSING
    about: About | None = None
    own_stop: str = "fixed"
    quick_start: Start = Start.own
    scale: Scale = Scale.paper
    precision: Precision = Precision.fp32
    seed: int = 0
    degrade_seed: int = 0
    threads: int = 0
    seeds: int = 1
    runs: int = 1
    tiles: Any = None
    tile_overlap: int | None = None
    results: str = "results"
    data: str = "data"
    rivals: Rivals = Rivals.quick
    more: int | None = None
    keep_state: bool | None = None
    memory_limit: str | None = None
    recompute: bool = False
    out: str | None = None
    overwrite: bool = False
    force: bool = False
    traceback: bool = False
    trust: Any = None


def register() -> None:
    """Registers the schema, the resolvers and the picture sets with Hydra. Repeated calls have no effect."""
    store = ConfigStore.instance()
    if "schema.yaml" in store.repo:
        return
    # Hydra deep-copies the store for every repository it opens: once per composition, and about 220 times for --help.
    # The store never changes and its content is copied again on loading, so it can act as its own copy.
    vars(store)["__deepcopy__"] = lambda memo: store
    store.store(name="schema", node=Config)
    resolvers.register()
    for entry in sets.manifest():
        group, _, name = entry.option.rpartition("/")
        if not entry.is_picture:
            continue
        file = {"path": f"${{data}}/{entry.path}", "sha256": entry.sha256}
        store.store(group=f"image/{group}", name=name, node={**_LISTED_IMAGE, **file, "role": entry.role})
        if name.endswith("_mask"):
            store.store(group=f"task/mask/{group}", name=name, node={**_LISTED_MASK, **file})
        if name.endswith("_flash"):
            store.store(group=f"task/flash/{group}", name=name, node={**_LISTED_FLASH, **file})


_LISTED_IMAGE = {
    "_target_": "dip_exp.images.source.File",
    **dict.fromkeys(("box", "trim_multiple", "shrink_to", "crop_multiple")),
    "grey": False,
}
_LISTED_FLASH = {
    "_target_": "dip_exp.observe.flash.FlashFile",
    "register": False,
    "crop_multiple": "${image.crop_multiple}",
}
_LISTED_MASK = {"_target_": "dip_exp.observe.masks.File", "flip": False, "threshold": 0.5}
