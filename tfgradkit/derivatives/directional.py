"""Derivatives of any order along given tangents, by one transposition.

⟨u, y⟩ is differentiated by x, contracted with the first tangent, differentiated again, and so on. The
last contraction is linear in u, so its reverse derivative by u is the derivative wanted, of every
result at once: k + 1 reverse passes to write down, of which only the forward part is left to run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from ..graph.dependence import reached
from ..graph.interpret import added
from ..op_gradients.refused_gradients import refuse_silent
from .pullback import Partials, Tensors, any_seed, contracted, or_zeros, pullback

Function = Callable[[Tensors], Tensors]


def directional(f: Function, xs: Tensors, tangents: Sequence[Tensors]) -> Partials:
    """∂ᵏy / ∂v₁ … ∂vₖ for each y; every tangent is a list like ``xs``. None where there is no connection.

    Raises:
        GradientError: an op on the way has no gradient of that order.
    """
    us: Tensors = []
    with tf.GradientTape() as tape:

        def slopes(xs: Tensors) -> Tensors:
            pull = pullback(f, xs)
            if not us:
                us.extend(map(any_seed, pull.ys))
                tape.watch(us)
            return [or_zeros(p, x) for p, x in zip(pull.product(us), xs, strict=True)]

        rule: Function = slopes
        for tangent in tangents[:-1]:
            rule = _contracted(rule, tangent)
        linear, operations = added(rule, xs)
    refuse_silent(reached(operations, us))
    return contracted(tape, linear, us, tangents[-1])


def _contracted(rule: Function, tangent: Tensors) -> Function:
    def call(xs: Tensors) -> Tensors:
        return [or_zeros(p, x) for p, x in zip(pullback(rule, xs).product(tangent), xs, strict=True)]

    return call
