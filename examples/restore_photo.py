"""Denoise a photo of your own: python examples/restore_photo.py path=photo.png out=restored.png

The stop rule `emv` watches the outputs and ends the fit before it takes on the noise. Without `path`, noise is added to
a packaged picture first. Further words: steps=500 side=256 arch=skip_tiny.
"""

import sys

import numpy as np
import skimage.data
from PIL import Image

from dip_exp import restore


def noisy_picture() -> np.ndarray:
    """Returns a packaged picture with Gaussian noise, 25 of 255 grey levels."""
    clean = skimage.data.chelsea()
    return np.clip(clean + np.random.default_rng(0).normal(0, 25, clean.shape), 0, 255).astype(np.uint8)


def main(path: str = "", out: str = "restored.png", side: str = "256", steps: str = "", arch: str = "skip") -> None:
    photo = Image.open(path).convert("RGB") if path else Image.fromarray(noisy_picture())
    photo.thumbnail((int(side), int(side)))  # large pictures take long: give side=2000 to keep yours as it is
    overrides = [f"optim.steps={steps}"] if steps else []
    x_hat, record = restore(
        np.asarray(photo), "denoise", arch=arch, stop="emv", scale="mini", overrides=overrides, progress=True
    )
    Image.fromarray(np.round(x_hat * 255).astype(np.uint8)).save(out)
    print(f"{out}: step {record['stop']['step']} of {record['steps']} ({record['stop']['reason']})")


if __name__ == "__main__":
    main(**dict(word.split("=", 1) for word in sys.argv[1:]))
