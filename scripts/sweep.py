"""Computes the missing runs of the paper's experiments, then collects them into the tables.

    python scripts/sweep.py fig2_curves --scale mini
    python scripts/sweep.py paper --scale mini --seeds 3 --launcher joblib
    python scripts/sweep.py all --scale paper --dry-run

Finished runs are skipped and interrupted ones resumed. A job that fails is reported, and the others continue (exit
status 1).
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def main() -> int:
    from dip_exp.experiments import arguments
    from dip_exp.runs import terminal

    terminal.prepare()
    parser = arguments.shared(__doc__, scale="mini")
    parser.add_argument("--allow-dirty", action="store_true", help="collect runs no commit accounts for (private use)")
    given = parser.parse_args()

    from dip_exp import cli, provenance
    from dip_exp.errors import Refused
    from dip_exp.experiments import collect, launch, sweeps
    from dip_exp.runs import report

    try:
        names = arguments.named(given.experiments or ["all"], sweeps.names(), sweeps.of_the_paper(), "sweep")
        arguments.check_numbers(given, [("seeds", 1)], "sweep")
        cli.check_plugins([f"launcher={given.launcher}"], multirun=not given.dry_run)
        ask = launch.Ask(given.scale, given.seeds, given.launcher, given.recompute, tuple(given.set), given.results)
        if given.dry_run:
            launch.dry_run(names, ask)
            return 0
        if not (given.allow_dirty or provenance.commit()[1] is False or launch.others(names, ask)):
            parts = ", ".join(provenance.COMPUTES)
            report.note(f"note: {parts} are not as a commit has them: these runs will be in no table (--allow-dirty)")
        began = time.perf_counter()
        failed = launch.run(names, ask)
        report.note(f"\nruns took {report.duration(time.perf_counter() - began)}; collecting")
        collected = collect.collect(ask.results, ask.scale, names, allow_dirty=given.allow_dirty)
        for done in collected:
            report.note(f"{done.experiment:16}{done.finished:4} of {done.listed} in {ask.results}/tables/{ask.scale}")
        refused = collect.tell_refused(collected)
        if launch.others(names, ask):
            report.note(f"runs of other settings are not the paper's: they are in {ask.results}/runs and in no table")
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on from what was saved", file=sys.stderr)
        return 130
    if failed:
        print(
            f"error: some jobs ended without a record: {', '.join(failed)}; their messages are above", file=sys.stderr
        )
    return 1 if failed or refused else 0


if __name__ == "__main__":
    sys.exit(main())
