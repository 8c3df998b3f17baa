"""Computes the paper's runs in order of value, as many as fit the given hours, and collects them into the tables.

    python scripts/campaign.py --hours 2
    python scripts/campaign.py tab_superres fig2_curves --hours 8 --threads 1
    python scripts/campaign.py --scale mini --launcher joblib
    python scripts/campaign.py --hours 2 --dry-run

Runs go one after the other, at low priority. Only runs expected to fit the remaining hours are started. A run that is
still going at the deadline, or at Ctrl-C or SIGTERM, writes its checkpoint; the same command resumes it.
"""

import argparse
import math
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def parsed() -> argparse.Namespace:
    from dip_exp.experiments import arguments

    parser = arguments.shared(__doc__, scale="paper")
    parser.add_argument("--hours", type=float, default=math.inf, help="after which it ends (once all is done)")
    parser.add_argument("--threads", type=int, help="of each run; 0: all cores (the launcher's own number)")
    parser.add_argument("--nice", type=int, default=10, help="how far other work goes first, 0 to 19 (10)")
    return parser.parse_args()


def main() -> int:
    from dip_exp.runs import terminal

    terminal.prepare()
    until = time.monotonic()
    given = parsed()
    until += given.hours * 3600

    from dip_exp import cli
    from dip_exp.errors import Refused

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return campaign_of(given, until)
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
        return cli.REFUSED
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on from what was saved", file=sys.stderr)
        return cli.INTERRUPTED


def campaign_of(given: argparse.Namespace, until: float) -> int:
    """Runs the campaign until `until` (of time.monotonic) and returns the exit status."""
    from dip_exp import cli
    from dip_exp.experiments import agenda, arguments, launch, processes, sweeps
    from dip_exp.runs import report

    check(given)
    cli.check_plugins([f"launcher={given.launcher}"], multirun=not given.dry_run)
    names = arguments.named(given.experiments or ["paper"], sweeps.names(), sweeps.of_the_paper(), "campaign")
    settings = tuple([f"threads={given.threads}"] * (given.threads is not None) + given.set)
    ask = launch.Ask(given.scale, given.seeds, given.launcher, given.recompute, settings, given.results)
    if given.nice and hasattr(os, "nice"):
        os.nice(given.nice)
    if given.set and launch.others(names, ask):
        report.note(f"runs of other settings are not the paper's: they go to {ask.results}/runs and into no table")
    work = agenda.Agenda(names, ask)
    if given.dry_run:
        report.note(agenda.summary(work, given.hours * 3600))
        return cli.FAILED if work.failed else 0
    work.gather()  # collects what finished before an earlier campaign was killed
    interrupted = processes.carry_out(work, until)
    report.note(f"\n{agenda.summary(work, None)}")
    if interrupted:
        raise KeyboardInterrupt
    return cli.FAILED if work.failed else 0


def check(given: argparse.Namespace) -> None:
    """Raises Refused for numbers out of range."""
    from dip_exp.errors import Refused
    from dip_exp.experiments import arguments

    if not given.hours > 0:
        raise Refused(f"campaign: --hours is {given.hours:g}; must be more than 0")
    arguments.check_numbers(given, [("seeds", 1), ("nice", 0), ("threads", 0)], "campaign")


if __name__ == "__main__":
    sys.exit(main())
