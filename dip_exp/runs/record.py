"""The contents of a run's record.json: its fields, who writes them, and how older records are upgraded.

Every reader gets records through `upgrade`, so no other code handles older schemas.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dip_exp import provenance
from dip_exp.metrics import kinds

if TYPE_CHECKING:
    from dip_exp.fit.trainer import Fitted


Record = dict[str, Any]
"""A run's record. The values are Any, because records are read from JSON, where no type holds; `upgrade` gives them the
fields of the current schema."""

SCHEMA = 3
"""Version of the record's fields. 1: records without this field. 2: `stop.ended`, `stop.told`, `rivals`, `remarks`,
`result` and `weights` are always present; history.csv counts steps from 1 instead of 0. 3: `diverged`."""


def facts(fitted: "Fitted", scores: dict[str, dict[str, float | None]], threads: int) -> Record:
    """Returns the record's facts about a fit (scores, stop, cost, device, versions) as plain numbers and strings."""
    commit, dirty = provenance.commit()
    seconds = fitted.rows[-1]["seconds"]
    cpu = {} if fitted.cpu_seconds is None else {"cpu_seconds": round(fitted.cpu_seconds, 3)}
    stop = {"reason": fitted.reason, "ended": fitted.ended, "step": fitted.steps_of["stopped"], "told": fitted.findings}
    return {
        "schema": SCHEMA,
        "scores": scores,
        "steps_of": fitted.steps_of,
        "stop": stop,
        "diverged": fitted.diverged,
        "rollbacks": fitted.rollbacks,
        "weights": fitted.weights,
        "steps": fitted.steps,
        "seconds": round(seconds, 3),
        **cpu,  # wall times are misleading on a busy machine
        "seconds_per_step": round(seconds / fitted.steps, 6),
        "peak_memory_bytes": fitted.memory,
        "device": fitted.device,
        "threads": threads,
        "versions": provenance.versions(),
        "commit": commit,
        "dirty": dirty,
    }


NEEDED = {"run_id": str, "config": dict, "scores": dict, "stop": dict}
"""The fields of every schema that readers rely on, and their types."""


def check_whole(found: object) -> None:
    """Raises ValueError if what was read from a record's file is no record of a run."""
    if not isinstance(found, dict):
        raise ValueError("it is no record of a run")
    wrong = [name for name, kind in NEEDED.items() if not isinstance(found.get(name), kind)]
    if wrong:
        raise ValueError(f"it is no record of a run: {', '.join(wrong)} {'is' if len(wrong) == 1 else 'are'} missing")


def upgrade(record: Record) -> Record:
    """Returns a record of any schema in the current one. Fields that an older record lacks are None or empty."""
    if record.get("schema", 1) == SCHEMA and {"remarks", "result"} <= record.keys():  # means lacked them for a while
        return record
    stop = {"told": {}, "reason": "", **record.get("stop", {})}
    stop.setdefault("ended", not stop["reason"].startswith("optim.steps: "))  # schema 1 says it only here
    made = {
        "rivals": {},
        "remarks": [],
        "notes": [],
        "weights": None,
        "diverged": False,
        "result": result_among(record.get("scores", {})),
    }
    return {**made, **record, "stop": stop, "schema": SCHEMA}


def restorers(record: Record) -> dict[str, Any]:
    """Returns {output kind: facts} of the classical restorers; the main one's are None for a record without."""
    return {kinds.BASELINE: record["baseline"], **record["rivals"]}


def result_among(names: Iterable[str]) -> str:
    """Returns the kind that restored.png shows, where it is not named: of a run's scored kinds, the one that its task
    made of `stopped`, if it makes one; otherwise `pasted`, if there is one, and `stopped` if not."""
    own = [kind for kind in kinds.of_the_seed(names) if not kind.startswith(f"{kinds.STOPPED}_")]
    usual = (kinds.LAST, kinds.AVERAGE, kinds.POSTERIOR, kinds.STOPPED, kinds.PASTED)
    made = [kind for kind in own if kind not in usual]
    return made[-1] if made else kinds.PASTED if kinds.PASTED in own else kinds.STOPPED
