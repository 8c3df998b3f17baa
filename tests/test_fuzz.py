"""Readers of files from outside: whatever is in them, they return something whole or refuse in words, and soon.

`pytest tests/test_fuzz.py --hypothesis-profile=thorough` tries a hundred times as many.
"""

import io
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dip_exp import config, images
from dip_exp.config import commandline
from dip_exp.config.build import build
from dip_exp.errors import Interrupted, Refused
from dip_exp.experiments.tables import RUN_COLUMNS, read_table
from dip_exp.fit.generations import Generations
from dip_exp.runs.checkpoints import steps_done
from dip_exp.runs.folder import RunFolder, tabled
from dip_exp.runs.order import GROUPS
from tests.bad_inputs import encoded
from tests.fit.test_module import make, run

MOST = settings().max_examples
FUZZ = settings(
    max_examples=MOST * 3 // 10,
    derandomize=MOST < 1000,  # the default suite tries the same files every time
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
KINDS = ("PNG", "JPEG", "TIFF", "WEBP", "PNG16", "NPY", "TIFF32")


def said(error: Exception, pattern: str) -> None:
    """Fails unless a refusal is in words."""
    assert re.search(pattern, str(error)), repr(error)


def whole(kind: str) -> bytes:
    """Returns a picture's file."""
    if kind == "NPY":
        file = io.BytesIO()
        np.save(file, np.random.default_rng(0).random((12, 9, 3), np.float32))
        return file.getvalue()
    file = io.BytesIO()
    if kind == "PNG16":
        Image.fromarray(np.random.default_rng(0).integers(0, 65536, (12, 9), np.uint16)).save(file, "PNG")
    elif kind == "TIFF32":
        Image.fromarray(np.random.default_rng(0).random((12, 9)).astype(np.float32)).save(file, "TIFF")
    else:
        return encoded(kind, size=(12, 9))
    return file.getvalue()


WHOLE = {kind: whole(kind) for kind in KINDS}


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Returns a file with some bytes changed, cut out or put in."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        how = draw(st.sampled_from(("set", "cut", "insert", "end")))
        if how == "set" and data:
            data[place] = draw(st.integers(0, 255))
        elif how == "cut":
            del data[place : place + draw(st.integers(1, 40))]
        elif how == "insert":
            data[place:place] = draw(st.binary(max_size=12))
        else:
            del data[place:]
    return bytes(data)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@FUZZ
@given(data=st.data(), kind=st.sampled_from(KINDS))
def test_a_damaged_picture_is_read_whole_or_refused(data: st.DataObject, kind: str, place: Path):
    path = place / "a.png"
    path.write_bytes(data.draw(damaged(WHOLE[kind])))
    try:
        picture = images.read(path, values="auto")
    except ValueError as error:
        said(error, f"^image '{path}': ")
        return
    assert picture.x.dtype == np.float32
    assert picture.x.ndim == 4
    assert not np.isinf(picture.x).any()


@FUZZ
@given(
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kind=st.sampled_from(["PNG", "TIFF"]),
    seed=st.integers(0, 99),
)
def test_every_mode_comes_back_from_the_disk(mode: str, size: tuple[int, int], kind: str, seed: int, place: Path):
    """Read, written as restored and read again: the same picture at the same depth, alpha included."""
    rng = np.random.default_rng(seed)
    if mode == "I;16":
        source = Image.fromarray(rng.integers(0, 65536, size[::-1], np.uint16))
    else:
        channels = {"LA": 2, "RGB": 3, "RGBA": 4}.get(mode, 1)
        values = rng.integers(0, 256, (*size[::-1], channels), np.uint8)
        plain = Image.fromarray(values[:, :, 0] if channels == 1 else values)
        source = plain if plain.mode == mode else plain.convert(mode)
    source.save(place / f"source.{kind.lower()}", kind)
    first = images.read(place / f"source.{kind.lower()}")
    images.write_restored(place, first.x, first)
    second = images.read(place / "restored.png")
    assert second.depth == first.depth
    assert np.array_equal(first.visible if first.alpha is None else first.x, second.x)
    assert (first.alpha is None) == (second.alpha is None)
    assert first.alpha is None or np.array_equal(first.alpha, second.alpha)


RECORD = json.dumps(
    {"run_id": "ab", "schema": 3, "config": {"results": "r"}, "identity": {"seed": 0}, "scores": {}, "stop": {}}
).encode()


@FUZZ
@given(content=damaged(RECORD) | st.binary(max_size=80))
def test_a_damaged_record_is_a_record_or_refused(content: bytes, place: Path):
    folder = RunFolder(place, "run")
    folder.path.mkdir(parents=True, exist_ok=True)
    (folder.path / "record.json").write_bytes(content)
    try:
        found = folder.record()
    except Refused as error:
        said(error, "record.json is damaged")
        return
    assert found is not None
    assert isinstance(found["config"], dict)


TABLE = (",".join(RUN_COLUMNS) + "\n" + ",".join("1" for _ in RUN_COLUMNS) + "\n").encode()


@FUZZ
@given(content=damaged(TABLE) | st.binary(max_size=80))
def test_a_damaged_table_is_a_table_or_refused(content: bytes, place: Path):
    path = place / "tables/mini/runs.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    try:
        assert list(read_table(path, RUN_COLUMNS).columns) == list(RUN_COLUMNS)
        assert set(tabled(place).values()) <= {path}
    except Refused as error:
        said(error, "runs.csv is damaged")


@pytest.fixture(scope="module")
def snapshot(place: Path) -> bytes:
    """The content of a checkpoint."""
    fit = make(steps=4)
    run(fit)
    file = io.BytesIO()
    torch.save(fit.snapshot(), file)
    return file.getvalue()


@FUZZ
@given(data=st.data(), has_checksum=st.booleans())
def test_a_damaged_checkpoint_is_gone_on_from_or_refused(
    data: st.DataObject, has_checksum: bool, snapshot: bytes, place: Path
):
    """Also one whose checksum fits: somebody may have written it who knows how."""
    path = place / f"{os.getpid()}.pt"
    content = data.draw(damaged(snapshot))
    kept = Generations(path)
    kept.drop()
    kept.write(content) if has_checksum else path.write_bytes(content)
    assert steps_done(kept) >= 0
    try:
        fitted = run(make(steps=4), checkpoint=path)
    except (Refused, ValueError) as error:
        said(error, "^checkpoint: ")
        return
    except Interrupted:
        pytest.fail("nothing interrupts it")
    assert fitted.steps == 4


KEYS = (
    *("optim.lr", "optim.steps", "optim.average", "task.sigma", "seed", "image.box", "image.shrink_to", "precision"),
    *("arch.down", "arch.skip", "input.channels", "stop.patience", "threads", "memory_limit", "tiles", "trust", "more"),
)
VALUES: Any = st.one_of(
    st.integers(-(10**12), 10**12),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    st.lists(st.integers(-5, 300), max_size=5),
)


@settings(FUZZ, max_examples=max(20, MOST // 30))  # composing takes a tenth of a second
@given(key=st.sampled_from(KEYS), value=VALUES, stop=st.sampled_from(["fixed", "emv"]))
def test_any_value_of_a_setting_builds_or_is_refused(key: str, value: Any, stop: str):
    written = "null" if value is None else str(value).replace(" ", "") if isinstance(value, list) else str(value)
    try:
        words = commandline.prepare(["task=denoise", "image.shrink_to=32", f"stop={stop}", f"{key}={written}"])
        plain = config.plain(config.compose(words))
        for group in GROUPS:
            build(plain, group, {})
    except (Refused, *config.UNCOMPOSABLE) as error:
        said(error, ".")
