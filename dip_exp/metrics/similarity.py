"""PSNR and SSIM under named scoring protocols: the name fixes channels, crop and quantisation.

`Protocol.view` takes numpy arrays and torch tensors (it uses only what both have), so that a fit can score on its
device; `psnr` and `ssim` take numpy arrays.
"""

import math
from typing import Annotated, Any, Literal, TypeVar, cast

import numpy as np
from pydantic import Field

from dip_exp.component import NonNegativeInt, component
from dip_exp.shapes import Bool, Float, Float64, Shaped

A = TypeVar("A")

SSIM_WINDOW = 11  # pixels: sigma 1.5, truncated at 3.5 sigma on each side


@component
class Protocol:
    """Which values of a picture are compared.

    Attributes:
        channels: "rgb", all channels, pooled; "grey", luma 0.299 R + 0.587 G + 0.114 B; "y", the same luma in video
            range, (luma * 219 + 16) / 255, as in the authors' super-resolution_eval_script.py. A grey picture is
            unchanged by "rgb" and "grey", and counts as R = G = B for "y".
        crop: pixels removed at [top, left, bottom, right].
        quantise: "none"; "round" to 8 bits, as in a PNG written here; "floor" to 8 bits, as in the authors' PNG files,
            which truncate x * 255 (half a grey level darker on average, up to 0.16 dB at 39 dB).
    """

    channels: Literal["rgb", "y", "grey"] = "rgb"
    crop: Annotated[list[NonNegativeInt], Field(min_length=4, max_length=4)] = Field(default_factory=lambda: [0] * 4)
    quantise: Literal["none", "round", "floor"] = "none"

    def view(self, x: Float[A, "1 C H W"]) -> Float[A, "1 c h w"]:
        """Returns the compared values of the picture x, (1,C,H,W).

        x is a numpy array or a torch tensor of floats. It is clipped to [0,1], quantised, converted and cropped, in
        this order. The result has the same type, dtype and device, shape (1,C',H',W') with C' = 1 for "y" and "grey",
        and values in [0,1].

        Raises:
            ValueError: x is not 4-D, x has neither 1 nor 3 channels under "y" or "grey", or the crop leaves nothing.
        """
        picture: Any = x
        if picture.ndim != 4:
            raise ValueError(f"protocol: the picture has shape {tuple(picture.shape)}; must be (1,C,H,W); add axes")
        picture = picture.clip(0, 1)
        if self.quantise == "round":
            picture = (picture * 255).round() / 255
        elif self.quantise == "floor":
            picture = (picture * 255) // 1 / 255
        return self.cropped(self._converted(picture))

    def cropped(self, x: Shaped[A, "*batch H W"]) -> Shaped[A, "*batch h w"]:
        """Returns x, an array or tensor (...,H,W), without the border `crop`. Raises ValueError if nothing is left."""
        picture: Any = x
        top, left, bottom, right = self.crop
        height, width = picture.shape[-2:]
        if top + bottom >= height or left + right >= width:
            raise ValueError(
                f"protocol: crop {self.crop} (top, left, bottom, right) leaves nothing of a {width}x{height} picture "
                "(width x height); choose a smaller crop"
            )
        return picture[..., top : height - bottom, left : width - right]

    def _converted(self, picture: Any) -> Any:
        channels = picture.shape[1]
        if self.channels == "rgb":
            return picture
        if channels not in (1, 3):
            raise ValueError(
                f"protocol: channels is {self.channels!r} but the picture has {channels} channels; must be 1 or "
                "3; score it with channels=rgb"
            )
        luma = picture
        if channels == 3:
            luma = 0.299 * picture[:, 0:1] + 0.587 * picture[:, 1:2] + 0.114 * picture[:, 2:3]
        return luma if self.channels == "grey" else (luma * 219 + 16) / 255


# The authors' super-resolution script crops the picture to multiples of 32, then removes 4 pixels at the top and left
# and 5 at the bottom and right (an exclusive end at the last index), for x4 and x8 alike. Reproducing their
# tables takes floored PNG files.
PROTOCOLS: dict[str, Protocol] = {
    "rgb": Protocol(),  # denoising and the paper's Table 1: floats, whole picture, all channels pooled
    "grey": Protocol(channels="grey"),
    "sr": Protocol(channels="y", crop=[4, 4, 5, 5], quantise="round"),
    "sr_authors": Protocol(channels="y", crop=[4, 4, 5, 5], quantise="floor"),
}


def decibels(mse: float) -> float:
    """Returns the PSNR in dB of a mean squared error at data range 1; infinite for 0.

    Raises:
        ValueError: `mse` is negative or NaN.
    """
    if not mse >= 0:
        raise ValueError(f"decibels: mse is {mse}; must be a number from 0; look for NaN in the picture")
    return math.inf if mse == 0 else -10 * math.log10(mse)


def psnr(
    x_hat: Float[np.ndarray, "1 C H W"],
    x: Float[np.ndarray, "1 C H W"],
    protocol: Protocol,
    where: Bool[np.ndarray, "1 _ H W"] | None = None,
) -> float:
    """Returns the PSNR in dB of the estimate x_hat against the clean picture x, both (1,C,H,W); infinite if equal.

    The data range is 1; the squared error is averaged over all channels and pixels of `protocol.view`. x_hat may leave
    [0,1] (it is clipped), x may not. `where`, boolean (1,1,H,W) or (1,C,H,W), restricts the score to the pixels where
    it is true, such as the missing ones in inpainting; it needs `channels="rgb"`.

    Raises:
        TypeError: a picture is not an array of floats, or `where` is not an array of booleans.
        ValueError: shapes differ, a value is not finite, x leaves [0,1], `where` selects nothing, or `where` is given
            with other `channels`.
    """
    _check_pair(x_hat, x, "psnr")
    error = (_view64(x_hat, protocol) - _view64(x, protocol)) ** 2
    if where is None:
        return decibels(float(error.mean()))
    _check_where(where, x, protocol)
    selected = np.broadcast_to(protocol.cropped(where), error.shape)
    if not selected.any():
        raise ValueError("psnr: where selects no pixel of the protocol's view; select at least one; check the mask")
    return decibels(float(error[selected].mean()))


def ssim(x_hat: Float[np.ndarray, "1 C H W"], x: Float[np.ndarray, "1 C H W"], protocol: Protocol) -> float | None:
    """Returns the mean structural similarity of x_hat and x, both (1,C,H,W), in [-1,1]; None if too small.

    Wang et al., IEEE TIP 2004: Gaussian window sigma 1.5 (11x11), population covariance, K1 = 0.01, K2 = 0.03, data
    range 1, mean over the channels of `protocol.view`. None, and not NaN, which JSON cannot represent, if the view is
    smaller than the window.

    Raises:
        TypeError, ValueError: as `psnr`.
    """
    from skimage.metrics import structural_similarity

    _check_pair(x_hat, x, "ssim")
    u, v = _view64(x_hat, protocol)[0], _view64(x, protocol)[0]
    if min(u.shape[1:]) < SSIM_WINDOW:
        return None
    score = structural_similarity(
        u, v, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0, channel_axis=0
    )
    return float(cast("float", score))


def scores(
    x_hat: Float[np.ndarray, "1 C H W"],
    x: Float[np.ndarray, "1 C H W"],
    protocol: Protocol,
    missing: Bool[np.ndarray, "1 _ _ _"] | None = None,
) -> dict[str, float | None]:
    """Returns {psnr, ssim[, psnr_missing]} of x_hat against the clean picture x, both (1,C,H,W).

    PSNR is in dB; None if it is infinite, which JSON cannot represent. `missing`, boolean, broadcasts to x:
    psnr_missing is the PSNR over these pixels alone. Raises as `psnr`.
    """
    row: dict[str, float | None] = {"psnr": _finite(psnr(x_hat, x, protocol)), "ssim": ssim(x_hat, x, protocol)}
    if missing is not None:
        row["psnr_missing"] = _finite(psnr(x_hat, x, protocol, where=np.broadcast_to(missing, x.shape)))
    return row


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _view64(x: Float[np.ndarray, "1 C H W"], protocol: Protocol) -> Float64[np.ndarray, "1 c h w"]:
    return protocol.view(x.astype(np.float64))


def _check_pair(x_hat: np.ndarray, x: np.ndarray, who: str) -> None:
    for name, picture in (("x_hat", x_hat), ("x", x)):
        if not isinstance(picture, np.ndarray) or not np.issubdtype(picture.dtype, np.floating):
            given = f"an array of {picture.dtype}" if isinstance(picture, np.ndarray) else type(picture).__name__
            raise TypeError(f"{who}: {name} is {given}; must be a numpy array of floats; convert it first")
        if picture.ndim != 4 or picture.shape[0] != 1:
            raise ValueError(f"{who}: {name} has shape {picture.shape}; must be (1,C,H,W); add the missing axes")
        bad = int(picture.size - np.isfinite(picture).sum())
        if bad:
            raise ValueError(f"{who}: {bad} of {name}'s {picture.size} values are NaN or infinite; all must be finite")
    if x_hat.shape != x.shape:
        raise ValueError(
            f"{who}: x_hat has shape {x_hat.shape} but x has {x.shape}; the shapes must be equal; "
            "crop or convert one of them"
        )
    if x.min() < 0 or x.max() > 1:
        raise ValueError(
            f"{who}: the clean picture x runs from {x.min():g} to {x.max():g}; must lie in [0,1]; "
            "divide 8-bit values by 255"
        )


def _check_where(where: np.ndarray, x: np.ndarray, protocol: Protocol) -> None:
    if protocol.channels != "rgb":
        raise ValueError(
            f"psnr: where is given with channels={protocol.channels!r}; needs channels='rgb'; choose such a protocol"
        )
    if not isinstance(where, np.ndarray) or where.dtype != np.bool_:
        given = f"an array of {where.dtype}" if isinstance(where, np.ndarray) else type(where).__name__
        raise TypeError(f"psnr: where is {given}; must be an array of booleans; compare the mask with 0 first")
    if where.shape not in (x.shape, (1, 1, *x.shape[2:])):
        raise ValueError(
            f"psnr: where has shape {where.shape} but x has {x.shape}; must be {(1, 1, *x.shape[2:])} or "
            f"{x.shape}; use the mask of this picture"
        )
