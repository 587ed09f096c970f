"""The user's own source: which line makes a name, where a value leaves TensorFlow, which branch was not taken.

Read only where the ops that ran don't tell. Where the source can't be read, there is no answer.
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

from ...graph.location import Location

_INSIDE = ("tensorflow", "keras", "tf_keras", "tfgradkit")
_BUILTINS = frozenset({"float", "int", "bool", "complex", "round", "list", "sum", "abs"})
_METHODS = frozenset({"numpy", "tolist", "item"})
_PYTHON_FUNCTIONS = frozenset({"numpy_function", "py_func"})
_RUNS = frozenset({"predict", "predict_on_batch", "evaluate"})
_MODULES = {"np": "numpy", "numpy": "numpy", "math": "math", "scipy": "scipy"}
_OUTWARD = frozenset({"shape", "dtype", "name", "ndim", "size"})
_PRINTS = frozenset({"print", "info", "debug", "warning", "log"})


@dataclass(frozen=True)
class Found:
    """A piece of the user's source: its line, and what it does."""

    line: int
    node: ast.AST


class Code:
    """The source of one file, seen from one line of it."""

    def __init__(self, location: Location, *, anonymous: bool = False) -> None:
        self.location = location
        self._tree = _tree(location.file)
        self._kinds = (ast.Lambda,) if anonymous else _FUNCTIONS

    @property
    def scope(self) -> ast.AST:
        """The innermost function around the line (lambda, if it is about one); else the whole file."""
        inside = [n for n in ast.walk(self._tree) if isinstance(n, self._kinds) and _spans(n, self.location.line)]
        return max(inside, key=lambda n: n.lineno, default=self._tree)

    @property
    def lines(self) -> tuple[int, int]:
        """First and last line of the scope; none for a whole file."""
        scope = self.scope
        return (scope.lineno, _end(scope)) if isinstance(scope, (*_FUNCTIONS, ast.Lambda)) else (0, 0)

    def statement(self) -> ast.stmt | None:
        """The smallest statement that the line belongs to."""
        inside = [n for n in ast.walk(self._tree) if isinstance(n, ast.stmt) and _spans(n, self.location.line)]
        return min(inside, key=lambda n: (_end(n) - n.lineno, -n.lineno), default=None)

    def only_shows(self) -> bool:
        """Whether the line prints or logs, so that nothing comes of the value it reads."""
        return _shows(self.statement())

    def made_here(self) -> set[str]:
        """The names that the line's statement assigns."""
        statement = self.statement()
        targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
        return {ast.unparse(t) for target in targets if target is not None for t in _flat(target)}

    def assigned(self, name: str, word: str = "") -> Found | None:
        """The last assignment to a name, in this scope or else in the file, whose code has a word in it."""
        for tree in (self.scope, self._tree):
            made = [(target, value) for target, value in self._given(tree, name) if word in ast.unparse(value)]
            if made:
                return Found(made[-1][0].lineno, made[-1][0])
        return None

    def outside(self, names: set[str], lines: tuple[int, int]) -> Found | None:
        """The line outside of ``lines`` that makes something of ``names`` which is used inside."""
        away = [(t, v) for t, v in _assignments(self.scope) if not _inside(t, lines) and ast.unparse(t) not in names]
        used = [node for node in ast.walk(self.scope) if _inside(node, lines)]
        known, found = set(names), None
        for target, value in away:
            if _mentions(value, known):
                known.add(ast.unparse(target))
                found = found or Found(target.lineno, value)
        return found if any(_is_one(node, known - names) for node in used) else None

    def leaving(self, names: set[str], within: tuple[int, int] | None = None) -> Found | None:
        """The first call that takes one of ``names`` out of TensorFlow."""
        for node in _not_shown(self.scope):
            if isinstance(node, ast.Call) and _inside(node, within) and self._leaves(node, names):
                return Found(node.lineno, node)
        return None

    def _leaves(self, call: ast.Call, names: set[str]) -> bool:
        last = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if last in _METHODS:
            return _mentions(call.func, names)
        taken = any(_mentions(argument, names) for argument in [*call.args, *(k.value for k in call.keywords)])
        return taken and (last in _PYTHON_FUNCTIONS | _RUNS or self._foreign(call.func))

    def _foreign(self, function: ast.expr) -> bool:
        root = ast.unparse(function).split(".")[0]
        if isinstance(function, ast.Name):
            return root in _BUILTINS
        known = _globals(self.location.file).get(root)
        module = known.__name__ if isinstance(known, ModuleType) else _MODULES.get(root, "")
        return bool(module) and module.split(".")[0] not in _INSIDE

    def branch(self, names: set[str], within: tuple[int, int] | None = None) -> Found | None:
        """The condition, where ``names`` are mentioned only behind conditions."""
        scope = self.scope
        regions = [region for region in _regions(scope, scope, None) if _inside(region[1], within)]
        mentions = [(where, node) for where, node in regions if _is_one(node, names)]
        if not mentions or any(where is None for where, _ in mentions):
            return None
        where = mentions[0][0]
        return Found(getattr(where, "lineno", 0), where) if where is not None else None

    def reassigned(self, name: str) -> Found | None:
        """The assignment that puts a tensor in the place of the variable ``name``."""
        made = self._given(self.scope, name) or self._given(self._tree, name)
        everywhere = [*made, *(self._given(self._tree, name) if "." in name else [])]
        variable = any(_makes_variable(value) for _, value in everywhere)
        for target, value in made:
            again = isinstance(value, ast.AugAssign) or _mentions(value, {name})
            if variable and (again or (_makes_variable(value) and not _is_variable(value))):
                return Found(target.lineno, value)
        return None

    @staticmethod
    def _given(tree: ast.AST, name: str) -> list[tuple[ast.expr, ast.AST]]:
        return [(target, value) for target, value in _assignments(tree) if ast.unparse(target) == name]


def block_of(location: Location) -> tuple[int, int] | None:
    """First and last line of the ``with`` block that begins at a line."""
    for node in ast.walk(_tree(location.file)):
        if isinstance(node, ast.With) and any(_spans(item.context_expr, location.line) for item in node.items):
            return node.body[0].lineno, _end(node)
    return None


def rewritten(location: Location, change: Callable[[ast.AST], ast.AST | None]) -> str | None:
    """The statement of a line with some of its parts changed; None if none was."""
    statement = Code(location).statement()
    if statement is None or isinstance(statement, (*_FUNCTIONS, ast.ClassDef, ast.With, ast.If, ast.For, ast.While)):
        return None
    changed = ast.parse(ast.unparse(statement))
    before = ast.unparse(changed)
    after = ast.unparse(ast.fix_missing_locations(_Changer(change).visit(changed)))
    return None if after == before else after.split("\n")[0]


class _Changer(ast.NodeTransformer):
    def __init__(self, change: Callable[[ast.AST], ast.AST | None]) -> None:
        self._change = change

    def generic_visit(self, node: ast.AST) -> ast.AST:
        changed = self._change(node)
        return super().generic_visit(node) if changed is None else changed


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@lru_cache(maxsize=64)
def _parsed(source: str) -> ast.AST:
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.Module([], [])


def _tree(file: str) -> ast.AST:
    return _parsed("".join(linecache.getlines(file)))


def _globals(file: str) -> dict[str, Any]:
    modules = list(sys.modules.values())
    found = next((m for m in modules if getattr(m, "__file__", None) == file), sys.modules.get("__main__"))
    return vars(found) if found is not None else {}


def _assignments(tree: ast.AST) -> Iterator[tuple[ast.expr, ast.AST]]:
    """Targets one by one, with what they are given."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AugAssign):
            yield node.target, node
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _pairs(target, node.value)


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.AST]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        yield from zip(target.elts, value.elts, strict=True)
    else:
        yield from ((name, value) for name in _flat(target))


def _flat(target: ast.expr) -> list[ast.expr]:
    return target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]


def _makes_variable(value: ast.AST) -> bool:
    return any(_is_variable(node) for node in ast.walk(value))


def _is_variable(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("Variable", "add_weight")


def _mentions(tree: ast.AST, names: set[str]) -> bool:
    """Whether a value is used, not only its shape or the like."""
    if isinstance(tree, ast.Attribute) and tree.attr in _OUTWARD:
        return False
    return _is_one(tree, names) or any(_mentions(child, names) for child in ast.iter_child_nodes(tree))


def _shows(node: ast.AST | None) -> bool:
    """Whether it is a statement that only prints or logs."""
    call = getattr(node, "value", None)
    return (
        isinstance(node, ast.Expr)
        and isinstance(call, ast.Call)
        and ast.unparse(call.func).split(".")[-1] in _PRINTS
        and not any(isinstance(inner, ast.Lambda) for inner in ast.walk(call))
    )


def _not_shown(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node, outermost first, but of what only prints or logs."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        if not _shows(child):
            yield from _not_shown(child)


def _is_one(node: ast.AST, names: set[str]) -> bool:
    reads = isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load)
    return reads and ast.unparse(node) in names


def _regions(root: ast.AST, node: ast.AST, where: ast.AST | None) -> Iterator[tuple[ast.AST | None, ast.AST]]:
    """Every node with the innermost condition, loop or inner function that decides whether it runs."""
    for name, value in ast.iter_fields(node):
        decides = (type(node), name) in _DECIDED or (isinstance(node, (*_FUNCTIONS, ast.Lambda)) and node is not root)
        decided = node if decides else where
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                inner = node if isinstance(child, ast.Lambda) and isinstance(node, ast.Call) else decided
                yield inner, child
                yield from _regions(root, child, inner)


_DECIDED = {
    (ast.If, "body"), (ast.If, "orelse"), (ast.IfExp, "body"), (ast.IfExp, "orelse"), (ast.For, "body"),
    (ast.While, "body"), (ast.match_case, "body"), (ast.ExceptHandler, "body"),
}  # fmt: skip


def _inside(node: ast.AST, lines: tuple[int, int] | None) -> bool:
    return lines is None or lines[0] <= getattr(node, "lineno", lines[0] - 1) <= lines[1]


def _spans(node: Any, line: int) -> bool:
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
    return first <= line <= _end(node)


def _end(node: Any) -> int:
    return node.end_lineno or node.lineno
