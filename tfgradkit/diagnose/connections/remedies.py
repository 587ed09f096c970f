"""What to write instead, made of the user's own line where it can be read."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass

from ...graph.location import Location
from ...rules.registry import SHIPPED
from .causes import Cause
from .code import rewritten

# Ops without a gradient in TensorFlow that get one where a first derivative is made here.
ADDED = frozenset(
    {"AdjustContrastv2", "AdjustHue", "AdjustSaturation", "ResizeArea", "ExtractGlimpseV2", "SoftsignGrad", "LRNGrad"}
    | {"ResizeNearestNeighborGrad", "ResizeBicubicGrad", "ScaleAndTranslateGrad", "CropAndResizeGradImage"}
)
_TNP = "import tensorflow.experimental.numpy as tnp"


@dataclass(frozen=True)
class Trouble:
    """What a remedy is for.

    Attributes:
        cause: why the gradient is missing.
        op: the op, or the function, that cuts it.
        called: the function that the user's line calls.
        input: the name of what is differentiated by.
        where: the line.
        layer: the Keras layer.
        flat: whether the way is there, with a gradient of zero.
    """

    cause: Cause
    op: str
    input: str
    called: str | None = None
    where: Location | None = None
    layer: str | None = None
    flat: bool = False


def remedy(trouble: Trouble) -> str:
    """Code, or a line of it with a comment."""
    return _MAKERS[trouble.cause](trouble)


def _unwatched(trouble: Trouble) -> str:
    return f"tape.watch({trouble.input})  # in the with block, before {trouble.input} is used"


def _replaced(trouble: Trouble) -> str:
    name = trouble.input
    return _changed(trouble, lambda node: _assigning(node, name)) or f"{name} = tf.Variable({name})"


def _left(trouble: Trouble) -> str:
    line = _changed(trouble, lambda node: _inside(node, trouble.op))
    if line is None:
        return "compute it with TensorFlow's ops, or wrap it: tgk.wrap_external(function, output_spec, derivative=...)"
    if "wrap_external" in line:
        return line
    return f"{_TNP}\n{line}" if "tnp." in line else line


def _not_floating(trouble: Trouble) -> str:
    if trouble.op in ("Cast", "cast"):
        line = _changed(trouble, _floating)
        return line or "leave the cast to integers out: keep the calculation in tf.float32"
    if trouble.layer:
        return f'tgk.jacobian(model, wrt="layer:{trouble.layer}")(…)  # by what the integers are turned into'
    if trouble.op:
        return "calculate with the numbers, and make text of them only to show it"
    return f"{trouble.input} = tf.cast({trouble.input}, tf.float32)  # before the tape; or write 10.0 for 10"


def _not_differentiable(trouble: Trouble) -> str:
    name = (trouble.called or trouble.op).lower()
    if "arg" in name and ("max" in name or "min" in name):
        return "tf.nn.softmax(x / temperature)  # a smooth choice; or differentiate the value before the argmax"
    if name == "top_k":
        return "values, _ = tf.math.top_k(x, k)  # its values have a gradient, its indices none"
    if trouble.op in _STEPS:
        line = _changed(trouble, lambda node: _straight_through(node, name))
        return line or f"x + tf.stop_gradient(tf.{name}(x) - x)  # the value of {name}, the gradient of x"
    if trouble.op in _COMPARISONS:
        return "tf.sigmoid((x - threshold) / width)  # a smooth step, in place of the comparison"
    if trouble.op == "HSVToRGB":
        return "tgk.gradient(fn)(x)  # tfgradkit has a gradient for tf.image.hsv_to_rgb"
    return f"leave {trouble.called or trouble.op} out of the way from {trouble.input}, or give it a tf.custom_gradient"


def _unregistered(trouble: Trouble) -> str:
    if trouble.op in ADDED or trouble.op in SHIPPED:
        return f"tgk.gradient(fn)(x)  # tfgradkit has a gradient for {trouble.op}, and tapes have it after that, too"
    rule = f'@tgk.register_gradient("{trouble.op}")\ndef rule(op, upstream):\n    return …  # one for each input'
    return f"{rule}\n# or write it with ops that have one"


def _state(trouble: Trouble) -> str:
    line = _changed(trouble, _no_assign)
    return line or "keep the new value in a tensor, calculate with that, and assign it after the tape"


def _stop(trouble: Trouble) -> str:
    return _changed(trouble, _without(("stop_gradient",))) or "leave tf.stop_gradient out"


def _branch(trouble: Trouble) -> str:
    if trouble.flat and "Relu" in trouble.op:
        return "tf.nn.leaky_relu(x)  # has a slope on both sides; or look at arguments where x > 0"
    if trouble.flat and trouble.op in _LIMITS:
        return f"{trouble.input} = …  # arguments within the limits; or leave the clipping out"
    return "tf.where(condition, a, b)  # both sides count; or pass arguments that take the other branch"


def _unused(trouble: Trouble) -> str:
    if trouble.flat:
        return f"another factor than 0, or leave {trouble.input} out of the sources"
    if trouble.layer:
        return f"h = self.{trouble.layer}(h)  # call the layer on the way to the result"
    return f"use {trouble.input} in the calculation, or leave it out of the sources"


def _not_trainable(trouble: Trouble) -> str:
    if trouble.layer:
        return f'model.get_layer("{trouble.layer}").trainable = True'
    line = _changed(trouble, _trainable)
    return f"tape.watch({trouble.input})  # in the with block\n# or {line or 'tf.Variable(…, trainable=True)'}"


def _iterator(trouble: Trouble) -> str:
    return "tape.watch(batch)  # what comes out of it: differentiate by that; or pass the tensor on directly"


def _custom(trouble: Trouble) -> str:
    return f"return a gradient for it where {trouble.op} returns None:\nlambda upstream: upstream * derivative"


def _saturated(trouble: Trouble) -> str:
    return "scale the inputs, so that it isn't saturated; of a classifier take the logits, before the softmax"


_MAKERS: dict[Cause, Callable[[Trouble], str]] = {
    "unwatched": _unwatched,
    "replaced_by_tensor": _replaced,
    "left_tensorflow": _left,
    "not_floating": _not_floating,
    "not_differentiable": _not_differentiable,
    "unregistered": _unregistered,
    "state": _state,
    "stop_gradient": _stop,
    "branch_not_taken": _branch,
    "unused": _unused,
    "not_trainable": _not_trainable,
    "iterator": _iterator,
    "custom_gradient": _custom,
    "saturated": _saturated,
}
_STEPS = frozenset({"Round", "Rint", "Floor", "Ceil", "Sign"})
_LIMITS = frozenset({"Maximum", "Minimum", "ClipByValue"})
_COMPARISONS = frozenset({"Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual"})
_ASSIGNS = {ast.Add: "assign_add", ast.Sub: "assign_sub"}
Change = Callable[[ast.AST], ast.AST | None]


def _changed(trouble: Trouble, change: Change) -> str | None:
    return rewritten(trouble.where, change) if trouble.where is not None else None


def _last(call: ast.Call) -> str:
    return ast.unparse(call.func).split(".")[-1]


def _without(functions: tuple[str, ...]) -> Change:
    """The first argument in place of a call."""

    def change(node: ast.AST) -> ast.AST | None:
        return node.args[0] if isinstance(node, ast.Call) and _last(node) in functions and node.args else None

    return change


def _floating(node: ast.AST) -> ast.AST | None:
    """What is cast to integers or truth values, as it was before."""
    if not isinstance(node, ast.Call) or _last(node) not in ("cast", "saturate_cast", "bitcast"):
        return None
    dtype = ast.unparse(ast.Tuple([*node.args[1:], *(k.value for k in node.keywords)], ast.Load()))
    return node.args[0] if "int" in dtype or "bool" in dtype else None


def _inside(node: ast.AST, function: str) -> ast.AST | None:
    """A call of NumPy or Python as TensorFlow."""
    if not isinstance(node, ast.Call) or function not in (ast.unparse(node.func), _last(node)):
        return None
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("numpy", "item", "tolist") and not node.args:
        return node.func.value
    if _last(node) in ("predict", "predict_on_batch") and isinstance(node.func, ast.Attribute):
        return ast.Call(node.func.value, node.args[:1], [])
    if _last(node) in ("numpy_function", "py_func") and len(node.args) > 1:
        given = ", ".join(map(ast.unparse, getattr(node.args[1], "elts", node.args[1:2])))
        wrapped = f"tgk.wrap_external({ast.unparse(node.args[0])}, output_spec, derivative=...)({given})"
        return ast.parse(wrapped, mode="eval").body
    root = ast.unparse(node.func).split(".")[0]
    if root in ("np", "numpy", "math") and isinstance(node.func, ast.Attribute):
        return node.args[0] if node.func.attr in ("asarray", "array", "float32", "float64") else _renamed(node, root)
    return node.args[0] if isinstance(node.func, ast.Name) and node.func.id == "float" and node.args else None


def _renamed(call: ast.Call, root: str) -> ast.AST:
    name = ast.unparse(call.func).replace(root, "tnp", 1)
    return ast.Call(ast.parse(name, mode="eval").body, call.args, call.keywords)


def _straight_through(node: ast.AST, name: str) -> ast.AST | None:
    if not isinstance(node, ast.Call) or _last(node) != name or not node.args:
        return None
    x = ast.unparse(node.args[0])
    return ast.parse(f"{x} + tf.stop_gradient({ast.unparse(node)} - {x})", mode="eval").body


def _no_assign(node: ast.AST) -> ast.AST | None:
    """``v.assign_add(x)`` as a tensor: ``v_new = v + x``."""
    call = node.value if isinstance(node, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or not call.args:
        return None
    signs = {"assign_add": "{} + {}", "assign_sub": "{} - {}", "assign": "{1}"}
    if call.func.attr not in signs:
        return None
    name = ast.unparse(call.func.value)
    value = signs[call.func.attr].format(name, ast.unparse(call.args[0]))
    return ast.parse(f"{name.split('.')[-1]}_new = {value}").body[0]


def _assigning(node: ast.AST, name: str) -> ast.AST | None:
    """``x = x + 1`` as ``x.assign_add(1)``; ``tf.Variable(2.0) + 1.0`` as ``tf.Variable(2.0 + 1.0)``."""
    if isinstance(node, ast.AugAssign) and type(node.op) in _ASSIGNS:
        return _called(name, _ASSIGNS[type(node.op)], node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.left, ast.Call) and _last(node.left) == "Variable":
        first = ast.BinOp(node.left.args[0], node.op, node.right)
        return ast.Call(node.left.func, [first, *node.left.args[1:]], node.left.keywords)
    if not isinstance(node, ast.Assign) or ast.unparse(node.targets[0]) != name or "Variable(" in ast.unparse(node):
        return None
    value = node.value
    if isinstance(value, ast.BinOp) and type(value.op) in _ASSIGNS and ast.unparse(value.left) == name:
        return _called(name, _ASSIGNS[type(value.op)], value.right)
    return _called(name, "assign", value)


def _called(name: str, method: str, argument: ast.expr) -> ast.AST:
    return ast.parse(f"{name}.{method}({ast.unparse(argument)})").body[0]


def _trainable(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.keyword) and node.arg == "trainable":
        return ast.keyword("trainable", ast.Constant(True))
    return None
