"""How pictures are compared: PSNR and SSIM under named protocols, calibration of a spread. No torch."""

from dip_exp.metrics.kinds import MAPS, ORACLES
from dip_exp.metrics.similarity import PROTOCOLS, SSIM_WINDOW, Protocol, decibels, psnr, scores, ssim

__all__ = ["MAPS", "ORACLES", "PROTOCOLS", "SSIM_WINDOW", "Protocol", "decibels", "psnr", "scores", "ssim"]
