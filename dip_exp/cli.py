"""The command line: Hydra's, with quoted file names, multiruns over folders, and clear refusals."""

import contextlib
import os
import shutil
import signal
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import hydra
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

from dip_exp import config, provenance
from dip_exp.component import located
from dip_exp.config import commandline, explain, resolvers
from dip_exp.config.trust import check_sources
from dip_exp.errors import Failed, Interrupted, Refused, first_line
from dip_exp.runs import table, terminal
from dip_exp.runs.delivery import delivery

REFUSED, FAILED, INTERRUPTED = 2, 1, 130

config.register()
resolvers.refuse_environment()

LOST_WORKER = (
    "a process of the launcher's is gone: it was killed, often by the system for want of memory; what is finished is "
    "kept, and the same command goes on from what was saved  [fewer jobs at once: hydra.launcher.n_jobs=1]"
)
"""What is said when a launcher finds that one of its processes has not come back."""

AGAIN = "[results=FOLDER, or make room; the same command does what is missing]"
"""What to do about a folder that cannot be written."""

STARTED: list[bool] = []
"""Non-empty once a job has begun in this process. Before that, an error concerns the configuration or another
process."""

GIVEN: list[str] = []
"""The settings of the command line as the user wrote them."""

HELD = terminal.Held()
"""What Hydra says of a configuration that it rejects: `explain` usually has something better to say."""

PLUGINS = {
    "launcher=joblib": ("hydra-joblib-launcher", "joblib"),
    "launcher=submitit": ("hydra-submitit-launcher", "slurm"),
    "launcher=ray": ("hydra-ray-launcher", "ray"),
    "experiment=search_denoise": ("hydra-optuna-sweeper", "optuna"),
}
"""Words that need a Hydra plugin: its package, and the extra that installs it."""


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="config")
def job(cfg: DictConfig) -> float | None:
    """Runs one job: a single run or a job of a multirun, in this process or in a launcher's.

    Returns the objective of a search (hydra/sweeper=optuna): the PSNR in dB of `stopped`, or None if nothing is scored.
    """
    from dip_exp.runs.mean import run_mean
    from dip_exp.runs.mosaic import run_tiles
    from dip_exp.runs.report import describe
    from dip_exp.runs.run import run

    STARTED.append(True)
    resolvers.refuse_environment()
    terminal.prepare()
    HELD.release()
    hydra_config = HydraConfig.get()
    choices = {group: choice for group, choice in hydra_config.runtime.choices.items() if choice is not None}
    ours = {group: choice for group, choice in choices.items() if not group.startswith("hydra/")}
    multirun = hydra_config.mode == RunMode.MULTIRUN
    try:
        overrides = list(hydra_config.overrides.task)
        if multirun:
            print(f"\n[job {hydra_config.job.num}] {' '.join(overrides)}", flush=True)
        command = ["python", "run.py", *_of_hydra(hydra_config), *(overrides if multirun else GIVEN)]
        search = "optuna" in hydra_config.sweeper._target_
        if search and cfg.image.get("role") == "observed":
            raise Refused("image: a search wants scores, and an observed picture has no truth  [image.role=clean]")
        tabled = multirun and "experiment" in ours and not search
        go = run_tiles if cfg.tiles is not None else run_mean if cfg.runs > 1 else run
        done = go(cfg, ours, command, tabled=tabled, several=multirun)
        if multirun and done is not None:
            _keep_row(cfg, hydra_config, table.restored(done, _restored(cfg, done)))
        return done["scores"].get("stopped", {}).get("psnr") if done is not None else None
    except Exception as error:  # any error is reported as one message
        if multirun:
            _keep_row(cfg, hydra_config, table.refused(error))
        if isinstance(error, OmegaConfBaseException):
            error = Refused(_of_composing(error))
        known = isinstance(error, Refused | Failed) or cfg.traceback
        told = error if known else Failed(f"{type(error).__name__}: {error} (traceback=true shows where)")
        describe(told, cfg.traceback)
        refused = isinstance(error, Refused)
        if multirun:  # Hydra continues with the other jobs, and prints this once at the end
            kind, logs = Refused if refused else Failed, hydra_config.launcher.get("submitit_folder")
            where = f"in {Path(logs).parent}, and this one's is: {told}" if logs else "above"
            raise kind(f"a job of this multirun ended without a record; its message is {where}") from None
        sys.exit(REFUSED if refused else FAILED)
    except KeyboardInterrupt as stop:
        told = str(stop) if isinstance(stop, Interrupted) else "nothing was recorded"
        print(f"\ninterrupted: {told}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    finally:
        HELD.again()


def _restored(cfg: DictConfig, done: dict[str, Any]) -> Path:
    """Returns where the restored picture of a multirun's job is: where `out` says, or in the run's folder."""
    settings = config.plain(cfg)
    out = delivery(settings, several=True)
    return located(settings["results"]) / "runs" / done["run_id"] / "restored.png" if out is None else out.path


def _keep_row(cfg: DictConfig, hydra_config: HydraConf, told: dict[str, Any]) -> None:
    """Leaves a job's row for the table; only jobs over files of the user's have one."""
    if "path" in cfg.image:
        words, number = list(hydra_config.overrides.task), int(hydra_config.job.num)
        with contextlib.suppress(OSError):  # the record is written already, and a table is not worth a failure
            table.keep(Path(hydra_config.sweep.dir), number, words, str(cfg.image.path), told)


def _end_with_table() -> None:
    """Prints the table of a multirun over several pictures; nothing for any other command."""
    over = [word for word in sys.argv[1:] if word.startswith(table.PICTURE)]
    if table.Place.folder is not None and over and len(explain.swept(over[-1])) > 1:
        rows = table.rows(table.Place.folder)
        if rows:
            print(table.table(rows), flush=True)


def check_plugins(words: list[str], *, multirun: bool) -> None:
    """Raises Refused for a word that needs a plugin that is not installed. SLURM itself is required only for a
    multirun."""
    for word in words:
        if word in PLUGINS:
            package, extra = PLUGINS[word]
            try:
                version(package)
            except PackageNotFoundError:
                raise Refused(f"{word}: {package} is not installed  [pip install -e '.[{extra}]']") from None
    if "launcher=submitit" in words and multirun:
        absent = [command for command in ("sbatch", "srun") if shutil.which(command) is None]
        if absent:
            raise Refused(f"launcher=submitit: SLURM's {' and '.join(absent)} not found here  [launcher=joblib]")


@dataclass(frozen=True)
class _Tiles:
    """A multirun over the tiles of one picture. settings: as they were given. boxes: of the tiles that are to do."""

    settings: list[str]
    cfg: DictConfig
    choices: dict[str, str]
    boxes: list[list[int]]

    @property
    def words(self) -> list[str]:
        """The words that Hydra is to see."""
        return commandline.over_boxes(self.settings, self.boxes)

    def merge(self) -> None:
        """Merges the tiles, after all of them are done."""
        from dip_exp.runs.mosaic import run_tiles

        try:
            run_tiles(self.cfg, self.choices, ["python", "run.py", *GIVEN])
        except (Refused, Failed) as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(REFUSED if isinstance(error, Refused) else FAILED)


def _tiles(words: list[str]) -> _Tiles | None:
    """Returns the tiles of a multirun that sweeps nothing else, each to be a job; None for any other command, and for
    words that Hydra will reject. Raises Refused as a run in tiles does. Prints what will run."""
    settings = commandline.in_tiles(words)
    if settings is None:
        return None
    from dip_exp.runs.mosaic import begin
    from dip_exp.runs.tiles import planned

    composed = _composed(settings)
    if composed is None or composed.cfg.tiles is None:
        return None
    cfg, choices = composed.cfg, composed.choices
    tiling = planned(cfg, choices)
    left = tiling.left
    if left:
        begin(tiling, delivery(config.plain(cfg), several=False))
    cfg.force = False  # the jobs do it again, and the merge takes what they did
    return _Tiles(settings, cfg, choices, [tiling.boxes[number] for number in left])


def _announce_pictures(words: list[str]) -> None:
    """Prints what a multirun over several pictures will take; nothing for any other command, an experiment with a sweep
    of its own, words that Hydra will reject, and jobs that run elsewhere."""
    over = commandline.over_pictures(words)
    if over is None or not _is_local(words):
        return
    from dip_exp.runs import ahead

    settings, paths = over
    composed = _composed(settings)
    if composed is not None and not composed.sweeps:
        ahead.announce(composed.cfg, composed.choices, paths)


class _Composed(NamedTuple):
    """A job's configuration without Hydra's part, its options by group, and whether its experiment has a sweep."""

    cfg: DictConfig
    choices: dict[str, str]
    sweeps: bool


def _composed(settings: list[str]) -> _Composed | None:
    """Returns what these settings compose; None for words that Hydra will reject."""
    try:
        cfg = config.compose(settings, hydra_config=True)
    except config.UNCOMPOSABLE:
        return None
    chosen, sweeps = cfg.hydra.runtime.choices, bool(cfg.hydra.sweeper.get("params"))
    choices = {group: option for group, option in chosen.items() if option and not group.startswith("hydra/")}
    with open_dict(cfg):
        del cfg["hydra"]
    return _Composed(cfg, choices, sweeps)


def _of_hydra(hydra_config: HydraConf) -> list[str]:
    """Returns the options of Hydra's that say where the configuration was found, for the command in the record."""
    where = {source.provider: source.path for source in hydra_config.runtime.config_sources}
    options = ["--config-dir", where["command-line"]] if "command-line" in where else []
    if where.get("main") not in (None, "conf"):
        options += ["--config-path", where["main"]]
    name = hydra_config.job.config_name
    return options if name in (None, "config") else [*options, "--config-name", name]


def main() -> None:
    """Runs `python run.py ...`. Exit status: 0 done, 2 refused before the first step, 1 failed, 130 interrupted."""
    terminal.prepare()
    if "--version" in sys.argv[1:]:
        print(f"dip_exp {provenance.versions().get('dip_exp', '(not installed)')}")
        return
    try:
        words = commandline.prepare(sys.argv[1:])
        GIVEN[:] = commandline.settings_of(sys.argv[1:])
        check_sources(commandline.places_of(sys.argv[1:]), commandline.trusted_by(GIVEN))
        check_plugins(GIVEN, multirun=commandline.is_multirun(sys.argv))
        tiles = _tiles(words)
        if tiles is None:
            _announce_pictures(words)
        sys.argv[1:] = words if tiles is None else tiles.words
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(REFUSED)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # lets a launcher's processes end with this one
    try:
        if tiles is None or tiles.boxes:
            if _shows_hydras_words():
                job()
            else:
                with HELD.back():
                    _explained()
        _end_with_table()
        if tiles is not None:
            tiles.merge()
    except SystemExit as end:
        if end.code in (REFUSED, FAILED):
            _end_with_table()
        raise
    except KeyboardInterrupt:  # outside any job of this process
        queued = "; what SLURM has goes on there (squeue, scancel)" if "launcher=submitit" in sys.argv else ""
        print(f"\ninterrupted: the same command goes on from what was saved{queued}", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _shows_hydras_words() -> bool:
    """Returns whether Hydra's own messages are to be printed as they come: they were asked for, or a cluster does the
    jobs and this process only tells of them."""
    asked = "traceback=true" in GIVEN or os.environ.get("HYDRA_FULL_ERROR") == "1"
    return asked or any(word.partition("=")[2].startswith("submitit") for word in _launchers(GIVEN))


def _is_local(words: list[str]) -> bool:
    """Returns whether this process itself does the jobs, one after the other."""
    return all(word.endswith(("=local", "=basic")) for word in _launchers(words))


def _launchers(words: list[str]) -> list[str]:
    return [word for word in words if commandline.key_of(word) in ("launcher", "hydra/launcher")]


def _explained() -> None:
    """Runs Hydra; what it says of the words of the command line, of a launcher or of its own files becomes one message.

    Exit status 2 if the words are wrong.
    """
    try:
        job()
    except SystemExit as end:
        cause = end.__context__
        if end.code != 1 or isinstance(cause, Refused | Failed):
            raise
        if isinstance(cause, OSError) and not isinstance(cause, HydraException):  # a missing option is one
            _say_instead(f"the folder of the multirun cannot be written ({cause})  {AGAIN}")
        elif not STARTED and type(cause).__module__.partition(".")[0] in ("joblib", "ray"):
            _say_instead(LOST_WORKER)
        elif not STARTED and _say_what_is_wrong(cause):
            raise SystemExit(REFUSED) from None
        raise


def _say_instead(text: str) -> None:
    """Prints one message in the place of what Hydra said."""
    HELD.take()
    print(f"error: {text}", file=sys.stderr)


def _say_what_is_wrong(cause: BaseException | None) -> bool:
    """Prints what is wrong with the words of the command line, and returns whether anything is: if not, what Hydra said
    stays."""
    said = HELD.take()
    hint = explain.explain(sys.argv[1:], multirun=commandline.is_multirun(sys.argv))
    if not hint and isinstance(cause, OmegaConfBaseException):
        hint = f"error: {_of_composing(cause)}"
    hint = hint or _in_one_line(said)
    sys.stderr.write(f"{hint}\n" if hint else said)
    return bool(hint)


def _of_composing(error: OmegaConfBaseException) -> str:
    """Returns what is said of a value of the configuration that cannot be found."""
    return f"{first_line(error)}  [python run.py --cfg job shows where]"


def _in_one_line(said: str) -> str:
    """Returns Hydra's message of several lines as one; "" for a traceback, which is not about the command line."""
    lines = [line.strip() for line in said.splitlines()]
    wanted = [line for line in lines if line and "HYDRA_FULL_ERROR" not in line and not line.startswith("object_type=")]
    return "" if "Traceback" in said or not wanted else f"error: {'; '.join(wanted)}"
