"""Two architectures on the same noisy picture: python examples/compare_archs.py archs=skip,deep_decoder

Both see the same observation and have the same number of steps. The clean picture is given to the problem only so that
the result can be scored; no network sees it. Further words: steps=900 side=128.
"""

import sys

import numpy as np
import skimage.data
import torch
from skimage.transform import resize
from torch import Tensor

from dip_exp import Problem, restore


def main(archs: str = "skip,deep_decoder", steps: str = "900", side: str = "128") -> None:
    x = resize(skimage.data.chelsea(), (int(side), int(side)), anti_aliasing=True).astype(np.float32)
    y = np.clip(x + np.random.default_rng(0).normal(0, 25 / 255, x.shape), 0, 1).astype(np.float32)
    truth = torch.from_numpy(x.transpose(2, 0, 1)[None])

    def problem(observation: Tensor) -> Problem:
        return Problem(y=observation, x=truth)  # the forward operator of denoising is the identity

    for arch in archs.split(","):
        _, record = restore(y, problem, arch=arch, scale="mini", overrides=[f"optim.steps={steps}"])
        psnr = record["scores"]["average"]["psnr"]
        print(f"{arch}: {record['weights']:,} weights, average {psnr:.2f} dB, {record['seconds']:.0f} s")


if __name__ == "__main__":
    main(**dict(word.split("=", 1) for word in sys.argv[1:]))
