"""The picture of the README: four pixels in five are missing, and the network fills them in. `make demo` runs this.

python examples/demo.py steps=500 out=demo.png results=FOLDER, and any other setting of run.py, such as image=chelsea
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = "task=inpaint optim=muon scale=mini task.mask.missing=0.8 image.box=[88,0,256,256] image.shrink_to=256"
PANELS = {
    "observation": ("One pixel in five", "the other four are missing"),
    "pasted": ("Restored", "by a network without training data"),
    "truth": ("Original", "for comparison only"),
}
GAP, TOP = 12, 56  # pixels


def main(out: str = "", results: str = str(ROOT / "results/demo"), steps: str = "500", **settings: str) -> None:
    words = [*SETTINGS.split(), f"optim.steps={steps}", f"results={results}", *map("=".join, settings.items())]
    subprocess.run([sys.executable, ROOT / "run.py", *words], check=True, cwd=ROOT)
    newest = max(Path(results).glob("runs/*/outputs.npz"), key=lambda path: path.stat().st_mtime)
    pixels = [np.load(newest)[kind][0].transpose(1, 2, 0) for kind in PANELS]
    panels = [Image.fromarray(np.uint8(np.round(x * 127) * 2)) for x in pixels]  # 7 bits: a smaller file
    sheet = Image.new("RGB", (3 * panels[0].width + 4 * GAP, TOP + panels[0].height + GAP), "white")
    pen, large, small = ImageDraw.Draw(sheet), ImageFont.load_default(20), ImageFont.load_default(14)
    for column, (panel, (title, note)) in enumerate(zip(panels, PANELS.values(), strict=True)):
        pen.text((left := GAP + column * (panel.width + GAP), 8), title, fill="black", font=large)
        pen.text((left, 33), note, fill="#555555", font=small)
        sheet.paste(panel, (left, TOP))
    sheet.save(target := out or f"{results}/demo.png", optimize=True)
    print(f"three panels:     {target}")


if __name__ == "__main__":
    main(**dict(word.split("=", 1) for word in sys.argv[1:]))
