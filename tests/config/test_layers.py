"""`layered` is `compose`: the same tree, key by key, for every option and every job of every experiment."""

import itertools

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dip_exp import config
from dip_exp.config import layers
from dip_exp.experiments import sweeps
from tests.config.test_config import GROUPS, NEEDS, OPTIONS
from tests.conftest import jobs_of

EXPERIMENTS = sweeps.names()


@pytest.fixture
def no_hydra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forbids leaving a composition to Hydra, where a law is about the layers themselves."""

    def refuse(words: list[str], **_: bool) -> None:
        raise AssertionError(f"left to Hydra: {words}")

    monkeypatch.setattr(layers, "compose", refuse)


def check(*words: str) -> None:
    """Checks that both ways compose the same text (keys, order, interpolations) with the same types and flags."""
    ours, hydras = config.layered(words), config.compose(words)
    assert OmegaConf.to_yaml(ours) == OmegaConf.to_yaml(hydras)
    assert OmegaConf.get_type(ours) is OmegaConf.get_type(hydras)
    assert OmegaConf.is_struct(ours)
    assert OmegaConf.is_struct(hydras)


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_is_layered_as_hydra_composes_it(group: str, option: str, no_hydra: None):
    check(*NEEDS.get((group, option), []), f"{group}={option}")


@pytest.mark.long
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiments_last_job_is_layered_as_hydra_composes_it(name: str, no_hydra: None):
    given = (f"experiment={name}", "scale=mini", "seeds=1")
    check(*(words[-1] for words in sweeps.swept(name, given).values()))


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["paper", "mini"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_job_is_layered_as_hydra_composes_it(name: str, scale: str, no_hydra: None):
    for job in jobs_of(name, scale):
        words = [f"experiment={name}", f"scale={scale}", *job.words]
        check(*words)
        assert config.plain(config.compose(words)) == job.named.config


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_another_network_is_layered_as_hydra_composes_it(name: str, no_hydra: None):
    check(f"experiment={name}", "arch=resnet")


@pytest.mark.slow
@pytest.mark.parametrize("group", ["image", "arch", "input", "optim", "stop", "variant"])
@pytest.mark.parametrize("task", GROUPS["task"])
def test_every_option_beside_every_task_is_layered_as_hydra_composes_it(task: str, group: str, no_hydra: None):
    for option in GROUPS.get(group, ["stopping/watch", "prior/pixels_tv", "sgld/superres", "trajectory/cave"]):
        check(f"task={task}", f"{group}={option}")


@pytest.mark.long
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_sweep_that_the_layers_have_is_hydras(name: str, no_hydra: None):
    words = [f"experiment={name}", "scale=mini", "seeds=2"]
    ours, hydras = (way(words, hydra_config=True) for way in (config.layered, config.compose))
    text = [
        {key: str(value) for key, value in OmegaConf.to_container(cfg.hydra.sweeper.params, resolve=True).items()}
        for cfg in (ours, hydras)
    ]
    assert text[0] == text[1]


@pytest.mark.parametrize(
    "words",
    [
        ["arch=resnet", "variant=prior/network"],  # the command line's before a variant's
        ["experiment=fig4_denoise"],  # on top of another
        ["experiment=muon_curves"],
        ["variant=prior/pixels_tv", "task=superres"],
        ["stop=watch", "task=denoise_s15"],  # rules in packages of their own
        ["image=set5/baby", "data=elsewhere"],
        ["task=inpaint", "task/mask=authors/inpainting/kate_mask"],
        ["launcher=submitit", "threads=2"],
        ["task.sigma=[1,2]", "optim.lr=1e-3", "results='a b'", "image.role=${scale}"],
    ],
)
def test_what_conf_and_sweeps_write_needs_no_hydra(words: list[str], no_hydra: None):
    check(*words)


@pytest.mark.parametrize(
    "words",
    [
        ["+optim.lrr=1"],
        ["~task.tv_weight"],
        ["task/mask=boxes", "task=inpaint"],
        ["image='set5/baby'"],
        ["hydra.sweep.dir=elsewhere"],
        ["hydra/launcher=joblib"],
        ["experiment=smoke", "experiment=priors"],
    ],
)
def test_what_the_layers_do_not_understand_is_hydras(words: list[str]):
    check(*words)


@pytest.mark.parametrize(
    "words",
    [
        ["optim.lrr=1"],
        ["arch=skipp"],
        ["task/mask=boxes"],
        ["optm=adam"],
        ["scale=tiny"],
        ["seed=abc"],
        ["seed=1,2"],
        ["seed=["],
        ["arch@other=skip"],
        ["variant=no/such"],
    ],
)
def test_errors_are_hydras(words: list[str]):
    found = []
    for way in (config.compose, config.layered):
        with pytest.raises(config.UNCOMPOSABLE) as error:
            way(words)
        found.append((error.type, str(error.value)))
    assert found[0] == found[1]


def test_what_is_handed_out_twice_is_no_ones_other(no_hydra: None):
    words = ["stop=watch", "experiment=priors", "variant=priors/dip_tv"]
    before = OmegaConf.to_yaml(config.layered(words))
    one = config.layered(words)
    for key, value in itertools.product(("optim.lr", "stop.rules.wmv.window", "about.title"), (7,)):
        OmegaConf.update(one, key, value)
    OmegaConf.update(one, "image.new", {"a": 1}, force_add=True)
    assert OmegaConf.to_yaml(config.layered(words)) == before
    with pytest.raises(OmegaConfBaseException):
        one.nothing = 1


@pytest.mark.parametrize("task", ["denoise", "denoise_s50", "denoise_poisson", "superres"])
@pytest.mark.parametrize("words", [(), ("preset=best",), ("stop=wmv",), ("optim=sgld",)])
def test_the_rule_for_an_own_picture_is_layered_too(task: str, words: tuple[str, ...], no_hydra: None):
    check("image=file", "image.path=x.png", f"task={task}", *words)
