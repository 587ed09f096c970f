"""``linearize``: the function once, then as many products with its Jacobian as are wanted.

The graph of value, Jv and uᵀJ is cut in two: what does not depend on v or u runs once, at the point, and
its results are what the products start from. JAX's ``linearize`` does so by partial evaluation;
Griewank & Walther, "Evaluating Derivatives", 2nd ed., ch. 3.2, for the products.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Unpack

import tensorflow as tf

from ..errors import SourceError
from .derivative import Derivative
from .linear_map import LinearMap
from .operators import Keywords, build
from .seeds import wanted_seed
from .selection import batch_axis
from .stages import Stages, Written, written
from .trace import signature_of


def linearize(fn: Any, **keywords: Unpack[Keywords]) -> Linearize:
    """The function at a point, and its Jacobian there as products: ``(x) -> (y, LinearMap)``.

    The function runs once; ``matvec`` and ``rmatvec`` of the :class:`LinearMap` cost about as much as it does,
    each, and never trace again. SciPy's solvers take the map as it is: a Newton–Krylov solve is
    ``scipy.sparse.linalg.gmres(map, -residual)``. Batched, the map is block-diagonal. With ``has_aux`` the aux
    comes last. By variables, the map is that of the whole batch. ``mode``, ``strategy`` and ``chunk_size`` have
    nothing to choose.

    Args:
        fn: as for every operator.
    """
    built = build("jvp", ("value", "jvp"), fn, keywords)
    return Linearize(built.source, "linearize", ("value",), built.options)


class Linearize(Derivative):
    """What :func:`linearize` returns."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._stages: dict[Any, Stages] = {}

    @tf.autograph.experimental.do_not_convert
    def __call__(self, *arguments: Any, output_gradients: Any = None, tangents: Any = None) -> Any:
        """``(y, LinearMap)`` at the arguments."""
        wanted_seed(self.operator, {"output_gradients": output_gradients, "tangents": tangents}, str(self))
        converted = self.converted(arguments)
        write = partial(written, self.source, self.options)
        if not tf.executing_eagerly():
            at = write(converted)
            return self._result(at, at.ys, at.xs, at.aux, at.forward, at.reverse)
        batch = batch_axis(self.options, converted)[0] if self.source.batched else None
        key = signature_of((converted, None), batch)
        if key not in self._stages:
            self._stages[key] = Stages(write, converted, batch, self.options.jit_compile is True)
        return self._result(*self._stages[key](converted))

    @property
    def trace_count(self) -> int:
        """How many signatures have been traced so far."""
        return len(self._stages)

    def as_differentiable(self, batched: bool | None = None) -> Any:
        """A map is no tensor: there is nothing to differentiate."""
        raise SourceError(
            "a linear map can't be differentiated", subject=str(self), hint="jvp or vjp of the function can be"
        )

    def _result(self, at: Written, ys: Any, xs: Any, aux: Any, forward: Any, reverse: Any) -> Any:
        block_diagonal = self.source.batched and not at.by_variables
        inputs, outputs = at.specs(xs, ys)
        linear_map = LinearMap(forward, reverse, inputs, outputs, block_diagonal, self.source.name)
        y = tf.nest.pack_sequence_as(at.y_structure, ys)
        return (y, linear_map, aux) if self.options.has_aux else (y, linear_map)
