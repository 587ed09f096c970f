"""What to write instead, for each cause of a missing gradient: made of the user's own line where it can be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...graph.user_line import Location
from ...op_gradients.registry import SHIPPED
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

# Ops without a gradient in TensorFlow that get one when tfgradkit makes a first derivative.
ADDED = frozenset(
    {"AdjustContrastv2", "AdjustHue", "AdjustSaturation", "ResizeArea", "ExtractGlimpseV2", "SoftsignGrad", "LRNGrad"}
    | {"ResizeNearestNeighborGrad", "ResizeBicubicGrad", "ScaleAndTranslateGrad", "CropAndResizeGradImage"}
)
_STEPS = frozenset({"Round", "Rint", "Floor", "Ceil", "Sign"})
_LIMITS = frozenset({"Maximum", "Minimum", "ClipByValue"})
_COMPARISONS = frozenset({"Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual"})
_TNP = "import tensorflow.experimental.numpy as tnp"


@dataclass(frozen=True)
class MissingGradient:
    """A gradient that is missing or zero, and what is known about it.

    Attributes:
        cause: why.
        op: the op, or the function, that cuts it.
        input: the name of the input.
        called: the function that the user's line calls.
        where: the user's line.
        layer: the Keras layer.
        flat: whether there is a gradient, of zero.
    """

    cause: Cause
    op: str
    input: str
    called: str | None = None
    where: Location | None = None
    layer: str | None = None
    flat: bool = False


def remedy(missing: MissingGradient) -> str:
    """What to write instead: lines of code, some with a comment."""
    return _REMEDIES[missing.cause](missing)


def _unwatched(missing: MissingGradient) -> str:
    return f"tape.watch({missing.input})  # in the with block, before {missing.input} is used"


def _replaced(missing: MissingGradient) -> str:
    name = missing.input
    return _rewritten(missing, lambda node: assigning(node, name)) or f"{name} = tf.Variable({name})"


def _left(missing: MissingGradient) -> str:
    line = _rewritten(missing, lambda node: in_tensorflow(node, missing.op), passes=4)
    if line is None:
        return "compute it with TensorFlow's ops, or wrap it: tgk.wrap_external(function, output_spec, derivative=...)"
    if "wrap_external" in line:
        return line
    return f"{_TNP}\n{line}" if "tnp." in line else line


def _not_floating(missing: MissingGradient) -> str:
    if missing.op in ("Cast", "cast"):
        line = _rewritten(missing, without_integers)
        return line or "leave the cast to integers out: keep the calculation in tf.float32"
    if missing.layer:
        return f'tgk.jacobian(model, wrt="layer:{missing.layer}")(…)  # by what the integers are turned into'
    if missing.op:
        return "calculate with the numbers, and make text of them only to show it"
    return f"{missing.input} = tf.cast({missing.input}, tf.float32)  # before the tape; or write 10.0 for 10"


def _not_differentiable(missing: MissingGradient) -> str:
    name = (missing.called or missing.op).lower()
    if "arg" in name and ("max" in name or "min" in name):
        return "tf.nn.softmax(x / temperature)  # a smooth choice; or differentiate the value before the argmax"
    if name == "top_k":
        return "values, _ = tf.math.top_k(x, k)  # its values have a gradient, its indices none"
    if missing.op in _STEPS:
        line = _rewritten(missing, lambda node: straight_through(node, name))
        return line or f"x + tf.stop_gradient(tf.{name}(x) - x)  # the value of {name}, the gradient of x"
    if missing.op in _COMPARISONS:
        return "tf.sigmoid((x - threshold) / width)  # a smooth step, in place of the comparison"
    if missing.op == "HSVToRGB":
        return "tgk.gradient(fn)(x)  # tfgradkit has a gradient for tf.image.hsv_to_rgb"
    return f"leave {missing.called or missing.op} out of the way from {missing.input}, or give it a tf.custom_gradient"


def _unregistered(missing: MissingGradient) -> str:
    if missing.op in ADDED or missing.op in SHIPPED:
        return f"tgk.gradient(fn)(x)  # tfgradkit has a gradient for {missing.op}, and tapes have it after that, too"
    rule = f'@tgk.register_gradient("{missing.op}")\ndef rule(op, upstream):\n    return …  # one for each input'
    return f"{rule}\n# or write it with ops that have one"


def _state(missing: MissingGradient) -> str:
    line = _rewritten(missing, without_assigning)
    return line or "keep the new value in a tensor, calculate with that, and assign it after the tape"


def _stop(missing: MissingGradient) -> str:
    return _rewritten(missing, without(("stop_gradient",))) or "leave tf.stop_gradient out"


def _branch(missing: MissingGradient) -> str:
    if missing.flat and "Relu" in missing.op:
        return "tf.nn.leaky_relu(x)  # has a slope on both sides; or look at arguments where x > 0"
    if missing.flat and missing.op in _LIMITS:
        return f"{missing.input} = …  # arguments within the limits; or leave the clipping out"
    return "tf.where(condition, a, b)  # both sides count; or pass arguments that take the other branch"


def _unused(missing: MissingGradient) -> str:
    if missing.flat:
        return f"another factor than 0, or leave {missing.input} out of the sources"
    if missing.layer:
        return f"h = self.{missing.layer}(h)  # call the layer on the way to the result"
    return f"use {missing.input} in the calculation, or leave it out of the sources"


def _not_trainable(missing: MissingGradient) -> str:
    if missing.layer:
        return f'model.get_layer("{missing.layer}").trainable = True'
    line = _rewritten(missing, trainable)
    return f"tape.watch({missing.input})  # in the with block\n# or {line or 'tf.Variable(…, trainable=True)'}"


def _iterator(missing: MissingGradient) -> str:
    return "tape.watch(batch)  # what comes out of it: differentiate by that; or pass the tensor on directly"


def _custom(missing: MissingGradient) -> str:
    line = _rewritten(missing, with_gradients)
    return line or f"return upstream * derivative  # for {missing.input}, where {missing.op} returns None"


def _saturated(missing: MissingGradient) -> str:
    return "scale the inputs, so that it isn't saturated; of a classifier take the logits, before the softmax"


_REMEDIES: dict[Cause, Callable[[MissingGradient], str]] = {
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


def _rewritten(missing: MissingGradient, change: Change, passes: int = 1) -> str | None:
    """The user's line, changed; None where it can't be read, or nothing in it changes."""
    return rewritten(missing.where, change, passes) if missing.where is not None else None
