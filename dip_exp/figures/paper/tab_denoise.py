"""Denoising in three modes: one output, its running average, the mean of two runs (CVPR 2018, section 3)."""

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts.score_table import Block, Table, score_table

NAME = "tab_denoise"

OURS = {"noisy": "observation", "NLM": "baseline", "last": "last", "average": "average", "mean of two": "mean"}
THEIRS = {"CBM3D*": "bm3d", "NLM*": "nlm", "authors' picture*": "deep_prior"}


def table(tables: Tables) -> Table:
    """Returns the PSNR (RGB, whole picture) at sigma 25 and 50."""
    theirs = THEIRS if tables.scale == "paper" else {}
    measure = ("mean of two", "authors' picture*") if theirs else None
    blocks = [
        Block("σ 25", "denoise_s25", {"task": "denoise"}, OURS, theirs, measure),
        Block("σ 50", "denoise_s50", {"task": "denoise_s50"}, OURS, theirs, measure),
    ]
    notes = ("PSNR in dB, RGB, whole picture, ± standard deviation over seeds (of the mean of two: over pairs).",)
    if theirs:
        notes += (
            "* Scored from the pictures the authors published: other noise than ours, and for the deep prior a better "
            "or further averaged run than the paper's text quotes. Ours: both runs of a mean see the same noise.",
        )
    else:
        notes += ("The paper, nine pictures, σ 25: last 29.22, average 30.43, mean of two 31.00, NLM 30.26.",)
    return score_table(tables, NAME, "Denoising", blocks, notes)
