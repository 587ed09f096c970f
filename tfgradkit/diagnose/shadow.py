"""The same function in float64, to check it with twice the digits."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import tensorflow as tf

from ..differentiable import Differentiable
from ..sources.keras import flat_layers, is_keras
from ..sources.resolve import resolve

_FLOATING = frozenset({"float16", "bfloat16", "float32", "mixed_float16", "mixed_bfloat16"})


def wide_source(source: Differentiable, arguments: Any, training: bool) -> Differentiable | None:
    """``source`` for float64 arguments; None where it can't be had.

    A Keras model is built again from its configuration, with its own weights; a plain function takes what it is given.
    """
    if source.input_specs is None and source.model is None:
        return source
    if source.model is None or not is_keras(source.model):
        return None
    try:
        wide = _wide_model(source.model, arguments)
    except Exception:  # whatever a layer does that can't be made from its configuration
        return None
    return resolve(wide, batched=source.batched, training=training)


def _wide_model(model: Any, arguments: Any) -> Any:
    package = next(
        cls.__module__.split(".")[0]
        for cls in type(model).__mro__
        if cls.__module__.split(".")[0] in ("keras", "tf_keras")
    )
    keras = importlib.import_module(package)
    classes = {type(layer).__name__: type(layer) for layer in [model, *flat_layers(model)]}
    with keras.utils.custom_object_scope(classes):
        wide = type(model).from_config(_widened(model.get_config()))
    if not wide.built:
        wide(*wide_arguments(arguments))
    wide.set_weights([np.asarray(weight) for weight in model.get_weights()])
    return wide


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
