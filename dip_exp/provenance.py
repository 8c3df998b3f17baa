"""The provenance of a result: versions, commit, threads, as plain facts for the record."""

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "lightning", "hydra-core", "omegaconf", "numpy", "scikit-image", "pillow", "wandb", "pandas")
PACKAGES += ("scipy", "pywavelets", "bm3d")

COMPUTES = ("dip_exp", "conf", "scripts", "run.py", "pyproject.toml", "constraints.txt")
"""The parts of a checkout that a result can depend on. Tables and figures, which a campaign writes, are not
included."""


def without_home(value: Any) -> Any:
    """Returns settings, or the words of a command, in which the home folder is `~`: records and logs are shared."""
    home = str(Path.home())
    if isinstance(value, dict):
        return {key: without_home(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_home(item) for item in value]
    if not isinstance(value, str) or len(home) < 2:
        return value
    return re.sub(rf"(?<![^\s='\",:\[]){re.escape(home)}(?![^/\s'\",\]])", "~", value)


def versions() -> dict[str, str]:
    """Returns {package: version} of the packages that compute and write a result."""
    found = {"dip_exp": _version("dip_exp"), **{name: _version(name) for name in PACKAGES}}
    return {name: number for name, number in found.items() if number is not None}


def commit() -> tuple[str | None, bool | None]:
    """Returns (commit, dirty) of the checkout that contains this code, or (None, None) outside a checkout.

    dirty: whether files under `COMPUTES` differ from the commit, or are neither tracked nor ignored by git.
    """
    return commit_of(Path(__file__).resolve().parent.parent)


def commit_of(root: Path) -> tuple[str | None, bool | None]:
    """Returns (commit, dirty) of the checkout whose top folder is `root`."""
    if not (root / ".git").exists():
        return None, None
    try:
        head = _git(root, "rev-parse", "HEAD")
        return head, bool(_git(root, "status", "--porcelain", "--", *COMPUTES))
    except (OSError, subprocess.SubprocessError):
        return None, None


def cores() -> int:
    """Returns the number of CPU threads to use: OMP_NUM_THREADS if set, else the number of cores available to this
    process, within a container's quota."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    allowed = len(os.sched_getaffinity(0)) if "sched_getaffinity" in dir(os) else os.cpu_count() or 1
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.is_file():
        share, period = quota.read_text().split()[:2]
        if share != "max":
            allowed = max(1, min(allowed, round(int(share) / int(period))))
    return allowed


def processor() -> str:
    """Returns the processor's name, or its architecture if the name is unknown."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text(encoding="utf-8", errors="replace").splitlines() if listed.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
