"""Going on from a finished run: which shorter run's last state a longer one begins with. No torch.

A run's state is the checkpoint after its last step. Two runs that differ only in optim.steps take the same steps, so
the longer one goes on from there with the same bits.
"""

import copy
from dataclasses import dataclass
from pathlib import Path

from dip_exp import config as cfgs
from dip_exp.component import Settings
from dip_exp.config.resolvers import BEGINS_NEAR
from dip_exp.errors import Damaged, Refused
from dip_exp.fit.generations import content_of
from dip_exp.runs.folder import STATE, RunFolder
from dip_exp.runs.order import Named
from dip_exp.runs.record import Record

NEVER_END = ("Fixed", "Watch")
"""The packaged stop rules that never end a run."""


@dataclass(frozen=True)
class Begun:
    """A finished shorter run to go on from."""

    folder: RunFolder
    steps: int


def begun(named: Named, folder: RunFolder) -> tuple[Begun | None, str]:
    """Returns the longest finished run that this one goes on from, or None, and what to say of it ("": nothing).

    Raises Refused if more steps were asked for, and a stop rule had ended the shorter run.
    """
    more, steps = named.config["more"], named.config["optim"]["steps"]
    if folder.saved.exist() or named.config["force"]:
        return None, ""
    if more is not None:
        _refuse_if_ended(named, folder, steps - more)
    if "burn_in" in named.config["optim"]:
        return None, "" if more is None else "more: the samples begin after a share of all steps, so all are made anew"
    found = [one for one in _shorter(named, folder) if one.steps < steps and _is_whole(one.folder.state)]
    if found:
        longest = max(found, key=lambda one: one.steps)
        return longest, f"going on from the finished run of {longest.steps} steps  [{longest.folder.path}]"
    if more is None:
        return None, ""
    base = _sibling(named, folder, steps - more)
    if base.record() is None:
        return None, f"more: there is no finished run of {steps - more} steps; all {steps} steps are made"
    lacks = f"a damaged {STATE}" if base.state.is_file() else f"no {STATE} to go on from (keep_state=true keeps it)"
    return None, f"more: the run of {steps - more} steps has {lacks}; all {steps} steps are made anew  [{base.path}]"


def keeps_state(named: Named) -> bool:
    """Returns whether the finished run keeps its state: by default, if its picture is a file of the user's."""
    given = named.config["keep_state"]
    own = named.choices.get("image") == "file" and "experiment" not in named.choices
    return own if given is None else bool(given)


def hint(done: Record, folder: RunFolder) -> str:
    """Returns the sentence that names `more`; "" if more steps would not help, or nothing is there to go on from."""
    config = done["config"]
    if done["diverged"] or done["stop"]["ended"] or not folder.state.is_file() or "burn_in" in config["optim"]:
        return ""
    if str(config["input"]["_target_"]).rpartition(".")[2] == BEGINS_NEAR:
        return ""  # most was gained in the first steps: a wider network does more than more of them
    rule = str(config["stop"]["_target_"]).rpartition(".")[2]
    if rule in NEVER_END and config["own_stop"] != "fixed":
        return ""  # this task fits the noise in the end: more steps may harm
    word = f"more={config['optim']['steps']}"  # of this run, its own `more` included: the same command counts anew
    if rule in NEVER_END:
        return f"more steps may still help: the same command with {word} goes on from here"
    return f"the stop rule did not end within the steps it had: the same command with {word} goes on from here"


def _sibling(named: Named, folder: RunFolder, steps: int) -> RunFolder:
    """Returns the folder of the run that differs from this one in its number of steps alone."""
    identity = copy.deepcopy(named.identity)
    identity["optim"]["steps"] = steps
    return RunFolder(folder.results, cfgs.run_id(identity))


def _shorter(named: Named, folder: RunFolder) -> list[Begun]:
    """Returns the finished runs with a state that differ from this one in their number of steps alone, and that no
    stop rule ended."""
    found = []
    for state in sorted((folder.results / "runs").glob(f"[!.]*/{STATE}")):
        one = RunFolder(folder.results, state.parent.name)
        try:
            done = one.record()
        except Refused:  # damaged, but not this run's
            continue
        if (
            done is not None
            and not done["stop"]["ended"]
            and _without_steps(done["identity"]) == _without_steps(named.identity)
        ):
            found.append(Begun(one, done["steps"]))
    return found


def _is_whole(state: Path) -> bool:
    try:
        content_of(state)
    except (Damaged, OSError):
        return False
    return True


def _without_steps(identity: Settings) -> Settings:
    return {**identity, "optim": {key: value for key, value in identity["optim"].items() if key != "steps"}}


def _refuse_if_ended(named: Named, folder: RunFolder, steps: int) -> None:
    done = _sibling(named, folder, steps).record()
    if done is not None and done["stop"]["ended"]:
        raise Refused(
            f"more: the run of at most {steps} steps was ended by its stop rule after {done['steps']} "
            f"({done['stop']['reason']}); with more steps it would end there too  [stop=fixed optim.steps=... takes "
            f"as many as you give]"
        )
