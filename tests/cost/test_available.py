"""The memory that a process can have, read from files as Linux writes them."""

from pathlib import Path

import pytest
import torch

from dip_exp.cost import available

CPU = torch.device("cpu")
GB = 10**9


def machine(root: Path, cgroup: str = "", files: dict[str, object] | None = None) -> Path:
    """Writes a machine with 8 GB free, whose process holds 1 GB of memory and 3 GB of addresses."""
    texts = {
        "proc/meminfo": f"MemTotal: 16000000 kB\nMemAvailable:   {8 * GB // 1024} kB\n",
        "proc/self/status": f"Name:\tx\nVmSize:\t {3 * GB // 1024} kB\nVmRSS:\t {GB // 1024} kB\n",
        "proc/self/cgroup": cgroup,
        **{f"sys/fs/cgroup/{name}": text for name, text in (files or {}).items()},
    }
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(text))
    return root


@pytest.fixture(autouse=True)
def no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(available, "_address_space", lambda: None)


V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat")
V2 = ("memory.max", "memory.current", "memory.stat")


def group(folder: str, names: tuple[str, str, str], most: object, used: int, stat: str) -> dict[str, object]:
    return dict(zip((f"{folder}{name}" for name in names), (most, used, stat), strict=True))


@pytest.mark.parametrize(
    ("cgroup", "files", "free"),
    [
        ("", {}, 8),
        ("0::/a/b\n", group("a/b/", V2, 5 * GB, 2 * GB, f"anon 1\ninactive_file {GB}\n"), 4),
        ("0::/a/b\n", group("a/", V2, 5 * GB, 2 * GB, ""), 3),
        ("0::/a/b\n", group("", V2, 2 * GB, 2 * GB, "inactive_file 0\n"), 0),
        ("0::/a\n", group("a/", V2, "max", 2 * GB, ""), 8),
        ("0::/../..\n", group("", V2, 5 * GB, 4 * GB, ""), 1),
        ("3:cpu:/x\n4:memory:/a\n", group("memory/a/", V1, 6 * GB, 2 * GB, f"total_inactive_file {GB}"), 5),
        ("4:memory:/gone\n0::/\n", group("memory/", V1, 9223372036854771712, 2 * GB, ""), 8),
    ],
)
def test_the_least_limit_counts_and_what_is_held_already_is_ours(tmp_path: Path, cgroup: str, files: dict, free: int):
    found = available.of_process(machine(tmp_path, cgroup, files))
    assert found == pytest.approx((free + 1) * GB, abs=4096)


def test_the_address_space_is_a_limit_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(available, "_address_space", lambda: 5 * GB)
    assert available.of_process(machine(tmp_path)) == pytest.approx((5 - 3 + 1) * GB, abs=4096)


def test_where_nothing_is_known_nothing_is_said(tmp_path: Path):
    assert available.of_process(tmp_path) is None


def test_this_machine_can_be_read():
    found = available.available(CPU)
    if Path("/proc/meminfo").exists():
        assert found is not None
        assert found > 1e8


@pytest.mark.parametrize(
    ("text", "number"), [("8GB", 8e9), ("1.5 gb", 1.5e9), ("2GiB", 2**31), ("5000", 5e3), ("3M", 3e6)]
)
def test_a_limit_replaces_what_is_found(text: str, number: float):
    assert available.available(CPU, text) == number


@pytest.mark.parametrize("text", ["much", "-1GB", "0", "GB", "8 XB"])
def test_what_is_no_number_of_bytes_is_refused(text: str):
    with pytest.raises(ValueError, match=r"memory_limit: given .* a number of bytes above 0"):
        available.parsed(text)
