"""Collects finished runs of experiments into results/tables/<scale>. Adds or replaces rows, never deletes one.

python scripts/collect.py --scale mini

Only runs made from a clean tree are taken. Others are refused, with exit status 1; the rest is still collected.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def main() -> int:
    from dip_exp.runs import terminal

    terminal.prepare()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help="of conf/experiment (all)")
    parser.add_argument("--scale", choices=["paper", "mini"], default="mini")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--allow-dirty", action="store_true", help="also runs no commit accounts for (private use)")
    given = parser.parse_args()

    from dip_exp.experiments import collect, sweeps
    from dip_exp.runs import report

    known = sweeps.names()
    unknown = [name for name in given.experiments if name not in known]
    if unknown:
        print(f"error: collect: there is no {unknown[0]!r}; experiments are {', '.join(known)}", file=sys.stderr)
        return 2
    collected = collect.collect(given.results, given.scale, given.experiments or known, allow_dirty=given.allow_dirty)
    for done in collected:
        seconds = report.duration(done.seconds)
        report.note(f"{done.experiment:16}{done.finished:4} of {done.listed} runs, {seconds} of computing")
    return 1 if collect.tell_refused(collected) else 0


if __name__ == "__main__":
    sys.exit(main())
