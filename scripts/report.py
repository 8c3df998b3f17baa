"""Writes results/report: a page on which all runs can be filtered, sorted and compared. No torch.

    python scripts/report.py
    python scripts/report.py --pages       # and report.html of each run in results/runs that has none
    python scripts/report.py --open        # and shows it in a browser

It shows what is committed (tables, figures, pictures) and what was computed here. It opens as a file, without a server.
"""

import argparse
import sys
import webbrowser
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def main() -> int:
    from dip_exp.runs import terminal

    terminal.prepare()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", action="store_true", help="write the page of each run here that has none")
    parser.add_argument("--open", action="store_true", help="show it in a browser")
    parser.add_argument("--results", type=Path, default=Path("results"))
    given = parser.parse_args()

    from dip_exp.errors import Refused
    from dip_exp.figures import overview

    try:
        made = overview.build(given.results, pages=given.pages)
    except (Refused, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if given.open:
        webbrowser.open(made.resolve().as_uri())
    return 0


if __name__ == "__main__":
    sys.exit(main())
