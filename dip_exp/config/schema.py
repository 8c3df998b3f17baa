"""What a configuration may hold at its top level, and what Hydra has to know before it composes one. No torch."""

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


class Origin(Enum):
    paper = "paper"
    study = "study"


@dataclass
class Place:
    """When a campaign comes to some of an experiment's jobs: lower numbers first.

    jobs: words as a job has them, values with the wildcards of file names ("task=superres image=set5/*"). Several
    values (image=a,b) mean any of them, and the jobs come in their order. None at all: every job.
    """

    at: float = MISSING
    jobs: str = ""


@dataclass
class Number:
    """A number that the paper or its authors report, and which rows of ours compare with it.

    what: what it is of, in words. select: the settings of the sweep that pick our runs. images: how the pictures begin
    that it is of ("set5/"). kind: the output kind of ours, or `iterate` for kept steps. score: `psnr`; or of an iterate
    `fit` (PSNR of the fit to the observation, where there is no truth) or `loss`.

    Theirs is a mean over pictures: `table` and `method` pick it in results/reference/paper.csv and published.csv;
    `printed` is its output kind there, empty where the paper prints none; pictures: whether the authors' pictures are
    of that kind. Or it is of a curve, `curve` ("trajectories/snail": file and run), after each of `steps`.
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
    """What an experiment says of itself: nothing here changes a pixel.

    title, cite: what it shows, and where in the paper. origin: `paper`, it re-makes one of the paper's, or `study`, it
    is this project's own. kind: the output kind that the paper's numbers are. paper: its
    numbers, in words. ours: what was measured here (scale, hardware, seconds), in words. sets: the picture sets it
    needs at paper scale. mean_of: how many runs on one observation, seed after seed, a further row is the mean of; 1
    for none. panels: the output kinds of the first seed that its figure shows. iterates: steps whose iterates it shows.
    order: when a campaign comes to its jobs; the first entry that a job fits counts, one that fits none comes last.
    numbers: those of the paper that our runs at paper scale compare with.
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
    """The top level. A group's own keys are checked by the class its `_target_` names, key for key."""

    image: Any = MISSING
    task: Any = MISSING
    arch: Any = MISSING
    input: Any = MISSING
    optim: Any = MISSING
    stop: Any = MISSING
    logger: Any = MISSING
    trainer: Any = MISSING
    about: About | None = None
    scale: Scale = Scale.paper
    precision: Precision = Precision.fp32
    seed: int = 0
    degrade_seed: int = 0
    threads: int = 0
    seeds: int = 1
    runs: int = 1
    results: str = "results"
    data: str = "data"
    rivals: Rivals = Rivals.quick
    recompute: bool = False
    force: bool = False
    traceback: bool = False


def register() -> None:
    """Makes the schema, the resolvers and the picture sets known to Hydra. Calling it again changes nothing."""
    store = ConfigStore.instance()
    if "schema.yaml" in store.repo:
        return
    # Hydra copies the whole store into every repository it opens: once a composition, some 220 times for --help. What
    # is in it never changes and is copied again when it is loaded, so the store may stand for its own copy.
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
