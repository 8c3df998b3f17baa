"""Laws of the precision: `auto` is decided before the identity, and a machine without the units says so."""

from pathlib import Path

import pytest

from dip_exp import config
from dip_exp.config import precision
from tests.conftest import ROOT, Runner


@pytest.fixture
def having(monkeypatch: pytest.MonkeyPatch):
    """Gives this machine's processor other units."""

    def give(*names: str) -> None:
        monkeypatch.setattr(precision, "units", lambda: names)

    return give


def identity(*words: str) -> str:
    settings = config.plain(config.layered(words))
    return config.run_id(config.identity(settings, {}))


def test_auto_is_no_precision_of_a_run(having):
    for units, decided in (("AMX",), "bf16"), (("AVX-512 BF16",), "bf16"), ((), "fp32"):
        having(*units)
        settings = config.plain(config.layered(["precision=auto", "trainer=cpu"]))
        assert settings["precision"] == decided
        assert identity("precision=auto", "trainer=cpu") == identity(f"precision={decided}")


def test_auto_takes_half_precision_only_for_a_network_with_a_step_of_its_own(having):
    having("AMX")
    assert identity("precision=auto", "trainer=cpu", "arch=resnet") == identity("arch=resnet")
    assert identity("precision=auto", "trainer=cpu", "arch=skip_narrow") == identity(
        "arch=skip_narrow", "precision=bf16"
    )


@pytest.mark.parametrize("asked", ["fp32", "fp64", "tf32", "bf16"])
def test_what_is_asked_for_is_what_runs(asked: str, having):
    having()
    assert config.plain(config.layered([f"precision={asked}"]))["precision"] == asked


def test_a_record_says_what_ran(run: Runner, having, capsys: pytest.CaptureFixture[str]):
    having("AMX")
    record = run("precision=auto", "arch=skip_narrow", "optim.steps=3", "image.shrink_to=48")
    assert record["config"]["precision"] == "bf16"
    assert "no units" not in capsys.readouterr().out


def test_a_processor_without_units_is_told_of_before_the_first_step(run: Runner, having, capsys):
    having()
    run("precision=bf16", "optim.steps=2")
    lines = capsys.readouterr().out.splitlines()
    (told,) = [number for number, line in enumerate(lines) if "no units for bfloat16" in line]
    assert "precision=fp32" in lines[told]
    (began,) = [number for number, line in enumerate(lines) if " in bf16 on cpu: " in line]
    assert told < began


def test_units_are_read_off_the_processors_own_list(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    listing = tmp_path / "cpuinfo"
    monkeypatch.setattr(precision, "Path", lambda _: listing)
    for text, found in (
        ("flags\t\t: fpu avx512_bf16 amx_bf16 amx_tile\n", ("AMX", "AVX-512 BF16")),
        ("flags\t\t: fpu avx2\n", ()),
        ("Features\t: fp asimd bf16\n", ()),
    ):
        listing.write_text(text)
        precision.units.cache_clear()
        assert precision.units() == found
    listing.unlink()
    precision.units.cache_clear()
    assert precision.units() == ()
    precision.units.cache_clear()


def test_muon_is_never_given_half_precision_and_who_asks_for_it_is_told(having):
    having("avx512_bf16")
    assert identity("precision=auto", "trainer=cpu", "optim=muon") == identity("optim=muon", "trainer=cpu")
    for preset in sorted(path.stem for path in (ROOT / "conf/preset").glob("*.yaml")):
        settings = config.plain(config.layered([f"preset={preset}", "trainer=cpu"]))
        assert precision.remark(settings, "cpu") is None
    asked = config.plain(config.layered(["optim=muon", "precision=bf16", "trainer=cpu"]))
    assert "may diverge: use precision=fp32" in str(precision.remark(asked, "cpu"))
