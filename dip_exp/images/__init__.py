"""Reads, crops and writes pictures: float32 (1,C,H,W) in [0,1]. Imports neither tasks nor torch."""

from dip_exp.images.crop import centre_crop, shrink, square
from dip_exp.images.decode import MAX_PIXELS
from dip_exp.images.files import file_sha256, read, read_mask, write, write_restored
from dip_exp.images.picture import Picture, check, to_grey
from dip_exp.images.source import Blank, File, Packaged, PackagedName, Role, may_be_committed, packaged

__all__ = [
    "MAX_PIXELS",
    "Blank",
    "File",
    "Packaged",
    "PackagedName",
    "Picture",
    "Role",
    "centre_crop",
    "check",
    "file_sha256",
    "may_be_committed",
    "packaged",
    "read",
    "read_mask",
    "shrink",
    "square",
    "to_grey",
    "write",
    "write_restored",
]
