"""Keras 3 models and layers, and ``tf_keras`` ones, told apart by name so that neither is imported."""

from __future__ import annotations

import re
from typing import Any

import tensorflow as tf

from ..arguments import structure_text
from ..differentiable import Differentiable
from ..errors import SignatureError


def is_keras(fn: Any) -> bool:
    """Whether ``fn`` is a layer (a model is one) of Keras 3 or ``tf_keras``."""
    return any(
        cls.__name__ == "Layer" and cls.__module__.split(".")[0] in ("keras", "tf_keras") for cls in type(fn).__mro__
    )


def from_keras(model: Any, *, batched: bool | None, training: bool) -> Differentiable:
    """A model or layer, batched unless told otherwise. It takes one nest of its inputs, or them one by one."""
    spec = _input_spec(model)

    def call(*arguments: Any) -> Any:
        x = arguments[0] if len(arguments) == 1 else tf.nest.pack_sequence_as(spec, arguments)
        y = _called(model, x, training)
        # outputs=[y] is how many write a model of one output.
        return y[0] if isinstance(y, (list, tuple)) and len(y) == 1 else y

    return Differentiable(
        call=call,
        name=model.name,
        batched=True if batched is None else batched,
        input_specs=None if spec is None else (spec,),
        variables=tuple(_tf_variable(v) for v in model.variables),
        trainable=lambda: tuple(_tf_variable(v) for v in model.trainable_variables),
        layer_names=tuple(layer.name for layer in flat_layers(model)),
        input_names=_names(getattr(model, "inputs", None), spec),
        output_names=_output_names(model),
        model=model,
    )


def flat_layers(model: Any) -> list[Any]:
    """All layers inside, those of models in the model, too."""
    flatten = getattr(model, "_flatten_layers", None)
    return list(flatten(include_self=False)) if flatten else []


def _called(model: Any, x: Any, training: bool) -> Any:
    try:
        return model(x, training=training)
    except ValueError as error:
        told = next((line for line in str(error).splitlines() if _REFUSED.search(line)), None)
        if told is None:
            raise
        raise SignatureError(
            "x does not fit the model", subject=model.name, expected=_COLOURS.sub("", told), got=structure_text(x)
        ) from error


# How Keras says that an input has the wrong shape, and the terminal colours it says it in.
_REFUSED = re.compile("incompatible with the layer|Invalid input shape|incompatible shape")
_COLOURS = re.compile("\x1b\\[[0-9;]*m")


def _input_spec(model: Any) -> Any:
    """The nest of what a model takes; one spec for a model of one input."""
    if not getattr(model, "inputs", None):
        return None if not getattr(model, "built", False) else _layer_spec(model)
    inputs = getattr(model, "_inputs_struct", None)
    inputs = list(model.inputs) if inputs is None else inputs
    specs = tf.nest.map_structure(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), inputs)
    return specs[0] if isinstance(specs, (list, tuple)) and len(specs) == 1 else specs


def _names(tensors: Any, spec: Any) -> tuple[str, ...]:
    """Names of the inputs by ``tf.nest``'s order: the keys of a dict, else those of the layers."""
    if not tensors or isinstance(spec, tf.TensorSpec):
        return ()
    return tuple(sorted(spec)) if isinstance(spec, dict) else tuple(tensor.name for tensor in tensors)


def _output_names(model: Any) -> tuple[str, ...]:
    outputs = getattr(model, "_outputs_struct", None)
    if isinstance(outputs, dict):
        return tuple(sorted(outputs))
    names = getattr(model, "output_names", None) if isinstance(outputs, (list, tuple)) else None
    return tuple(names) if names and len(names) > 1 else ()


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


def _tf_variable(variable: Any) -> Any:
    """The ``tf.Variable`` in a Keras 3 variable: only that is found by TensorFlow's loaders."""
    return variable.value if not isinstance(variable, tf.Variable) else variable
