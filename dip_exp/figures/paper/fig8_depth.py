"""Irregular holes filled by networks of different depth and kind (CVPR 2018, Fig. 8)."""

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts.pictures import Column, picture_row

if TYPE_CHECKING:
    from dip_exp.figures.parts.pictures import Drawn

NAME = "fig8_depth"

NETWORKS = {
    "depth6": "encoder-decoder, 6 scales",
    "depth4": "4 scales",
    "depth2": "2 scales",
    "resnet": "ResNet, 8 blocks",
    "unet": "U-Net, 5 scales",
}


def draw(tables: Tables) -> "Drawn":
    """Returns the damaged picture and each network's result."""
    columns = [Column("truth", "truth"), Column("observation", "damaged"), Column("baseline", "{baseline}")]
    columns += [Column("stopped", text, {"variant": f"library/{name}"}) for name, text in NETWORKS.items()]
    more = "scores: PSNR over the missing pixels alone; nothing is pasted into the pictures"
    title = "Irregular holes, by depth and architecture"
    return picture_row(tables, NAME, title, columns, score="psnr_missing", zoom=None, per_row=4, more=more)
