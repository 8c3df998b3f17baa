"""`out`: the restored picture where the user wants it, in the format of its suffix, over nothing that was there."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from dip_exp import images
from dip_exp.errors import Refused
from dip_exp.images import export
from dip_exp.runs.delivery import delivery
from tests.conftest import Runner


def restored(folder: Path, shape: tuple[int, ...] = (9, 7, 3), depth: type = np.uint8) -> Path:
    """Returns a folder with a restored.png of random levels."""
    folder.mkdir(exist_ok=True)
    levels = np.random.default_rng(0).integers(0, np.iinfo(depth).max, shape, dtype=depth, endpoint=True)
    x = (levels[..., :3] if shape[-1] > 1 else levels).transpose(2, 0, 1)[None] / np.iinfo(depth).max
    alpha = (levels[..., 3] / np.iinfo(depth).max).astype(np.float32) if shape[-1] == 4 else None
    name = np.dtype(depth).name
    like = images.Picture(x.astype(np.float32), alpha, None, name, "a", "")  # type: ignore[arg-type]
    images.write_restored(folder, x.astype(np.float32), like)
    return folder


@pytest.mark.parametrize("suffix", export.SUFFIXES)
@pytest.mark.parametrize("shape", [(9, 7, 1), (9, 7, 3), (9, 7, 4)])
def test_every_format_holds_the_picture(tmp_path: Path, suffix: str, shape: tuple[int, ...]):
    folder = restored(tmp_path / "run", shape)
    if suffix in (".jpg", ".jpeg") and shape[-1] == 4:
        with pytest.raises(ValueError, match=r"JPEG holds no alpha.*\.png, \.tif or \.webp"):
            export.check(suffix, (7, 9), has_alpha=True)
        return
    export.check(suffix, (7, 9), has_alpha=shape[-1] == 4)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(export.exported(folder, suffix))
    kind = {".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}.get(suffix, suffix[1:].upper())
    with Image.open(path) as image, Image.open(folder / "restored.png") as source:
        assert image.format == kind
        assert image.size == source.size
        far = np.abs(np.asarray(image.convert("RGBA"), float) - np.asarray(source.convert("RGBA"), float)).max()
    assert far == 0 or (kind == "JPEG" and far < 40)


@pytest.mark.parametrize("shape", [(9, 7, 1), (9, 7, 3), (9, 7, 4)])
def test_a_tiff_keeps_16_bits(tmp_path: Path, shape: tuple[int, ...]):
    folder = restored(tmp_path / "run", shape, np.uint16)
    (tmp_path / "a.tif").write_bytes(export.exported(folder, ".tif"))
    found, source = tifffile.imread(tmp_path / "a.tif"), images.read(folder / "restored.png")
    assert found.dtype == np.uint16
    assert np.array_equal(found.reshape(shape)[..., 0], np.rint(source.x[0, 0].astype(float) * 65535))


def test_a_picture_too_large_for_a_format_is_refused():
    with pytest.raises(ValueError, match=r"a \.webp file holds at most 16383 pixels a side, .* is 20000x10"):
        export.check(".webp", (20000, 10), has_alpha=False)


def words(tmp_path: Path) -> list[str]:
    images.write(tmp_path / "a.png", np.random.default_rng(0).random((1, 3, 20, 24)).astype(np.float32))
    return ["image=file", f"image.path='{tmp_path / 'a.png'}'", "image.shrink_to=null"]


def test_a_run_writes_its_picture_there_and_over_nothing(run: Runner, tmp_path: Path, capsys: pytest.CaptureFixture):
    given, out = words(tmp_path), tmp_path / "new folder/b.tif"
    done = run(*given, f"out='{out}'")
    picture = tmp_path / "results/runs" / done["run_id"] / "restored.png"
    assert np.array_equal(images.read(out).x, images.read(picture).x)
    assert f"written to:       {out}" in capsys.readouterr().out
    run(*given, f"out='{out}'")  # the same command again: it is there
    assert run(*given, f"out='{tmp_path / 'c.png'}'") == done  # of a finished run
    assert (tmp_path / "c.png").read_bytes() == picture.read_bytes()
    out.write_text("mine")
    with pytest.raises(Refused, match=r"out: .*b\.tif is there already  \[overwrite=true"):
        run(*given, f"out='{out}'")
    assert out.read_text() == "mine"
    run(*given, f"out='{out}'", "overwrite=true")
    assert images.read(out).size == (24, 20)


def test_the_mean_of_runs_is_written_there(tmp_path: Path):
    from dip_exp import config
    from dip_exp.runs.mean import run_mean
    from tests.conftest import SMOKE

    out = tmp_path / "mean.png"
    cfg = config.compose([*SMOKE, "runs=2", f"results={tmp_path}", f"out={out}"])
    done = run_mean(cfg, {"task": "denoise", "arch": "skip_tiny", "image": "astronaut", "optim": "adam"}, ["run.py"])
    assert out.read_bytes() == (tmp_path / "runs" / done["run_id"] / "restored.png").read_bytes()


REFUSED = [
    ("{}/a.png", "a.png is a file that this run reads"),
    ("{}/b.bmp", r"names no format; let it end in one of \.png, \.jpg"),
    ("{}/b", "names no format"),
    ("{}/a.png/b.png", "a.png is no folder that may be written to"),
    ("{}/here.png", r"here\.png is there already"),
]


@pytest.mark.parametrize(("out", "text"), REFUSED)
def test_what_cannot_be_written_is_refused_before_the_first_step(run: Runner, tmp_path: Path, out: str, text: str):
    given = words(tmp_path)
    (tmp_path / "here.png").write_text("mine")
    with pytest.raises(Refused, match=text) as refusal:
        run(*given, f"out='{out.format(tmp_path)}'")
    assert "[" in str(refusal.value)
    assert not (tmp_path / "results").exists()


def test_a_folder_keeps_the_names(tmp_path: Path):
    config = {"out": str(tmp_path), "overwrite": False, "image": {"path": "x/b, c.JPG"}}

    def path(several: bool = False, **more: object) -> str:
        found = delivery({**config, **more}, several=several)
        assert found is not None
        return str(found.path)

    assert path() == path(several=True) == str(tmp_path / "b, c.JPG")
    assert path(several=True, out="new") == "new/b, c.JPG"
    assert path(out="new/") == "new/b, c.JPG"
    assert path(image={"path": "a.fits"}) == str(tmp_path / "a.fits.png")
    assert path(image={"name": "coffee"}) == str(tmp_path / "coffee.png")
    assert delivery({**config, "out": None}, several=False) is None
    with pytest.raises(Refused, match=r"out: given all\.png for the jobs of a multirun, which are many; name a folder"):
        path(several=True, out="all.png")


def test_alpha_is_told_of_before_the_first_step(run: Runner, tmp_path: Path):
    rgba = np.random.default_rng(0).integers(0, 256, (20, 24, 4), dtype=np.uint8)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    given = ["image=file", f"image.path='{tmp_path / 'a.png'}'", "image.shrink_to=null", f"out='{tmp_path / 'b.jpg'}'"]
    with pytest.raises(Refused, match=r"out: .*b\.jpg: JPEG holds no alpha"):
        run(*given)
    assert not (tmp_path / "results").exists()


def test_what_could_not_be_written_at_the_end_is_refused_before_the_fit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dip_exp.images.pixels.MAX_PIXELS", 20)
    export.check(".png", (7, 9), has_alpha=False)
    for suffix in set(export.SUFFIXES) - {".png"}:
        with pytest.raises(ValueError, match=r"is 7x9; with more than 20 pixels it is written as PNG alone"):
            export.check(suffix, (7, 9), has_alpha=False)
