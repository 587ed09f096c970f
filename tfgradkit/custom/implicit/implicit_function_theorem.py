"""The implicit function theorem as a rule of differentiation, to any order, by parameters and by captures.

A root u of r(u, p) = 0 moves by du = −A⁻¹ (∂r/∂p) dp with A = ∂r/∂u. In reverse, w = −A⁻ᵀ ū, and p̄ = wᵀ ∂r/∂p.
w is itself the root of the linear equations Aᵀw + ū = 0, whose A depends on p, too: the same rule again, with
the same inverse. So derivatives of any order need no derivative of a solver, and forward mode, which is
the transpose of reverse mode, solves with A. Griewank & Walther, "Evaluating Derivatives", 2nd ed., ch. 15;
Blondel et al., "Efficient and Modular Implicit Differentiation" (2022).

The parameters are joined by the captures of the residual: its variables, and the tensors that it closes over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ...analysis.batch_axis.op_rules import SEPARATE
from ...derivatives.batch.independence import check_independence, refuse_coupled
from ...derivatives.options import Options
from ...derivatives.problem import select
from ...differentiable import Differentiable
from ...graph.trace import flat_function, specs_of
from .linear_solvers import Solver
from .system import Residual


def captures(source: Differentiable, u: Any, parameters: Sequence[Any], check: Callable[[Any], Any]) -> list[Any]:
    """The floating tensors and variables that ``source.call(u, *parameters)`` takes from around it.

    The residual is traced once, aside. ``check`` is told what it returns.

    Raises:
        GradientError: batched, and the samples influence each other.
    """
    aside, tensors = flat_function(lambda given: _examined(source, given[0], given[1], check), (u, list(parameters)))
    graph = tf.function(aside, autograph=False).get_concrete_function(*specs_of(tensors)).graph
    outside = [outer for outer in graph.external_captures if outer.dtype.is_floating]
    return [*outside, *(v for v in graph.variables if v.dtype.is_floating)]


def _examined(source: Differentiable, u: Any, parameters: Sequence[Any], check: Callable[[Any], Any]) -> None:
    arguments = [u, *parameters]
    options = Options(argnums=0)
    selection = select(source, options, arguments)

    def call(_: Any) -> list[tf.Tensor]:
        ys = selection.call(selection.xs)
        check(ys)
        return ys

    if not source.batched or source.checked:
        call(selection.xs)
        return
    leaves = [
        x for x in tf.nest.flatten(arguments) if isinstance(x, tf.Tensor) and x.dtype.is_floating and x.shape.rank
    ]
    _, found = check_independence(source, options, call, leaves, arguments)
    refuse_coupled(found, source.name)


@dataclass(frozen=True)
class ImplicitFunction:
    """A root and what it is one of.

    Attributes:
        system: the equations, of (u, inputs).
        root: ``[B, n]``, a constant.
        solver: with ∂r/∂u at the root, a constant.
        inputs: tensors.
        around: variables and tensors that the equations use, though not as arguments.
        separate: whether the first axis of all tensors counts samples, which have nothing to do with each other.
    """

    system: Residual
    root: tf.Tensor
    solver: Solver
    inputs: Sequence[tf.Tensor]
    around: Sequence[Any]
    separate: bool = False

    def value(self) -> tf.Tensor:
        """The root as a function of inputs and ``around``: its derivatives are those of the root of the equations."""
        constants = [tf.stop_gradient(t) for t in (self.root, *self.solver.tensors)]
        kept, count = len(constants), len(constants) + len(self.inputs)

        @tf.custom_gradient
        def value(*given: tf.Tensor) -> Any:
            # A function may be differentiated twice from outside. Then the second derivative has a graph of its own,
            # which sees this one's tensors, and none of those that this one took from another.
            here = [tf.identity(tensor) for tensor in given[:count]]
            root, inputs = here[0], here[kept:]
            own = ImplicitFunction(self.system, root, self.solver.of(here[1:kept]), inputs, self.around)

            def gradients(upstream: tf.Tensor) -> list[tf.Tensor | None]:
                return [*[None] * kept, *own.pulled(upstream)]

            return root, gradients

        result = value(*constants, *self.inputs, *[tf.convert_to_tensor(x) for x in self.around])
        if self.separate:
            SEPARATE.add(result.op.node_def.attr["_gradient_op_type"].s)
        return result

    def pulled(self, upstream: tf.Tensor) -> list[tf.Tensor | None]:
        """For each input its p̄, then those of ``around``; they can be differentiated again, by ``upstream``, too."""
        u = self.value()
        adjoint = ImplicitFunction(
            self._adjoint,
            -self.solver.T(tf.stop_gradient(upstream)),
            self.solver.T,
            [u, upstream, *self.inputs],
            self.around,
        )
        w = adjoint.value()
        by = [*self.inputs, *self.around]
        with tf.GradientTape() as tape:
            for x in by:
                tape.watch(x)
            residual = self.system(u, self.inputs)
        return [_dense(g) for g in tape.gradient(residual, by, output_gradients=w)]

    def _adjoint(self, w: tf.Tensor, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Aᵀw + ū."""
        u, upstream, *own = inputs
        with tf.GradientTape() as tape:
            tape.watch(u)
            residual = self.system(u, own)
        product = tape.gradient(residual, u, output_gradients=w)
        return upstream if product is None else product + upstream


def _dense(gradient: Any) -> tf.Tensor | None:
    return tf.convert_to_tensor(gradient) if isinstance(gradient, tf.IndexedSlices) else gradient
