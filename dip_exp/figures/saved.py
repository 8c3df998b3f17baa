"""Writes a figure's PNG only when its data or the code that draws it has changed."""

import ast
import hashlib
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from PIL import Image

from dip_exp.experiments.tables import Tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAWN_FROM = "Drawn from"
"""The PNG text chunk with the digest of the data and code it was drawn from."""


TABLES = ("score_table", "checks")
"""The modules of `parts` that draw nothing."""


def save(drawn: "Figure", path: Path, digest: str) -> None:
    """Writes a figure as PNG, unless the existing file has the same digest.

    Redrawing would change the file, because fonts and libraries differ between machines, and the repository keeps every
    version of a picture.
    """
    if path.is_file():
        with Image.open(path) as before:
            if before.info.get(DRAWN_FROM) == digest:
                return
    drawn.savefig(path, metadata={"Software": None, DRAWN_FROM: digest})


def digest(module: ModuleType, tables: Tables) -> str:
    """Returns the sha256 of a figure's inputs: the rows and panels it read, and the code that draws it, without
    comments, docstrings and types."""
    whole = hashlib.sha256()
    for name, data in sorted(tables.reads.items()):
        whole.update(name.encode() + data())
    for source in _sources(Path(str(module.__file__))):
        whole.update(_code(source.read_text(encoding="utf-8")).encode())
    return whole.hexdigest()


def _sources(path: Path) -> list[Path]:
    """Returns a figure's module and the modules of `parts` that it needs, directly or through another one."""
    room = Path(str(files("dip_exp.figures"))) / "parts"
    found = [path]
    for source in found:  # grows while it is walked
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("dip_exp.figures.parts"):
                continue
            names = [alias.name for alias in node.names] if node.module == "dip_exp.figures.parts" else []
            for name in names or [str(node.module).rpartition(".")[2]]:
                part = room / f"{name}.py"
                if part not in found and name not in TABLES:
                    found.append(part)
    return sorted(found)


def _code(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [one for one in node.body if not (_is_text(one) or _is_for_types(one))]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.AnnAssign):  # of a dataclass the fields stay, without their types
            node.annotation = ast.Constant(None)
    return ast.dump(tree)


def _is_text(node: ast.stmt) -> bool:
    """Returns whether a statement is a bare string, which is documentation."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_for_types(node: ast.stmt) -> bool:
    """Returns whether a statement only imports what annotations name."""
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    return isinstance(node, ast.ImportFrom) and node.module in ("typing", "__future__")
