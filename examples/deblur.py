"""Restore a motion-blurred picture with a forward operator of your own: no training data, no change to the package.

    python examples/deblur.py steps=1000 side=128

Further words: arch=skip_tiny.
"""

import sys

import numpy as np
import skimage.data
import torch
import torch.nn.functional as F
from skimage.transform import resize

from dip_exp import Problem, restore

LENGTH = 7


def blur(x: torch.Tensor) -> torch.Tensor:
    """A: a horizontal motion of LENGTH pixels; the picture is continued by its border."""
    kernel = torch.full((x.shape[1], 1, 1, LENGTH), 1 / LENGTH, dtype=x.dtype, device=x.device)
    padded = F.pad(x, (LENGTH // 2, LENGTH // 2, 0, 0), mode="replicate")
    return F.conv2d(padded, kernel, groups=x.shape[1])


def main(steps: int | str = 1000, side: int | str = 128, arch: str = "skip") -> tuple[float, float]:
    """Returns the PSNR of the blurred picture and of the restored one, in dB."""
    x = resize(skimage.data.astronaut(), (int(side), int(side)), anti_aliasing=True).astype(np.float32)
    tensor = torch.from_numpy(x.transpose(2, 0, 1)[None])
    y = blur(tensor)[0].numpy().transpose(1, 2, 0)
    settings = [f"optim.steps={steps}"]
    x_hat, _ = restore(y, lambda y: Problem(y=y, forward=blur), arch=arch, scale="mini", overrides=settings)
    return tuple(float(-10 * np.log10(np.mean((picture - x) ** 2))) for picture in (y, x_hat))


if __name__ == "__main__":
    blurred, restored = main(**dict(word.split("=", 1) for word in sys.argv[1:]))
    print(f"blurred {blurred:.2f} dB, restored {restored:.2f} dB")
