"""The same function in float64, to check it with twice the digits.

A function of flat arrays and its products, to be checked: the same code that the operators use.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ...derivatives.options import Options
from ...derivatives.problem import narrowed, select
from ...derivatives.pullback import Tensors, or_zeros, pullback, transposed
from ...differentiable import Differentiable
from ...op_gradients.exact_functions import exact_functions
from ...sources.resolve import flat_layers, is_keras, resolve

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


Arrays = list[np.ndarray]
FlatFunction = Callable[[Tensors], Tensors]


@dataclass
class Checked:
    """A function to check.

    Attributes:
        xs: where.
        ys: its values there.
        value: xs ↦ ys.
        products: (us, vs) ↦ (J v, Jᵀ u), at xs.
        epsilon: of the coarsest dtype among xs and ys.
        dtype: that one's name.
    """

    xs: Arrays
    ys: Arrays
    value: Callable[[Arrays], Arrays]
    products: Callable[[Arrays, Arrays], tuple[Arrays, Arrays]]
    epsilon: float
    dtype: str


def checked(source: Differentiable, options: Options, arguments: Any, weights: Sequence[Arrays]) -> Checked:
    """The function of ``source``, or its derivative Jᵀ u for each u of ``weights`` in turn.

    Raises:
        SignatureError, GradientError: as the operators do.
    """
    source = narrowed(source, options)
    variables: list[tf.Variable] = []

    def function() -> tuple[FlatFunction, Tensors]:
        selection = select(source, options, arguments)
        if selection.variables:
            variables[:] = selection.xs
        f: FlatFunction = lambda xs: selection.f(xs, 1)  # noqa: E731
        for us in weights:
            f = _gradient(f, us)
        return f, selection.xs

    start = _run(lambda: [tf.identity(x) for x in function()[1]])
    kinds = [x.dtype for x in start]
    specs = [] if variables else [tf.TensorSpec(x.shape, x.dtype) for x in start]
    graph_value = _traced(lambda *xs: function()[0](list(xs) or variables), specs)

    def value(xs: Arrays) -> Arrays:
        tensors = [tf.constant(x, kind) for x, kind in zip(xs, kinds, strict=True)]
        results = _at(variables, tensors, graph_value) if variables else graph_value(*tensors)
        return [y.numpy().astype(np.float64) for y in results]

    ys = graph_value(*([] if variables else start))
    seeds = [tf.TensorSpec(t.shape, t.dtype) for t in [*ys, *start]]

    def both(*given: tf.Tensor) -> Any:
        us, vs, xs = given[: len(ys)], given[len(ys) : len(ys) + len(start)], given[len(ys) + len(start) :]
        f, _ = function()
        pull = pullback(f, list(xs) or variables)
        # A Hessian is its own transpose, or the check finds out; forward mode would be a third derivative.
        forward, reverse = (pull.product(vs) if weights else transposed(pull)(vs)), pull.product(us)
        return (
            [or_zeros(p, y) for p, y in zip(forward, pull.ys, strict=True)],
            [or_zeros(p, x) for p, x in zip(reverse, start, strict=True)],
        )

    graph_products = _traced(both, [*seeds, *specs])

    def products(us: Arrays, vs: Arrays) -> tuple[Arrays, Arrays]:
        given = [tf.constant(s, like.dtype) for s, like in zip([*us, *vs], [*ys, *start], strict=True)]
        forward, reverse = graph_products(*given, *([] if variables else start))
        return [p.numpy().astype(np.float64) for p in forward], [p.numpy().astype(np.float64) for p in reverse]

    coarsest = max([*kinds, *(y.dtype for y in ys)], key=_epsilon)
    return Checked(
        [x.numpy().astype(np.float64) for x in start],
        [y.numpy().astype(np.float64) for y in ys],
        value,
        products,
        _epsilon(coarsest),
        coarsest.name,
    )


def _gradient(f: FlatFunction, us: Arrays) -> FlatFunction:
    def call(xs: Tensors) -> Tensors:
        pull = pullback(f, xs)
        found = pull.product([tf.constant(u, y.dtype) for u, y in zip(us, pull.ys, strict=True)])
        return [or_zeros(g, x) for g, x in zip(found, xs, strict=True)]

    return call


def _traced(f: Callable[..., Any], specs: Sequence[tf.TensorSpec]) -> Callable[..., Any]:
    with exact_functions():
        return tf.function(f, autograph=False).get_concrete_function(*specs)


def _run(f: Callable[..., Any]) -> Any:
    return _traced(f, [])()


def _at(variables: Sequence[tf.Variable], values: Sequence[tf.Tensor], f: Callable[[], Any]) -> Any:
    before = [variable.read_value() for variable in variables]
    try:
        for variable, new in zip(variables, values, strict=True):
            variable.assign(new)
        return f()
    finally:
        for variable, old in zip(variables, before, strict=True):
            variable.assign(old)


def _epsilon(kind: tf.DType) -> float:
    return {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}[kind.name]
