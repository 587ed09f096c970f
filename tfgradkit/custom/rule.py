"""A rule of the user's in place of a calculation's own gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from ..arguments import shape_text
from ..errors import SignatureError

# rule(operation, *upstream) -> a gradient for each input, None for zero: as TensorFlow's registered gradients.
Rule = Callable[..., Any]
Tensors = Sequence[tf.Tensor]


@dataclass(frozen=True)
class Operation:
    """What a rule is told of the op, layer or activation whose gradient it gives.

    Attributes:
        type: the op's type, or the class of the layer, or the name of the activation.
        name: of the op or layer.
        inputs, outputs: its tensors; of a layer those that are floating, in the order of ``tf.nest``.
        attributes: of an op.
    """

    type: str
    name: str
    inputs: tuple[tf.Tensor, ...]
    outputs: tuple[tf.Tensor, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    own: Callable[..., Any] = field(default=lambda *upstream: [], repr=False)

    def get_attr(self, name: str) -> Any:
        """An attribute of an op."""
        return self.attributes[name]

    def vjp(self, *upstream: tf.Tensor) -> list[tf.Tensor | None]:
        """Its own gradient for each input, which the rule replaces."""
        return list(self.own(*upstream))


def ruled(
    call: Callable[..., Sequence[Any]],
    inputs: Tensors,
    rule: Rule,
    kind: str,
    name: str,
    attributes: Mapping[str, Any] | None = None,
) -> list[Any]:
    """``call(*inputs)``, whose gradient by the inputs is the rule's; by variables it stays its own.

    A second derivative differentiates the rule as it is written, with inputs and outputs that have their own.

    Raises (when the gradient is asked for):
        SignatureError: the rule gives another number of gradients, or one of another shape or dtype.
    """

    @tf.custom_gradient
    def run(*inputs: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., Any]]:
        floating = [x for x in inputs if _carries(x)]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(floating)
            outputs = list(call(*inputs))

        def own(wanted: Sequence[Any], upstream: Tensors) -> Any:
            pairs = [(y, u) for y, u in zip(outputs, upstream, strict=True) if _carries(y)]
            return tape.gradient([y for y, _ in pairs], list(wanted), output_gradients=[u for _, u in pairs])

        def gradient(*upstream: tf.Tensor, variables: Any = None) -> Any:
            told = Operation(kind, name, tuple(inputs), tuple(outputs), attributes or {}, lambda *us: own(inputs, us))
            found = _checked(rule(told, *upstream), told)
            return found if variables is None else (found, own(variables, upstream))

        return outputs, gradient

    found = run(*inputs)
    return list(found) if isinstance(found, (list, tuple)) else [found]


def _carries(tensor: tf.Tensor) -> bool:
    return tensor.dtype.is_floating or tensor.dtype.is_complex


def _checked(given: Any, operation: Operation) -> list[Any]:
    found = list(given) if isinstance(given, (list, tuple)) else [given]
    subject = f"{operation.type} {operation.name}"
    if len(found) != len(operation.inputs):
        raise SignatureError(
            "the rule gives the wrong number of gradients",
            subject=subject,
            expected=f"{len(operation.inputs)}, one for each input",
            got=len(found),
        )
    return [_fitting(g, x, subject) for g, x in zip(found, operation.inputs, strict=True)]


def _fitting(gradient: Any, x: tf.Tensor, subject: str) -> Any:
    if gradient is None or isinstance(gradient, tf.IndexedSlices):
        return gradient
    gradient = tf.convert_to_tensor(gradient)
    if gradient.dtype != x.dtype or not x.shape.is_compatible_with(gradient.shape):
        raise SignatureError(
            "the rule gives a gradient of another shape or dtype than the input's",
            subject=subject,
            expected=f"{x.dtype.name} {shape_text(x.shape)}",
            got=f"{gradient.dtype.name} {shape_text(gradient.shape)}",
        )
    # What only the run knows, the run checks.
    known = gradient.shape.is_fully_defined() and x.shape.is_fully_defined()
    return gradient if known else tf.reshape(gradient, tf.shape(x))
