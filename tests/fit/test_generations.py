"""Two generations of a checkpoint: killed or damaged at any place, one of them is whole and is used."""

import io
import os
import signal
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from dip_exp.errors import Damaged, Interrupted, Refused
from dip_exp.fit.generations import MARK, Generations, content_of
from tests.fit.test_module import At, make, run, same

FIRST, SECOND = b"the first " * 40, b"the second " * 50


@pytest.fixture
def kept(tmp_path: Path) -> Generations:
    return Generations(tmp_path / "checkpoint.pt")


def test_the_newest_is_read_and_the_one_before_it_kept(kept: Generations):
    assert not kept.exist()
    with pytest.raises(FileNotFoundError):
        kept.newest()
    kept.write(FIRST)
    assert kept.newest() == (FIRST, kept.path)
    kept.write(SECOND)
    assert kept.newest() == (SECOND, kept.path)
    assert content_of(kept.before) == FIRST
    kept.drop()
    assert not kept.exist()
    assert not list(kept.path.parent.iterdir())


@example(place=len(MARK) + 64, cut=False, change=1)  # the line end behind the checksum
@given(place=st.integers(0, len(MARK) + 65 + len(SECOND) - 1), cut=st.booleans(), change=st.integers(1, 255))
def test_any_damage_is_noticed_and_the_one_before_is_used(
    place: int, cut: bool, change: int, tmp_path_factory: pytest.TempPathFactory
):
    kept = Generations(tmp_path_factory.mktemp("kept") / "checkpoint.pt")
    kept.write(FIRST)
    kept.write(SECOND)
    whole = bytearray(kept.path.read_bytes())
    if cut:
        del whole[place:]
    else:
        whole[place] ^= change
    kept.path.write_bytes(whole)
    assert kept.newest() == (FIRST, kept.before)
    kept.before.write_bytes(whole)
    with pytest.raises(Damaged, match=r"checkpoint.pt: .*; .*checkpoint.before.pt: "):
        kept.newest()


def test_killed_between_the_two_names_the_one_before_is_used(kept: Generations):
    kept.write(FIRST)
    kept.path.rename(kept.before)
    assert kept.exist()
    assert kept.newest() == (FIRST, kept.before)


def test_a_damaged_one_never_takes_the_place_of_the_one_that_is_whole(kept: Generations, monkeypatch: Any):
    """Damaged, gone on from the one before, and killed again while the next is written."""
    kept.write(FIRST)
    kept.write(SECOND)
    kept.path.write_bytes(kept.path.read_bytes()[:-1])

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            kept.write(b"the third")
    assert kept.newest() == (FIRST, kept.before)
    kept.write(b"the third")
    assert content_of(kept.before) == FIRST
    assert kept.newest() == (b"the third", kept.path)


def test_the_one_that_is_whole_becomes_the_state(kept: Generations, tmp_path: Path):
    kept.keep_as(tmp_path / "state.pt")  # there is none: nothing happens
    assert not (tmp_path / "state.pt").exists()
    kept.write(FIRST)
    kept.write(SECOND)
    kept.path.write_bytes(b"")
    kept.keep_as(tmp_path / "state.pt")
    assert content_of(tmp_path / "state.pt") == FIRST


def test_a_checkpoint_from_before_the_checksum_is_read(tmp_path: Path):
    whole = io.BytesIO()
    torch.save({"start": 7, "x": torch.arange(1000.0)}, whole)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(whole.getvalue())
    assert content_of(path) == whole.getvalue()
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if "data/0" in name)
        place = archive.getinfo(name).header_offset + 200
    damaged = bytearray(whole.getvalue())
    damaged[place] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(Damaged, match="the checksum of"):
        content_of(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"no checkpoint", MARK, MARK + b"0" * 64 + b"\n"])
def test_what_is_no_checkpoint_is_damaged(content: bytes, tmp_path: Path):
    (tmp_path / "c.pt").write_bytes(content)
    with pytest.raises(Damaged):
        content_of(tmp_path / "c.pt")


def test_a_fit_goes_on_from_the_one_before_with_the_same_bits(tmp_path: Path):
    checkpoint = tmp_path / "checkpoint.pt"
    for step in (3, 6):
        with pytest.raises(Interrupted):
            run(make(), At(step, lambda _: _interrupt()), checkpoint=checkpoint)
    kept = Generations(checkpoint)
    before = torch.load(io.BytesIO(content_of(kept.before)), weights_only=True)
    assert before["start"] == 3
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
    assert same(run(make()), run(make(), checkpoint=checkpoint))


def _interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("snapshot", "text"),
    [
        ([1, 2], "it is no snapshot of a fit"),
        ({"start": 3}, "it is no snapshot of a fit"),
        ("text", "it is no snapshot of a fit"),
    ],
)
def test_what_was_written_by_something_else_is_refused(snapshot: object, text: str, tmp_path: Path):
    whole = io.BytesIO()
    torch.save(snapshot, whole)
    Generations(tmp_path / "c.pt").write(whole.getvalue())
    with pytest.raises(ValueError, match=text):
        run(make(), checkpoint=tmp_path / "c.pt")


@pytest.mark.parametrize("key", ["parameters", "optimizer", "history", "average", "kept", "stop"])
def test_a_snapshot_with_a_part_of_another_kind_is_refused(key: str, tmp_path: Path):
    checkpoint = tmp_path / "c.pt"
    with pytest.raises(Interrupted):
        run(make(), At(3, lambda _: _interrupt()), checkpoint=checkpoint)
    snapshot = torch.load(io.BytesIO(content_of(checkpoint)), weights_only=True)
    whole = io.BytesIO()
    torch.save({**snapshot, key: 3}, whole)
    Generations(checkpoint).write(whole.getvalue())
    with pytest.raises(
        Refused, match=r"checkpoint: it does not fit this run \(.*; delete .*c.before.pt to begin again"
    ):
        run(make(), checkpoint=checkpoint)


@pytest.mark.parametrize(
    ("change", "other"),
    [
        (lambda snapshot: 3, {}),
        (lambda snapshot: {**snapshot, "average": 3}, {}),
        (lambda snapshot: {**snapshot, "rule": "Another"}, {}),
        (lambda snapshot: snapshot, {"seed": 4}),
        (lambda snapshot: {**snapshot, "start": object}, {}),  # nothing that is read as numbers
    ],
)
def test_whoever_is_refused_a_checkpoint_reads_that_both_files_go(change: Any, other: dict[str, Any], tmp_path: Path):
    """With the newest deleted alone, the one before it would be refused in the same words."""
    kept = Generations(tmp_path / "mine.pt")
    with pytest.raises(Interrupted):
        run(make(**other), At(3, lambda _: _interrupt()), checkpoint=kept.path)
    changed = io.BytesIO()
    torch.save(change(torch.load(io.BytesIO(kept.newest()[0]), weights_only=True)), changed)
    for _ in range(2):
        kept.write(changed.getvalue())
    for path in (kept.path, kept.before):
        with pytest.raises((ValueError, Refused), match="checkpoint: ") as refused:
            run(make(), checkpoint=kept.path)
        assert f"delete {kept.path} and {kept.before.name} to begin again" in str(refused.value)
        path.unlink()
    assert same(run(make()), run(make(), checkpoint=kept.path))


def test_a_pickle_that_would_run_a_program_is_refused(tmp_path: Path):
    class Attack:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    whole = io.BytesIO()
    torch.save({"of": Attack(), "start": np.int64(3)}, whole)
    Generations(tmp_path / "c.pt").write(whole.getvalue())
    with pytest.raises(Refused, match=r"checkpoint: .*c.pt cannot be read"):
        run(make(), checkpoint=tmp_path / "c.pt")
    assert not (tmp_path / "ran").exists()
