"""In: the name of an experiment. Out: the jobs of its sweep with their identities. Reads no pictures. No torch."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import product

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from dip_exp import config
from dip_exp.component import Settings
from dip_exp.config.schema import Origin
from dip_exp.errors import Refused
from dip_exp.runs.order import Named, identify


@dataclass(frozen=True)
class Job:
    """One run of an experiment.

    words: the overrides that the sweep sets ("task=denoise", "seed=0"). named: its identity.
    """

    words: tuple[str, ...]
    named: Named

    @property
    def run_id(self) -> str:
        return self.named.run_id

    @property
    def seed(self) -> int:
        return self.named.config["seed"]

    @property
    def label(self) -> str:
        """The overrides without the seed, which distinguish this job from the others with the same seed."""
        return shlex.join(word for word in self.words if not word.startswith("seed="))


def names() -> list[str]:
    """Returns all experiments that have a sweep: the overlays with an `about`."""
    overlays = sorted(
        entry.name.removesuffix(".yaml")
        for entry in files("conf").joinpath("experiment").iterdir()
        if entry.name.endswith(".yaml")
    )
    return [name for name in overlays if about(name) is not None]


def of_the_paper() -> list[str]:
    """Returns the experiments whose `about.origin` is the paper."""
    return [name for name in names() if (about(name) or {})["origin"] == Origin.paper.name]


@cache
def about(name: str) -> Settings | None:
    """Returns an experiment's `about` (`config.About`), or None if it has none.

    Reads it from the overlay and its base overlays instead of composing, which takes longer.
    """
    said = _about(name)
    return None if said is None else config.plain_dict(OmegaConf.merge(OmegaConf.structured(config.About), said))


def _about(name: str) -> DictConfig | None:
    overlay = files("conf").joinpath("experiment", f"{name}.yaml")
    if not overlay.is_file():
        return None
    node = OmegaConf.create(overlay.read_text(encoding="utf-8"))
    assert isinstance(node, DictConfig)
    parts = [_about(base) for base in node.get("defaults", []) if isinstance(base, str)]
    known = [part for part in (*parts, node.get("about")) if part is not None]
    merged = OmegaConf.merge(*known) if known else None
    assert merged is None or isinstance(merged, DictConfig)
    return merged


def jobs(name: str, scale: str, seeds: int = 1, overrides: Iterable[str] = ()) -> list[Job]:
    """Returns the jobs that `python run.py -m experiment=NAME scale=SCALE seeds=SEEDS OVERRIDES` runs, in its order.

    Ignores overrides of Hydra's own settings: they say where jobs run, not which ones exist. Raises Refused for an
    experiment without a sweep.
    """
    ours = [word for word in overrides if not _key(word).startswith(("hydra.", "hydra/"))]
    return list(_jobs(name, (f"experiment={name}", f"scale={scale}", f"seeds={seeds}", *ours)))


@cache
def _jobs(name: str, given: tuple[str, ...]) -> tuple[Job, ...]:
    fixed = {word for word in given if "," not in word}
    return tuple(_job(combination, fixed) for combination in product(*swept(name, given).values()))


def swept(name: str, given: tuple[str, ...]) -> dict[str, list[str]]:
    """Returns what a multirun with the words `given`, `experiment=NAME` among them, goes over: by key, a word for each
    value. Raises Refused for an experiment without a sweep."""
    cfg = _or_refused([word for word in given if "," not in word], hydra_config=True)
    params = OmegaConf.to_container(OmegaConf.select(cfg, "hydra.sweeper.params") or OmegaConf.create(), resolve=True)
    if not isinstance(params, dict) or not params:
        raise Refused(
            f"experiment: {name} has no sweep of its own  [conf/experiment/{name}.yaml: hydra.sweeper.params]"
        )
    own = {_key(word) for word in given}
    words = [*(f"{key}={value}" for key, value in params.items() if key not in own), *given]
    parsed = OverridesParser.create().parse_overrides(words)
    return {one.get_key_element(): _words(one) for one in parsed}  # of a repeated key the last counts, as in Hydra


def _words(override: Override) -> list[str]:
    """Returns an override's form in each job of a sweep over it, as Hydra's own sweeper writes it."""
    if override.is_sweep_override():
        return [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
    return [f"{override.get_key_element()}={override.get_value_element_as_str()}"]


def _job(words: tuple[str, ...], fixed: set[str]) -> Job:
    parsed = OverridesParser.create().parse_overrides(list(words))
    groups = tuple(word for word, one in zip(words, parsed, strict=True) if config.is_group(one.key_or_group))
    cfg = _composed(groups).copy()
    for one in parsed:
        if not config.is_group(one.key_or_group):
            try:
                OmegaConf.update(cfg, one.key_or_group, one.value())
            except config.UNCOMPOSABLE as error:
                raise Refused(f"{one.input_line}: {str(error).splitlines()[0]}") from error
    choices = {str(one.key_or_group): str(one.value()) for one in parsed if config.is_group(one.key_or_group)}
    return Job(tuple(word for word in words if word not in fixed), identify(cfg, choices))


@cache
def _composed(groups: tuple[str, ...]) -> DictConfig:
    """Returns the composed configuration, cached: composing takes time, and only group options need it."""
    return _or_refused(list(groups))


def _or_refused(words: list[str], *, hydra_config: bool = False) -> DictConfig:
    try:
        return config.layered(words, hydra_config=hydra_config)
    except config.UNCOMPOSABLE as error:
        raise Refused(f"{' '.join(words)}: {str(error).splitlines()[0]}") from error


def _key(word: str) -> str:
    return word.split("=")[0].lstrip("+~")
