"""The facts of a finished fit, as a run's record.json keeps them."""

from typing import TYPE_CHECKING, Any

from dip_exp import provenance

if TYPE_CHECKING:
    from dip_exp.fit.trainer import Fitted


def facts(fitted: "Fitted", scores: dict[str, Any], threads: int) -> dict[str, Any]:
    """Returns what a fit came to and where, as a record keeps it: plain numbers and strings."""
    commit, dirty = provenance.commit()
    seconds = fitted.rows[-1]["seconds"]
    cpu = {} if fitted.cpu_seconds is None else {"cpu_seconds": round(fitted.cpu_seconds, 3)}
    told = {"told": fitted.told} if fitted.told else {}  # most rules have nothing more to say
    return {
        "scores": scores,
        "steps_of": fitted.steps_of,
        "stop": {"reason": fitted.reason, "step": fitted.steps_of["stopped"], **told},
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
