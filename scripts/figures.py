"""Rebuilds the paper's figures and tables from results/tables, for every scale that has any: seconds, no torch.

    python scripts/figures.py                 # all
    python scripts/figures.py fig2_curves --scale mini

Committed figures never contain pictures of sets without a clear licence. If their panels are in results/panels, a
second, git-ignored version with them goes to results/figures/local.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def main() -> int:
    from dip_exp.runs import terminal

    terminal.prepare()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="FIGURE", help="of dip_exp/figures (all)")
    parser.add_argument("--scale", choices=["paper", "mini"], help="one scale alone")
    parser.add_argument("--results", type=Path, default=Path("results"))
    given = parser.parse_args()

    from dip_exp.errors import Refused
    from dip_exp.figures import gallery

    try:
        gallery.rebuild(given.results, given.names, [given.scale] if given.scale else ["paper", "mini"])
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
