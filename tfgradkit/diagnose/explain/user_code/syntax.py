"""Questions to a Python syntax tree."""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterator
from functools import lru_cache
from types import ModuleType
from typing import Any

from ....graph.user_line import is_users

_DESCRIPTIVE = frozenset({"shape", "dtype", "name", "ndim", "size"})
_PRINTS = frozenset({"print", "info", "debug", "warning", "log"})
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# Fields of nodes whose code runs on a condition.
_DECIDED = {
    (ast.If, "body"), (ast.If, "orelse"), (ast.IfExp, "body"), (ast.IfExp, "orelse"), (ast.For, "body"),
    (ast.While, "body"), (ast.match_case, "body"), (ast.ExceptHandler, "body"),
}  # fmt: skip


@lru_cache(maxsize=64)
def _parsed(source: str) -> ast.AST:
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.Module([], [])


def tree_of(file: str) -> ast.AST:
    """The syntax tree of a file; empty where it can't be read."""
    return _parsed("".join(linecache.getlines(file)))


def globals_of(file: str) -> dict[str, Any]:
    """The global names of a file's module."""
    # vars, since asking a lazy module for an attribute loads it.
    modules = [module for module in list(sys.modules.values()) if isinstance(module, ModuleType)]
    found = next((m for m in modules if vars(m).get("__file__") == file), sys.modules.get("__main__"))
    return vars(found) if found is not None else {}


def defined(file: str, function: ast.expr) -> tuple[str, ast.FunctionDef] | None:
    """The file and the definition of the user's function ``function``: in this file, or imported from another."""
    parts = ast.unparse(function).split(".")
    if len(parts) > 1 and parts[0] != "self":
        return None
    name = parts[-1]
    local = [n for n in ast.walk(tree_of(file)) if isinstance(n, ast.FunctionDef) and n.name == name]
    if local:
        return file, local[-1]
    code = getattr(globals_of(file).get(name), "__code__", None)
    if code is None or not is_users(code.co_filename) or code.co_filename == file:
        return None
    return defined(code.co_filename, ast.Name(code.co_name, ast.Load()))


def assignments(tree: ast.AST) -> Iterator[tuple[ast.expr, ast.AST]]:
    """The targets of assignments one by one, each with its value."""
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
        yield from ((name, value) for name in targets_in(target))


def targets_in(target: ast.expr) -> list[ast.expr]:
    """The names of a tuple of targets."""
    return target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]


def makes_variable(value: ast.AST) -> bool:
    """Whether ``value`` makes a variable somewhere in it."""
    return any(is_variable(node) for node in ast.walk(value))


def is_variable(node: ast.AST) -> bool:
    """Whether ``node`` is the call that makes a variable."""
    return isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("Variable", "add_weight")


def mentions(tree: ast.AST, names: set[str]) -> bool:
    """Whether ``tree`` uses the value of one of ``names``, not only its shape or the like."""
    if isinstance(tree, ast.Attribute) and tree.attr in _DESCRIPTIVE:
        return False
    return is_one(tree, names) or any(mentions(child, names) for child in ast.iter_child_nodes(tree))


def shows(node: ast.AST | None) -> bool:
    """Whether ``node`` is a statement that only prints or logs."""
    call = getattr(node, "value", None)
    return (
        isinstance(node, ast.Expr)
        and isinstance(call, ast.Call)
        and ast.unparse(call.func).split(".")[-1] in _PRINTS
        and not any(isinstance(inner, ast.Lambda) for inner in ast.walk(call))
    )


def not_shown(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node, outermost first, without statements that only print or log."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        if not shows(child):
            yield from not_shown(child)


def is_one(node: ast.AST, names: set[str]) -> bool:
    """Whether ``node`` reads one of ``names``."""
    reads = isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load)
    return reads and ast.unparse(node) in names


def regions_in(root: ast.AST, node: ast.AST, where: ast.AST | None) -> Iterator[tuple[ast.AST | None, ast.AST]]:
    """Every node with the innermost condition, loop or inner function that decides whether it runs."""
    for name, value in ast.iter_fields(node):
        decides = (type(node), name) in _DECIDED or (isinstance(node, (*FUNCTIONS, ast.Lambda)) and node is not root)
        decided = node if decides else where
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                inner = node if isinstance(child, ast.Lambda) and isinstance(node, ast.Call) else decided
                yield inner, child
                yield from regions_in(root, child, inner)


def is_inside(node: ast.AST, lines: tuple[int, int] | None) -> bool:
    """Whether ``node`` begins within ``lines``."""
    return lines is None or lines[0] <= getattr(node, "lineno", lines[0] - 1) <= lines[1]


def spans(node: Any, line: int) -> bool:
    """Whether a line belongs to ``node``."""
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
    return first <= line <= end_of(node)


def end_of(node: Any) -> int:
    """The last line of ``node``."""
    return node.end_lineno or node.lineno
