"""Reads, crops and writes pictures: float32 (1,C,H,W) in [0,1]. Imports neither tasks nor torch."""

from dip_exp.images.crop import centre_crop, shrink, square
from dip_exp.images.files import file_sha256, read, write, write_restored
from dip_exp.images.frame import Frame
from dip_exp.images.mask import Known, known_pixels, read_mask
from dip_exp.images.picture import Picture, check, shown, to_grey, uncovered
from dip_exp.images.pixels import MAX_PIXELS
from dip_exp.images.source import Blank, File, Packaged, PackagedName, Role, may_be_committed, packaged

__all__ = [
    "MAX_PIXELS",
    "Blank",
    "File",
    "Frame",
    "Known",
    "Packaged",
    "PackagedName",
    "Picture",
    "Role",
    "centre_crop",
    "check",
    "file_sha256",
    "known_pixels",
    "may_be_committed",
    "packaged",
    "read",
    "read_mask",
    "shown",
    "shrink",
    "square",
    "to_grey",
    "uncovered",
    "write",
    "write_restored",
]
