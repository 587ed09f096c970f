"""What to write instead, made of the user's own line where it can be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...op_gradients.registry import SHIPPED
from ..trace_ops.user_line import Location
from .explanation import Cause
from .user_code.line_rewrites import (  # fmt: skip
    Change,
    assigning,
    in_tensorflow,
    straight_through,
    trainable,
    with_gradients,
    without,
    without_assigning,
    without_integers,
)
from .user_code.source_lines import rewritten

# Ops without a gradient in TensorFlow that get one where a first derivative is made here.
ADDED = frozenset(
    {"AdjustContrastv2", "AdjustHue", "AdjustSaturation", "ResizeArea", "ExtractGlimpseV2", "SoftsignGrad", "LRNGrad"}
    | {"ResizeNearestNeighborGrad", "ResizeBicubicGrad", "ScaleAndTranslateGrad", "CropAndResizeGradImage"}
)
_TNP = "import tensorflow.experimental.numpy as tnp"


@dataclass(frozen=True)
class MissingGradient:
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


def remedy(trouble: MissingGradient) -> str:
    """Code, or a line of it with a comment."""
    return _MAKERS[trouble.cause](trouble)


def _unwatched(trouble: MissingGradient) -> str:
    return f"tape.watch({trouble.input})  # in the with block, before {trouble.input} is used"


def _replaced(trouble: MissingGradient) -> str:
    name = trouble.input
    return _changed(trouble, lambda node: assigning(node, name)) or f"{name} = tf.Variable({name})"


def _left(trouble: MissingGradient) -> str:
    line = _changed(trouble, lambda node: in_tensorflow(node, trouble.op), passes=4)
    if line is None:
        return "compute it with TensorFlow's ops, or wrap it: tgk.wrap_external(function, output_spec, derivative=...)"
    if "wrap_external" in line:
        return line
    return f"{_TNP}\n{line}" if "tnp." in line else line


def _not_floating(trouble: MissingGradient) -> str:
    if trouble.op in ("Cast", "cast"):
        line = _changed(trouble, without_integers)
        return line or "leave the cast to integers out: keep the calculation in tf.float32"
    if trouble.layer:
        return f'tgk.jacobian(model, wrt="layer:{trouble.layer}")(…)  # by what the integers are turned into'
    if trouble.op:
        return "calculate with the numbers, and make text of them only to show it"
    return f"{trouble.input} = tf.cast({trouble.input}, tf.float32)  # before the tape; or write 10.0 for 10"


def _not_differentiable(trouble: MissingGradient) -> str:
    name = (trouble.called or trouble.op).lower()
    if "arg" in name and ("max" in name or "min" in name):
        return "tf.nn.softmax(x / temperature)  # a smooth choice; or differentiate the value before the argmax"
    if name == "top_k":
        return "values, _ = tf.math.top_k(x, k)  # its values have a gradient, its indices none"
    if trouble.op in _STEPS:
        line = _changed(trouble, lambda node: straight_through(node, name))
        return line or f"x + tf.stop_gradient(tf.{name}(x) - x)  # the value of {name}, the gradient of x"
    if trouble.op in _COMPARISONS:
        return "tf.sigmoid((x - threshold) / width)  # a smooth step, in place of the comparison"
    if trouble.op == "HSVToRGB":
        return "tgk.gradient(fn)(x)  # tfgradkit has a gradient for tf.image.hsv_to_rgb"
    return f"leave {trouble.called or trouble.op} out of the way from {trouble.input}, or give it a tf.custom_gradient"


def _unregistered(trouble: MissingGradient) -> str:
    if trouble.op in ADDED or trouble.op in SHIPPED:
        return f"tgk.gradient(fn)(x)  # tfgradkit has a gradient for {trouble.op}, and tapes have it after that, too"
    rule = f'@tgk.register_gradient("{trouble.op}")\ndef rule(op, upstream):\n    return …  # one for each input'
    return f"{rule}\n# or write it with ops that have one"


def _state(trouble: MissingGradient) -> str:
    line = _changed(trouble, without_assigning)
    return line or "keep the new value in a tensor, calculate with that, and assign it after the tape"


def _stop(trouble: MissingGradient) -> str:
    return _changed(trouble, without(("stop_gradient",))) or "leave tf.stop_gradient out"


def _branch(trouble: MissingGradient) -> str:
    if trouble.flat and "Relu" in trouble.op:
        return "tf.nn.leaky_relu(x)  # has a slope on both sides; or look at arguments where x > 0"
    if trouble.flat and trouble.op in _LIMITS:
        return f"{trouble.input} = …  # arguments within the limits; or leave the clipping out"
    return "tf.where(condition, a, b)  # both sides count; or pass arguments that take the other branch"


def _unused(trouble: MissingGradient) -> str:
    if trouble.flat:
        return f"another factor than 0, or leave {trouble.input} out of the sources"
    if trouble.layer:
        return f"h = self.{trouble.layer}(h)  # call the layer on the way to the result"
    return f"use {trouble.input} in the calculation, or leave it out of the sources"


def _not_trainable(trouble: MissingGradient) -> str:
    if trouble.layer:
        return f'model.get_layer("{trouble.layer}").trainable = True'
    line = _changed(trouble, trainable)
    return f"tape.watch({trouble.input})  # in the with block\n# or {line or 'tf.Variable(…, trainable=True)'}"


def _iterator(trouble: MissingGradient) -> str:
    return "tape.watch(batch)  # what comes out of it: differentiate by that; or pass the tensor on directly"


def _custom(trouble: MissingGradient) -> str:
    line = _changed(trouble, with_gradients)
    return line or f"return upstream * derivative  # for {trouble.input}, where {trouble.op} returns None"


def _saturated(trouble: MissingGradient) -> str:
    return "scale the inputs, so that it isn't saturated; of a classifier take the logits, before the softmax"


_MAKERS: dict[Cause, Callable[[MissingGradient], str]] = {
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


def _changed(trouble: MissingGradient, change: Change, passes: int = 1) -> str | None:
    return rewritten(trouble.where, change, passes) if trouble.where is not None else None
