"""First derivatives, each a few lines over the primitives.

Every operator takes a :class:`Problem` and returns its parts by name, the value among them; ``value_and_`` fronts and
the others pick from these, and TensorFlow prunes the rest. A part is a list by y, by x, or nested, y outside.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import tensorflow as tf

from .complex_numbers import refuse_complex_of_real
from .problem import Problem, check_seeds
from .pullback import bilinear, pullback, transposed

Parts = dict[str, Any]


def value(problem: Problem) -> Parts:
    """y."""
    return {"value": [tf.identity(y) for y in problem.call(problem.xs)]}


def vjp(problem: Problem) -> Parts:
    """Σ uᵀ ∂y/∂x, shaped like x."""
    pull = pullback(problem.call, problem.xs, linear=False)
    seeds = [tf.cast(seed, y.dtype) for seed, y in zip(problem.seeds, pull.ys, strict=True)]
    check_seeds(seeds, pull.ys, "output_gradients", problem.name)
    return {"value": pull.ys, "vjp": problem.filled_like_x(bilinear(pull.product, seeds))}


def jvp(problem: Problem) -> Parts:
    """Σ (∂y/∂x) v, shaped like y."""
    pull = pullback(problem.call, problem.xs)
    products = transposed(pull)(problem.seeds)
    filled = [problem.filled(p, partial(tf.zeros_like, y)) for p, y in zip(products, pull.ys, strict=True)]
    return {"value": pull.ys, "jvp": filled}


def gradient(problem: Problem) -> Parts:
    """∇f of a scalar-valued f, shaped like x.

    Of real values by complex arguments it is TensorFlow's, the direction of steepest ascent.
    """
    problem = problem.scalar("gradient")
    pull = pullback(problem.call, problem.xs, linear=False)
    slopes = pull.product([tf.ones_like(pull.ys[0])])
    if pull.ys[0].dtype.is_complex:
        refuse_complex_of_real(problem, pull.ys)
        slopes = bilinear(pull.product, [tf.ones_like(pull.ys[0])])
    return {"value": pull.ys, "gradient": problem.filled_like_x(slopes)}
