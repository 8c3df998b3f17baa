"""What a run's record.json holds: its fields, who writes them, and how records of before are read.

Every reader gets a record through `upgrade`, so that no other code knows what older ones lack.
"""

from typing import TYPE_CHECKING, Any

from dip_exp import provenance
from dip_exp.metrics import kinds

if TYPE_CHECKING:
    from dip_exp.fit.trainer import Fitted


SCHEMA = 2
"""Of the record's fields. 1: records that have none. 2: `stop.ended`, `stop.told`, `rivals`, `remarks`, `result` and
`weights` always; history.csv counts its steps from 1, and not from 0."""


def facts(fitted: "Fitted", scores: dict[str, Any], threads: int) -> dict[str, Any]:
    """Returns what a fit came to and where, as a record keeps it: plain numbers and strings."""
    commit, dirty = provenance.commit()
    seconds = fitted.rows[-1]["seconds"]
    cpu = {} if fitted.cpu_seconds is None else {"cpu_seconds": round(fitted.cpu_seconds, 3)}
    stop = {"reason": fitted.reason, "ended": fitted.ended, "step": fitted.steps_of["stopped"], "told": fitted.told}
    return {
        "schema": SCHEMA,
        "scores": scores,
        "steps_of": fitted.steps_of,
        "stop": stop,
        "rollbacks": fitted.rollbacks,
        "weights": fitted.weights,
        "steps": fitted.steps,
        "seconds": round(seconds, 3),
        **cpu,  # wall times lie on a busy machine
        "seconds_per_step": round(seconds / fitted.steps, 6),
        "peak_memory_bytes": fitted.memory,
        "device": fitted.device,
        "threads": threads,
        "versions": provenance.versions(),
        "commit": commit,
        "dirty": dirty,
    }


def upgrade(record: dict[str, Any]) -> dict[str, Any]:
    """Returns a record of any schema as one of today's; what an older one does not know is None or empty."""
    if record.get("schema", 1) == SCHEMA:
        return record
    stop = {"told": {}, "reason": "", **record.get("stop", {})}
    stop.setdefault("ended", not stop["reason"].startswith("optim.steps: "))  # all that schema 1 says of it
    made = {"rivals": {}, "remarks": [], "notes": [], "weights": None, "result": _result(record)}
    return {**made, **record, "stop": stop, "schema": SCHEMA}


def _result(record: dict[str, Any]) -> str:
    """Returns the kind that restored.png is of, for a record that does not say so: the last that was made of `stopped`,
    or that itself. Kinds were scored in the order in which they were made."""
    own = [kind for kind in kinds.of_the_seed(record.get("scores", {})) if not kind.startswith(f"{kinds.STOPPED}_")]
    made = [kind for kind in own if kind not in (kinds.LAST, kinds.AVERAGE, kinds.POSTERIOR)]
    return made[-1] if made else kinds.STOPPED
