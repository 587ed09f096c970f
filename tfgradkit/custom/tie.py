"""A value whose gradient is somebody's rule, and what happens where TensorFlow loses that."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from ..rules.tapes import is_recording
from ..rules.vectorized import OPEN_IN_LOOPS

Tensors = list[tf.Tensor]
Rule = Callable[[Tensors], Sequence[tf.Tensor | None]]


def tied(values: Tensors, inputs: Tensors, rule: Rule, *, beside: Sequence[tf.Tensor] = ()) -> Tensors:
    """``values``, with gradients ``us`` that go to ``inputs`` as ``rule(us)``.

    All that the values are made of is handed in, so that ``tf.custom_gradient`` finds no variables inside, and
    nothing goes to the values themselves. TensorFlow's vectorized loops drop a custom gradient from what they
    stack: there, gradients go to the values, and to nothing else. That happens to what has one of ``beside`` among
    its inputs as soon as that one is stacked.
    """
    if tf.executing_eagerly() and not is_recording():
        return values
    given = [*inputs, *beside, *values]

    @tf.custom_gradient
    def tie(*tensors: tf.Tensor) -> tuple[Tensors, Callable[..., list[tf.Tensor | None]]]:
        def gradient(*us: tf.Tensor) -> list[tf.Tensor | None]:
            return [*rule(list(us)), *[None] * (len(beside) + len(values))]

        return [tf.identity(value) for value in tensors[len(tensors) - len(values) :]], gradient

    return list(tie(*given))


def guarded(values: Sequence[tf.Tensor], xs: Sequence[tf.Tensor], name: str) -> Tensors:
    """``values`` whose own gradient is an error, not None: for :func:`tied`, whose rule comes first."""
    message = (
        f"the derivative of {name} is a rule of its own, which a vectorized loop over {name} has lost: "
        "differentiate inside tf.vectorized_map, not around it, or use tf.map_fn"
    )
    if tf.executing_eagerly():
        return list(values)
    # A tape asks for the gradients of what depends on xs, and of nothing else.
    depending = tf.identity_n([*values, *xs])[: len(values)]
    return [tf.raw_ops.PreventGradient(input=value, message=message) for value in depending]


def held(xs: Sequence[tf.Tensor]) -> Tensors:
    """The same values, through which no gradient goes but where a vectorized loop has lost the tie."""
    return [tf.raw_ops.PreventGradient(input=x, message=OPEN_IN_LOOPS) for x in xs]


def is_differentiable(x: object) -> bool:
    """Whether ``x`` is a tensor, variable or array of floating or complex numbers."""
    dtype = getattr(x, "dtype", None)
    if dtype is None or isinstance(x, type):
        return False
    kind = tf.as_dtype(dtype)
    return bool(kind.is_floating or kind.is_complex)
