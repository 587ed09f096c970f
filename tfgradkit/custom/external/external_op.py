"""The side of TensorFlow: ops that call functions of NumPy arrays, and their derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ...arguments import dims, size
from ...errors import ExternalError, GradientError, TfGradKitError
from ...graph.pfor import stacked_inputs, vectorized, wrapped
from ...graph.python_code import marked, op_name, original
from ..attach_gradient import Tensors, attach_gradient, held, here, picked
from .python_call import Arrays, BatchFunction

# What an op calls, by the token that TensorFlow gave it: as a function of tensors, with its derivatives.
_CALLED: dict[bytes, Callable[[Tensors], Tensors]] = {}


@dataclass(frozen=True)
class ExternalCall:
    """One call of a function outside TensorFlow.

    Attributes:
        functions: its values, its Jacobian, the Jacobian of that, as far as they are known.
        name: for messages and ops.
        dtypes: of the results.
        shapes: of the results, without the batch.
        product: (x, u) ↦ uᵀJ, where there is one.
        differentiated: whether the values are derivatives themselves.
    """

    functions: tuple[BatchFunction, ...]
    name: str
    dtypes: Sequence[tf.DType]
    shapes: Sequence[Sequence[int | None]]
    product: BatchFunction | None = None
    differentiated: bool = False

    def slopes(self, xs: Tensors) -> ExternalCall:
        """The call of the Jacobian: blocks for each floating result and argument."""
        pairs = [
            (dtype, [*shape, *x.shape[1:]])
            for dtype, shape in zip(self.dtypes, self.shapes, strict=True)
            for x in picked(xs)
            if dtype.is_floating
        ]
        return ExternalCall(
            self.functions[1:], self.name, [d for d, _ in pairs], [s for _, s in pairs], differentiated=True
        )


def external_op(call: ExternalCall, xs: Tensors) -> Tensors:
    """The results of a call at ``xs``, differentiable as often as Jacobians are known."""
    if tf.executing_eagerly():
        return _external_op(call, xs)
    with tf.name_scope(op_name(call.name)):  # by which its ops are known
        return _external_op(call, xs)


def _external_op(call: ExternalCall, xs: Tensors) -> Tensors:
    xs = xs if tf.executing_eagerly() else here(xs)
    run = _Run(call.functions[0], call.name, call.dtypes, call.shapes)
    results = run.at(xs, lambda tensors: external_op(call, tensors))
    floating = picked(results)
    if not floating or not picked(xs):
        return results
    slopes = _Slopes(call)

    def rule(us: Tensors) -> Tensors:
        at = here(xs)
        if len(call.functions) == 1:
            return _refusing(call, at, us)
        return contracted(us, slopes.at(at), at) if call.product is None else _product(call, at, us)

    found = iter(attach_gradient(floating, picked(xs), rule))
    return [next(found) if y.dtype.is_floating else y for y in results]


class _Slopes:
    """The Jacobian beside the value, one op for all products of a graph and of the loops in it.

    Written where the first product is, not with the value: a ``tf.function`` around would hand it on as a result, and
    write, and run, its derivatives as well.
    """

    def __init__(self, call: ExternalCall) -> None:
        self._call = call
        self._found: list[tuple[Any, Tensors]] = []

    def at(self, xs: Tensors) -> Tensors:
        """The blocks, in this graph."""
        graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
        around = graph
        while True:
            for known, blocks in self._found:
                if known is around:
                    return blocks
            around = getattr(around, "outer_graph", None)
            if around is None:
                break
        blocks = external_op(self._call.slopes(xs), xs)
        self._found.append((graph, blocks))
        return blocks


def contracted(us: Tensors, blocks: Tensors, xs: Tensors) -> Tensors:
    """Σ uᵀ J for each floating x, from blocks ``[B] + y + x``, results outside."""
    by = picked(xs)
    return [
        tf.cast(tf.add_n([_contracted(u, blocks[i * len(by) + j], x) for i, u in enumerate(us)]), x.dtype)
        for j, x in enumerate(by)
    ]


def _contracted(u: tf.Tensor, block: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    batch, *sample = dims(x)
    rows, columns = size(dims(u)[1:]), size(sample)
    product = tf.matmul(
        tf.reshape(tf.cast(u, block.dtype), [batch, 1, rows]), tf.reshape(block, [batch, rows, columns])
    )
    return tf.reshape(product, [batch, *sample])


def _product(call: ExternalCall, xs: Tensors, us: Tensors) -> Tensors:
    """uᵀJ by the user's own function; its derivatives are those of the Jacobian that it amounts to."""
    assert call.product is not None
    given = iter(us)
    seeds = [
        next(given) if d.is_floating else tf.zeros([tf.shape(xs[0])[0], *s], d)
        for d, s in zip(call.dtypes, call.shapes, strict=True)
    ]
    by = picked(xs)
    run = _Run(call.product, call.name, [x.dtype for x in by], [x.shape[1:] for x in by])
    count = len(xs)
    results = run.at([*xs, *seeds], lambda tensors: _product(call, tensors[:count], picked(tensors[count:])))

    def rule(vs: Tensors) -> Tensors:
        at, weights = here(xs), here(us)
        with tf.GradientTape() as tape:
            tape.watch([*picked(at), *weights])
            gradients = contracted(weights, external_op(call.slopes(at), at), at)
        return tape.gradient(gradients, [*picked(at), *weights], output_gradients=vs, unconnected_gradients="zero")

    return attach_gradient(results, [*by, *us], rule)


@dataclass(frozen=True)
class _Run:
    """A function of arrays that never raises anything but errors of ours."""

    f: BatchFunction
    name: str
    dtypes: Sequence[tf.DType]
    shapes: Sequence[Sequence[int | None]]

    def at(self, xs: Tensors, again: Callable[[Tensors], Tensors]) -> Tensors:
        """The results at once, or as an op of the graph.

        ``again`` makes the same with its derivatives: where a vectorized loop puts another op in place of this one.
        """
        if tf.executing_eagerly():
            return [tf.convert_to_tensor(y) for y in self([x.numpy() for x in xs])]
        # Without a state, as far as TensorFlow knows: what nobody needs doesn't run, and a vectorized loop may hold it.
        results = tf.numpy_function(self.in_graph, held(xs), list(self.dtypes), stateful=False, name=op_name(self.name))
        _CALLED[results[0].op.get_attr("token")] = again
        for y, shape in zip(results, self.shapes, strict=True):
            y.set_shape([xs[0].shape[0], *shape])
        return list(results)

    def __call__(self, xs: Sequence[np.ndarray]) -> Arrays:
        dtypes = [dtype.as_numpy_dtype for dtype in self.dtypes]
        if len(xs[0]) == 0:
            return [np.zeros([0, *(n or 0 for n in s)], d) for s, d in zip(self.shapes, dtypes, strict=True)]
        try:
            return [np.asarray(y, dtype) for y, dtype in zip(self.f(xs), dtypes, strict=True)]
        except TfGradKitError:
            raise
        except Exception as error:  # of a graph that the function runs, or of what it returned
            raise original(error) or ExternalError(
                "the function outside TensorFlow returned what can't be used", subject=self.name, got=str(error)
            ) from error

    def in_graph(self, *xs: np.ndarray) -> Arrays:
        try:
            return self(xs)
        except TfGradKitError as error:
            raise marked(error) from error


def _refusing(call: ExternalCall, xs: Tensors, us: Tensors) -> Tensors:
    """A derivative that isn't known: an error here, or where it is run.

    TensorFlow writes more derivatives of a ``tf.function`` than anybody asks for, and runs them for us of zero.
    """

    count = len(xs)

    def refuse(given: Sequence[np.ndarray]) -> Arrays:
        if any(u.any() for u in given[count:]):
            raise _no_derivative(call)
        return [np.zeros(x.shape) for x in given[:count] if x.dtype.kind == "f"]

    if not call.differentiated:
        raise _no_derivative(call)
    by = picked(xs)
    run = _Run(refuse, call.name, [x.dtype for x in by], [x.shape[1:] for x in by])
    return run.at([*xs, *us], lambda tensors: _refusing(call, tensors[:count], tensors[count:]))


def _no_derivative(call: ExternalCall) -> GradientError:
    if call.differentiated:
        return GradientError("the function outside TensorFlow has no third derivatives", subject=call.name)
    return GradientError(
        "the function outside TensorFlow has no derivative",
        subject=call.name,
        expected='derivative="finite-difference", "complex-step", a Jacobian or a VJP',
        got="derivative=None",
        hint="tf.stop_gradient around it, if no gradient is to go through",
    )


@vectorized("PyFuncStateless")
def _all_turns_at_once(given: Any) -> Any:
    """The samples of all turns as one batch: one call."""
    again = _CALLED.get(given.get_attr("token"))
    if again is None:
        raise ValueError("tf.numpy_function can't be vectorized")
    turns = given.pfor.loop_len_vector[0]
    results = again([tf.reshape(x, [-1, *dims(x)[2:]]) for x in stacked_inputs(given)])
    return wrapped([tf.reshape(y, [turns, -1, *dims(y)[1:]]) for y in results])
