"""In: the composed configuration. Out: its checked top level, its identity (`run_id`), the named seeds. No torch."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import MISSING, Container, DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from dip_exp import precision, resolvers, sets
from dip_exp.errors import Refused
from dip_exp.resolvers import Scale

NUMERICS = 3
"""Raised by hand whenever code changes what a config computes: every run is then a new run.

2: Adam in one fused pass, which rounds otherwise.
"""

SCIENTIFIC = ("image", "task", "arch", "input", "optim", "stop", "precision", "seed", "degrade_seed")
"""The keys that change pixels, and so make a run's identity. All others are operational and may not change one."""

SPENT = ("optim.fewer",)
"""Scientific keys that act on the value of another one alone, and so are no part of a run's identity."""

NEUTRAL: dict[str, Any] = {"image.trim_multiple": None, "task.mask.threshold": 0.5, "input.seed": None}
"""Keys added after runs existed, with the value that means "as before": left out of the identity while they hold it."""


FIRST_NAMES = {
    "image": {"dip_exp.images": "Blank File Packaged"},
    "task": {
        "dip_exp.problems.denoise": "Denoise",
        "dip_exp.problems.denoise_impulse": "DenoiseImpulse",
        "dip_exp.problems.denoise_poisson": "DenoisePoisson",
        "dip_exp.problems.denoise_speckle": "DenoiseSpeckle",
        "dip_exp.problems.enhance": "Enhance",
        "dip_exp.problems.flash": "FlashNoFlash",
        "dip_exp.problems.inpaint": "Inpaint",
        "dip_exp.problems.invert": "Invert",
        "dip_exp.problems.jpeg": "Jpeg",
        "dip_exp.problems.maximize": "Maximize",
        "dip_exp.problems.reconstruct": "Reconstruct",
        "dip_exp.problems.superres": "SuperResolution",
        "dip_exp.masks": "Bernoulli Boxes File Text",
        "dip_exp.flashes": "FlashFile Synthetic",
        "dip_exp.classifiers.alexnet": "AlexNet",
        "dip_exp.classifiers.efficientnet": "EfficientNetLite0",
        "dip_exp.classifiers.vgg": "VGG",
    },
    "arch": {
        "dip_exp.archs.deep_decoder": "DeepDecoder",
        "dip_exp.archs.pixels": "Pixels",
        "dip_exp.archs.resnet": "ResNet",
        "dip_exp.archs.skip": "Skip",
        "dip_exp.archs.unet": "UNet",
    },
    "input": {
        "dip_exp.inputs.fourier": "Fourier",
        "dip_exp.inputs.meshgrid": "Meshgrid",
        "dip_exp.inputs.noise": "Noise",
        "dip_exp.inputs.picture": "GivenPicture",
    },
    "optim": {"dip_exp.optims": "Adam AdamW LBFGS Muon SGD SGLD"},
    "stop": {
        "dip_exp.stopping.discrepancy": "Discrepancy",
        "dip_exp.stopping.emv": "ExponentialVariance",
        "dip_exp.stopping.fixed": "Fixed",
        "dip_exp.stopping.heldout": "HeldOut",
        "dip_exp.stopping.plateau": "Plateau",
        "dip_exp.stopping.sure": "Sure",
        "dip_exp.stopping.watch": "Watch",
        "dip_exp.stopping.wmv": "WindowedVariance",
    },
}
"""The classes that were hashed by the path of their module, under NUMERICS 3 and before, and keep that name in a run's
identity wherever they stand now. Closed: a class that came later is hashed by its bare name. To be emptied when
NUMERICS is next raised."""


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

    title, cite: what it shows, and where in the paper. kind: the output kind that the paper's numbers are. paper: its
    numbers, in words. ours: what was measured here (scale, hardware, seconds), in words. sets: the picture sets it
    needs at paper scale. mean_of: how many runs on one observation, seed after seed, a further row is the mean of; 1
    for none. panels: the output kinds of the first seed that its figure shows. iterates: steps whose iterates it shows.
    order: when a campaign comes to its jobs; the first entry that a job fits counts, one that fits none comes last.
    numbers: those of the paper that our runs at paper scale compare with.
    """

    title: str = MISSING
    cite: str = MISSING
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
    "_target_": "dip_exp.images.File",
    **dict.fromkeys(("box", "trim_multiple", "shrink_to", "crop_multiple")),
    "grey": False,
}
_LISTED_FLASH = {
    "_target_": "dip_exp.flashes.FlashFile",
    "register": False,
    "crop_multiple": "${image.crop_multiple}",
}
_LISTED_MASK = {"_target_": "dip_exp.masks.File", "flip": False, "threshold": 0.5}


UNCOMPOSABLE = (HydraException, OmegaConfBaseException)
"""What `compose` raises for overrides that do not fit."""


def compose(overrides: Iterable[str] = (), *, hydra_config: bool = False) -> DictConfig:
    """Returns the configuration a command line of these overrides would compose, with Hydra's own part if asked for; a
    Hydra application around this one keeps its own state."""
    register()
    around = GlobalHydra.instance()
    before = around.hydra
    around.clear()
    try:
        with initialize_config_module("conf", version_base="1.3"):
            return hydra_compose("config", overrides=list(overrides), return_hydra_config=hydra_config)
    finally:
        around.hydra = before


def plain(cfg: Container) -> dict[str, Any]:
    """Returns the configuration resolved into plain dicts, lists and scalars (enumerations by name), ranges checked;
    `precision=auto` is decided, by this machine."""
    try:
        config = plain_dict(cfg)
    except InterpolationResolutionError as error:
        key, why = error.full_key, str(error).splitlines()[0].rpartition("resolving interpolation: ")[2]
        raise Refused(f"{key}: its value cannot be found ({why})  [command line: {key}=...]") from error
    known = [entry.name for entry in fields(Config)]
    for key in config:
        if key not in known:
            raise Refused(f"{key}: there is no such setting; the top level has {', '.join(known)}")
    _refuse_missing(config)
    for key, least in (("seed", 0), ("degrade_seed", 0), ("threads", 0), ("seeds", 1), ("runs", 1)):
        if config[key] < least:
            raise Refused(
                f"{key}: given {config[key]}; a whole number from {least} is allowed  [command line: {key}={least}]"
            )
    config["precision"] = precision.chosen(config)
    return config


def plain_dict(node: Container) -> dict[str, Any]:
    """Returns a node of the configuration resolved into plain dicts, lists and scalars, nothing checked."""
    container = OmegaConf.to_container(node, resolve=True, enum_to_str=True, throw_on_missing=False)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def _refuse_missing(node: Any, where: str = "") -> None:
    for key, value in node.items() if isinstance(node, dict) else ():
        path = f"{where}{key}"
        if value == "???":
            raise Refused(f"{path}: nothing was given and it has no default  [command line: {path}=...]")
        _refuse_missing(value, f"{path}.")


def identity(config: dict[str, Any], contents: dict[str, str]) -> dict[str, Any]:
    """Returns what makes a run the run it is: its scientific settings, files by content, numbers normalised.

    `config` is `plain`'s result; `contents` maps dotted keys ("image.path") to the sha256 that stands in for them.
    """
    science = {key: _named(json.loads(json.dumps(config[key])), key) for key in SCIENTIFIC}
    _leave_out_later_watchers(science["stop"])
    for key, neutral in NEUTRAL.items():
        parent, leaf = _parent(science, key)
        if parent is not None and _normal(parent.get(leaf)) == _normal(neutral):
            parent.pop(leaf, None)
    for key in SPENT:
        parent, leaf = _parent(science, key)
        if parent is not None:
            parent.pop(leaf, None)
    for key, sha256 in contents.items():
        parent, leaf = _parent(science, key)
        if parent is not None:
            parent[leaf] = f"sha256:{sha256}"
            parent.pop("sha256", None)
    return {"numerics": NUMERICS, **_normal(science)}


def class_name(group: str, target: str) -> str:
    """Returns what a class is called in an identity: by what it is, and not by where it stands. `group` is the config
    group it is set in ("task", also for a mask); bare names are unique in it. A class from elsewhere keeps its path."""
    if not target.startswith("dip_exp."):
        return target
    bare = target.rpartition(".")[2]
    for module, classes in FIRST_NAMES.get(group, {}).items():
        if bare in classes.split():
            return f"{module}.{bare}"
    return bare


def _named(node: Any, group: str) -> Any:
    if isinstance(node, list):
        return [_named(item, group) for item in node]
    if not isinstance(node, dict):
        return node
    return {k: class_name(group, v) if k == "_target_" else _named(v, group) for k, v in node.items()}


def _leave_out_later_watchers(stop: Any) -> None:
    """Drops the passive rules of `stop=watch` whose classes came later: they change no pixel and no earlier kind, so
    that adding one to conf/stop/watch.yaml renames no run."""
    rules = stop.get("rules") if isinstance(stop, dict) else None
    if isinstance(rules, dict):
        stop["rules"] = {name: rule for name, rule in rules.items() if not _is_later(rule)}


def _is_later(rule: Any) -> bool:
    return isinstance(rule, dict) and "." not in str(rule.get("_target_", "."))


def run_id(what: dict[str, Any]) -> str:
    """Returns the 12 hexadecimal digits that name an identity: the start of the sha256 of its canonical JSON."""
    text = json.dumps(what, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def named_seed(seed: int, name: str) -> int:
    """Returns the seed, in [0, 2**63), of one named source of randomness: degrade, weights, input or perturb."""
    digest = hashlib.sha256(f"{name}:{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def files(config: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    """Returns every file the scientific settings name, as {dotted key: (path, sha256 it was declared to have)}.

    By rule, a file is a key called `path`, and its declared content the key `sha256` beside it.
    """
    found: dict[str, tuple[str, str | None]] = {}

    def walk(node: Any, where: str) -> None:
        for key, value in node.items() if isinstance(node, dict) else ():
            if key == "path" and value is not None:
                found[where + key] = (str(value), node.get("sha256"))
            walk(value, f"{where}{key}.")

    walk({key: config[key] for key in SCIENTIFIC}, "")
    return found


def located(path: str) -> Path:
    """Returns where a file setting points: as it stands, but for a leading ~/, which is the home folder (~draft.png is
    a file's name)."""
    return Path.home() / path[2:] if path.startswith("~/") else Path(path)


def _parent(tree: dict[str, Any], key: str) -> tuple[dict[str, Any] | None, str]:
    *route, leaf = key.split(".")
    node: Any = tree
    for name in route:
        node = node.get(name) if isinstance(node, dict) else None
    return (node if isinstance(node, dict) else None), leaf


def _normal(value: Any) -> Any:
    """25 and 25.0 are one number; True is no number."""
    if isinstance(value, dict):
        return {key: _normal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_normal(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
