"""Denoising of a picture taken with few photons."""

import numpy as np

from dip_exp.component import Positive, component
from dip_exp.observe import degrade
from dip_exp.shapes import Float32
from dip_exp.tasks.denoise import Denoising
from dip_exp.tasks.noise import Noise, clipped_variance


@component
class DenoisePoisson(Denoising):
    """Photon counts, y = Poisson(peak x) / peak, clipped. peak: mean count of a white pixel."""

    peak: Positive = 30.0

    def degraded(self, x: Float32[np.ndarray, "1 C H W"], rng: np.random.Generator) -> Float32[np.ndarray, "1 C H W"]:
        return degrade.poisson(x, self.peak, rng)

    def noise(self) -> Noise:
        """Returns noise of variance x / peak; the effect of clipping is approximated by that on Gaussian noise."""
        return Noise(lambda a_x: clipped_variance(a_x, (a_x.clamp(0, 1) / self.peak).sqrt()))
