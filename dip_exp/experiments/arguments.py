"""The options that the scripts over experiments share."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from dip_exp.errors import Refused


def shared(description: str | None, *, scale: str) -> argparse.ArgumentParser:
    """Returns a parser of the options that `scripts/sweep.py` and `scripts/campaign.py` share. scale: its default."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help="of conf/experiment; paper; all")
    parser.add_argument("--scale", choices=["paper", "mini"], default=scale, help=f"({scale})")
    parser.add_argument("--seeds", type=int, default=1, help="seeds of each job (1)")
    parser.add_argument("--launcher", default="local", help="local, joblib (all cores, a thread a job), submitit, ray")
    parser.add_argument("--recompute", action="store_true", help="also what only the committed tables have")
    parser.add_argument("--dry-run", action="store_true", help="compute nothing: say what is missing and its time here")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="further settings for every job")
    parser.add_argument("--results", type=Path, default=Path("results"))
    return parser


def named(asked: list[str], known: list[str], of_the_paper: list[str], who: str) -> list[str]:
    """Returns the experiments that were asked for, with `paper` and `all` as what they stand for. Raises Refused for
    one that there is not."""
    names = {"paper": of_the_paper, "all": known}.get(" ".join(asked), asked)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Refused(f"{who}: there is no {unknown[0]!r}; experiments are {', '.join(known)}")
    return names


def check_numbers(given: argparse.Namespace, least: Iterable[tuple[str, int]], who: str) -> None:
    """Raises Refused for a number below its least. least: (option, least value); None stands for an absent option."""
    for name, lowest in least:
        value = getattr(given, name)
        if value is not None and value < lowest:
            raise Refused(f"{who}: --{name} is {value}; must be {lowest} or more")
