"""One direction: a room imports only rooms to its left; light rooms import no torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

ORDER = [
    ["errors", "component", "rounds", "precision", "threads"],
    ["sets"],
    ["resolvers"],
    ["config"],
    ["imagedecode"],
    ["imagefiles"],
    ["images"],
    ["panels", "provenance", "arguments", "fetch"],
    ["degrade", "masks", "metrics", "calibration"],
    ["operators", "baselines", "scoring", "flashes", "classifiers"],
    ["problems"],
    ["scores"],
    ["archs"],
    ["fast"],
    ["inputs"],
    ["stopping"],
    ["muon", "posterior"],
    ["optims"],
    ["prior"],
    ["work"],
    ["rates"],
    ["cost"],
    ["history", "rollback"],
    ["fit"],
    ["callbacks"],
    ["loggers", "trainers"],
    ["record", "checkpoints"],
    ["report", "build"],
    ["outputs"],
    ["experiment"],
    ["ensemble"],
    ["api", "sweeps"],
    ["means", "campaign", "tables"],
    ["figures", "collect", "plan"],
    ["gallery", "agenda"],
    ["processes"],
    ["cli"],
    ["__main__", "leash"],
]
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}
MODULES = sorted((ROOT / "dip_exp").rglob("*.py"))
TORCH_FREE = [
    "precision",
    "sets",
    "fetch",
    "scoring",
    "resolvers",
    "config",
    "images",
    "degrade",
    "masks",
    "metrics",
    "calibration",
    "baselines",
    "panels",
    "record",
    "report",
    "arguments",
]
TORCH_FREE += ["ensemble", "sweeps", "means", "campaign", "tables", "collect", "gallery", "figures.fig2_curves"]
TORCH_FREE += ["checkpoints", "plan", "agenda", "processes"]


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "dip_exp").with_suffix("").parts[0]


def imported_rooms(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    rooms: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "dip_exp":
            parts = (node.module or "").split(".")
            rooms |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            rooms |= {a.name.split(".")[1] for a in node.names if a.name.startswith("dip_exp.")}
    return rooms


def test_every_module_has_a_place():
    assert {room_of(path) for path in MODULES} - {"__init__"} == set(RANK)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path):
    room = room_of(path)
    if room == "__init__":
        return
    wrong = {other for other in imported_rooms(path) if other != room and RANK[other] >= RANK[room]}
    assert not wrong, f"{path.name} ({room}) imports {wrong}, which stand to its right"


@pytest.mark.parametrize("path", [p for p in MODULES if room_of(p) in ("archs", "problems", "inputs", "stopping")])
def test_siblings_share_only_their_base(path: Path):
    """A new task, architecture, input or stop rule is a file of its own: no list of them to be kept."""
    assert path.name != "__init__.py" or len(ast.parse(path.read_text()).body) <= 1


def test_cfg_stops_at_the_composition_root():
    users = {room_of(path) for path in MODULES if "omegaconf" in path.read_text()}
    assert users <= {"resolvers", "config", "arguments", "experiment", "ensemble", "sweeps", "cli"} | {"provenance"}


@pytest.mark.parametrize("room", TORCH_FREE)
def test_light_rooms_import_no_torch(room: str):
    code = f"import sys, dip_exp.{room}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize(
    "code",
    [
        "import dip_exp",
        "import sys; sys.argv = ['run.py', '--help']; from dip_exp.cli import main; main()",
        "import sys; sys.argv = ['run.py', '--cfg', 'job']; from dip_exp.cli import main; main()",
    ],
)
def test_start_up_imports_nothing_heavy(code: str):
    heavy = "('torch', 'lightning', 'wandb', 'pandas', 'skimage', 'matplotlib')"
    check = f"import atexit, sys, os\natexit.register(lambda: os._exit(7 * any(m in sys.modules for m in {heavy})))\n"
    done = subprocess.run([sys.executable, "-c", check + code], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
