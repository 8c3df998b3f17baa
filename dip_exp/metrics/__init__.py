"""Output kinds, PSNR and SSIM under named protocols, calibration of standard deviations. Imports no torch."""

from dip_exp.metrics.kinds import MAPS, ORACLES
from dip_exp.metrics.similarity import PROTOCOLS, SSIM_WINDOW, Protocol, decibels, psnr, scores, ssim

__all__ = ["MAPS", "ORACLES", "PROTOCOLS", "SSIM_WINDOW", "Protocol", "decibels", "psnr", "scores", "ssim"]
