"""A command line that Hydra rejects is answered with one line that says what to write instead."""

from itertools import product

import pytest
from omegaconf import DictConfig

from dip_exp import config
from dip_exp.config import catalogue, commandline
from dip_exp.config.explain import explain
from dip_exp.errors import Refused
from tests.options import NEEDS


def said(*words: str) -> str | None:
    """Returns the message that a command line is refused with before a job; None if it is not."""
    try:
        prepared = commandline.prepare(list(words))
    except Refused as error:
        return f"error: {error}"
    return explain(prepared, multirun=commandline.is_multirun(prepared))


ANOTHER_OPTIONS_KEY = [
    ("image.path=a.png task.mask.path=m.png", "task=denoise has no mask; task=inpaint has"),
    ("task/mask=text", "task=denoise has no mask; task=inpaint has"),
    ("task.flash.path=f.png", "task=denoise has no flash; task=flash has"),
    ("task/net=vgg19", "task=denoise has no net; task=invert has"),
    ("task=superres task.sigma=25", "task=superres has no sigma; task=denoise has"),
    ("task=inpaint task.mask.sigma=1 task/mask=text", "task.mask has size, spacing, text; write task.sigma=... with"),
    ("task=inpaint task/mask=text task.mask.missing=0.5", "task/mask=text has no missing; task/mask=bernoulli has"),
    ("stop.patience=3", "stop=fixed has no patience; stop=emv has"),
    ("image=astronaut image.path=a.png", "image=astronaut has no path; image=file has"),
    ("task.noise.sigma=1", "there is no such setting; task has clip, protocol, sigma"),
    ("-m task=superres,denoise task.factor=2", "task=denoise has no factor; task=maximize has (as have superres,"),
    ("-m task=inpaint,jpeg task/mask=text", "task=jpeg has no mask; task=inpaint has"),
]
"""Rows "a key of another option" of the reports."""

SHORT_NAMES = [
    ("steps=10", "steps: there is no such setting; write optim.steps=10"),
    ("sigma=25", "write task.sigma=25"),
    ("task=inpaint sigma=25", "write task.sigma=25 with task=denoise"),
    ("factor=3", "write task.factor=3 with task=maximize, superres, superres_x8 (task=denoise has none)"),
    ("mask=m.png", "write task.mask.path=m.png (of task=inpaint,"),
    ("mask=text", "write task/mask=text (of task=inpaint,"),
    ("task.mask=m.png", "task.mask: given m.png, .* for a file of yours write task.mask.path=m.png"),
    ("task/mask=m.png", "there is no such option; .* for a file of yours write task.mask.path=m.png"),
    ("a.png", "for a file of yours write image.path=a.png"),
    (
        "image.path=old scan (1973).tif",
        "'scan' is no setting; a name with spaces needs quotes: 'image.path=old scan ...'",
    ),
    ("image.path=my photo.png", "a name with spaces needs quotes: 'image.path=my photo.png'"),
    ("photo.JPG", "for a file of yours write image.path=photo.JPG"),
    ("task.lr=0.1", "task has clip, protocol, sigma, tv_beta, tv_weight; write optim.lr=..."),
    ("image.path=X.png path=a.png", "write image.path='a.png'"),
    ("task=inpaint task/mask=file task.mask.path=m.png flip=true", "write task.mask.flip=true"),
]
"""Rows "steps=10, sigma=25, ... a bare a.png"."""

NOTHING_GIVEN = [
    ("~optim.steps", "~optim.steps: every run has it, and it cannot be removed; give another value  [optim.steps=...]"),
    ("~task.protocol", "~task.protocol: every run has it"),
    ("image.path=", "image.path: nothing was given; a file's name is needed"),
    ("-m image.path=", "image.path: nothing was given; a file's name is needed"),
    ("image=file image.path=''", "image.path: nothing was given; a file's name is needed"),
    ("results=", "results: nothing was given; a folder's name is needed"),
    ("data=", "data: nothing was given; a folder's name is needed"),
    ("task.mask.path=", "task.mask.path: nothing was given; a file's name is needed"),
    ("seed=", "seed: nothing was given; a value is needed"),
    ("task=", "task: nothing was given; a value is needed"),
    ("logger=null", "logger: null is none of its options, csv, none, wandb; none does nothing  [logger=none]"),
    ("-m logger=csv,null", "logger: null is none of its options"),
    ("stop=null", "stop: null is none of its options, .*fixed"),
    ("task/mask=null", "task/mask: null is none of its options, bernoulli"),
    ("experiment=null", "experiment: null is what it is unless one is named; leave experiment=null out"),
    ("variant=null", "leave variant=null out"),
    ("~seed", "~seed: every run has it, and it cannot be removed; give another value  [seed=...]"),
    ("~seed=0", "~seed: every run has it"),
    ("~logger", "[logger=none]"),
    ("~task", "[task=...]"),
]
"""Rows "nothing given" and "logger=null"."""

MISSPELT = [
    ("optim.lrr=1", "weight_noise; did you mean optim.lr?"),
    ("sed=1", "the top level has about, arch, data, degrade_seed.*did you mean seed?"),
    ("stepps=1", "the top level has .*; write optim.steps="),
    ("task=superres task.factr=3", "did you mean task.factor?"),
    ("task=denoize image.path=x.png", "task has denoise, denoise_impulse, .*did you mean denoise?"),
    ("-m task=jpeg,denoize experiment=smoke", "error: task=denoize: there is no such option"),
    ("arch.down=[8,8", "arch.down=[8,8: Hydra cannot read this value"),
    ("optim.lr.x=1", "there is no such setting; optim.lr is one value"),
]


@pytest.mark.parametrize(("words", "text"), [*ANOTHER_OPTIONS_KEY, *SHORT_NAMES, *NOTHING_GIVEN, *MISSPELT])
def test_a_wrong_word_is_told_what_to_write_in_one_line(words: str, text: str):
    given = ["image.path=my", "photo.png"] if "my photo" in words else words.split()
    found = said(*given)
    assert found is not None
    at = 0
    for part in text.split(".*"):
        assert part in found[at:], found
        at = found.index(part, at) + len(part)
    assert found.startswith("error: ")
    assert "\n" not in found


@pytest.mark.parametrize(
    "words",
    [
        "optim.lr=0.1",
        "task=superres image.path=x.png",
        "~variant",
        "-m task=superres,superres_x8 task.pair=consistent",
        "-m stop=emv,wmv stop.patience=3",
        "-m task=inpaint,inpaint_text task.mask.path=m.png",
        "-m task=glob(super*) task.factor=2,3",
        "+logger.note=x",
        "hydra.sweep.dir=x",
    ],
)
def test_a_right_word_is_told_nothing(words: str):
    assert said(*words.split()) is None


CASES = [(group, option) for group in ("task", "arch", "stop", "optim", "input") for option in catalogue.options(group)]


@pytest.mark.parametrize(("group", "option"), CASES[::3])
def test_the_catalogue_has_the_settings_that_compose(group: str, option: str):
    """Read from the yamls, and not composed: a third of the options, the others are alike."""
    needed = [word for word in NEEDS.get(f"{group}={option}", []) if "." not in word.partition("=")[0]]
    inner = {word.partition("=")[0] for word in needed}
    cfg = config.compose([f"{group}={option}", *needed])[group]

    def keys(node: DictConfig, where: str = "") -> set[str]:
        found = set()
        for name in node:
            child = node._get_node(name)
            if name != "_target_":
                found |= {f"{where}{name}"}
                found |= keys(child, f"{where}{name}.") if isinstance(child, DictConfig) else set()
        return found

    theirs = set(catalogue.settings(group, option))
    replaced = tuple(f"{name.removeprefix(f'{group}/')}." for name in inner)
    differ = {key for key in theirs ^ keys(cfg) if not key.startswith(replaced)}
    assert not differ


def test_groups_are_found_outer_first():
    order = catalogue.groups()
    assert {"task", "task/mask", "arch", "logger"} <= set(order)
    assert all(order.index("task") < order.index(inner) for inner in ("task/mask", "task/flash", "task/net"))
    assert set(catalogue.optional()) == {"preset", "experiment", "variant"}
    pairs = product(order, catalogue.leaves())
    assert not [pair for pair in pairs if pair[1] == "_target_"]
