"""A function of flat arrays with its products, to be checked: the same code as the operators'."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from ...derivatives.op_by_op.rounding import epsilon_of
from ...derivatives.options import Options
from ...derivatives.problem import narrowed, select
from ...derivatives.pullback import Tensors, or_zeros, pullback, transposed
from ...differentiable import Differentiable
from ...op_gradients.exact_functions import exact_functions
from .wrong_ops import TracedFunction

Arrays = list[np.ndarray]
_MOVES = 2
FlatFunction = Callable[[Tensors], Tensors]


@dataclass
class CheckedFunction:
    """A function to check.

    Attributes:
        xs: the point.
        ys: the values there.
        value: xs ↦ ys.
        products: (us, vs) ↦ (J v, Jᵀ u), at the point.
        scatter: (us, vs, products) ↦ how far J v and ⟨v, Jᵀ u⟩ scatter where x is moved by its own rounding.
        epsilon: of the coarsest dtype among xs, ys, and what is between them.
        dtype: the name of that dtype.
        traced: itself, to be run op by op.
        sizes: for each y its largest number, or what its rounding is worth, where that is more.
    """

    xs: Arrays
    ys: Arrays
    value: Callable[[Arrays], Arrays]
    products: Callable[[Arrays, Arrays], tuple[Arrays, Arrays]]
    scatter: Callable[[Arrays, Arrays, tuple[Arrays, Arrays]], tuple[list[float], float]]
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
    coarsest = max(*(t.dtype.name for t in [*f.xs, *f.ys]), f.traced.narrowest(), key=epsilon_of)
    epsilon = epsilon_of(coarsest)
    sizes, scatter = _sizes(f, xs, ys, epsilon), partial(_scatter, f, xs, epsilon)
    return CheckedFunction(xs, ys, f.value, f.products, scatter, epsilon, coarsest, f.traced, sizes)


def _sizes(f: _FlatFunction, xs: Arrays, ys: Arrays, epsilon: float) -> list[float]:
    """How large numbers each y is made of: of a gradient that is all but zero, those that cancel, too.

    That shows where x is moved by its own rounding.
    """
    sizes = [_largest(y) for y in ys]
    for there in _moved(xs, epsilon):
        moved = f.value(there)
        sizes = [max(s, _largest(a - b) / epsilon / 2) for s, a, b in zip(sizes, moved, ys, strict=True)]
    return sizes


def _scatter(
    f: _FlatFunction, xs: Arrays, epsilon: float, us: Arrays, vs: Arrays, products: tuple[Arrays, Arrays]
) -> tuple[list[float], float]:
    """How far J v scatters, for each y, and ⟨v, Jᵀ u⟩, where x is moved by its own rounding.

    Where large slopes cancel, or a saturated op stands between them, that is more than the derivative itself.
    """
    forward, reverse = products
    most, least = [0.0] * len(forward), 0.0
    for there in _moved(xs, epsilon):
        ahead, back = f.products(us, vs, there)
        most = [max(m, _largest(a - b)) for m, a, b in zip(most, ahead, forward, strict=True)]
        sums = (float(sum(np.sum(v * p) for v, p in zip(vs, side, strict=True))) for side in (back, reverse))
        least = max(least, _largest(np.asarray(next(sums) - next(sums))))
    return most, least


def _moved(xs: Arrays, epsilon: float) -> Iterator[Arrays]:
    """Points a rounding away."""
    for seed in range(_MOVES):
        moves = np.random.default_rng(seed)
        yield [x * (1 + epsilon * moves.choice([-2, -1, 1, 2], x.shape)) for x in xs]


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

    def products(self, us: Arrays, vs: Arrays, xs: Arrays | None = None) -> tuple[Arrays, Arrays]:
        """J v and Jᵀ u; at other xs than the point, if they are given."""
        there = self.xs if xs is None else [tf.constant(x, like.dtype) for x, like in zip(xs, self.xs, strict=True)]
        seeds = [tf.constant(s, like.dtype) for s, like in zip([*us, *vs], [*self.ys, *self.xs], strict=True)]
        if self._variables:
            forward, reverse = _at(self._variables, there, lambda: self._products(*seeds))
        else:
            forward, reverse = self._products(*seeds, *there)
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
