"""Changes that give the user's line a gradient: from a node of its syntax tree to another, or None to leave it."""

from __future__ import annotations

import ast
from collections.abc import Callable

_ASSIGNS = {ast.Add: "assign_add", ast.Sub: "assign_sub"}
Change = Callable[[ast.AST], ast.AST | None]


def _last_name(call: ast.Call) -> str:
    return ast.unparse(call.func).split(".")[-1]


def without(functions: tuple[str, ...]) -> Change:
    """A call of one of ``functions`` becomes its first argument."""

    def change(node: ast.AST) -> ast.AST | None:
        return node.args[0] if isinstance(node, ast.Call) and _last_name(node) in functions and node.args else None

    return change


def without_integers(node: ast.AST) -> ast.AST | None:
    """A cast to integers or truth values becomes its argument."""
    if not isinstance(node, ast.Call) or _last_name(node) not in ("cast", "saturate_cast", "bitcast"):
        return None
    dtype = ast.unparse(ast.Tuple([*node.args[1:], *(k.value for k in node.keywords)], ast.Load()))
    return node.args[0] if "int" in dtype or "bool" in dtype else None


def in_tensorflow(node: ast.AST, function: str) -> ast.AST | None:
    """The call of ``function``, or another NumPy call with a name among its arguments, becomes TensorFlow's."""
    if not isinstance(node, ast.Call):
        return None
    root = ast.unparse(node.func).split(".")[0]
    if root in ("np", "numpy", "math") and isinstance(node.func, ast.Attribute):
        return _as_tnp(node, root) if function == ast.unparse(node.func) or _has_name_argument(node) else None
    if function not in (ast.unparse(node.func), _last_name(node)):
        return None
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("numpy", "item", "tolist") and not node.args:
        return node.func.value
    if _last_name(node) in ("predict", "predict_on_batch") and isinstance(node.func, ast.Attribute):
        return ast.Call(node.func.value, node.args[:1], [])
    if _last_name(node) in ("numpy_function", "py_func") and len(node.args) > 1:
        given = ", ".join(map(ast.unparse, getattr(node.args[1], "elts", node.args[1:2])))
        wrapped = f"tgk.wrap_external({ast.unparse(node.args[0])}, output_spec, derivative=...)({given})"
        return ast.parse(wrapped, mode="eval").body
    return node.args[0] if isinstance(node.func, ast.Name) and node.func.id == "float" and node.args else None


def _as_tnp(call: ast.Call, root: str) -> ast.AST:
    name = ast.unparse(call.func)
    if name.split(".")[-1] in ("asarray", "array", "float32", "float64") and call.args:
        return call.args[0]
    return ast.Call(ast.parse(name.replace(root, "tnp", 1), mode="eval").body, call.args, call.keywords)


def _has_name_argument(call: ast.Call) -> bool:
    return any(isinstance(node, ast.Name) for argument in call.args for node in ast.walk(argument))


def straight_through(node: ast.AST, name: str) -> ast.AST | None:
    """``name(x)`` keeps its value, and gets the gradient of x."""
    if not isinstance(node, ast.Call) or _last_name(node) != name or not node.args:
        return None
    x = ast.unparse(node.args[0])
    return ast.parse(f"{x} + tf.stop_gradient({ast.unparse(node)} - {x})", mode="eval").body


def without_assigning(node: ast.AST) -> ast.AST | None:
    """``v.assign_add(x)`` becomes a tensor: ``v_new = v + x``."""
    call = node.value if isinstance(node, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or not call.args:
        return None
    signs = {"assign_add": "{} + {}", "assign_sub": "{} - {}", "assign": "{1}"}
    if call.func.attr not in signs:
        return None
    name = ast.unparse(call.func.value)
    value = signs[call.func.attr].format(name, ast.unparse(call.args[0]))
    return ast.parse(f"{name.split('.')[-1]}_new = {value}").body[0]


def assigning(node: ast.AST, name: str) -> ast.AST | None:
    """``x = x + 1`` becomes ``x.assign_add(1)``; ``tf.Variable(2.0) + 1.0`` becomes ``tf.Variable(2.0 + 1.0)``."""
    if isinstance(node, ast.AugAssign) and type(node.op) in _ASSIGNS:
        return _method_call(name, _ASSIGNS[type(node.op)], node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.left, ast.Call) and _last_name(node.left) == "Variable":
        first = ast.BinOp(node.left.args[0], node.op, node.right)
        return ast.Call(node.left.func, [first, *node.left.args[1:]], node.left.keywords)
    if not isinstance(node, ast.Assign) or ast.unparse(node.targets[0]) != name or "Variable(" in ast.unparse(node):
        return None
    value = node.value
    if isinstance(value, ast.BinOp) and type(value.op) in _ASSIGNS and ast.unparse(value.left) == name:
        return _method_call(name, _ASSIGNS[type(value.op)], value.right)
    return _method_call(name, "assign", value)


def _method_call(name: str, method: str, argument: ast.expr) -> ast.AST:
    return ast.parse(f"{name}.{method}({ast.unparse(argument)})").body[0]


def trainable(node: ast.AST) -> ast.AST | None:
    """``trainable=False`` becomes ``trainable=True``."""
    if isinstance(node, ast.keyword) and node.arg == "trainable":
        return ast.keyword("trainable", ast.Constant(True))
    return None


def with_gradients(node: ast.AST) -> ast.AST | None:
    """Each None that a gradient function returns becomes a product."""
    if not isinstance(node, ast.Return) or node.value is None:
        return None
    product = ast.parse("upstream * derivative", mode="eval").body
    items = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
    filled = [product if isinstance(item, ast.Constant) and item.value is None else item for item in items]
    return ast.Return(ast.Tuple(filled, ast.Load()) if isinstance(node.value, ast.Tuple) else filled[0])
