"""Fill in the missing parts of a picture: python examples/inpaint_mask.py path=torn.png mask=mask.png out=restored.png

The mask has the size of the picture: white is known, black is missing. Without files, a packaged picture and a mask
with two bars are used. Further words: steps=500 side=256 arch=skip_tiny.
"""

import sys

import numpy as np
import skimage.data
import torch
from PIL import Image

from dip_exp import Presentation, Problem, restore


def scratches(height: int, width: int) -> Image.Image:
    """Returns a mask, white but for a black bar and a black column, each a sixteenth wide."""
    known = np.full((height, width), 255, np.uint8)
    known[height // 2 : height // 2 + height // 16] = known[:, width // 4 : width // 4 + width // 16] = 0
    return Image.fromarray(known)


def main(path="", mask="", out="restored.png", side="256", steps="500", arch="skip") -> None:
    photo = Image.open(path).convert("RGB") if path else Image.fromarray(skimage.data.coffee())
    given = Image.open(mask).convert("L") if mask else scratches(photo.height, photo.width)
    photo.thumbnail((int(side), int(side)))
    known = torch.from_numpy(np.asarray(given.resize(photo.size)) > 127).float()[None, None]  # (1, 1, H, W) of {0, 1}

    def problem(y: torch.Tensor) -> Problem:
        return Problem(y=y * known, weight=known, presentation=Presentation(paste=known))  # known pixels stay

    settings = [f"optim.steps={steps}"]
    x_hat, _ = restore(np.asarray(photo), problem, arch=arch, optim="muon", scale="mini", overrides=settings)
    Image.fromarray(np.round(x_hat * 255).astype(np.uint8)).save(out)
    print(f"{out}: {1 - float(known.mean()):.0%} of the picture filled in")


if __name__ == "__main__":
    main(**dict(word.split("=", 1) for word in sys.argv[1:]))
