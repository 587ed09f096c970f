"""One mixed partial derivative of any order, along axes that are given by position or by name."""

from __future__ import annotations

from functools import partial as bound
from typing import Any

import tensorflow as tf

from ..arguments import shape_text, split, structure_text
from ..errors import SignatureError
from ..graph.emit import NoRuleError
from .directional import Function, directional
from .first_order import Parts
from .jacobian import connections
from .problem import Problem
from .pullback import Partials, Tensors, pullback
from .sweep.plan import PlanStep
from .taylor.forward_laplacian import JetProgram
from .taylor.jet import Jet

Direction = int | str | tuple[Any, ...]


def partial(problem: Problem) -> Parts:
    """∂ᵏy / ∂x₁ … ∂xₖ, shaped like y."""
    pull = pullback(problem.call, problem.xs)
    named = _named(problem)
    tangents = [_tangent(problem, leaf, position, pull.ys) for leaf, position in named]
    connected = [all(row[leaf] for leaf, _ in named) for row in connections(pull)]
    products = _products(problem, named, tangents)
    problem.log.append(PlanStep("forward", "loop", 1, None, pull.count_bytes, f"one direction, order {len(named)}"))
    parts = [
        problem.filled((tf.zeros_like(y) if p is None else p) if there else None, bound(tf.zeros_like, y))
        for p, y, there in zip(products, pull.ys, connected, strict=True)
    ]
    return {"value": pull.ys, "partial": parts}


def _named(problem: Problem) -> list[tuple[int, int | None]]:
    # The order does not matter; with one of their own, u_xt and u_tx are the same ops of a graph.
    return sorted((_leaf(problem, d) for d in problem.extra["directions"]), key=lambda pair: (pair[0], pair[1] or 0))


def tangents_of(problem: Problem, ys: Tensors) -> list[Tensors]:
    """The directions of a partial, one after the other, as tangents of all xs."""
    along = [_tangent(problem, leaf, position, ys) for leaf, position in _named(problem)]
    return [[tf.zeros_like(x) if t is None else t for t, x in zip(ts, problem.xs, strict=True)] for ts in along]


def _products(problem: Problem, named: list[tuple[int, int | None]], tangents: list[Partials]) -> Partials:
    """By rules, two orders at once along the same axis; by nested reverse passes where there is no rule."""
    if not any(isinstance(x, tf.Variable) for x in problem.xs):
        rule: Function = problem.call
        number = 0
        while number < len(named):
            order = 2 if named[number : number + 2] == [named[number]] * 2 else 1
            rule = _carried(rule, tangents[number], order)
            number += order
        try:
            return list(rule(problem.xs))
        except NoRuleError:
            pass
    filled = [[tf.zeros_like(x) if t is None else t for t, x in zip(ts, problem.xs, strict=True)] for ts in tangents]
    return directional(problem.call, problem.xs, filled)


def _carried(f: Function, tangent: Partials, order: int) -> Function:
    """The first or second derivative along ``tangent``, as a function of x."""

    def call(xs: Tensors) -> Tensors:
        jets = JetProgram(f, xs).carry([None if t is None else t[None] for t in tangent])
        return [_derivative(jet, order) for jet in jets]

    return call


def _derivative(jet: Jet, order: int) -> tf.Tensor:
    if jet.slopes is None:
        return tf.zeros_like(jet.value)
    return jet.full_bend if order == 2 else tf.squeeze(jet.full_slopes, 0)


def check_directions(directions: tuple[Direction, ...]) -> None:
    """Raises :class:`SignatureError` where one is no position, name, or pair of both."""
    wanted = (
        'positions along the last axis, names, or pairs: partial(u, 0, 1), partial(u, "x", "t"), partial(u, ("x", 0))'
    )
    if not directions:
        raise SignatureError("partial needs a direction", expected=wanted)
    for direction in directions:
        *names, last = direction if isinstance(direction, tuple) else (direction,)
        is_position = isinstance(last, int) and not isinstance(last, bool)
        if not (is_position or isinstance(last, str)) or not all(isinstance(n, (str, int)) for n in names):
            raise SignatureError("no such direction", subject="partial", expected=wanted, got=repr(direction))


def _leaf(problem: Problem, direction: Direction) -> tuple[int, int | None]:
    """Which x, and which position along its last axis; None for all of it."""
    path = direction if isinstance(direction, tuple) else (direction,)
    if isinstance(direction, int):
        return _only(problem, direction), direction
    numbers = tf.nest.pack_sequence_as(problem.structure, range(len(problem.xs)))
    names = problem.extra.get("arguments", ())
    if path[0] in names:
        numbers = numbers[names.index(path[0])]
        path = path[1:]
    position = path[-1] if len(path) and isinstance(path[-1], int) else None
    for key in path if position is None else path[:-1]:
        numbers = _below(problem, numbers, key, direction)
    if isinstance(numbers, int):
        return numbers, position
    if position is not None and isinstance(numbers, (list, tuple)):
        return _below(problem, numbers, position, direction), None
    raise _unknown(problem, direction)


def _only(problem: Problem, direction: Direction) -> int:
    if len(problem.xs) == 1:
        return 0
    raise SignatureError(
        "a position alone does not say of which argument",
        subject=problem.name,
        expected='a name, or a pair: "x" or ("x", 0)',
        got=repr(direction),
    )


def _below(problem: Problem, numbers: Any, key: Any, direction: Direction) -> Any:
    leaves = problem.extra.get("leaves", ())
    if isinstance(numbers, dict) and key in numbers:
        return numbers[key]
    if isinstance(numbers, (list, tuple)) and isinstance(key, int) and key < len(numbers):
        return numbers[key]
    if hasattr(numbers, "_fields") and key in numbers._fields:
        return getattr(numbers, key)
    # The inputs of a Keras model have names whatever they come in.
    if key in leaves and len(leaves) == len(problem.xs):
        return leaves.index(key)
    raise _unknown(problem, direction)


def _unknown(problem: Problem, direction: Direction) -> SignatureError:
    names = problem.extra.get("arguments") or problem.extra.get("leaves") or ()
    return SignatureError(
        "no such argument",
        subject=problem.name,
        expected=", ".join(names) or f"a key of {structure_text(problem.structure)}",
        got=repr(direction),
        hint="give the inputs as one argument, as the model takes them" if len(names) > len(problem.xs) else None,
    )


def _tangent(problem: Problem, leaf: int, position: int | None, ys: Tensors) -> Partials:
    """The tangents of all xs: one along the axis, zero (None) elsewhere; the same at every place of the other axes."""
    x = problem.xs[leaf]
    along = _everywhere(problem, x, ys) if position is None else _unit(problem, x, position)
    return [along if i == leaf else None for i in range(len(problem.xs))]


def _unit(problem: Problem, x: tf.Tensor, position: int) -> tf.Tensor:
    sample = split(x, problem.batched)[1]
    width = (sample or [1])[-1]
    if isinstance(width, int) and not -width <= position < width:
        raise SignatureError(
            "no such position along the last axis",
            subject=problem.name,
            expected=f"{-width} to {width - 1}",
            got=position,
            hint=f"x is shaped {shape_text(x.shape)}",
        )
    if not sample:
        return tf.ones_like(x)
    row = tf.one_hot(position % width, width, dtype=x.dtype)
    return tf.broadcast_to(row, tf.shape(x))


def _everywhere(problem: Problem, x: tf.Tensor, ys: Tensors) -> tf.Tensor:
    """The tangent of an argument that is a single coordinate, of one point or of many separate points."""
    sample = split(x, problem.batched)[1]
    points = not problem.batched and len(sample) == 1 and all(y.shape[:1] == x.shape for y in ys)
    if sample in ([], [1]) or (sample and sample[-1] == 1) or points:
        return tf.ones_like(x)
    raise SignatureError(
        "the argument has several coordinates",
        subject=problem.name,
        expected="a scalar, or a last axis of size 1",
        got=shape_text(x.shape),
        hint='a pair says which one: ("x", 0)',
    )
