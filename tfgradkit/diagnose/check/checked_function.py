"""A function of flat arrays with its products, to be checked: the same code as the operators', in float64 if possible.

In float64 a check has twice the digits. A Keras model is built again in it, with its weights.
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
from .rounding import epsilon_of
from .wrong_ops import TracedFunction

Arrays = list[np.ndarray]
_MOVES = 2
FlatFunction = Callable[[Tensors], Tensors]
_FLOATING = frozenset({"float16", "bfloat16", "float32", "mixed_float16", "mixed_bfloat16"})


def wide_source(source: Differentiable, arguments: Any, training: bool) -> Differentiable | None:
    """``source`` for float64 arguments; None where that can't be made.

    A Keras model is built again from its configuration, with its own weights; a plain function is used as it is.
    """
    if source.input_specs is None and source.model is None:
        return source
    if source.model is None or not is_keras(source.model):
        return None
    try:
        wide = _wide_model(source.model, arguments)
    except Exception:  # a layer that can't be made from its configuration may raise anything
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


@dataclass
class CheckedFunction:
    """A function to check.

    Attributes:
        xs: the point.
        ys: the values there.
        value: xs ↦ ys.
        products: (us, vs) ↦ (J v, Jᵀ u), at the point.
        epsilon: of the coarsest dtype among xs and ys.
        dtype: the name of that dtype.
        traced: itself, to be run op by op.
        sizes: for each y its largest number, or what its rounding is worth, where that is more.
    """

    xs: Arrays
    ys: Arrays
    value: Callable[[Arrays], Arrays]
    products: Callable[[Arrays, Arrays], tuple[Arrays, Arrays]]
    epsilon: float
    dtype: str
    traced: TracedFunction
    sizes: list[float]


def checked_function(
    source: Differentiable, options: Options, arguments: Any, weights: Sequence[Arrays]
) -> CheckedFunction:
    """The function of ``source``, or its derivative Jᵀ u for each u of ``weights`` in turn.

    Raises:
        SignatureError, GradientError: as the operators do.
    """
    f = _FlatFunction(narrowed(source, options), options, arguments, weights)
    xs, ys = [x.numpy().astype(np.float64) for x in f.xs], [y.numpy().astype(np.float64) for y in f.ys]
    coarsest = max((t.dtype.name for t in [*f.xs, *f.ys]), key=epsilon_of)
    return CheckedFunction(xs, ys, f.value, f.products, epsilon_of(coarsest), coarsest, f.traced, _sizes(f, xs, ys, epsilon_of(coarsest)))


def _sizes(f: _FlatFunction, xs: Arrays, ys: Arrays, epsilon: float) -> list[float]:
    """How large numbers each y is made of: of a gradient that is all but zero, those that cancel, too.

    That shows where x is moved by its own rounding.
    """
    sizes = [_largest(y) for y in ys]
    for seed in range(_MOVES):
        moves = np.random.default_rng(seed)
        moved = f.value([x * (1 + epsilon * moves.choice([-2, -1, 1, 2], x.shape)) for x in xs])
        sizes = [max(s, _largest(a - b) / epsilon / 2) for s, a, b in zip(sizes, moved, ys, strict=True)]
    return sizes


def _largest(x: np.ndarray) -> float:
    """The largest finite number of an array, without its sign."""
    return float(np.max(np.abs(x), initial=0.0, where=np.isfinite(x)))


class _FlatFunction:
    """A function of flat tensors, traced once with its value and once with its products.

    Attributes:
        xs: the tensors to differentiate by.
        ys: its values there.
    """

    def __init__(self, source: Differentiable, options: Options, arguments: Any, weights: Sequence[Arrays]) -> None:
        self._source, self._options, self._arguments, self._weights = source, options, arguments, weights
        self._variables: list[tf.Variable] = []
        self.xs: Tensors = _traced(lambda: [tf.identity(x) for x in self._selected()[1]], [])()
        specs = [] if self._variables else [tf.TensorSpec(x.shape, x.dtype) for x in self.xs]
        self._value = _traced(lambda *xs: self._selected()[0](list(xs) or self._variables), specs)
        self.ys: Tensors = self._value(*self._inputs())
        seeds = [tf.TensorSpec(t.shape, t.dtype) for t in [*self.ys, *self.xs]]
        self._products = _traced(self._both_products, [*seeds, *specs])

    def value(self, xs: Arrays) -> Arrays:
        """The values at ``xs``; variables are as before afterwards."""
        tensors = [tf.constant(x, like.dtype) for x, like in zip(xs, self.xs, strict=True)]
        ys = _at(self._variables, tensors, self._value) if self._variables else self._value(*tensors)
        return [y.numpy().astype(np.float64) for y in ys]

    def products(self, us: Arrays, vs: Arrays) -> tuple[Arrays, Arrays]:
        """J v and Jᵀ u."""
        seeds = [tf.constant(s, like.dtype) for s, like in zip([*us, *vs], [*self.ys, *self.xs], strict=True)]
        forward, reverse = self._products(*seeds, *self._inputs())
        return [p.numpy().astype(np.float64) for p in forward], [p.numpy().astype(np.float64) for p in reverse]

    @property
    def traced(self) -> TracedFunction:
        """Itself, to be run op by op."""
        by_variables = bool(self._variables)
        return TracedFunction(
            self._value, self._variables if by_variables else self.xs, by_variables, self._source.layer_names
        )

    def _selected(self) -> tuple[FlatFunction, Tensors]:
        """The function, or its derivative by the weights, in the current graph, and what it is differentiated by."""
        selection = select(self._source, self._options, self._arguments)
        if selection.variables:
            self._variables[:] = selection.xs
        f: FlatFunction = lambda xs: selection.f(xs, 1)  # noqa: E731
        for us in self._weights:
            f = _gradient(f, us)
        return f, selection.xs

    def _inputs(self) -> Tensors:
        """The arguments of the traces: none for variables, which they read themselves."""
        return [] if self._variables else self.xs

    def _both_products(self, *tensors: tf.Tensor) -> tuple[Tensors, Tensors]:
        count_y, count_x = len(self.ys), len(self.xs)
        us, vs, xs = tensors[:count_y], tensors[count_y : count_y + count_x], tensors[count_y + count_x :]
        pull = pullback(self._selected()[0], list(xs) or self._variables)
        # A Hessian is its own transpose, or the check finds out; forward mode would be a third derivative.
        forward = pull.product(vs) if self._weights else transposed(pull)(vs)
        reverse = pull.product(us)
        return (
            [or_zeros(p, y) for p, y in zip(forward, pull.ys, strict=True)],
            [or_zeros(p, x) for p, x in zip(reverse, self.xs, strict=True)],
        )


def _gradient(f: FlatFunction, us: Arrays) -> FlatFunction:
    """xs ↦ Jᵀ u, the gradient of ⟨u, f⟩."""

    def call(xs: Tensors) -> Tensors:
        pull = pullback(f, xs)
        gradients = pull.product([tf.constant(u, y.dtype) for u, y in zip(us, pull.ys, strict=True)])
        return [or_zeros(g, x) for g, x in zip(gradients, xs, strict=True)]

    return call


def _traced(f: Callable[..., Any], specs: Sequence[tf.TensorSpec]) -> Callable[..., Any]:
    with exact_functions():
        return tf.function(f, autograph=False).get_concrete_function(*specs)


def _at(variables: Sequence[tf.Variable], values: Sequence[tf.Tensor], f: Callable[[], Any]) -> Any:
    """``f()`` while the variables have these values."""
    before = [variable.read_value() for variable in variables]
    try:
        for variable, new in zip(variables, values, strict=True):
            variable.assign(new)
        return f()
    finally:
        for variable, old in zip(variables, before, strict=True):
            variable.assign(old)
