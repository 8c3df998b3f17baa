"""Super-resolution by 4 and 8 of Set5 and Set14 (IJCV 2020, Tables 1 and 2)."""

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts.score_table import Block, Table, score_table

NAME = "tab_superres"

OURS = {"bicubic": "baseline", "deep prior, last": "last", "deep prior, average": "stopped"}
BY_4 = {
    "bicubic†": "bicubic",
    "TV*": "tv_prior",
    "deep prior*": "deep_prior",
    "LapSRN†": "LapSRN",
    "SRResNet†": "SRResNet-MSE",
}
BY_8 = {"bicubic†": "bicubic", "TV*": "tv_prior", "deep prior*": "deep_prior_005", "LapSRN†": "LapSRN"}


def table(tables: Tables) -> Table:
    """Returns the PSNR on the Y channel."""
    blocks = []
    for factor, task, theirs in ((4, "superres", BY_4), (8, "superres_x8", BY_8)):
        if tables.scale == "mini":
            blocks.append(Block(f"×{factor}", "", {"task": task}, OURS, {}))
            continue
        measure = ("deep prior, last", "deep prior*")
        for name in ("Set5", "Set14"):
            published = f"sr_{name}_x{factor}"
            blocks.append(
                Block(f"{name} ×{factor}", published, {"task": task}, OURS, theirs, measure, f"{name.lower()}/")
            )
    notes = ("PSNR in dB, Y channel, border off, 8 bit, ± standard deviation over seeds.",)
    if tables.scale == "paper":
        notes += (
            "* Scored from the pictures the authors published. † Made by their authors from other low-resolution data "
            "(MATLAB's bicubic) than the deep prior's (Pillow's Lanczos): not the same problem to the last decibel.",
        )
    else:
        notes += ("The paper's means, last iterate: ×4 Set5 29.90, Set14 27.00; ×8 25.88, 24.15.",)
    return score_table(tables, NAME, "Super-resolution", blocks, notes)
