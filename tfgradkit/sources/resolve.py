"""Whatever the user has in Python as a :class:`Differentiable`: a Keras model or layer, or another callable.

Keras 3 and ``tf_keras`` are told apart by name, so that neither is imported.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from operator import attrgetter
from typing import Any

import tensorflow as tf

from ..arguments import structure_text
from ..differentiable import Differentiable
from ..errors import SignatureError, SourceError
from .callables import from_function


def resolve(fn: Any, *, batched: bool | None = None, training: bool = False) -> Differentiable:
    """``fn`` as a :class:`Differentiable`.

    Args:
        fn: a Keras model or layer, a ``tf.function``, a plain callable, a ``tf.Module`` with
            ``__call__``, or a ``Derivative``.
        batched: whether the first axis counts samples; None for the default of each kind.
        training: the ``training`` argument of Keras layers.

    Raises:
        SourceError: ``fn`` is none of these.
    """
    if isinstance(fn, Differentiable):
        return fn if batched is None else replace(fn, batched=batched)
    if hasattr(fn, "as_differentiable"):
        return fn.as_differentiable(batched)
    if is_keras(fn):
        return from_keras(fn, batched=batched, training=training)
    if callable(fn):
        return from_function(fn, batched=batched)
    raise SourceError(
        "this can't be differentiated",
        expected="a Keras model or layer, a tf.function, a callable, or a tf.Module with __call__",
        got=type(fn).__name__,
        hint="tfgradkit.load(path) reads a model file" if isinstance(fn, str) else None,
    )


def is_keras(fn: Any) -> bool:
    """Whether ``fn`` is a layer (a model is one) of Keras 3 or ``tf_keras``."""
    for cls in type(fn).__mro__:
        if cls.__name__ == "Layer" and cls.__module__.split(".")[0] in ("keras", "tf_keras"):
            return True
    return False


def from_keras(model: Any, *, batched: bool | None, training: bool) -> Differentiable:
    """A model or layer, batched unless told otherwise. It takes one nest of its inputs, or them one by one."""
    spec = _input_spec(model)
    input_names, output_names = _names(model, spec)

    def call(*arguments: Any, **keywords: Any) -> Any:
        # One nest of its inputs may come one by one; the call of a subclass takes several arguments itself.
        given = arguments if len(arguments) == 1 or spec is None else [tf.nest.pack_sequence_as(spec, arguments)]
        try:
            y = model(*given, **{"training": training, **keywords})
        except ValueError as error:
            told = _refused(error)
            if told is None:
                raise
            raise SignatureError(
                "x does not fit the model", subject=model.name, expected=told, got=", ".join(map(structure_text, given))
            ) from error
        # outputs=[y] is how many write a model of one output.
        return y[0] if isinstance(y, (list, tuple)) and len(y) == 1 else y

    return Differentiable(
        call=call,
        name=model.name,
        batched=True if batched is None else batched,
        input_specs=None if spec is None else (spec,),
        variables=tuple(map(_tf_variable, model.variables)),
        trainable=lambda: tuple(map(_tf_variable, model.trainable_variables)),
        layer_names=tuple(map(attrgetter("name"), flat_layers(model))),
        input_names=input_names,
        output_names=output_names,
        model=model,
    )


def flat_layers(model: Any) -> list[Any]:
    """All layers inside, those of models in the model, too."""
    flatten = getattr(model, "_flatten_layers", None)
    return list(flatten(include_self=False)) if flatten else []


def _refused(error: ValueError) -> str | None:
    """What Keras says of an input that does not fit; None where the error is about something else."""
    told = next((line for line in str(error).splitlines() if _REFUSED.search(line)), None)
    return None if told is None else _COLOURS.sub("", told)


# How Keras says that an input has the wrong shape, and the terminal colours it says it in.
_REFUSED = re.compile("incompatible with the layer|Invalid input shape|incompatible shape")
_COLOURS = re.compile("\x1b\\[[0-9;]*m")


def _input_spec(model: Any) -> Any:
    """The nest of what a model takes; one spec for a model of one input."""
    if not getattr(model, "inputs", None):
        return None if not getattr(model, "built", False) or _takes_several(model) else _layer_spec(model)
    inputs = getattr(model, "_inputs_struct", None)
    inputs = list(model.inputs) if inputs is None else inputs
    specs = tf.nest.map_structure(_spec_of, inputs)
    return specs[0] if isinstance(specs, (list, tuple)) and len(specs) == 1 else specs


def _takes_several(layer: Any) -> bool:
    """Whether a layer's ``call`` takes more positional arguments than its inputs."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(layer.call).parameters.values()
    own = [p for p in parameters if p.kind in kinds and p.name not in ("training", "mask")]
    return len(own) > 1 or any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)


def _spec_of(tensor: Any) -> tf.TensorSpec:
    return tf.TensorSpec(tensor.shape, tensor.dtype)


def _names(model: Any, spec: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the inputs and outputs by ``tf.nest``'s order: the keys of a dict, else those of the layers."""
    inputs: list[str] = []
    tensors = getattr(model, "inputs", None)
    if tensors and not isinstance(spec, tf.TensorSpec):
        inputs = sorted(spec) if isinstance(spec, dict) else list(map(attrgetter("name"), tensors))
    outputs: list[str] = []
    structure = getattr(model, "_outputs_struct", None)
    if isinstance(structure, dict):
        outputs = sorted(structure)
    elif isinstance(structure, (list, tuple)):
        outputs = list(getattr(model, "output_names", None) or ())
    return tuple(inputs), tuple(outputs) if isinstance(structure, dict) or len(outputs) > 1 else ()


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
