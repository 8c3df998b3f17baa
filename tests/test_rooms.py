"""One direction: a room imports only rooms above it in this list, and itself; light rooms import no torch.

docs/architecture.md prints the list as it stands here.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROOMS = [
    ["errors", "component", "shapes", "threads", "provenance", "seeds", "atomic"],
    ["images"],
    ["metrics", "observe"],
    ["archs", "inputs", "optims"],
    ["tasks"],
    ["stopping"],
    ["fit"],
    ["cost"],
    ["loggers"],
    ["pages"],
    ["config"],
    ["runs"],
    ["experiments"],
    ["figures"],
    ["api", "cli"],
    ["__main__", "leash"],
]
"""Lowest first. Those of one row do not import each other, but for the plain files of the first and the doors."""

RANK = {room: rank for rank, rooms in enumerate(ROOMS) for room in rooms}
PLAIN = set(ROOMS[0])
MODULES = sorted((ROOT / "dip_exp").rglob("*.py"))
TORCH_FREE = ["images", "metrics", "observe", "pages", "config", "runs", "experiments", "figures"]
"""Rooms none of whose modules imports torch when it is imported."""


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "dip_exp").with_suffix("").parts[0]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    """Returns the modules of the project that a module imports, anywhere in it but for types alone."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "dip_exp":
            base = node.module or ""
            names |= {_existing(f"{base}.{alias.name}") or base for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.startswith("dip_exp.")}
    return names


def _existing(name: str) -> str | None:
    place = ROOT.joinpath(*name.split("."))
    return name if place.is_dir() or place.with_suffix(".py").is_file() else None


def test_every_module_has_a_room():
    assert {room_of(path) for path in MODULES} - {"__init__"} == set(RANK)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path):
    room = room_of(path)
    if room == "__init__":
        return
    rooms = {name.split(".")[1] for name in imported(path) if "." in name} - {room}
    wrong = {other for other in rooms if RANK[other] >= RANK[room] and not {other, room} <= PLAIN}
    assert not wrong, f"{path.name} ({room}) imports {wrong}, which stand above it"


def test_no_module_imports_itself_in_a_circle():
    graph = {module_of(path): imported(path) & {module_of(p) for p in MODULES} for path in MODULES}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name not in done:
            for other in sorted(graph[name]):
                if other != name:
                    visit(other, (*way, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


OPEN = ("archs", "tasks", "inputs", "optims", "stopping")


@pytest.mark.parametrize("path", [path for path in MODULES if room_of(path) in OPEN])
def test_siblings_share_only_their_base(path: Path):
    """A new task, architecture, input, optimizer or stop rule is a file of its own: no list of them to be kept."""
    if path.name == "__init__.py" and path.parent.name not in ("fast", "baselines"):
        assert len(ast.parse(path.read_text()).body) <= 1


def test_cfg_stops_at_the_composition_root():
    users = {room_of(path) for path in MODULES if "omegaconf" in path.read_text()}
    assert users <= {"config", "runs", "experiments", "cli", "provenance"}


@pytest.mark.parametrize("room", TORCH_FREE)
def test_light_rooms_import_no_torch(room: str):
    modules = ", ".join(module_of(path) for path in MODULES if room_of(path) == room)
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
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
    heavy = "('torch', 'lightning', 'wandb', 'pandas', 'skimage', 'matplotlib', 'jaxtyping')"
    check = f"import atexit, sys, os\natexit.register(lambda: os._exit(7 * any(m in sys.modules for m in {heavy})))\n"
    done = subprocess.run([sys.executable, "-c", check + code], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_the_documentation_prints_the_rooms_as_they_are_tested():
    text = (ROOT / "docs/architecture.md").read_text()
    table = text.split("<!-- rooms:begin -->")[1].split("<!-- rooms:end -->")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert [re.findall(r"`(\w+)`", row) for row in rows] == ROOMS


def arrows() -> set[tuple[str, str]]:
    """Returns which room imports which."""
    found = set()
    for path in MODULES:
        rooms = {name.split(".")[1] for name in imported(path) if "." in name}
        if room_of(path) != "__init__":
            found |= {(room_of(path), room) for room in (rooms & RANK.keys()) - {room_of(path)}}
    return found


def test_the_picture_of_rooms_stays_small():
    """27 boxes and 103 arrows between them, 12 of them to `shapes`; the flat modules were 64 boxes with 205."""
    assert len(RANK) <= 27
    assert len(arrows()) <= 103
