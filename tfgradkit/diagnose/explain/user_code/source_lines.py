"""Where the user's source makes a name, lets a value leave TensorFlow, or has a branch that was not taken.

Read only where the ops that ran don't tell. Where the source can't be read, there is no answer.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from ....graph.user_line import Location
from .syntax import (  # fmt: skip
    FUNCTIONS,
    assignments,
    defined,
    end_of,
    globals_of,
    is_inside,
    is_one,
    is_variable,
    makes_variable,
    mentions,
    not_shown,
    regions_in,
    shows,
    spans,
    targets_in,
    tree_of,
)

# Modules whose functions stay in TensorFlow.
_TENSORFLOW = ("tensorflow", "keras", "tf_keras", "tfgradkit")
# Functions and methods that leave TensorFlow, and how deep the user's own functions are searched for them.
_BUILTINS = frozenset({"float", "int", "bool", "complex", "round", "list", "sum", "abs"})
_METHODS = frozenset({"numpy", "tolist", "item"})
_PYTHON_FUNCTIONS = frozenset({"numpy_function", "py_func"})
_RUNS = frozenset({"predict", "predict_on_batch", "evaluate"})
_DEPTH = 3
_MODULES = {"np": "numpy", "numpy": "numpy", "math": "math", "scipy": "scipy"}
Lines = tuple[int, int] | None


@dataclass(frozen=True)
class FoundLine:
    """A piece of the user's source: its line and syntax; its file, where that is another one."""

    line: int
    node: ast.AST
    file: str | None = None


class SourceCode:
    """The source of one file, seen from one line of it."""

    def __init__(self, location: Location, *, anonymous: bool = False) -> None:
        self.location = location
        self._tree = tree_of(location.file)
        self._kinds = (ast.Lambda,) if anonymous else FUNCTIONS

    @property
    def scope(self) -> ast.AST:
        """The innermost function around the line (a lambda, where the code is one); else the whole file."""
        inside = [n for n in ast.walk(self._tree) if isinstance(n, self._kinds) and spans(n, self.location.line)]
        return max(inside, key=lambda n: n.lineno, default=self._tree)

    @property
    def lines(self) -> tuple[int, int]:
        """First and last line of the scope; none for a whole file."""
        scope = self.scope
        return (scope.lineno, end_of(scope)) if isinstance(scope, (*FUNCTIONS, ast.Lambda)) else (0, 0)

    def statement(self) -> ast.stmt | None:
        """The smallest statement that the line belongs to."""
        inside = [n for n in ast.walk(self._tree) if isinstance(n, ast.stmt) and spans(n, self.location.line)]
        return min(inside, key=lambda n: (end_of(n) - n.lineno, -n.lineno), default=None)

    def only_shows(self) -> bool:
        """Whether the line only prints or logs the value that it reads."""
        return shows(self.statement())

    def assigned_here(self) -> set[str]:
        """The names that the line's statement assigns."""
        statement = self.statement()
        targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
        return {ast.unparse(t) for target in targets if target is not None for t in targets_in(target)}

    def returns(self) -> int | None:
        """The line of the last ``return`` of the function."""
        found = [node.lineno for node in ast.walk(self.scope) if isinstance(node, ast.Return)]
        return max(found, default=None) if isinstance(self.scope, FUNCTIONS) else None

    def assigned(self, name: str, word: str = "") -> FoundLine | None:
        """The last assignment to a name in this scope, else in the file, whose value contains ``word``."""
        for tree in (self.scope, self._tree):
            targets = [target for target, value in self._assigned_values(tree, name) if word in ast.unparse(value)]
            if targets:
                return FoundLine(targets[-1].lineno, targets[-1])
        return None

    def outside(self, names: set[str], lines: tuple[int, int]) -> FoundLine | None:
        """The line outside of ``lines`` that uses ``names`` for a value which is used inside."""
        outer = [(t, v) for t, v in assignments(self.scope) if not is_inside(t, lines) and ast.unparse(t) not in names]
        used = [node for node in ast.walk(self.scope) if is_inside(node, lines)]
        known, found = set(names), None
        for target, value in outer:
            if mentions(value, known):
                known.add(ast.unparse(target))
                found = found or FoundLine(target.lineno, value)
        return found if any(is_one(node, known - names) for node in used) else None

    def leaving(self, names: set[str], within: Lines = None) -> FoundLine | None:
        """The first call that takes one of ``names`` out of TensorFlow, also in functions they are passed to."""
        return _first_leaving(self.location.file, self.scope, names, within, _DEPTH)

    def branch(self, names: set[str], within: Lines = None) -> FoundLine | None:
        """The condition, where ``names`` are used only behind conditions."""
        scope = self.scope
        regions = [region for region in regions_in(scope, scope, None) if is_inside(region[1], within)]
        conditions = [where for where, node in regions if is_one(node, names)]
        if not conditions or any(where is None for where in conditions):
            return None
        first = conditions[0]
        return FoundLine(getattr(first, "lineno", 0), first) if first is not None else None

    def reassigned(self, name: str) -> FoundLine | None:
        """The assignment that puts a tensor in the place of the variable ``name``."""
        assigned = self._assigned_values(self.scope, name) or self._assigned_values(self._tree, name)
        everywhere = [*assigned, *(self._assigned_values(self._tree, name) if "." in name else [])]
        is_a_variable = any(makes_variable(value) for _, value in everywhere)
        for target, value in assigned:
            again = isinstance(value, ast.AugAssign) or mentions(value, {name})
            if is_a_variable and (again or (makes_variable(value) and not is_variable(value))):
                return FoundLine(target.lineno, value)
        return None

    @staticmethod
    def _assigned_values(tree: ast.AST, name: str) -> list[tuple[ast.expr, ast.AST]]:
        return [(target, value) for target, value in assignments(tree) if ast.unparse(target) == name]


def _first_leaving(file: str, scope: ast.AST, names: set[str], within: Lines, depth: int) -> FoundLine | None:
    for node in not_shown(scope):
        if isinstance(node, ast.Call) and is_inside(node, within):
            if _leaves_tensorflow(file, node, names):
                return FoundLine(node.lineno, node, file)
            found = _inside_users_function(file, node, names, depth)
            if found is not None:
                return found
    return None


def _leaves_tensorflow(file: str, call: ast.Call, names: set[str]) -> bool:
    last = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if last in _METHODS:
        return mentions(call.func, names)
    taken = any(mentions(argument, names) for argument in [*call.args, *(k.value for k in call.keywords)])
    return taken and (last in _PYTHON_FUNCTIONS | _RUNS or _is_foreign(file, call.func))


def _inside_users_function(file: str, call: ast.Call, names: set[str], depth: int) -> FoundLine | None:
    """The line at which a function of the user's own, called with one of ``names``, takes it out of TensorFlow."""
    place = defined(file, call.func) if depth else None
    if place is None:
        return None
    parameters = [p.arg for p in place[1].args.args if p.arg != "self"]
    inner_names = {p for p, argument in zip(parameters, call.args, strict=False) if mentions(argument, names)}
    inner_names |= {k.arg for k in call.keywords if k.arg and mentions(k.value, names)}
    for target, value in assignments(place[1]):
        if mentions(value, inner_names):
            inner_names.add(ast.unparse(target))
    return _first_leaving(*place, inner_names, None, depth - 1) if inner_names else None


def _is_foreign(file: str, function: ast.expr) -> bool:
    """Whether a called function is Python's own, or of a module outside TensorFlow."""
    root = ast.unparse(function).split(".")[0]
    if isinstance(function, ast.Name):
        return root in _BUILTINS
    known = globals_of(file).get(root)
    module = known.__name__ if isinstance(known, ModuleType) else _MODULES.get(root, "")
    return bool(module) and module.split(".")[0] not in _TENSORFLOW


def block_of(location: Location) -> tuple[int, int] | None:
    """First and last line of the ``with`` block that begins at a line."""
    for node in ast.walk(tree_of(location.file)):
        if isinstance(node, ast.With) and any(spans(item.context_expr, location.line) for item in node.items):
            return node.body[0].lineno, end_of(node)
    return None


def rewritten(location: Location, change: Callable[[ast.AST], ast.AST | None], passes: int = 1) -> str | None:
    """The statement of a line, with ``change`` applied to its parts, outermost first; None where nothing changed."""
    statement = SourceCode(location).statement()
    if statement is None or isinstance(statement, (*FUNCTIONS, ast.ClassDef, ast.With, ast.If, ast.For, ast.While)):
        return None
    changed = ast.parse(ast.unparse(statement))
    before = ast.unparse(changed)
    for _ in range(passes):
        changed = ast.fix_missing_locations(_Changer(change).visit(changed))
    after = ast.unparse(changed)
    return None if after == before else after.split("\n")[0]


class _Changer(ast.NodeTransformer):
    def __init__(self, change: Callable[[ast.AST], ast.AST | None]) -> None:
        self._change = change

    def generic_visit(self, node: ast.AST) -> ast.AST:
        changed = self._change(node)
        return super().generic_visit(node) if changed is None else changed
