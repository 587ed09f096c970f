"""The two products everything else is made of.

``pullback`` is reverse mode: one evaluation, then any number of uᵀJ. ``transposed`` makes forward
mode of it: uᵀJ is linear in u, so its own reverse derivative is Jv
(J. Townsend, "A new trick for calculating Jacobian vector products", 2017). Unlike
``tf.autodiff.ForwardAccumulator`` it needs no rules but the registered gradients, and it honours
``tf.custom_gradient``. Griewank & Walther, "Evaluating Derivatives", 2nd ed., ch. 3.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from ..differentiable import TensorFunction
from ..rules import builtin as _rules  # noqa: F401  registers what second order and forward mode need
from ..rules.silent import checked

Product = Callable[[tf.Tensor], tf.Tensor | None]


def pullback(f: TensorFunction, x: tf.Tensor) -> tuple[tf.Tensor, Product]:
    """``y = f(x)`` and ``u ↦ uᵀ ∂f/∂x``, None where y does not depend on x."""
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = _separate(checked(f, x), x)

    def product(u: tf.Tensor) -> tf.Tensor | None:
        return _dense(tape.gradient(y, x, output_gradients=u))

    return y, product


def transposed(pull: Product, y: tf.Tensor) -> Product:
    """``v ↦ (∂f/∂x) v`` from the ``pullback`` of f, without evaluating f again."""
    with tf.GradientTape(persistent=True) as tape:
        # Any u will do, since the product is linear in it; it has to be watched before it is used.
        u = tf.zeros_like(y)
        tape.watch(u)
        linear = checked(pull, u)

    def product(v: tf.Tensor) -> tf.Tensor | None:
        return None if linear is None else _dense(tape.gradient(linear, u, output_gradients=v))

    return product


def _separate(y: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """A function may return its argument itself; the tape then needs a tensor of its own."""
    return tf.identity(y) if y is x else y


def _dense(gradient: tf.Tensor | tf.IndexedSlices | None) -> tf.Tensor | None:
    return tf.convert_to_tensor(gradient) if isinstance(gradient, tf.IndexedSlices) else gradient
