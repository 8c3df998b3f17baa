"""In: a plain configuration and the contents of its files. Out: its identity and its run_id. No torch."""

import hashlib
import json
from typing import Any

from dip_exp.component import Settings

NUMERICS = 3
"""Version of the numerics, raised by hand whenever code changes what a config computes. Every run then gets a new id.

2: fused Adam, which rounds differently.
"""

SCIENTIFIC = ("image", "task", "arch", "input", "optim", "stop", "precision", "seed", "degrade_seed")
"""The keys that change pixels and therefore form a run's identity. All other keys are operational and must not change a
pixel."""

SPENT = ("optim.fewer",)
"""Scientific keys that only modify another key's value, and are therefore not part of the identity."""

NEUTRAL: dict[str, object] = {
    "image.trim_multiple": None,
    "image.scale": "auto",
    "image.pages": None,
    "task.mask.threshold": 0.5,
    "task.mask.read": "auto",
    "task.mask.missing_values": None,
    "input.seed": None,
}
"""Keys added after runs existed, with the value that means "as before". The identity omits a key that has this
value."""


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
"""Classes that NUMERICS 3 and earlier hashed by module path. They keep that name in identities wherever the class is
now. The list is closed: later classes are hashed by their bare name. Empty it when NUMERICS is next raised."""


def identity(config: Settings, contents: dict[str, str]) -> Settings:
    """Returns a run's identity: its scientific settings, with files replaced by their content hashes and numbers
    normalised.

    config: the result of `plain`. contents: {dotted key ("image.path"): sha256 that replaces the path}.
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
    """Returns the name of a class in identities, which does not depend on its module.

    group: the config group that sets the class ("task", also for a mask). Bare names are unique within a group. A class
    from another package keeps its full path.
    """
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


def _leave_out_later_watchers(stop: object) -> None:
    """Drops the passive rules of `stop=watch` whose classes are newer than `FIRST_NAMES`. They change neither pixels
    nor existing output kinds, so adding one to conf/stop/watch.yaml must not change run ids."""
    if isinstance(stop, dict) and isinstance(rules := stop.get("rules"), dict):
        stop["rules"] = {name: rule for name, rule in rules.items() if not _is_later(rule)}


def _is_later(rule: object) -> bool:
    return isinstance(rule, dict) and "." not in str(rule.get("_target_", "."))


def run_id(what: Settings) -> str:
    """Returns the id of an identity: the first 12 hexadecimal digits of the sha256 of its canonical JSON."""
    text = json.dumps(what, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def files(config: Settings) -> dict[str, tuple[str, str | None]]:
    """Returns every file that the scientific settings name, as {dotted key: (path, declared sha256 or None)}.

    By convention, a file is a key called `path`, and the key `sha256` beside it declares its content.
    """
    found: dict[str, tuple[str, str | None]] = {}

    def walk(node: object, where: str) -> None:
        if not isinstance(node, dict):
            return
        for key, value in node.items():
            if key == "path" and value is not None:
                found[where + key] = (str(value), node.get("sha256"))
            walk(value, f"{where}{key}.")

    walk({key: config[key] for key in SCIENTIFIC}, "")
    return found


def _parent(tree: Settings, key: str) -> tuple[Settings | None, str]:
    *route, leaf = key.split(".")
    node: object = tree
    for name in route:
        node = node.get(name) if isinstance(node, dict) else None
    return (node if isinstance(node, dict) else None), leaf


def _normal(value: Any) -> Any:
    """Returns the value with whole floats as ints, so that 25 and 25.0 hash alike. Booleans stay booleans."""
    if isinstance(value, dict):
        return {key: _normal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_normal(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
