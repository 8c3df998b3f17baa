"""A picture in memory: float32 (1,C,H,W) in [0,1], and the metadata of its file."""

from dataclasses import dataclass

import numpy as np

from dip_exp.images.decode import Depth, check_range
from dip_exp.shapes import Float32


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture: its pixels, and the metadata of its file.

    x: (1,C,H,W) float32 in [0,1]; C is 1 (grey) or 3 (RGB). alpha: (H,W) float32 in [0,1], or None if the picture is
    opaque; the colours are not premultiplied. icc: the bytes of the colour profile, or None. depth: sample type of the
    source, so that outputs are stored with the same one. name: for display. sha256: of the file's bytes, or of a
    packaged picture's pixels; cropping and shrinking do not change it. Raises ValueError or TypeError if x or alpha is
    not such an array.
    """

    x: Float32[np.ndarray, "1 C H W"]
    alpha: Float32[np.ndarray, "H W"] | None
    icc: bytes | None
    depth: Depth
    name: str
    sha256: str

    def __post_init__(self) -> None:
        check(self.x, f"picture {self.name!r}")
        if self.alpha is not None:
            if self.alpha.shape != self.x.shape[2:]:
                raise ValueError(f"picture {self.name!r}: alpha is {self.alpha.shape}, the pixels {self.x.shape[2:]}")
            check(self.alpha[None, None], f"alpha of picture {self.name!r}")

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return self.x.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.x.shape[3], self.x.shape[2]


def check(x: np.ndarray, who: str) -> None:
    """Raises TypeError or ValueError, naming `who`, unless x is (1,C,H,W) float32 in [0,1] with C 1 or 3."""
    _check_layout(x, who)
    check_range(x, who)


def _check_layout(x: np.ndarray, who: str) -> None:
    if not isinstance(x, np.ndarray) or x.dtype != np.float32:
        given = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
        raise TypeError(f"{who}: values are {given}; a picture is a float32 array: divide by its white, then astype")
    if x.ndim != 4 or x.shape[0] != 1 or x.shape[1] not in (1, 3) or 0 in x.shape:
        raise ValueError(f"{who}: shape is {x.shape}; a picture is (1,C,H,W) with C 1 or 3 and at least one pixel")


def to_grey(x: Float32[np.ndarray, "1 C H W"]) -> Float32[np.ndarray, "1 1 H W"]:
    """Returns the luma (1,1,H,W) of x (1,C,H,W): 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601); a grey x is unchanged."""
    if x.shape[1] == 1:
        return x
    # Summed in float64, so that equal R, G and B give exactly their value.
    red, green, blue = x.astype(np.float64).transpose(1, 0, 2, 3)
    return (0.299 * red + 0.587 * green + 0.114 * blue).astype(np.float32)[:, None]
