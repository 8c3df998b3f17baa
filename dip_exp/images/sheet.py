"""Draws labelled pictures side by side in one picture, for viewing. Uses neither torch nor a plotting library."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dip_exp.images.picture import shown
from dip_exp.shapes import Float32

GAP = 12
LABEL = 34
FONT = 18
LEAST_HEIGHT = 320
"""In pixels. A shorter sheet is enlarged by a whole factor, by nearest neighbour, so that pixels stay sharp."""

MOST_HEIGHT = 800
"""In pixels. Taller pictures are reduced: the sheet is for viewing, and each picture is also saved at full size."""


def side_by_side(panels: list[tuple[str, Float32[np.ndarray, "1 _ _ _"]]]) -> Float32[np.ndarray, "1 3 H W"]:
    """Returns the panels (label, picture (1, C, H, W) in [0, 1]) in a row under their labels, (1, 3, H', W') in [0, 1].

    Shorter pictures are enlarged to the height of the tallest by nearest neighbour. The second line of a label, after
    a newline, is smaller and grey.
    """
    height = max(picture.shape[2] for _, picture in panels)
    height = min(height * max(1, -(-LEAST_HEIGHT // height)), MOST_HEIGHT)
    drawn = [(label, _image(picture, height)) for label, picture in panels]
    font, small = ImageFont.load_default(FONT), ImageFont.load_default(FONT - 4)
    lines = 2 if any("\n" in label for label, _ in panels) else 1
    top = GAP + LABEL - 8 + (lines - 1) * (FONT + 4)
    width = sum(image.width + GAP for _, image in drawn) + GAP
    sheet = Image.new("RGB", (width, top + height + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    left = GAP
    for label, image in drawn:
        first, _, second = label.partition("\n")
        pen.text((left, GAP), first, fill="black", font=font)
        pen.text((left, GAP + FONT + 4), second, fill="#555555", font=small)
        sheet.paste(image, (left, top))
        left += image.width + GAP
    return (np.asarray(sheet, dtype=np.float32) / 255).transpose(2, 0, 1)[None]


def _image(picture: np.ndarray, height: int) -> Image.Image:
    pixels = np.round(shown(picture)[0] * 255).astype(np.uint8)
    rgb = np.broadcast_to(pixels, (3, *pixels.shape[1:])).transpose(1, 2, 0)
    image = Image.fromarray(np.ascontiguousarray(rgb))
    width = max(1, round(image.width * height / image.height))
    enlarging = height >= image.height
    return image.resize((width, height), Image.Resampling.NEAREST if enlarging else Image.Resampling.LANCZOS)
