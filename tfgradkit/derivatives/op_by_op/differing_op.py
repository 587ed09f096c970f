"""The op where a derivative that is wrong begins to be: each op alone is differentiated in the way of the whole.

An op is put between a line through its arguments and random sums of its results, a function from ℝ² to ℝ²; the
operator of the caller, in the same mode, strategy and compiled or not, compares its derivative with a plain product.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from ...differentiable import Differentiable
from ...errors import VerificationError
from ..options import Options, Strategy
from ..problem import Problem
from .local_check import first_wrong_op
from .wrong_op import WrongOp

Tensors = list[tf.Tensor]
# Makes an operator, by name, of a function, with these parts and options.
Alike = Callable[[Differentiable, str, tuple[str, ...], Options], Callable[..., Any]]

# From an op and its values to a function of a few numbers, and where it is looked at.
Way = Callable[[Callable[..., list[Any]], Sequence[Any]], tuple[Callable[..., Any], list[tf.Tensor]]]

_SECONDS, _MOST_ELEMENTS = 15.0, 100_000
# What stands for operators that take seeds, scalars, or positions in the caller's argument.
_STAND_INS: dict[str, tuple[str, dict[str, Any]]] = {
    "gradient": ("jacobian", {"mode": "reverse", "strategy": "loop"}),
    "vjp": ("jacobian", {"mode": "reverse", "strategy": "loop"}),
    "jvp": ("jacobian", {"mode": "forward", "strategy": "loop"}),
    "hvp": ("hessian", {"mode": "reverse", "strategy": "loop"}),
    "partial": ("hessian", {}),
}
_SECOND = frozenset({"hessian", "hvp", "laplacian", "partial"})
_searching: ContextVar[bool] = ContextVar("searching", default=False)


class _OutOfTimeError(Exception):
    """The search took too long."""


def differing_op(problem: Problem, operator: str, order: int | None, alike: Alike | None) -> WrongOp | None:
    """The first op of a function whose derivative is wrong by itself; None where none is found, whatever the cause.

    Args:
        problem: the function, and the point; eager.
        operator: the name of the operator that gave a wrong result.
        order: that of the derivative that is not the differences of the one below; None: it differs from a plain
            product, and so each op is differentiated in the way of the whole.
        alike: makes that operator of an op.
    """
    if _searching.get() or (order is None and alike is None):
        return None
    token = _searching.set(True)
    try:
        return next(filter(None, _found(problem, operator, order, alike)), None)
    except Exception:  # an op may raise anything when it runs alone; then the error comes without a name
        return None
    finally:
        _searching.reset(token)


def _found(problem: Problem, operator: str, order: int | None, alike: Alike | None) -> Iterator[WrongOp | None]:
    """Of the function, or of its gradient where that is what is differentiated; else of both."""
    search = partial(_first, problem)
    if order is not None:
        yield search(order - 1, None)
        return
    assert alike is not None
    judge = _Judge(problem, operator, alike)
    orders = (1,) if operator in _SECOND else (0, 1)
    for lower in orders:
        yield search(lower, judge)


def _first(problem: Problem, lower: int, judge: Any) -> WrongOp | None:
    """The first wrong op of the derivative of order ``lower``, summed with random weights."""
    if problem.variables:
        return _first_by_variables(problem, judge) if lower == 0 else None
    function = problem.call
    for _ in range(lower):
        function = partial(_slopes, function)
    return first_wrong_op(lambda *xs: function(list(xs)), problem.xs, judge, _layer_names(problem))


def _first_by_variables(problem: Problem, judge: Any) -> WrongOp | None:
    """By variables the samples are a loop, too: what depends on them counts."""
    arguments = list(problem.arguments)
    leaves = tf.nest.flatten(arguments)
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, tf.Tensor) and leaf.dtype.is_floating]

    def function(*xs: tf.Tensor) -> Any:
        filled = list(leaves)
        for place, x in zip(places, xs, strict=True):
            filled[place] = x
        assert problem.source is not None
        return problem.source.call(*tf.nest.pack_sequence_as(arguments, filled))

    return first_wrong_op(function, [leaves[i] for i in places], judge, _layer_names(problem), problem.xs)


def _layer_names(problem: Problem) -> Sequence[str]:
    return () if problem.source is None else problem.source.layer_names


def _slopes(function: Callable[[Tensors], Tensors], xs: Tensors) -> Tensors:
    """The gradient of a sum of the results, with weights that are all different."""
    with tf.GradientTape() as tape:
        tape.watch(xs)
        ys = function(xs)
        total = tf.add_n([tf.cast(tf.reduce_sum(y * _random(y, 0)), xs[0].dtype) for y in ys])
    return [g for g in tape.gradient(total, xs) if g is not None]


class _Judge:
    """Says whether an op's derivative, in the way of a problem, differs from the plain one."""

    def __init__(self, problem: Problem, operator: str, alike: Alike) -> None:
        self._name, changed = _STAND_INS.get(operator, (operator, {}))
        self._options = replace(_of_one_argument(problem.options), **changed)
        self._alike, self._by_variables = alike, problem.variables
        self._end = time.monotonic() + _SECONDS
        ways = [_whole] if operator == "sparse_jacobian" else [_by_sums, _by_products]
        # The ops around the one that is judged may be wrong themselves.
        self._way = next((way for way in ways if not self._differs(way, _same, [tf.ones([2, 3])])), None)

    def __call__(self, call: Callable[..., list[Any]], values: list[Any]) -> float:
        """By how much, relative; 0.0 where it doesn't, or nobody can tell."""
        if time.monotonic() > self._end or self._way is None:
            raise _OutOfTimeError
        try:
            return self._differs(self._way, call, values)
        except Exception:  # the op can't be differentiated alone
            return 0.0

    def _differs(self, way: Way, call: Callable[..., list[Any]], values: list[Any]) -> float:
        function, arguments = way(call, values)
        options = replace(self._options, argnums=tuple(range(len(arguments))))
        try:
            if self._by_variables:
                self._by_a_variable(function, *arguments)
            else:
                self._made(Differentiable(function, "an op", batched=False), options)(*arguments)
        except VerificationError as error:
            return error.error
        return 0.0

    def _by_a_variable(self, function: Callable[..., Any], at: tf.Tensor) -> None:
        """At a variable, moved by each sample's own row."""
        t = tf.Variable(at)

        def each(rows: tf.Tensor) -> tf.Tensor:
            return tf.stack([function(t + row) for row in tf.unstack(rows)])

        source = Differentiable(each, "an op", batched=True, checked=True)
        self._made(source, replace(self._options, wrt=[t]))(tf.zeros([2, *at.shape], at.dtype))

    def _made(self, source: Differentiable, options: Options) -> Callable[..., Any]:
        return self._alike(source, self._name, ("value",) if self._name == "linearize" else (self._name,), options)


def _of_one_argument(options: Options) -> Options:
    """The same mode, strategy and compilation, for a function without batch, variables and layers."""
    strategy: Strategy = "loop" if options.strategy == "tile" else options.strategy
    options = replace(options, argnums=0, wrt="inputs", of=None, has_aux=False, verify="first")
    chunk = None if options.chunk_size is None else 1
    return replace(options, strategy=strategy, chunk_size=chunk, memory_limit=None)


def _same(x: tf.Tensor) -> list[tf.Tensor]:
    return [x]


def _whole(call: Callable[..., list[Any]], values: Sequence[Any]) -> tuple[Callable[..., Any], list[tf.Tensor]]:
    """The op itself; not one that is too large."""
    if sum(int(tf.size(x)) for x in values) > _MOST_ELEMENTS:
        raise _OutOfTimeError
    return call, list(values)


def _by_sums(call: Callable[..., list[Any]], values: Sequence[Any]) -> tuple[Callable[..., Any], list[tf.Tensor]]:
    """Two sums of an op's results over a curved plane through x, and their squares: so that no derivative is zero."""
    dtype = values[0].dtype

    def function(t: tf.Tensor) -> tf.Tensor:
        a, b = tf.unstack(t + t * t)
        moved = [x + tf.cast(a, x.dtype) * _random(x, 1) + tf.cast(b, x.dtype) * _random(x, 2) for x in values]
        sums = [[tf.cast(tf.reduce_sum(y * _random(y, 3 + k)), dtype) for y in call(*moved)] for k in range(2)]
        total = tf.stack([tf.add_n(terms) for terms in sums])
        return total + total * total

    return function, [tf.zeros([2], dtype)]


def _by_products(call: Callable[..., list[Any]], values: Sequence[Any]) -> tuple[Callable[..., Any], list[tf.Tensor]]:
    """The same by products with matrices, of other ops."""
    dtype = values[0].dtype

    def function(t: tf.Tensor) -> tf.Tensor:
        moved = []
        for x in values:
            plane = tf.stack([tf.reshape(column, [-1]) for column in (x, *(_random(x, seed) for seed in range(6)))], 1)
            moved.append(tf.reshape(tf.matmul(plane, tf.cast(_squares(t), x.dtype)), x.shape))
        ys = tf.concat([tf.reshape(tf.cast(y, dtype), [-1, 1]) for y in call(*moved)], 0)
        sums = tf.matmul(_random(tf.zeros([2, ys.shape[0]], dtype), 6), ys)
        return tf.reshape(tf.matmul(_random(tf.zeros([2, 7], dtype), 7), _squares(tf.reshape(sums, [2]))), [2])

    return function, [tf.zeros([2], dtype)]


def _squares(t: tf.Tensor) -> tf.Tensor:
    """1, two numbers and their products, in a column."""
    outer = tf.matmul(tf.reshape(t, [2, 1]), tf.reshape(t, [1, 2]))
    return tf.concat([tf.ones([1, 1], t.dtype), tf.reshape(t, [2, 1]), tf.reshape(outer, [4, 1])], 0)


def _random(like: tf.Tensor, seed: int) -> tf.Tensor:
    """Random numbers like a tensor of known shape."""
    return tf.constant(np.random.default_rng(seed).uniform(0.5, 1.5, like.shape), like.dtype)
