"""The benchmarks run: what they time is what they say, on networks too small to tell anything."""

import csv
from pathlib import Path

import pytest
import torch
from torch.func import stack_module_state

from dip_exp import config
from dip_exp.fit import progress
from scripts.bench import estimate, large, loops, pages, pair, presets, seeds
from tests.conftest import SMOKE

TINY = [word for word in SMOKE if "experiment" not in word] + ["image.shrink_to=32", "arch=skip_tiny", "optim.steps=3"]


@pytest.mark.parametrize("contestant", ["bare", "bare_kept", "bare_bf16", "notebook", "ours_bare"])
def test_every_contestant_takes_its_turn(contestant: str):
    measured = loops.by_hand(contestant, 64, 8, loops.UNTIMED + 2, torch.device("cpu"), False)
    seconds = measured["seconds"]
    assert isinstance(seconds, list)
    assert len(seconds) == 2
    assert min(seconds) > 0


@pytest.mark.parametrize("way", seeds.WAYS)
def test_seeds_go_every_way(way: str):
    seconds = seeds.WAYS[way](64, 8, 4)
    assert len(seconds) == 4
    assert min(seconds) > 0


@pytest.mark.slow
def test_processes_begin_together_and_one_that_fails_is_named(monkeypatch):
    monkeypatch.setattr(seeds, "CASES", ())
    monkeypatch.setattr(seeds, "SECONDS", 0.1)
    assert seeds.measure(1, 2) == []
    assert seeds.turns("ours", 64, 8, 2, 1) > 0
    with pytest.raises(SystemExit, match=r"error: bench_seeds: ours at 8 px, width 8: a process ended with 1"):
        seeds.turns("ours", 8, 8, 2, 1)
    with pytest.raises(SystemExit, match=r"--threads is 1; must be 2 or more"):
        seeds.measure(1, 1)


def test_a_batch_of_weights_has_the_gradients_of_each():
    nets = [seeds.network(8) for _ in range(2)]
    with torch.no_grad():
        for parameter in nets[1].parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    nets = [net.double() for net in nets]
    z, y = torch.rand(2, 1, 32, 64, 64).double(), torch.rand(1, 3, 64, 64).double()
    together = seeds.slopes_of(nets[0], y)(*stack_module_state(nets), z)
    for number, net in enumerate(nets):
        torch.nn.functional.mse_loss(net(z[number]), y).backward()
        for name, parameter in net.named_parameters():
            assert torch.allclose(together[name][number], parameter.grad, atol=1e-12)


@pytest.mark.slow
def test_a_pair_is_timed_in_real_processes(monkeypatch):
    monkeypatch.setattr(seeds, "SECONDS", 0.1)
    assert pair.step(64, 8, 1, "beside a niced one", "passive") > 0


def test_every_setting_is_timed_alone_as_a_pair_and_beside_a_niced_one(monkeypatch):
    """The processes are started so, and the table has the slower of a pair: of two that say 1 and 3 seconds, 3."""
    started = []

    def told(each: list[tuple[list[str], int]], around: dict[str, str]) -> list[list[float]]:
        setting = next(name for name, own in pair.SETTINGS.items() if own.items() <= around.items())
        assert not ({*pair.threads.OWN} & around.keys()) - pair.SETTINGS[setting].keys()
        assert all(words == ["ours", "64", "8", "1"] for words, _ in each)
        started.append((setting, [nice for _, nice in each]))
        return [[1.0 + 2 * number] * 3 for number, _ in enumerate(each)]

    monkeypatch.setattr(pair, "beginning_together", told)
    rows = pair.measure([64], 8, ["3000", "passive"], 1, 1)
    assert [(row["spin"], row["way"]) for row in rows] == [
        (setting, way) for setting in ("3000", "passive") for way in pair.WAYS
    ]
    assert started == [(setting, pair.WAYS[way]) for setting in ("3000", "passive") for way in pair.WAYS]
    assert {(row["way"], row["seconds"], row["of_alone"]) for row in rows} == {
        ("alone", "1.00000", "1.000"),
        ("a pair", "3.00000", "3.000"),
        ("beside a niced one", "1.00000", "1.000"),
    }


def test_the_spin_that_is_set_is_one_that_is_timed():
    assert pair.SETTINGS[pair.threads.SPINS] == {pair.threads.SPIN: pair.threads.SPINS}


def test_an_estimate_stands_beside_what_a_run_took(monkeypatch):
    words = ["experiment=smoke", "task=denoise", "trainer.progress=off"]
    monkeypatch.setattr(estimate, "CASES", {"tiny": words})
    monkeypatch.setattr(estimate.callbacks, "Pace", estimate.callbacks.Pace)  # put back afterwards
    found = estimate.case(words, 1)
    assert set(found) == {"estimated", "own", "wall", "share"}
    assert 0 < found["own"] <= found["wall"]


def test_the_page_says_what_the_table_of_presets_says():
    block = presets.PAGE.read_text().partition(presets.BEGIN)[2].partition(presets.END)[0]
    rows = presets.table()
    assert block.strip() == (presets.summary(rows) if rows else "")


def test_a_preset_is_timed_and_scored(tmp_path, monkeypatch):
    monkeypatch.setattr(presets.config, "compose", lambda words: config.layered([*words, *TINY]))
    row = presets.row_of("quick", "inpaint", "chelsea", tmp_path)
    assert set(row) == set(presets.COLUMNS)
    assert row["size"] == "32x21"
    assert float(row["psnr"]) > 5
    assert row["classical"] == "biharmonic"


@pytest.mark.parametrize("size", [(4000, 3000), (450, 310)])
def test_a_sheet_has_the_size_and_its_scratches_are_few(size: tuple[int, int]):
    x, missing = large.sheet(*size), large.scratches(*size)
    assert x.shape == (1, 3, size[1], size[0])
    assert missing.shape == x.shape[2:]
    assert 0 < missing.mean() < 0.05
    assert x.std() > 0.1


@pytest.mark.long
def test_a_large_picture_is_restored_as_by_a_user_and_its_damage_scored(tmp_path: Path):
    row = large.measured(192, 128, "inpaint", tmp_path, ("tiles=96", "tile_overlap=16", "optim.steps=2"))
    assert set(row) == set(large.COLUMNS)
    assert int(row["runs"]) + int(row["copied"]) == 6
    assert int(row["runs"]) > 0
    assert 3 < float(row["result_db"]) < float(row["classical_db"])
    assert 0.1 < float(row["gigabytes"]) < 10


def test_pages_are_timed_and_weighed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "PICTURE_SECONDS", 0.05)
    found = [*pages.reports(tmp_path, (32,), steps=20), *pages.shares(tmp_path, (32,), 0.3)]
    assert [(row[0], row[3]) for row in found] == [("report", "s"), ("report", "MB"), ("live page", "%")]
    assert all(row[2] > 0 for row in found)
    place = pages._page_of(tmp_path, 30)
    assert place.is_file()
    assert (tmp_path / "runs.js").read_text().count('"mini"') == 30


def test_the_page_of_speed_prints_the_committed_costs_of_pages():
    with pages.RESULT.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    block = pages.DOCUMENT.read_text().partition(pages.BEGIN)[2].partition(pages.END)[0]
    assert block.strip() == pages.summary(rows)
