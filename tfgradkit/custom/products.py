"""The two products with the Jacobian by rules, each the transpose of the other, differentiable to any order.

uᵀJ(x) is linear in u, so that its own reverse derivative by u is J(x)v, and that of J(x)v by v is uᵀJ(x) again. What
they depend on x by is left to TensorFlow, which differentiates the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from .tie import Tensors, guarded, is_differentiable, stopped, tied

Product = Callable[[Tensors, Tensors], Tensors]


@dataclass(frozen=True)
class Products:
    """A function's products, flat tensors to flat tensors, of which one may be missing.

    xs are all tensors that the rules need, integers among them; seeds and results are only for those that
    are differentiable.

    Attributes:
        reverse: (xs, us) ↦ Σ uᵀ ∂y/∂x for each x.
        forward: (xs, vs) ↦ Σ (∂y/∂x) v for each y.
    """

    reverse: Product | None
    forward: Product | None


def applied(f: Callable[[Tensors], Tensors], products: Products, xs: Tensors, name: str) -> Tensors:
    """``f(xs)``, whose derivatives by xs are ``products``; by what else f uses, TensorFlow's."""
    ys = f(stopped(xs))
    return tied(guarded(ys, picked(xs), name), picked(xs), lambda us: _reverse(products, here(xs), us), natural=ys)


def picked(xs: Sequence[tf.Tensor]) -> Tensors:
    """Those that are differentiable."""
    return [x for x in xs if is_differentiable(x)]


def here(xs: Sequence[tf.Tensor]) -> Tensors:
    """``xs`` as tensors of this graph, the gradient's: from the next one, only its own could be reached."""
    return [tf.identity(x) for x in xs]


def _reverse(products: Products, xs: Tensors, us: Tensors) -> Tensors:
    if products.reverse is None:
        assert products.forward is not None
        return _transposed(products.forward, xs, us, like=picked(xs))
    if products.forward is None:
        return products.reverse(xs, us)
    return _paired(products.reverse, xs, us, lambda vs: _forward(products, here(xs), vs))


def _forward(products: Products, xs: Tensors, vs: Tensors) -> Tensors:
    assert products.forward is not None
    return _paired(products.forward, xs, vs, lambda us: _reverse(products, here(xs), us))


def _paired(product: Product, xs: Tensors, seeds: Tensors, transpose: Callable[[Tensors], Tensors]) -> Tensors:
    """``product(xs, seeds)`` with its derivative by seeds from ``transpose``, by xs from TensorFlow."""
    by_xs = product(xs, stopped(seeds))
    # In a graph the values are calculated apart, and go on as TensorFlow would differentiate them: in a vectorized
    # loop the tie is lost. The optimizer of the graph finds that both are the same.
    values = by_xs if tf.executing_eagerly() else product(xs, seeds)
    return tied(values, seeds, transpose, natural=by_xs)


def _transposed(product: Product, xs: Tensors, seeds: Tensors, like: Tensors) -> Tensors:
    """Σ seedᵀ ∂/∂w product(xs, w), shaped as ``like``; the product is linear in w, so that any w will do."""
    with tf.GradientTape() as tape:
        ws = [tf.zeros_like(x) for x in like]
        tape.watch(ws)
        results = product(xs, ws)
    return tape.gradient(results, ws, output_gradients=seeds, unconnected_gradients=tf.UnconnectedGradients.ZERO)
