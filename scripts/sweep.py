"""Computes the missing runs of the paper's experiments, then collects them into the tables.

    python scripts/sweep.py fig2_curves --scale mini
    python scripts/sweep.py paper --scale mini --seeds 3 --launcher joblib
    python scripts/sweep.py all --scale paper --dry-run

Finished runs are skipped and interrupted ones resumed. A job that fails is reported, and the others continue (exit
status 1).
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "experiments", nargs="*", default=["all"], metavar="EXPERIMENT", help="of conf/experiment; paper; all"
    )
    parser.add_argument("--scale", choices=["paper", "mini"], default="mini")
    parser.add_argument("--seeds", type=int, default=1, help="seeds of each job (1)")
    parser.add_argument("--launcher", default="local", help="local, joblib (all cores, a thread a job), submitit, ray")
    parser.add_argument("--recompute", action="store_true", help="also what only the committed tables have")
    parser.add_argument("--dry-run", action="store_true", help="say what is missing and how long it should take here")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="further settings for every job")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--allow-dirty", action="store_true", help="collect runs no commit accounts for (private use)")
    given = parser.parse_args()

    from dip_exp import cli, provenance
    from dip_exp.errors import Refused
    from dip_exp.experiments import collect, launch, sweeps
    from dip_exp.runs import report

    known = sweeps.names()
    named = {"all": known, "paper": sweeps.of_the_paper()}
    asked: list[str] = given.experiments
    names = named.get(" ".join(asked), asked)
    try:
        unknown = [name for name in names if name not in known]
        if unknown or given.seeds < 1:
            wrong = f"there is no {unknown[0]!r}" if unknown else f"--seeds is {given.seeds}; must be 1 or more"
            raise Refused(f"sweep: {wrong}; experiments are {', '.join(known)}")
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
