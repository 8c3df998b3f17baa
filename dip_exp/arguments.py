"""In: the words of a command line. Out: the same, with file names Hydra's grammar cannot misread, and folders or globs
of pictures turned into a multirun of one job a picture."""

import difflib
import glob
import re
from pathlib import Path

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dip_exp.config import compose, located
from dip_exp.errors import Refused

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
NAMES_A_FILE = re.compile(r"^(\+{0,2})((?:[\w.]+\.)?path|results|logger\.folder)=(.*)$", re.DOTALL)
PICTURE_KEY = "image.path"
MULTIRUN = ("-m", "--multirun")


def is_multirun(words: list[str]) -> bool:
    """Returns whether the command line asks for a multirun."""
    return any(word in MULTIRUN for word in words)


def prepare(words: list[str]) -> list[str]:
    """Returns the words as Hydra can be given them.

    Raises Refused for a folder or a glob that holds no picture.
    """
    prepared, sweep = [], False
    if any(word.startswith(f"{PICTURE_KEY}=") for word in words) and not any(w.startswith("image=") for w in words):
        prepared.append("image=file")
    for word in words:
        match = NAMES_A_FILE.match(word)
        if match is None or not match[3]:
            prepared.append(word)
            continue
        plus, key, value = match.groups()
        paths = _pictures(value) if key == PICTURE_KEY else None
        sweep = sweep or paths is not None
        if paths is None:
            paths = _several(value) if is_multirun(words) else [value]
        prepared.append(f"{plus}{key}=" + ",".join(quoted(_bare(path)) for path in paths))
    if sweep and not is_multirun(prepared):
        prepared.insert(0, "--multirun")
    return prepared


def quoted(text: str) -> str:
    """Returns a value that Hydra's grammar and OmegaConf's interpolation read back as `text`, whatever is in it."""
    if re.search(r"[\\$\x00-\x1f\x7f]|[\ud800-\udfff]", text):
        return f"${{text:{text.encode('utf-8', 'surrogateescape').hex()}}}"
    return "'" + text.replace("'", "\\'") + "'"


def _bare(path: str) -> str:
    """A value the user has quoted for Hydra already stays the name it quotes, unless a file is really called that."""
    if len(path) >= 2 and path[0] == path[-1] and path[0] in "'\"" and not _exists(path):
        return path[1:-1]
    return path


def _exists(path: str) -> bool:
    try:
        return located(path).exists()
    except (OSError, ValueError):
        return False


def _several(value: str) -> list[str]:
    parts = value.split(",")
    return parts if not _exists(value) and len(parts) > 1 and all(map(_exists, map(_bare, parts))) else [value]


def _pictures(value: str) -> list[str] | None:
    """Returns the pictures of a folder or a glob in order of name, or None where `value` names a single file."""
    path = located(_bare(value))
    if path.is_dir():
        found = [entry for entry in path.iterdir() if entry.is_file() and entry.suffix.lower() in PICTURE_SUFFIXES]
    elif not _exists(value) and any(mark in value for mark in "*?["):
        names = glob.glob(str(path), recursive=True)  # noqa: PTH207  # Path.glob takes no absolute pattern
        found = [Path(name) for name in names if Path(name).is_file()]
        if not found and not any(mark in value for mark in "*?"):
            return None  # brackets alone are more likely a name that is not there than a pattern
    else:
        return None
    if not found:
        suffixes = ", ".join(PICTURE_SUFFIXES)
        raise Refused(f"image: {value!r} holds no picture; looked for files ending in {suffixes}  [image.path=...]")
    return sorted(str(entry) for entry in found)


def explain(words: list[str]) -> str | None:
    """Returns what a configuration that Hydra refused could have said instead; None where it composes.

    Hydra names the wrong key; this names the keys there are.
    """
    overrides = [word for word in words if "=" in word and not word.startswith("-")]
    if _composed(overrides) is not None:
        return None
    cfg = _composed([word for word in overrides if "." not in _key(word)]) or _composed([])
    for key in map(_key, overrides):
        parent, _, leaf = key.rpartition(".")
        node = OmegaConf.select(cfg, parent) if cfg is not None and parent else cfg
        if isinstance(node, DictConfig) and leaf not in node and "/" not in key:
            keys = sorted(str(name) for name in node if name != "_target_")
            near = difflib.get_close_matches(leaf, keys, n=1)
            guess = f"; did you mean {parent + '.' if parent else ''}{near[0]}?" if near else ""
            return f"error: {key}: there is no such setting; {parent or 'the top level'} has {', '.join(keys)}{guess}"
    return ""


def _key(override: str) -> str:
    return override.split("=")[0].lstrip("+~").split("@")[0]


def _composed(overrides: list[str]) -> DictConfig | None:
    try:
        return compose(overrides)
    except (HydraException, OmegaConfBaseException):
        return None
