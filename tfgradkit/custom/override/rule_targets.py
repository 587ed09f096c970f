"""Rules in place of a calculation's own gradient, and which layer, activation or op of a model each one is for.

:func:`ruled` attaches a rule to a calculation. :func:`rule_targets` finds in a Keras model the layers, activations and
types of op that the keys of ``override_gradient`` name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import keras
import tensorflow as tf

from ...arguments import shape_text
from ...errors import SignatureError
from ...sources.layer_results import PREFIX, find_layer
from ...sources.resolve import flat_layers, resolve

# rule(operation, *upstream) -> a gradient for each input, None for zero: as TensorFlow's registered gradients.
OverrideRule = Callable[..., Any]
Tensors = Sequence[tf.Tensor]
# The kinds of targets: a layer as a whole, its activation, a type of op; or an identity after a layer.
LAYER, ACTIVATION, OP, AFTER = "call", "activation", "op", "after"
_ACTIVATIONS = ("activation", "recurrent_activation")


@dataclass(frozen=True)
class Operation:
    """The first argument of a rule: the op, layer or activation whose gradient it gives.

    Attributes:
        type: the op's type, or the class of the layer, or the name of the activation.
        name: of the op or layer.
        inputs, outputs: its tensors; of a layer the floating ones, in the order of ``tf.nest``.
        attributes: of an op.
        own: its own gradient, a function of the upstream gradients.
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
        """The gradient for each input that the rule replaces."""
        return list(self.own(*upstream))


def ruled(
    call: Callable[..., Sequence[Any]],
    inputs: Tensors,
    rule: OverrideRule,
    kind: str,
    name: str,
    attributes: Mapping[str, Any] | None = None,
) -> list[Any]:
    """``call(*inputs)`` with the rule's gradient by the inputs; the gradient by variables stays its own.

    A second derivative differentiates the rule as it is written; its inputs and outputs have their own gradients.

    Raises (when the gradient is asked for):
        SignatureError: the rule returns another number of gradients, or one of another shape or dtype.
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
            tensors = tuple(inputs), tuple(outputs)
            operation = Operation(kind, name, *tensors, attributes or {}, lambda *us: own(inputs, us))
            gradients = _check(rule(operation, *upstream), operation)
            return gradients if variables is None else (gradients, own(variables, upstream))

        return outputs, gradient

    results = run(*_apart(inputs))
    return list(results) if isinstance(results, (list, tuple)) else [results]


def _apart(inputs: Tensors) -> list[tf.Tensor]:
    """Each input a tensor of its own, so that a tape tells the two of ``x * x`` apart."""
    return [tf.identity(x) if any(x is other for other in inputs[:i]) else x for i, x in enumerate(inputs)]


def _carries(tensor: tf.Tensor) -> bool:
    return tensor.dtype.is_floating or tensor.dtype.is_complex


def _check(returned: Any, operation: Operation) -> list[Any]:
    """A rule's result as a gradient for each input; raises :class:`SignatureError` where one doesn't fit."""
    gradients = list(returned) if isinstance(returned, (list, tuple)) else [returned]
    subject = f"{operation.type} {operation.name}"
    if len(gradients) != len(operation.inputs):
        raise SignatureError(
            "the rule gives the wrong number of gradients",
            subject=subject,
            expected=f"{len(operation.inputs)}, one for each input",
            got=len(gradients),
        )
    return [_check_gradient(g, x, subject) for g, x in zip(gradients, operation.inputs, strict=True)]


def _check_gradient(gradient: Any, x: tf.Tensor, subject: str) -> Any:
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
    # A size that only the run knows is checked by the run.
    is_checked = gradient.shape.is_fully_defined() and x.shape.is_fully_defined()
    return gradient if is_checked else tf.reshape(gradient, tf.shape(x))


@dataclass(frozen=True)
class RuleTarget:
    """A layer, activation or type of op whose gradient a rule replaces.

    Attributes:
        kind: ``LAYER``, ``ACTIVATION``, ``OP`` or ``AFTER``.
        where: the number of a layer among :func:`layers_of`, or a type of op.
        attribute: the attribute of the layer that is replaced.
        rule: the user's; for ``AFTER`` an identity layer.
    """

    kind: str
    where: Any
    attribute: str
    rule: Any


def layers_of(model: Any) -> list[Any]:
    """The model, and all layers in it, in an order that its configuration fixes."""
    return [model, *flat_layers(model)]


def everywhere(model: Any, identity: Any) -> list[RuleTarget]:
    """The target that puts ``identity`` after the model's results."""
    return [RuleTarget(AFTER, 0, "call", identity)]


def rule_targets(model: Any, rules: Mapping[Any, Any], kind: str = LAYER) -> list[RuleTarget]:
    """The targets of ``rules`` in ``model``, whose keys are those of ``override_gradient``.

    Raises:
        SignatureError: the model has nothing that a key names.
    """
    return [target for key, rule in rules.items() for target in _targets_of(model, key, rule, kind)]


def _targets_of(model: Any, key: Any, rule: Any, kind: str) -> list[RuleTarget]:
    """The targets of one key."""
    layers = layers_of(model)
    if isinstance(key, str):
        if key in tf.raw_ops.__dict__ and kind == LAYER:
            return [RuleTarget(OP, key, "", rule)]
        if not key.startswith(PREFIX) and kind == LAYER:
            raise _unknown_key(key, layers)
        layer_named = find_layer(resolve(model), key)
        return [RuleTarget(kind, next(i for i, layer in enumerate(layers) if layer is layer_named), "call", rule)]
    if isinstance(key, type) and issubclass(key, keras.layers.Layer):
        targets = [
            RuleTarget(kind, i, "call", rule)
            for i, layer in enumerate(layers)
            if isinstance(layer, key) and not isinstance(layer, keras.layers.InputLayer)
        ]
        available = sorted({type(layer).__name__ for layer in layers})
    else:
        places = [(i, name) for i, layer in enumerate(layers) for name in _ACTIVATIONS if name in vars(layer)]
        targets = [RuleTarget(ACTIVATION, i, name, rule) for i, name in places if vars(layers[i])[name] is key]
        available = sorted({_name_of(vars(layers[i])[name]) for i, name in places} - {"linear"})
    if not targets:
        raise SignatureError(
            "the model has no such layer or activation",
            subject=model.name,
            expected=" | ".join(available) or "a model with activations in its layers",
            got=_name_of(key),
            hint='a type of op, as "Relu", is found wherever the model computes it',
        )
    return targets


def _unknown_key(key: str, layers: list[Any]) -> SignatureError:
    known = {layer.name: PREFIX + layer.name for layer in layers[1:]}
    known |= {name: name for name in dir(tf.raw_ops) if name[0] != "_"}
    near = [known[name] for name in get_close_matches(key, known)]
    return SignatureError(
        "neither a layer nor a type of op",
        subject=repr(key),
        expected='"layer:NAME", a type of op as "Relu", a layer class, or an activation function',
        hint=" or ".join(repr(name) for name in near) or "the layers: " + ", ".join(layer.name for layer in layers[1:]),
    )


def _name_of(thing: Any) -> str:
    return getattr(thing, "__name__", type(thing).__name__)
