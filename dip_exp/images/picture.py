"""A picture in memory: float32 (1,C,H,W) in [0,1], and the metadata of its file."""

from dataclasses import dataclass

import numpy as np

from dip_exp.images.frame import Frame
from dip_exp.images.pixels import Depth
from dip_exp.shapes import Float32


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture: its pixels, and the metadata of its file.

    x: (1,C,H,W) float32 in [0,1]; C is 1 (grey), 3 (RGB), or another number of bands. alpha: (H,W) float32 in [0,1], or
    None if the picture is opaque; the colours are not premultiplied. icc: the bytes of the colour profile, or None.
    depth: sample type of the source, so that outputs are stored with the same one. name: for display. sha256: of the
    file's bytes, or of a packaged picture's pixels; cropping and shrinking do not change it.

    ends: the stored values that are 0 and 1 in x; None for those of the depth. With them, x may lie outside [0,1]
    (noise that was not clipped) and hold NaN (a value that is missing). plain: the source is an array of numbers (.npy)
    and so is the result. frame: what part of the source this is. notes: sentences that the user should know.

    Raises ValueError or TypeError if x or alpha is not such an array.
    """

    x: Float32[np.ndarray, "1 C H W"]
    alpha: Float32[np.ndarray, "H W"] | None
    icc: bytes | None
    depth: Depth
    name: str
    sha256: str
    ends: tuple[float, float] | None = None
    plain: bool = False
    frame: Frame | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        who = f"picture {self.name!r}"
        if self.ends is None:
            check(self.x, who)
        else:
            check_layout(self.x, who)
        if self.alpha is not None:
            if self.alpha.shape != self.x.shape[2:]:
                raise ValueError(f"picture {self.name!r}: alpha is {self.alpha.shape}, the pixels {self.x.shape[2:]}")
            check(self.alpha[None, None], f"alpha of picture {self.name!r}")

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB, or the number of bands."""
        return self.x.shape[1]

    @property
    def visible(self) -> Float32[np.ndarray, "1 C H W"]:
        """x, with the colours of invisible pixels replaced (`uncovered`)."""
        return self.x if self.alpha is None else uncovered(self.x, self.alpha)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.x.shape[3], self.x.shape[2]


def check(x: np.ndarray, who: str) -> None:
    """Raises TypeError or ValueError, naming `who`, unless x is (1,C,H,W) float32 in [0,1]."""
    check_layout(x, who)
    bad = x.size - int(np.isfinite(x).sum())
    if bad:
        raise ValueError(f"{who}: {bad} of {x.size} values are NaN or infinite; replace them first")
    low, high = float(x.min()), float(x.max())
    if low < 0 or high > 1:
        raise ValueError(
            f"{who}: values lie in [{low:g}, {high:g}], a float picture lies in [0, 1]; "
            "divide by the value of white (255 for 8-bit data), or clip, and save it again"
        )


def check_layout(x: np.ndarray, who: str) -> None:
    """Raises TypeError or ValueError, naming `who`, unless x is (1,C,H,W) float32."""
    if not isinstance(x, np.ndarray) or x.dtype != np.float32:
        given = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
        raise TypeError(f"{who}: values are {given}; a picture is a float32 array: divide by its white, then astype")
    if x.ndim != 4 or x.shape[0] != 1 or 0 in x.shape:
        raise ValueError(f"{who}: shape is {x.shape}; a picture is (1,C,H,W) with at least one pixel")


def to_grey(x: Float32[np.ndarray, "1 C H W"]) -> Float32[np.ndarray, "1 1 H W"]:
    """Returns the luma (1,1,H,W) of x (1,C,H,W): 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601); a grey x is unchanged.
    The luma of bands that are not RGB is their mean."""
    if x.shape[1] == 1:
        return x
    if x.shape[1] != 3:
        return x.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    # Summed in float64, so that equal R, G and B give exactly their value.
    red, green, blue = x.astype(np.float64).transpose(1, 0, 2, 3)
    return (0.299 * red + 0.587 * green + 0.114 * blue).astype(np.float32)[:, None]


def shown(x: Float32[np.ndarray, "1 C H W"]) -> Float32[np.ndarray, "1 _ H W"]:
    """Returns the picture, grey or RGB in [0,1], that a PNG shows of x (1,C,H,W): of other bands their mean."""
    x = np.clip(x, 0, 1)
    return x if x.shape[1] in (1, 3) else to_grey(x)


def uncovered(x: Float32[np.ndarray, "1 C H W"], alpha: Float32[np.ndarray, "H W"]) -> Float32[np.ndarray, "1 C H W"]:
    """Returns x (1,C,H,W) with the colours of invisible pixels, whose alpha (H,W) is 0, replaced by those of the
    nearest visible pixel: what nobody sees must not bleed into what is seen."""
    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return x
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(hidden, return_distances=False, return_indices=True)
    rows, columns = np.asarray(nearest)
    return np.ascontiguousarray(x[:, :, rows, columns])
