"""Sources of the flash picture for flash/no-flash restoration. Imports no task."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from pydantic import Field

from dip_exp import images
from dip_exp.component import Fraction, NonNegative, PathText, PositiveInt, component, located
from dip_exp.observe.degrade import gaussian
from dip_exp.shapes import Float, Float32

ALIKE = 0.1
"""The least correlation of the edges of two pictures of one view. Pairs from packaged pictures (64 to 160 pixels, noise
of 10 and 25) had 0.15 and more, pictures of two scenes 0.08 and less."""

UNREGISTERED = 0.5
"""In pixels. A larger shift between the pictures of a pair is reported to the user."""


@dataclass(frozen=True)
class Pair:
    """flash, y: the picture with flash and the noisy one without, (1, C, H, W) in [0, 1]. x: the truth of y, or None.
    notes: sentences that tell the user about the pair."""

    flash: Float32[np.ndarray, "1 C H W"]
    y: Float32[np.ndarray, "1 C H W"]
    x: Float32[np.ndarray, "1 C H W"] | None = None
    notes: tuple[str, ...] = ()


class Flash(ABC):
    """Provides the flash picture of a pair. made_up: both pictures of the pair are synthesised from a clean picture."""

    made_up: ClassVar[bool] = True

    @abstractmethod
    def pair(self, picture: Float[np.ndarray, "1 C H W"], rng: np.random.Generator) -> Pair:
        """Returns the pair. `picture` is the one without flash, or the clean one if the pair is made up."""

    def along(self, frame: images.Frame) -> "Flash":
        """Returns the source for a picture that is the part `frame` of its file. Only files change."""
        return self


@component
class Synthetic(Flash):
    """A synthetic pair made from one picture, for trying things out. Its note says so wherever the pair is shown.

    Without flash: the picture in dim light (`exposure`) with a warm cast, plus noise of standard deviation `sigma`
    (8-bit units). With flash: cool light that falls off from the centre (the corners lose the fraction `falloff`), and
    a hard shadow (which takes the fraction `shadow`) right of the centre; no noise.
    """

    exposure: Fraction = 0.6
    cast: list[Fraction] = Field(default=[1.0, 0.8, 0.55], min_length=3, max_length=3)
    sigma: NonNegative = 25.0
    falloff: Fraction = 0.6
    shadow: Fraction = 0.75

    def pair(self, picture: Float[np.ndarray, "1 C H W"], rng: np.random.Generator) -> Pair:
        if picture.shape[1] not in (1, 3):
            raise ValueError(
                f"flash: a pair is made up of a grey or RGB picture, and this has {picture.shape[1]} bands"
            )
        colour = np.repeat(picture, 3 // picture.shape[1], axis=1)
        _, _, height, width = colour.shape
        x = colour * self.exposure * np.array(self.cast)[None, :, None, None]
        y = gaussian(x.astype(np.float32), self.sigma, rng)
        rows, columns = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
        light = 1 - self.falloff * np.clip((rows**2 + columns**2) / 2, 0, 1)
        light = np.where((abs(rows) < 0.45) & (columns > 0.2) & (columns < 0.42), light * (1 - self.shadow), light)
        flash = colour * light * np.array([0.92, 0.97, 1.0])[None, :, None, None]
        notes = ("the pair is synthetic: made of one picture, for trying things out",)
        return Pair(flash.clip(0, 1).astype(np.float32), y, x.astype(np.float32), notes)


@component
class FlashFile(Flash):
    """The flash picture in a file, of the same size as the other picture, or as that one's file: then it is cropped and
    reduced as the other is. register: align it with the other by a translation, in whole and fractional pixels;
    rotation and parallax remain. crop_multiple: as for the other picture; applied to the flash picture. sha256: the
    hash that the file must have; null: not checked."""

    made_up: ClassVar[bool] = False

    path: PathText
    sha256: str | None = None
    register: bool = False
    crop_multiple: PositiveInt | None = None
    _frame: ClassVar[images.Frame | None] = None

    def along(self, frame: images.Frame) -> "FlashFile":
        """See `Flash.along`."""
        ours = replace(self)
        object.__setattr__(ours, "_frame", frame)  # no setting: it follows from those of `image`
        return ours

    def pair(self, picture: Float[np.ndarray, "1 C H W"], rng: np.random.Generator) -> Pair:
        flash = images.read(located(self.path), self.sha256, what="flash").visible
        if self._frame is not None:
            flash = self._frame.along(flash, (picture.shape[2], picture.shape[3]))
        if self.crop_multiple is not None:
            flash = images.centre_crop(flash, self.crop_multiple)
        if flash.shape[2:] != picture.shape[2:]:
            sizes = " and ".join(f"{one.shape[3]}x{one.shape[2]}" for one in (flash, picture))
            raise ValueError(
                f"flash: the pictures with and without flash are {sizes}; they must be of one size and view"
            )
        if flash.shape[1] != picture.shape[1] and 1 not in (flash.shape[1], picture.shape[1]):
            raise ValueError(
                f"flash: the pictures with and without flash have {flash.shape[1]} and {picture.shape[1]} channels; "
                "they must have as many, or one of them one"
            )
        if flash.shape[1] != picture.shape[1]:
            channels = max(flash.shape[1], picture.shape[1])
            flash, picture = (np.repeat(one, channels // one.shape[1], axis=1) for one in (flash, picture))
        shift_found = shift_between(picture, flash)
        if shift_found is None:
            unlike = "no shift brings the edges of the two pictures together: do they show the same view?"
            return Pair(flash, picture, notes=(unlike,))
        down, right = shift_found
        aside, over = ("left" if right > 0 else "right"), ("above" if down > 0 else "below")
        apart = (
            f"the flash picture lies about {abs(right):.1f} pixels {aside} of the other and {abs(down):.1f} {over} it"
        )
        if max(abs(down), abs(right)) < UNREGISTERED:
            return Pair(flash, picture)
        if not self.register:
            return Pair(flash, picture, notes=(f"{apart}; task.flash.register=true moves it onto the other",))
        from scipy.ndimage import shift

        moved = shift(flash, (0, 0, down, right), order=1, mode="nearest").clip(0, 1).astype(np.float32)
        return Pair(moved, picture, notes=(f"{apart}, and was moved onto it",))


def shift_between(
    fixed: Float[np.ndarray, "1 C H W"], moving: Float[np.ndarray, "1 C H W"]
) -> tuple[float, float] | None:
    """Returns the rows and columns by which `moving` must be shifted to align with `fixed`, to a tenth of a pixel; None
    if no shift aligns them.

    Phase correlation of the gradient magnitudes: flash changes brightness and colour, but not where objects end. It
    always has a peak somewhere; the shift counts only if the edges then are alike.
    """
    from skimage.registration import phase_cross_correlation

    edges = [np.hypot(*np.gradient(one[0].mean(axis=0))) for one in (fixed, moving)]
    if not all(one.any() for one in edges):
        return None
    window = np.outer(*(np.hanning(side) for side in fixed.shape[2:]))
    peak, _, _ = phase_cross_correlation(edges[0] * window, edges[1] * window, upsample_factor=10)
    shift = (float(peak[0]), float(peak[1]))
    found, still = _likeness(edges[0], edges[1], shift), _likeness(edges[0], edges[1], (0.0, 0.0))
    if max(found, still) < ALIKE:
        return None
    return shift if found >= still else (0.0, 0.0)


def _likeness(fixed: np.ndarray, moving: np.ndarray, shift: tuple[float, float]) -> float:
    """Returns the correlation of two maps (H, W), where they overlap once `moving` is shifted by whole pixels."""
    here, there = [], []
    for side, by in zip(fixed.shape, map(round, shift), strict=True):
        here.append(slice(max(0, by), side + min(0, by)))
        there.append(slice(max(0, -by), side + min(0, -by)))
    a, b = fixed[tuple(here)], moving[tuple(there)]
    if not a.size or not a.std() or not b.std():
        return 0.0
    return float(((a - a.mean()) * (b - b.mean())).mean() / (a.std() * b.std()))
