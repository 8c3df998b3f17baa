"""Public signatures say the shapes of their arrays and tensors, and every test checks the calls against them."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from dip_exp import metrics
from dip_exp.archs.pixels import Pixels
from dip_exp.fit.history import History
from dip_exp.inputs.noise import Noise
from dip_exp.metrics import PROTOCOLS
from dip_exp.observe import degrade
from dip_exp.shapes import Float, Float32
from dip_exp.stopping.fixed import Fixed
from dip_exp.tasks import baselines
from dip_exp.tasks.operators import Downsample
from dip_exp.tasks.problem import Problem, mse
from dip_exp.tasks.task import tensor
from tests.checked import unchecked
from tests.conftest import ROOT

X = np.full((1, 3, 20, 16), 0.5, np.float32)
Y = torch.full((1, 3, 20, 16), 0.5)
SCALAR = torch.zeros(())


@pytest.mark.parametrize(
    "call",
    [
        lambda: degrade.poisson(X[0], 30, np.random.default_rng(0)),
        lambda: metrics.psnr(X, X[:, :1], PROTOCOLS["rgb"]),
        lambda: metrics.psnr(X, X, PROTOCOLS["rgb"], where=np.ones((1, 1, 20, 15), bool)),
        lambda: baselines.bicubic(X.astype(np.int64), 2),  # the kind of number is part of the type
        lambda: Downsample(2)(Y[0]),
        lambda: mse(Y, Y[..., 1:]),
        lambda: Noise().draw((20, 16), Y[0], torch.Generator()),
        lambda: Pixels().build(3, 3, (20, 16))(Y[0]),
        lambda: Fixed().update(0, Y[0], SCALAR),
        lambda: Fixed().update(0, Y, SCALAR[None]),
        lambda: History(2, Problem(y=Y)).add(0, 0.0, SCALAR, SCALAR, Y, Y[..., 1:]),
    ],
)
def test_a_wrong_shape_is_caught(call):
    with pytest.raises(TypeCheckError, match=r"whilst checking the parameters of dip_exp\.(.|\n)*Expected type: "):
        call()


def test_a_wrong_result_is_caught(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "from_numpy", lambda array: torch.zeros(3))
    with pytest.raises(TypeCheckError, match=r"whilst checking the return value of dip_exp\.tasks\.task\.tensor"):
        tensor(X)


def test_the_checks_are_off_only_within_unchecked():
    with unchecked(), pytest.raises(ValueError, match=r"the picture has shape \(3, 20, 16\)"):
        degrade.poisson(X[0], 30, np.random.default_rng(0))
    with pytest.raises(TypeCheckError):
        degrade.poisson(X[0], 30, np.random.default_rng(0))


@pytest.mark.long
def test_here_a_shape_is_a_type_and_for_a_user_it_is_the_array_alone():
    assert Float[np.ndarray, "1 C H W"] is not np.ndarray
    assert not isinstance(X[0], Float32[np.ndarray, "1 C H W"])
    modules = ", ".join(
        f"dip_exp.{room}" for room in ("api", "cli", "metrics", "observe.masks", "stopping.emv", "fit.trainer")
    )
    code = (
        f"import sys, numpy, {modules}\n"
        "from dip_exp.shapes import Float\n"
        "assert Float[numpy.ndarray, '1 C H W'] is numpy.ndarray\n"
        "assert dip_exp.metrics.psnr.__annotations__['x'] is numpy.ndarray\n"
        "assert 'jaxtyping' not in sys.modules and 'beartype' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


ROOMS = ("images", "metrics", "observe", "archs", "inputs", "tasks", "stopping", "fit", "api.py")

ANY_ARRAY = {
    ("images/picture.py", "check"),
    ("images/picture.py", "check_layout"),
    ("observe/degrade.py", "check_picture"),
    ("tasks/problem.py", "Problem"),
}
"""Those that take an array of any shape, because they are what refuses a wrong one. Its fields' docstring says what a
`Problem` holds."""


def modules() -> list[Path]:
    paths = [path for room in ROOMS for path in (ROOT / "dip_exp" / room).rglob("*.py")] + [ROOT / "dip_exp/api.py"]
    return sorted(path for path in paths if path.parent.name != "fast")  # within it, maps have many layouts


def shapeless(hint: ast.expr | None) -> bool:
    """Returns whether an annotation has an array or a tensor without its shape."""
    if hint is None:
        return False
    if isinstance(hint, ast.Subscript) and isinstance(hint.slice, ast.Tuple):
        of, axes = hint.slice.elts[0], hint.slice.elts[-1]
        if isinstance(axes, ast.Constant) and isinstance(axes.value, str) and ast.unparse(of) in NAMES:
            return False
    if ast.unparse(hint) in NAMES:
        return True
    return any(shapeless(part) for part in ast.iter_child_nodes(hint) if isinstance(part, ast.expr))


NAMES = ("np.ndarray", "Tensor", "torch.Tensor", "A")


def public(node: ast.AST, path: str) -> list[ast.FunctionDef]:
    """Returns the public functions and methods of a module or class."""
    found = []
    for one in getattr(node, "body", ()):
        name = getattr(one, "name", "_")
        if (path, name) in ANY_ARRAY or (name.startswith("_") and name != "__call__"):
            continue
        found += [one] if isinstance(one, ast.FunctionDef) else public(one, path)
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT / "dip_exp")))
def test_every_public_signature_says_its_shapes(path: Path):
    name = str(path.relative_to(ROOT / "dip_exp"))
    wrong = []
    for function in public(ast.parse(path.read_text()), name):
        given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        if any(shapeless(hint) for hint in [*(one.annotation for one in given), function.returns]):
            wrong.append(function.name)
    assert not wrong, f"{name}: {', '.join(wrong)} take or return an array without its shape (dip_exp/shapes.py)"


def test_an_annotation_without_a_shape_is_found():
    for hint, without in (
        ("np.ndarray", True),
        ("Tensor | None", True),
        ("Callable[[Tensor], float]", True),
        ("dict[str, np.ndarray]", True),
        ('Float[Tensor, "1 C H W"] | None', False),
        ('dict[str, Float32[np.ndarray, "1 _ _ _"]]', False),
        ("int", False),
    ):
        assert shapeless(ast.parse(hint, mode="eval").body) is without
