"""The same function in float64, for as long as it is checked: there it has twice the digits.

A Keras model keeps its layers and its code; its variables, its dtype policies and what it takes are float64 meanwhile,
in layers that other layers made for themselves, too. Values in float64 have to be those of the model, or the model is
checked as it is.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import numpy as np
import tensorflow as tf

from ...derivatives.op_by_op.rounding import epsilon_of
from ...differentiable import Differentiable
from ...graph.dependence import between
from ...graph.trace import flat_function, specs_of
from ...sources.resolve import flat_layers, is_keras, resolve

_FLOATING = frozenset({"float16", "bfloat16", "float32", "mixed_float16", "mixed_bfloat16"})
_NARROW = frozenset({"float16", "bfloat16", "float32"})
# By how many roots of the rounding error a model's values may differ from those in float64.
_ALIKE = 30


@contextmanager
def in_float64(source: Differentiable, arguments: Any, training: bool) -> Iterator[Differentiable | None]:
    """``source`` for float64 arguments, within the block; None where that can't be had.

    A plain function is used as it is. So is a Keras model, in the block; one of Keras 2 is built again from its
    configuration, with its own weights.
    """
    model = source.model
    if source.input_specs is None and model is None:
        yield source
        return
    if model is None or not is_keras(model):
        yield None
        return
    with ExitStack() as stack:
        yield _shadow(source, arguments, training, stack)


def _shadow(source: Differentiable, arguments: Any, training: bool, stack: ExitStack) -> Differentiable | None:
    with suppress(Exception):  # a model may raise anything
        expected = _values(source, arguments)
        repeated = _values(source, arguments)
        # Better one that is float64 throughout; else one that is in part.
        for make, strictly in ((m, s) for s in (True, False) for m in (_widened_in_place, _built_again)):
            with suppress(Exception), ExitStack() as attempt:
                wide = attempt.enter_context(make(source.model, arguments))
                shadow = resolve(wide, batched=source.batched, training=training)
                alike = _are_alike(_values(shadow, wide_arguments(arguments)), expected, repeated)
                if alike and not (strictly and _narrows(shadow, wide_arguments(arguments))):
                    stack.enter_context(attempt.pop_all())
                    return shadow
    return None


def _narrows(source: Differentiable, arguments: Any) -> bool:
    """Whether a function casts float64 arguments to something coarser on the way."""
    call, leaves = flat_function(lambda nest: tf.nest.flatten(source.call(*nest)), arguments)
    concrete = tf.function(call, autograph=False).get_concrete_function(*specs_of(leaves))
    inputs = list(concrete.inputs[: len(leaves)])
    return narrowest(concrete.graph.get_operations(), inputs, list(concrete.outputs)) != "float64"


def _values(source: Differentiable, arguments: Any) -> list[Any]:
    return [y for y in tf.nest.flatten(source.call(*arguments)) if isinstance(y, tf.Tensor)]


def _are_alike(wide: list[Any], own: list[Any], repeated: list[Any]) -> bool:
    """Whether values in float64 are those in a model's own dtype; those of a model with random numbers need not be."""
    if len(wide) != len(own):
        return False
    for a, b, again in zip(wide, own, repeated, strict=True):
        if not b.dtype.is_floating:
            continue
        if a.dtype != tf.float64 or a.shape != b.shape:
            return False
        x, y = a.numpy(), b.numpy().astype(np.float64)
        if np.array_equal(b.numpy(), again.numpy()) and not _is_close(x, y, b.dtype.name):
            return False
    return True


def _is_close(x: np.ndarray, y: np.ndarray, dtype: str) -> bool:
    both = np.isfinite(x) & np.isfinite(y)
    scale = float(np.max(np.abs(y), initial=0.0, where=both))
    apart = float(np.max(np.abs(x - y), initial=0.0, where=both))
    return apart <= _ALIKE * epsilon_of(dtype) ** 0.5 * scale


@contextmanager
def _widened_in_place(model: Any, arguments: Any) -> Iterator[Any]:
    """A model of Keras 3 with float64 in place of every other floating dtype; afterwards it is as before."""
    keras = _package(model)
    if keras.__name__ != "keras":
        raise TypeError(keras.__name__)
    layers = [model, *flat_layers(model), *_functional_parts(model)]
    with ExitStack() as stack:
        for variable in {id(v): v for layer in layers for v in layer.variables}.values():
            _widen_variable(variable, stack)
        for layer in layers:
            _set(layer, "_dtype_policy", keras.DTypePolicy("float64"), stack)
            # What input layers, and the inputs of functional models, are told.
            for owner in (layer, *tf.nest.flatten(getattr(layer, "_inputs", None) or [])):
                if str(getattr(owner, "_dtype", "")) in _NARROW:
                    _set(owner, "_dtype", "float64", stack)
        stack.enter_context(_policy(keras))
        yield model


def _functional_parts(model: Any) -> list[Any]:
    """The functional models that Sequential ones keep."""
    layers = [model, *flat_layers(model)]
    return [part for part in (getattr(layer, "_functional", None) for layer in layers) if part is not None]


def _widen_variable(variable: Any, stack: ExitStack) -> None:
    value = variable.value
    if value.dtype.name not in _NARROW:
        return
    wide = tf.Variable(tf.cast(value, tf.float64), trainable=value.trainable, name=value.name.split(":")[0])
    _set(variable, "_value", wide, stack)
    _set(variable, "_dtype", "float64", stack)


def _set(owner: Any, name: str, value: Any, stack: ExitStack) -> None:
    """Sets an attribute, past whatever its class does then, until the stack is closed."""
    before = getattr(owner, name)
    object.__setattr__(owner, name, value)
    stack.callback(object.__setattr__, owner, name, before)


@contextmanager
def _policy(keras: Any) -> Iterator[None]:
    """What layers and ops are made in, where they don't say."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


@contextmanager
def _built_again(model: Any, arguments: Any) -> Iterator[Any]:
    """A model that is made from the configuration of another one, with its weights."""
    keras = _package(model)
    classes = {type(layer).__name__: type(layer) for layer in [model, *flat_layers(model)]}
    policy: Callable[[], Any] = lambda: _policy(keras) if hasattr(keras, "config") else ExitStack()  # noqa: E731
    with policy(), keras.utils.custom_object_scope(classes):
        wide = type(model).from_config(_widened(model.get_config()))
        if not wide.built:
            wide(*wide_arguments(arguments))
    wide.set_weights([np.asarray(weight) for weight in model.get_weights()])
    yield wide


def _package(model: Any) -> Any:
    names = (cls.__module__.split(".")[0] for cls in type(model).__mro__)
    return importlib.import_module(next(name for name in names if name in ("keras", "tf_keras")))


def _widened(config: Any) -> Any:
    """A configuration with float64 in place of every other floating dtype, by name or as a policy."""
    if isinstance(config, (list, tuple)):
        return type(config)(_widened(item) for item in config)
    if not isinstance(config, dict):
        return config
    if config.get("class_name") in ("DTypePolicy", "Policy"):
        return {**config, "config": {**config["config"], "name": "float64"}}
    return {
        key: "float64" if key == "dtype" and isinstance(value, str) and value in _FLOATING else _widened(value)
        for key, value in config.items()
    }


def wide_arguments(arguments: Any) -> Any:
    """The arguments with float64 in place of every other floating dtype."""
    return tf.nest.map_structure(
        lambda x: tf.cast(x, tf.float64) if isinstance(x, tf.Tensor) and x.dtype.is_floating else x, arguments
    )


def narrowest(operations: list[Any], xs: list[Any], ys: list[Any]) -> str:
    """The name of the coarsest dtype that values are cast to on the way from xs to ys; "float64" where they aren't."""
    casts = [op.outputs[0].dtype.name for op in between(operations, xs, ys) if op.type == "Cast"]
    return max((name for name in casts if name in _NARROW), key=epsilon_of, default="float64")
