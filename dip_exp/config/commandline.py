"""In: the words of a command line. Out: the same words, with file names quoted for Hydra's grammar, and folders or
globs of pictures turned into a multirun with one job per picture."""

import difflib
import re
import sys
from importlib.resources import files

from omegaconf import DictConfig, OmegaConf

from dip_exp.component import located
from dip_exp.config import UNCOMPOSABLE, compose
from dip_exp.errors import Refused
from dip_exp.images import folder, sets

NAMES_A_FILE = re.compile(r"^(\+{0,2})((?:[\w.]+\.)?path|results|logger\.folder)=(.*)$", re.DOTALL)
PICTURE_KEY = "image.path"
MULTIRUN = ("-m", "--multirun")
TAKES_A_VALUE = frozenset(
    {
        *("--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"),
        *("--info", "-i", "--experimental-rerun", "--shell-completion", "-sc"),
    }
)
"""Hydra's options that take the next word as their value."""

IMPLIES = {
    PICTURE_KEY: "image=file",
    "task.mask.path": "task/mask=file",
    "task.flash.path": "task/flash=file",
    "input.path": "input=picture",
}
"""Setting a path selects the option that has this setting."""


def is_multirun(words: list[str]) -> bool:
    """Returns whether the command line asks for a multirun."""
    return any(word in MULTIRUN for word in words)


def prepare(words: list[str]) -> list[str]:
    """Returns the words in the form that Hydra accepts: options first, then settings.

    A path of a picture or a mask selects the option that takes one (`IMPLIES`). Raises Refused for a word that is not a
    setting, and for a folder or glob without pictures.
    """
    options, settings = _parted(words)
    prepared, sweep = [], False
    chosen = {_key(word) for word in settings}
    for word in settings:
        match = NAMES_A_FILE.match(word)
        if match is None or not match[3]:
            prepared.append(word)
            continue
        plus, key, value = match.groups()
        if key in IMPLIES and _key(IMPLIES[key]) not in chosen:
            prepared.append(IMPLIES[key])
        try:
            paths = _pictures(value) if key == PICTURE_KEY else None
        except OSError as error:
            raise Refused(f"{key}: {value!r} cannot be looked at ({error})  [{key}=...]") from error
        sweep = sweep or paths is not None
        if paths is None:
            paths = _several(value) if is_multirun(words) else [value]
        prepared.append(f"{plus}{key}=" + ",".join(quoted(_bare(path)) for path in paths))
    if sweep and not is_multirun(options):
        options.insert(0, "--multirun")
    return [*options, *prepared]


def _parted(words: list[str]) -> tuple[list[str], list[str]]:
    options, settings, takes_value = [], [], False
    for word in words:
        if takes_value or word.startswith("-"):
            options.append(word)
            takes_value = not takes_value and word in TAKES_A_VALUE
            continue
        if "=" not in word.lstrip("=") and not word.startswith("~"):
            tasks = _options("task")
            guess = f"task={word}" if word in tasks else "task=denoise, without spaces around ="
            raise Refused(f"{word!r} is no setting; write key=value, such as {guess}  [python run.py --help]")
        key, _, value = word.partition("=")
        if key == "experiment" and "," in value:
            raise Refused(
                f"experiment: given {value}; each has a sweep of its own, so give one at a time; "
                f"python scripts/sweep.py {value.replace(',', ' ')} runs them one after the other"
            )
        if key == "image" and not value.startswith(("glob(", "choice(")):
            _check_picture(value)
        settings.append(word)
    return options, settings


def _check_picture(value: str) -> None:
    """Raises Refused if `image=` names a file, or a picture that its set does not contain."""
    for option in value.split(","):
        family = option.partition("/")[0]
        names = [entry.option for entry in sets.families().get(family, ()) if entry.is_picture]
        if "/" in option and names:
            if option not in names:
                raise Refused(f"image: {family} has no picture {option!r}; it has {', '.join(names)}")
        elif "." in option or "/" in option:
            raise Refused(f"image: {value!r} is no packaged picture; for a file of yours write image.path={value}")


def quoted(text: str) -> str:
    """Returns a value that Hydra's grammar and OmegaConf's interpolation read back as `text`, whatever it contains."""
    if text == "???" or re.search(r"[\\$\x00-\x1f\x7f]|[\ud800-\udfff]", text):
        return f"${{text:x{text.encode('utf-8', 'surrogateescape').hex()}}}"
    return "'" + text.replace("'", "\\'") + "'"


def _bare(path: str) -> str:
    """Returns the path without quotes that the user added for Hydra, unless a file's name really contains them."""
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
    """Returns the pictures of a folder or glob, sorted by name; None if `value` names a single file."""
    path = located(_bare(value))
    if path.is_dir():
        found = folder.in_folder(path)
    elif not _exists(value) and any(mark in value for mark in "*?["):
        found = folder.matching(str(path))
        if not found.pictures and not any(mark in value for mark in "*?"):
            return None  # brackets alone are more likely part of a missing file's name than a pattern
    else:
        return None
    if not found.pictures:
        suffixes = ", ".join(folder.SUFFIXES)
        also = f"; {found.note}" if found.note else ""
        raise Refused(
            f"image: {value!r} holds no picture; looked for files ending in {suffixes}{also}  [image.path=...]"
        )
    if found.note:
        print(f"{value}: {found.note}", file=sys.stderr)
    return [str(entry) for entry in found.pictures]


def explain(words: list[str]) -> str | None:
    """Returns an error message listing the valid options or settings, for a configuration that Hydra rejected.

    Returns "" if it finds no error to explain, and None if the configuration composes. For a multirun it returns None
    in both cases. Hydra names only the wrong key; this message also lists the valid ones.
    """
    overrides = [word for word in words if "=" in word and not word.startswith("-")]
    for word in overrides:
        group, options = _key(word), _options(_key(word))
        for value in word.partition("=")[2].split(",") if options else ():
            if re.fullmatch(r"[\w.-]+", value) and value not in (*options, "null"):
                guess = _guess(value, options)
                return f"error: {group}={value}: there is no such option; {group} has {', '.join(options)}{guess}"
    if not is_multirun(words) and _composed(overrides) is not None:
        return None
    chosen = [f"{_key(word)}={word.partition('=')[2].split(',')[0]}" for word in overrides if _options(_key(word))]
    cfg = _composed(chosen)
    for key in map(_key, overrides):
        parent, _, leaf = key.rpartition(".")
        node = OmegaConf.select(cfg, parent) if cfg is not None and parent else cfg
        while parent and not isinstance(node, DictConfig):  # go up to the first wrong part of the key
            parent, _, leaf = parent.rpartition(".")
            node = OmegaConf.select(cfg, parent) if cfg is not None and parent else cfg
        keys = sorted(str(name) for name in node if name != "_target_") if isinstance(node, DictConfig) else []
        keys += [] if parent else [group for group in ("experiment", "launcher", "variant") if group not in keys]
        if keys and leaf not in keys and not _options(key):
            guess = _guess(leaf, keys, f"{parent}." if parent else "")
            return f"error: {key}: there is no such setting; {parent or 'the top level'} has {', '.join(keys)}{guess}"
    return None if is_multirun(words) else ""


def _guess(word: str, known: list[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {prefix}{near[0]}?" if near else ""


def _options(group: str) -> list[str]:
    """Returns the options of a group of the packaged configuration; [] if there is no such group."""
    folder = files("conf").joinpath(*group.split("/"))
    if not group or "." in group or not folder.is_dir():
        return []
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def _key(override: str) -> str:
    return override.split("=")[0].lstrip("+~").split("@")[0]


def _composed(overrides: list[str]) -> DictConfig | None:
    try:
        return compose(overrides)
    except UNCOMPOSABLE:
        return None
