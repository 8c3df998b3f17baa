"""What a multirun over pictures will take in all, said before its first job."""

from omegaconf import DictConfig

from dip_exp.component import located
from dip_exp.errors import Refused
from dip_exp.runs import report
from dip_exp.runs.folder import RunFolder
from dip_exp.runs.order import Named, identify
from dip_exp.runs.price import Expected, expected


def announce(cfg: DictConfig, choices: dict[str, str], paths: list[str]) -> None:
    """Prints how many pictures there are, how many of them are finished, and how long the others should take.

    cfg: the configuration of one job; the others differ from it in `image.path`. A picture that its own job will refuse
    is left out of the time.
    """
    left, finished = [], 0
    for path in paths:
        cfg.image.path = path
        try:
            named = identify(cfg, choices)
            done = not cfg.force and RunFolder(located(named.config["results"]), named.run_id).record() is not None
        except Refused:
            continue
        finished += done
        left += [] if done else [named]
    already = f" ({finished} already finished)" if finished else ""
    if cfg.tiles is not None or cfg.runs > 1:  # each job says how long it takes
        report.note(f"{len(paths)} pictures{already}, one after the other")
        return
    jobs = [job for job in _expected(left) if job is not None]
    if not jobs:
        report.note(f"{len(paths)} pictures{already}")
        return
    most = "at most" if any(job.sooner for job in jobs) else "about"
    seconds = sum(job.seconds for job in jobs)
    report.note(
        f"{len(paths)} pictures{already}, one after the other: {most} {report.duration(seconds)}"
        f"{report.of_cores(jobs[0].cost.threads)} in all"
    )


def _expected(left: list[Named]) -> list[Expected | None]:
    """Returns what each run will be; None for one that cannot be begun. Pictures of one size are alike."""
    known: dict[tuple[int, int, int], Expected | None] = {}
    found = []
    for named in left:
        try:
            shape = named.image.shape()
            if shape not in known:
                known[shape] = expected(named.config, named.choices, shape)
            found.append(known[shape])
        except (Refused, ValueError, OSError):
            found.append(None)
    return found
