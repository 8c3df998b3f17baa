"""Scores a folder of pictures against a folder of truths, matched by file name, under a named protocol."""

import argparse
import sys

DESCRIPTION = """\
Score every picture of a folder against the truth of the same name (the suffix may differ): PSNR in dB, SSIM, means.
A protocol says what is compared: 'rgb' all channels of the whole picture, 'grey' its luma, 'sr' the video-range luma at
8 bit without a border of 4 pixels at the top and left and 5 at the bottom and right, 'sr_authors' the same but cut off
to 8 bit instead of rounded (no difference for 8-bit files)."""

EXAMPLES = """\
examples:
  python scripts/score.py denoised/ --truth data/denoising9 --protocol rgb
  python scripts/score.py ours/ --truth data/set5 --protocol sr --trim 4 --crop-multiple 32
  python scripts/score.py lapsrn/ --truth data/set5 --protocol sr --trim 4 --window deep_prior/
the third scores a baseline over the part that was scored for a method whose results are small pictures on black."""


def parser() -> argparse.ArgumentParser:
    """Returns the command line's parser."""
    made = argparse.ArgumentParser(
        description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("results", metavar="RESULTS", help="the folder whose pictures are scored")
    made.add_argument("--truth", required=True, metavar="FOLDER", help="the true pictures, by the same names")
    made.add_argument("--protocol", required=True, metavar="NAME", help="rgb, grey, sr or sr_authors")
    made.add_argument(
        "--trim", type=int, default=1, metavar="M", help="first cut the truth at its right and bottom to multiples of M"
    )
    part = made.add_mutually_exclusive_group()
    part.add_argument(
        "--window",
        metavar="FOLDER",
        help="score only the bounding box of the pixels that are not black in this folder's picture of the same name "
        "(RESULTS itself may be given)",
    )
    part.add_argument(
        "--crop-multiple", type=int, metavar="M", help="score only the central part with sides that are multiples of M"
    )
    made.add_argument("--csv", metavar="FILE", help="also write the table there, with the part that was scored")
    return made


def score(given: argparse.Namespace) -> str:
    """Writes the CSV if requested, and returns the table to print. Raises Refused."""
    from dip_exp.metrics import folder

    folder.check_target(given.csv)
    rows = folder.score_folder(
        given.results, given.truth, given.protocol, given.window, given.trim, given.crop_multiple
    )
    if given.csv is not None:
        folder.write_csv(given.csv, rows, given.protocol)
    lacking = sorted(folder.pictures(given.truth, "truth").keys() - {row.picture for row in rows})
    note = f"\nno result, so not in the mean: {', '.join(lacking)}" if lacking else ""
    return f"{folder.table(rows)}{note}"


def main(words: list[str]) -> int:
    """Prints the table, or the error. Returns the exit status: 0, or 2 if something was refused."""
    given = parser().parse_args(words)
    from dip_exp.errors import Refused
    from dip_exp.runs import terminal

    terminal.prepare()

    try:
        print(score(given))
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
