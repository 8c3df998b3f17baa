"""In: a module's source. Out: its mutants, each a syntax tree that differs from the module's in one place."""

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

BOUNDARY = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
NEGATION = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}
TWINS = {"min": "max", "any": "all", "argmin": "argmax"}
TWINS |= {other: one for one, other in TWINS.items()}

LARGER = 1.2
"""The factor of a float's mutant: 10**0.5 (5 dB) becomes 10**0.6 (6 dB)."""

CHECKS_ONLY = frozenset({"strict"})
"""Keyword arguments that only check what the caller already ensures; without them nothing else is computed."""

Place = tuple[ast.AST, str, int | None]


@dataclass(frozen=True)
class Mutant:
    """line: the source line, stripped. mutation: what changed in it, mostly "before -> after"; a second equal one of a
    line ends in "(2)", one of a second equal line in "[2]". number, tree: the line's number (from 1) and the mutated
    module. lines: the numbers of the lines of which one runs if the mutated place runs; empty for code that runs on
    import."""

    line: str
    mutation: str
    number: int
    lines: frozenset[int]
    tree: ast.Module = field(repr=False)


def mutants(source: str) -> list[Mutant]:
    """Returns every mutant of a module, in the order of its source.

    Comparisons move their boundary and are negated; arithmetic, `and`, `or`, `not`, signs, numbers, booleans, and pairs
    such as min and max are exchanged; conditions are negated; a returned value becomes None, and a call, an assignment
    to an attribute or element, or a raise disappears. Annotations of functions, decorators, assertions, docstrings and
    the texts of errors stay.
    """
    module, lines = ast.parse(source), source.splitlines()
    found: list[Mutant] = []
    seen: dict[tuple[int, str], int] = {}
    for node, place, statement, around in _nodes(module):
        for changed in _changes(node, statement):
            text = _said(node, changed)
            key = statement.lineno if _in_text(around) else getattr(node, "lineno", statement.lineno)
            seen[key, text] = seen.get((key, text), 0) + 1
            text += f" ({seen[key, text]})" if seen[key, text] > 1 else ""
            line = lines[key - 1].strip()
            found.append(Mutant(line, text, key, _reached(statement, around), _with(module, place, changed)))
    return _numbered(found)


def _said(node: ast.AST, changed: ast.AST) -> str:
    if isinstance(changed, ast.Pass):
        return f"without this {type(node).__name__.lower()}"
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        return f"if not {ast.unparse(node.test)}"
    before, after = (ast.unparse(each).strip() for each in (node, changed))
    return f"{before} -> {after}"


def _numbered(found: list[Mutant]) -> list[Mutant]:
    """Two equal lines of a module with the same mutation are told apart by a number."""
    seen: dict[tuple[str, str], int] = {}
    told = []
    for one in found:
        key = one.line, one.mutation
        seen[key] = seen.get(key, 0) + 1
        told.append(one if seen[key] == 1 else replace(one, mutation=f"{one.mutation} [{seen[key]}]"))
    return told


def _with(module: ast.Module, place: Place, changed: ast.AST) -> ast.Module:
    """Returns a copy of the module with another node in one place."""
    parent, name, index = place
    current = getattr(parent, name) if index is None else getattr(parent, name)[index]
    ast.copy_location(changed, current)
    _put(place, changed)
    try:
        return ast.fix_missing_locations(copy.deepcopy(module))
    finally:
        _put(place, current)


def _put(place: Place, node: ast.AST) -> None:
    parent, name, index = place
    if index is None:
        setattr(parent, name, node)
    else:
        getattr(parent, name)[index] = node


def _nodes(module: ast.Module) -> Iterator[tuple[ast.AST, Place, ast.stmt, tuple[ast.AST, ...]]]:
    """Yields each node that may be mutated, its place, its statement, and the nodes around it, outermost first."""

    def walk(
        parent: ast.AST, statement: ast.stmt | None, around: tuple[ast.AST, ...]
    ) -> Iterator[tuple[ast.AST, Place, ast.stmt, tuple[ast.AST, ...]]]:
        for name, value in ast.iter_fields(parent):
            if name in ("decorator_list", "returns") or (name == "annotation" and not _of_a_class(around)):
                continue
            for index, node in enumerate(value) if isinstance(value, list) else ((None, value),):
                if not isinstance(node, ast.AST) or isinstance(node, ast.Assert):
                    continue
                if isinstance(node, ast.keyword) and node.arg in CHECKS_ONLY:
                    continue
                own = node if isinstance(node, ast.stmt) else statement
                if own is None:
                    continue
                yield node, (parent, name, index), own, around
                if not isinstance(node, ast.Raise):
                    yield from walk(node, own, (*around, node))

    yield from walk(module, None, ())


def _of_a_class(around: tuple[ast.AST, ...]) -> bool:
    """Whether an annotation is a component's field, whose limits are checked."""
    return len(around) > 1 and isinstance(around[-2], ast.ClassDef) and isinstance(around[-1], ast.AnnAssign)


def _in_text(around: tuple[ast.AST, ...]) -> bool:
    return any(isinstance(node, ast.JoinedStr) for node in around)  # positions in f-strings are wrong before 3.12


def _reached(statement: ast.stmt, around: tuple[ast.AST, ...]) -> frozenset[int]:
    functions = [node for node in around if isinstance(node, ast.FunctionDef | ast.Lambda)]
    if isinstance(statement, ast.FunctionDef):  # a default of its arguments
        functions.append(statement)
    if not functions:
        return frozenset()
    body = getattr(statement, "body", None)
    if isinstance(statement, ast.FunctionDef):
        return frozenset(range(statement.body[0].lineno, (statement.end_lineno or 0) + 1))
    last = body[0].lineno - 1 if body else statement.end_lineno or statement.lineno
    return frozenset(range(statement.lineno, max(last, statement.lineno) + 1))


# -- what a node becomes -----------------------------------------------------------------------------------------------


def _changes(node: ast.AST, statement: ast.stmt) -> list[ast.AST]:
    """Returns the nodes that may stand in the place of `node`."""
    for kind, change in CHANGES:
        if isinstance(node, kind):
            return change(node)
    return []


def _compare(node: ast.Compare) -> list[ast.AST]:
    found: list[ast.AST] = []
    for index, operator in enumerate(node.ops):
        for table in (BOUNDARY, NEGATION):
            if type(operator) in table:
                ops = [*node.ops[:index], table[type(operator)](), *node.ops[index + 1 :]]
                found.append(ast.Compare(node.left, ops, node.comparators))
    return found


def _arithmetic(node: ast.BinOp | ast.AugAssign) -> list[ast.AST]:
    sides = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.value,)
    if type(node.op) not in ARITHMETIC or any(_is_text(side) or _is_type(side) for side in sides):
        return []
    operator = ARITHMETIC[type(node.op)]()
    if isinstance(node, ast.BinOp):
        return [ast.BinOp(node.left, operator, node.right)]
    return [ast.AugAssign(node.target, operator, node.value)]


def _is_text(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp):
        return _is_text(node.left) or _is_text(node.right)
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_type(node: ast.AST) -> bool:
    """Whether the node is one side of `X | None` or `bool | Tensor`."""
    if isinstance(node, ast.Constant):
        return node.value is None
    return isinstance(node, ast.Name) and node.id in ("bool", "int", "float", "str", "Tensor")


def _number(node: ast.Constant) -> list[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        return [ast.Constant(not value)]
    if isinstance(value, int):
        return [ast.Constant(value + 1)]
    if isinstance(value, float):
        return [ast.Constant(float(f"{value * LARGER:.12g}") if value else 1.0)]
    return []


def _boolean(node: ast.BoolOp) -> list[ast.AST]:
    return [ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)]


def _condition(node: ast.If | ast.IfExp | ast.While) -> list[ast.AST]:
    if _has_own(node.test):
        return []
    test = ast.UnaryOp(ast.Not(), node.test)
    if isinstance(node, ast.IfExp):
        return [ast.IfExp(test, node.body, node.orelse)]
    return [type(node)(test, node.body, node.orelse)]


def _filter(node: ast.comprehension) -> list[ast.AST]:
    return [
        ast.comprehension(
            node.target, node.iter, [*node.ifs[:n], ast.UnaryOp(ast.Not(), test), *node.ifs[n + 1 :]], node.is_async
        )
        for n, test in enumerate(node.ifs)
        if not _has_own(test)
    ]


def _call(node: ast.Call) -> list[ast.AST]:
    function = node.func
    if isinstance(function, ast.Name) and function.id in TWINS:
        return [ast.Call(ast.Name(TWINS[function.id], ast.Load()), node.args, node.keywords)]
    if isinstance(function, ast.Attribute) and function.attr in TWINS:
        other = ast.Attribute(function.value, TWINS[function.attr], ast.Load())
        return [ast.Call(other, node.args, node.keywords)]
    return []


def _returned(node: ast.Return) -> list[ast.AST]:
    if node.value is None or isinstance(node.value, ast.Constant) or _any_inside(node.value):
        return []
    return [ast.Return(ast.Constant(None))]


def _assigned(node: ast.Assign) -> list[ast.AST]:
    kept = all(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets)
    return [ast.Pass()] if kept and not _any_inside(node.value) else []


def _expression(node: ast.Expr) -> list[ast.AST]:
    return [ast.Pass()] if isinstance(node.value, ast.Call) else []


def _has_own(test: ast.expr) -> bool:
    """Whether the condition itself has a mutant that negates it or nearly so."""
    return isinstance(test, ast.Compare | ast.BoolOp | ast.Constant) or (
        isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
    )


def _any_inside(node: ast.expr) -> bool:
    return any(_changes(inner, ast.Pass()) for inner in ast.walk(node))


CHANGES: list[tuple[type | tuple[type, ...], Callable[..., list[ast.AST]]]] = [
    (ast.Compare, _compare),
    ((ast.BinOp, ast.AugAssign), _arithmetic),
    (ast.Constant, _number),
    (ast.BoolOp, _boolean),
    (ast.UnaryOp, lambda node: [node.operand]),
    ((ast.If, ast.IfExp, ast.While), _condition),
    (ast.comprehension, _filter),
    (ast.Call, _call),
    (ast.Return, _returned),
    (ast.Assign, _assigned),
    (ast.Expr, _expression),
    (ast.Raise, lambda node: [ast.Pass()]),
    (ast.Continue, lambda node: [ast.Break()]),
    (ast.Break, lambda node: [ast.Continue()]),
]
