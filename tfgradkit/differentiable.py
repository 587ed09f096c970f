"""What is differentiated: a function of one tensor, with what is known of it beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from .errors import SignatureError

TensorFunction = Callable[[tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class Differentiable:
    """A function ``y = call(x)`` of one tensor.

    Attributes:
        call: the function; traced, never run eagerly by the operators.
        name: how messages and exported files call it.
        batched: whether the first axis of x and y counts independent samples.
        input_spec: shape and dtype of x where they are known (a batched shape starts with None).
        variables: what an exported SavedModel has to carry.
        layer_names: names of the layers of a Keras model, for messages about its graph.
    """

    call: TensorFunction
    name: str
    batched: bool
    input_spec: tf.TensorSpec | None = None
    variables: tuple[Any, ...] = field(default=(), compare=False)
    layer_names: tuple[str, ...] = ()

    def __call__(self, x: Any) -> tf.Tensor:
        """The function's value at ``x``."""
        return self.call(self.to_input(x))

    def to_input(self, x: Any, role: str = "x") -> tf.Tensor:
        """``x`` as a floating tensor that fits ``input_spec``.

        Raises:
            SignatureError: integers, or a shape that doesn't fit.
        """
        tensor = as_floating(x, role, self.input_spec.dtype if self.input_spec is not None else None)
        expected = self.input_spec.shape if self.input_spec is not None else tf.TensorShape(None)
        if not expected.is_compatible_with(tensor.shape):
            raise SignatureError(
                f"{role} has the wrong shape",
                subject=self.name,
                expected=shape_text(expected),
                got=shape_text(tensor.shape),
                hint=_shape_hint(expected, tensor.shape, role),
            )
        if self.batched and tensor.shape.rank == 0:
            raise SignatureError(
                f"{role} has no batch axis",
                subject=self.name,
                expected="an array whose first axis counts the samples",
                got="a scalar",
                hint="pass a batch, or batched=False to differentiate a function of one sample",
            )
        return tensor

    def trace_spec(self, x: tf.Tensor) -> tf.TensorSpec:
        """The spec under which a trace for ``x`` is kept: any batch size shares one."""
        shape = [None, *x.shape[1:]] if self.batched else x.shape
        return tf.TensorSpec(shape, x.dtype)


def as_floating(x: Any, role: str, dtype: tf.DType | None, *, wide: bool = False) -> tf.Tensor:
    """``x`` as a tensor of ``dtype`` (its own, if None); integers are refused.

    Python numbers are float64 on their way to a known ``dtype``, or with ``wide``: TensorFlow
    would make them float32 first, and lose half of their digits.
    """
    try:
        tensor = tf.convert_to_tensor(_exact(x) if wide or dtype is not None else x)
    except (TypeError, ValueError) as error:
        raise SignatureError(
            f"{role} can't be made a tensor",
            expected="a tensor, a NumPy array, or nested lists of numbers",
            got=type(x).__name__,
            hint=str(error).split("\n", 1)[0],
        ) from error
    if not (tensor.dtype.is_floating or tensor.dtype.is_complex):
        raise SignatureError(
            f"{role} is not floating, so nothing can be differentiated by it",
            expected="float16, bfloat16, float32, float64 or complex",
            got=tensor.dtype.name,
            hint=f"pass tf.cast({role}, tf.float32); of an embedding, differentiate by the embedded vectors",
        )
    if dtype is None or dtype == tensor.dtype:
        return tensor
    if not dtype.is_floating:
        raise SignatureError(
            "the function takes integers, so nothing can be differentiated by them",
            expected="a floating input",
            got=dtype.name,
            hint="differentiate the part of the model behind the embedding or the cast",
        )
    return tf.cast(tensor, dtype)


def _exact(x: Any) -> Any:
    numbers = all(isinstance(leaf, (bool, int, float, complex)) for leaf in tf.nest.flatten(x))
    return np.asarray(x) if numbers else x


def shape_text(shape: tf.TensorShape) -> str:
    """``[B, 2]`` rather than ``(None, 2)``: None is the batch axis where it comes first."""
    if shape.rank is None:
        return "any shape"
    names = [
        "B" if axis == 0 and size is None else "?" if size is None else str(size) for axis, size in enumerate(shape)
    ]
    return f"[{', '.join(names)}]"


def _shape_hint(expected: tf.TensorShape, got: tf.TensorShape, role: str) -> str:
    if expected.rank is not None and got.rank == expected.rank - 1 and expected[1:].is_compatible_with(got):
        return f"add the batch axis: {role}[None]"
    return f"pass {role} of shape {shape_text(expected)}"
