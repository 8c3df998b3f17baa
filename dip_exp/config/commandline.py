"""In: the words of a command line. Out: the same words, with file names quoted for Hydra's grammar, and folders or
globs of pictures turned into a multirun with one job per picture."""

import contextlib
import re
import sys
from importlib.resources import files

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from dip_exp.component import located
from dip_exp.config import catalogue
from dip_exp.config.explain import is_group, key_of, looks_like_a_file, swept, value_of
from dip_exp.config.resolvers import own_stop
from dip_exp.errors import Refused
from dip_exp.images import folder, sets

NAMES_A_FILE = re.compile(r"^(\+{0,2})((?:[\w.]+\.)?path|results|data|out|logger\.folder)=(.*)$", re.DOTALL)
QUOTED_ALREADY = re.compile(r"\$\{text:x[0-9a-f]*\}")
"""What `quoted` writes for a name that Hydra's grammar cannot hold: a record's command has it."""

FOLDERS = ("results", "data", "logger.folder")
PICTURE_KEY = "image.path"
MULTIRUN = ("-m", "--multirun")
TAKES_A_VALUE = frozenset(
    {
        *("--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"),
        *("--info", "-i", "--experimental-rerun", "--shell-completion", "-sc"),
    }
)
"""Hydra's options that take the next word as their value."""

OPTIONS = TAKES_A_VALUE | {"--help", "--hydra-help", "--version", "--resolve", "--run", "--multirun"}
"""Hydra's long options, and those that take a value."""

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


def settings_of(words: list[str]) -> list[str]:
    """Returns the settings among the words of a command line, as they were written. Raises Refused as `prepare`."""
    return _parted(_with_out(words))[1]


def places_of(words: list[str]) -> list[str]:
    """Returns the places besides this package where a command line looks for options: folders, and pkg://PACKAGE."""
    options, settings = _parted(_with_out(words))
    found, rest = _items(settings, "hydra.searchpath"), list(options)
    while rest:
        option, equals, value = rest.pop(0).partition("=")
        if not equals and option in TAKES_A_VALUE:
            value = rest.pop(0) if rest else ""
        if option in ("--config-name", "-cn"):
            _check_inside(option, value)
        if option in ("--config-dir", "-cd"):
            found.append(value)
        if option in ("--config-path", "-cp"):  # a relative one starts at this package, says Hydra
            found.append(value if "://" in value else str(files("dip_exp").joinpath(value)))
    return found


def trusted_by(settings: list[str]) -> list[str]:
    """Returns the packages that the words of a command line trust."""
    return _items(settings, "trust")


def _items(settings: list[str], key: str) -> list[str]:
    """Returns the items of the lists that are given for a key; a single value is a list of one."""
    found: list[str] = []
    for word in settings:
        if key_of(word) == key:
            with contextlib.suppress(HydraException):  # Hydra refuses it
                value = OverridesParser.create().parse_override(word).value()
                found += [str(item) for item in (value if isinstance(value, list) else [value])]
    return found


TILES = "tiles"
BOX = "image.box"
OF_THE_WHOLE = (TILES, "tile_overlap", BOX, "out", "overwrite")
"""Settings of a picture in tiles that no tile has, or of which each has another value."""


def in_tiles(words: list[str]) -> list[str] | None:
    """Returns the settings of a multirun over the tiles of one picture: it asks for `tiles` and sweeps nothing else.

    words: as `prepare` returns them. None for any other command: its jobs do their tiles themselves.
    """
    settings = _of_a_multirun(words)
    keys = {key_of(word) for word in settings}
    if TILES not in keys or "experiment" in keys:
        return None
    return settings if all(len(swept(word)) == 1 for word in settings) else None


def over_pictures(words: list[str]) -> tuple[list[str], list[str]] | None:
    """Returns the settings of the first job of a multirun whose words sweep `image.path` and nothing else, and the
    pictures of all jobs.

    words: as `prepare` returns them. None for any other command.
    """
    settings = _of_a_multirun(words)
    several = [word for word in settings if len(swept(word)) != 1]
    if [key_of(word) for word in several] != [PICTURE_KEY]:
        return None
    pictures = [f"{PICTURE_KEY}={one}" for one in swept(several[0])]
    first = [pictures[0] if word == several[0] else word for word in settings]
    return first, [value_of(picture) for picture in pictures]


def _of_a_multirun(words: list[str]) -> list[str]:
    """Returns the settings of a multirun with no other option; [] for any other command."""
    options, settings = _parted(words)
    return settings if is_multirun(options) and len(options) == 1 else []


def of_one_tile(settings: list[str]) -> list[str]:
    """Returns the settings that a picture in tiles and each of its tiles share."""
    return [word for word in settings if key_of(word) not in OF_THE_WHOLE]


def over_boxes(settings: list[str], boxes: list[list[int]]) -> list[str]:
    """Returns the words of a multirun with one job for each tile. boxes: [left, top, width, height] in pixels."""
    listed = ",".join(str(box).replace(" ", "") for box in boxes)
    return ["--multirun", *of_one_tile(settings), f"{BOX}={listed}"]


def prepare(words: list[str]) -> list[str]:
    """Returns the words in the form that Hydra accepts: options first, then settings.

    A path of a picture or a mask selects the option that takes one (`IMPLIES`). Raises Refused for a word that is not a
    setting, and for a folder or glob without pictures.
    """
    options, settings = _parted(_with_out(words))
    prepared, sweep = [], False
    chosen = {key_of(word) for word in settings}
    for word in settings:
        match = NAMES_A_FILE.match(word)
        if match is None or QUOTED_ALREADY.fullmatch(match[3]):
            prepared.append(word)
            continue
        plus, key, value = match.groups()
        if key in IMPLIES and key_of(IMPLIES[key]) not in chosen:
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
    first = _first_options(settings) if is_multirun(options) else []
    return [*options, *first, *prepared, *_ending(settings)]


def _ending(settings: list[str]) -> list[str]:
    """Returns the stop rule of a packaged picture that is given another size, as for a picture of the user's own: the
    task's number of steps is that of the whole picture. Nothing if a rule, a preset or an experiment is given, or if
    the tasks of a sweep have several rules."""
    given = {key_of(word): word.partition("=")[2] for word in settings}
    resized = any(given.get(key) not in (None, "null") for key in ("image.box", "image.shrink_to"))
    if not resized or {"stop", "preset", "experiment"} & set(given) or given.get("scale") == "mini":
        return []
    rules = {own_stop(task) for task in swept(f"task={given.get('task', 'denoise')}")}
    alone = len(rules) == 1 and "sgld" not in swept(f"optim={given.get('optim', '')}")
    return [f"stop={rules.pop()}"] if alone and rules != {"fixed"} else []


def _with_out(words: list[str]) -> list[str]:
    """Returns the words with `--out FILE` as the setting `out=FILE`."""
    found, rest = [], list(words)
    while rest:
        word = rest.pop(0)
        if word == "--out":
            found.append(f"out={rest.pop(0) if rest else ''}")
        else:
            found.append(word.removeprefix("--") if word.startswith("--out=") else word)
    return found


def _first_options(settings: list[str]) -> list[str]:
    """Returns the first option of each swept group one of whose settings is given too, as words of their own.

    Hydra composes once without the swept groups, and would refuse the setting there; a later word replaces these.
    """
    if any(key_of(word) == "hydra/sweeper" or word == "experiment=search_denoise" for word in settings):
        return []  # a search takes the option that is given for the one that counts
    found = []
    for word in settings:
        group = key_of(word)
        dotted = group.replace("/", ".")  # the settings of task/mask are task.mask.x
        used = any(key_of(other).startswith((f"{dotted}.", f"{group}/")) for other in settings)
        options = swept(word) if used and is_group(word) else []
        if len(options) > 1:
            found.append(f"{group}={options[0]}")
    return found


def _parted(words: list[str]) -> tuple[list[str], list[str]]:
    options, settings, takes_value = [], [], False
    for word in words:
        if takes_value or word.startswith("-"):
            if not takes_value:
                _check_option(word.partition("=")[0])
            options.append(word)
            takes_value = not takes_value and word in TAKES_A_VALUE
            continue
        if word.startswith("~"):
            _check_removed(word)
        elif "=" not in word.lstrip("="):
            raise Refused(_no_setting(word, settings))
        else:
            _check_given(word)
        settings.append(word)
    return options, settings


def _check_option(option: str) -> None:
    """Raises Refused for an option that is shortened, and for one that would run what a file holds."""
    if option == "--experimental-rerun":
        raise Refused(f"{option}: it opens a pickle, which can run any program; give the settings of the run instead")
    whole = [known for known in OPTIONS if known.startswith(option) and option.startswith("--")]
    if whole and option not in OPTIONS:
        raise Refused(f"{option}: an option is written in full here  [{' or '.join(sorted(whole))}]")


def _no_setting(word: str, before: list[str]) -> str:
    """Returns what is said of a word that is neither an option nor a setting."""
    after_a_name = bool(before) and NAMES_A_FILE.match(before[-1]) is not None
    if looks_like_a_file(word) or ("/" in word and _exists(word)):
        spaces = f"; a name with spaces needs quotes: '{before[-1]} {word}'" if after_a_name else ""
        return (
            f"{word!r} is no setting; for a file of yours write image.path={word}{spaces}  [image=file image.path=...]"
        )
    is_task = word in catalogue.options("task")
    if after_a_name and not is_task:
        return f"{word!r} is no setting; a name with spaces needs quotes: '{before[-1]} {word} ...'"
    guess = f"task={word}" if is_task else "task=denoise, without spaces around ="
    return f"{word!r} is no setting; write key=value, such as {guess}  [python run.py --help]"


def _check_removed(word: str) -> None:
    """Raises Refused for `~key` of a setting or group that every run needs."""
    key = key_of(word)
    if key.startswith("hydra") or key in catalogue.optional():
        return
    instead = f"{key}=none" if "none" in catalogue.options(key) else f"{key}=..."
    raise Refused(f"~{key}: every run has it, and it cannot be removed; give another value  [{instead}]")


def _check_inside(what: str, value: str) -> None:
    """Raises Refused if the name of an option leads out of the folders of options, whose files are checked."""
    if ".." in re.split(r"[/\\,\s]", value):
        raise Refused(f"{what}: given {value}; a file of options lies in a folder that is named  [--config-dir FOLDER]")


def _check_given(word: str) -> None:
    """Raises Refused for a setting without a value, a group without an option, and a file where an option belongs."""
    key, value = key_of(word), word.partition("=")[2]
    options = catalogue.options(key)
    if options or key in catalogue.optional() or "/" in key:
        _check_inside(key, value)
    if value in ("", "''", '""') and not key.startswith("hydra"):
        named = NAMES_A_FILE.match(word)
        needed = "a value" if named is None else "a folder's name" if key in FOLDERS else "a file's name"
        raise Refused(f"{key}: nothing was given; {needed} is needed (is a shell variable unset?)  [{key}=...]")
    if key in catalogue.optional() and "null" in value.split(","):
        raise Refused(f"{key}: null is what it is unless one is named; leave {word} out  [{key}=...]")
    if options and "null" in value.split(","):
        nothing = "; none does nothing" if "none" in options else ""
        instead = f"{key}=none" if nothing else f"{key}=..."
        raise Refused(f"{key}: null is none of its options, {', '.join(options)}{nothing}  [{instead}]")
    inner = key.replace(".", "/")
    if "." in key and catalogue.options(inner):
        file = f"; for a file of yours write {key}.path={value}" if "file" in catalogue.options(inner) else ""
        has = ", ".join(catalogue.options(inner))
        raise Refused(f"{key}: given {value}, but it has settings of its own{file}  [{inner}=..., of {has}]")
    if key == "experiment" and "," in value:
        raise Refused(
            f"experiment: given {value}; each has a sweep of its own, so give one at a time; "
            f"python scripts/sweep.py {value.replace(',', ' ')} runs them one after the other"
        )
    if key == "image" and not value.startswith(("glob(", "choice(")):
        _check_picture(value)


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
