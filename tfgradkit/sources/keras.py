"""Keras 3 models and layers, and ``tf_keras`` ones, told apart by name so that neither is imported."""

from __future__ import annotations

import re
from typing import Any

import tensorflow as tf

from ..differentiable import Differentiable, shape_text
from ..errors import SignatureError
from .function import single_tensor


def is_keras(fn: Any) -> bool:
    """Whether ``fn`` is a layer (a model is one) of Keras 3 or ``tf_keras``."""
    return any(
        cls.__name__ == "Layer" and cls.__module__.split(".")[0] in ("keras", "tf_keras") for cls in type(fn).__mro__
    )


def from_keras(model: Any, *, batched: bool | None, training: bool) -> Differentiable:
    """A model or layer of one input and one output, batched unless told otherwise."""
    spec = _input_spec(model)
    wants_batch = True if batched is None else batched

    def call(x: tf.Tensor) -> tf.Tensor:
        return single_tensor(_called(model, x, training), model.name)

    return Differentiable(
        call=call,
        name=model.name,
        batched=wants_batch,
        input_spec=spec,
        variables=tuple(_tf_variable(v) for v in model.variables),
        layer_names=tuple(layer.name for layer in _flat_layers(model)),
    )


def _called(model: Any, x: tf.Tensor, training: bool) -> Any:
    try:
        return model(x, training=training)
    except ValueError as error:
        told = next((line for line in str(error).splitlines() if _REFUSED.search(line)), None)
        if told is None:
            raise
        raise SignatureError(
            "x does not fit the model", subject=model.name, expected=_COLOURS.sub("", told), got=shape_text(x.shape)
        ) from error


# How Keras says that an input has the wrong shape, and the terminal colours it says it in.
_REFUSED = re.compile("incompatible with the layer|Invalid input shape|incompatible shape")
_COLOURS = re.compile("\x1b\\[[0-9;]*m")


def _input_spec(model: Any) -> tf.TensorSpec | None:
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return None if not getattr(model, "built", False) else _layer_spec(model)
    if len(inputs) != 1:
        raise SignatureError(
            "the model must have one input",
            subject=model.name,
            expected="one input",
            got=f"{len(inputs)}: {[i.name for i in inputs]}",
            hint="concatenate the inputs inside the model, or fix the others in a function of one input",
        )
    return tf.TensorSpec(inputs[0].shape, inputs[0].dtype)


def _layer_spec(layer: Any) -> tf.TensorSpec | None:
    """What a built layer says of its input: its rank, and the size of its last axis."""
    spec = getattr(layer, "input_spec", None)
    if spec is None or isinstance(spec, (list, tuple, dict)):
        return None
    if spec.shape is not None:
        return tf.TensorSpec(spec.shape, layer.compute_dtype)
    if not spec.ndim:
        return tf.TensorSpec(None, layer.compute_dtype)
    shape: list[int | None] = [None] * spec.ndim
    for axis, size in (spec.axes or {}).items():
        shape[axis] = size
    return tf.TensorSpec(shape, layer.compute_dtype)


def _flat_layers(model: Any) -> list[Any]:
    flatten = getattr(model, "_flatten_layers", None)
    return list(flatten(include_self=False)) if flatten else []


def _tf_variable(variable: Any) -> Any:
    """The ``tf.Variable`` in a Keras 3 variable: only that is found by TensorFlow's loaders."""
    return variable.value if not isinstance(variable, tf.Variable) else variable
