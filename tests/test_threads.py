"""Threads that wait sleep soon, unless the user said otherwise, and PyTorch's own library has read it."""

import os
import subprocess
import sys

import pytest

from dip_exp import threads
from tests.conftest import ROOT

SAYS = "import os, dip_exp; print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'))"


def said(code: str, **given: str) -> subprocess.CompletedProcess:
    around = {key: value for key, value in os.environ.items() if key not in threads.OWN}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, env={**around, **given}, capture_output=True, text=True, check=True)


def test_a_process_of_ours_spins_for_a_short_while():
    assert said(SAYS).stdout.split() == [threads.SPINS, "None"]


@pytest.mark.parametrize("given", [{"GOMP_SPINCOUNT": "77"}, {"OMP_WAIT_POLICY": "passive"}])
def test_what_the_user_set_wins(given: dict[str, str]):
    expected = [given.get("GOMP_SPINCOUNT", "None"), given.get("OMP_WAIT_POLICY", "None")]
    assert said(SAYS, **given).stdout.split() == expected


def test_nothing_is_set_once_torch_is_loaded():
    assert said(f"import torch; {SAYS}").stdout.split() == ["None", "None"]


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP says what it read")
def test_the_library_that_torch_brings_has_read_it():
    """OMP_DISPLAY_ENV makes the library say, as it is loaded, what it took."""
    done = said("import dip_exp, torch", OMP_DISPLAY_ENV="verbose")
    assert f"GOMP_SPINCOUNT = '{threads.SPINS}'" in done.stderr


def test_processes_that_are_started_have_it_too():
    """As the launchers' workers, which inherit the environment."""
    code = f"import dip_exp, subprocess, sys; subprocess.run([sys.executable, '-c', {SAYS!r}], check=True)"
    assert said(code).stdout.split() == [threads.SPINS, "None"]
