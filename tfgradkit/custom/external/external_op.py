"""``PyFunc`` ops for functions of NumPy arrays, with their derivatives as ops of the same kind.

An :class:`ExternalCall` lists the function, its Jacobian, and the Jacobian of that. :func:`external_op` runs the first
at once or as an op of the graph, and attaches the product with the second as its gradient.
"""

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
from ..attach_gradient import Tensors, attach_gradient, differentiable, local_copies, refuse_lost_rule
from .python_call import Arrays, BatchFunction

# By the token that TensorFlow gave an op: the function that the op calls, of tensors and with its derivatives.
_TENSOR_FUNCTIONS: dict[bytes, Callable[[Tensors], Tensors]] = {}


@dataclass(frozen=True)
class ExternalCall:
    """One call of a function outside TensorFlow.

    Attributes:
        functions: the value, the Jacobian, the Jacobian of the Jacobian, as far as they are known.
        name: of the function, for messages and ops.
        dtypes: of the results.
        shapes: of the results, without the batch.
        product: (x, u) ↦ uᵀJ, where the user gave one.
        differentiated: whether the value is itself a derivative.
    """

    functions: tuple[BatchFunction, ...]
    name: str
    dtypes: Sequence[tf.DType]
    shapes: Sequence[Sequence[int | None]]
    product: BatchFunction | None = None
    differentiated: bool = False

    def jacobian(self, xs: Tensors) -> ExternalCall:
        """The call of the Jacobian: a block for each floating result and argument."""
        blocks = [
            (dtype, [*shape, *x.shape[1:]])
            for dtype, shape in zip(self.dtypes, self.shapes, strict=True)
            for x in differentiable(xs)
            if dtype.is_floating
        ]
        dtypes, shapes = [dtype for dtype, _ in blocks], [shape for _, shape in blocks]
        return ExternalCall(self.functions[1:], self.name, dtypes, shapes, differentiated=True)


def external_op(call: ExternalCall, xs: Tensors) -> Tensors:
    """The results of a call at ``xs``, differentiable as often as Jacobians are known."""
    if tf.executing_eagerly():
        return _external_op(call, xs)
    with tf.name_scope(op_name(call.name)):  # the scope tells later whose ops they are
        return _external_op(call, xs)


def _external_op(call: ExternalCall, xs: Tensors) -> Tensors:
    xs = xs if tf.executing_eagerly() else local_copies(xs)
    function = _ArrayFunction(call.functions[0], call.name, call.dtypes, call.shapes)
    results = function.call(xs, lambda tensors: external_op(call, tensors))
    floating = differentiable(results)
    if not floating or not differentiable(xs):
        return results
    jacobian = _SharedJacobian(call)

    def rule(us: Tensors) -> Tensors:
        at = local_copies(xs)
        if len(call.functions) == 1:
            return _refused_product(call, at, us)
        return contract(us, jacobian.blocks(at), at) if call.product is None else _user_product(call, at, us)

    attached = iter(attach_gradient(floating, differentiable(xs), rule))
    return [next(attached) if y.dtype.is_floating else y for y in results]


class _SharedJacobian:
    """The Jacobian of a call: one op for all products in a graph and in its loops.

    The op is made with the first product, not with the value: a ``tf.function`` around the call would return it as a
    result, and make, and run, its derivatives as well.
    """

    def __init__(self, call: ExternalCall) -> None:
        self._call = call
        self._by_graph: list[tuple[Any, Tensors]] = []

    def blocks(self, xs: Tensors) -> Tensors:
        """The blocks of the Jacobian at ``xs``, as tensors that the current graph can take."""
        graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
        outer = graph
        while True:
            for known, blocks in self._by_graph:
                if known is outer:
                    return blocks
            outer = getattr(outer, "outer_graph", None)
            if outer is None:
                break
        blocks = external_op(self._call.jacobian(xs), xs)
        self._by_graph.append((graph, blocks))
        return blocks


def contract(us: Tensors, blocks: Tensors, xs: Tensors) -> Tensors:
    """Σ uᵀ J for each floating x, from blocks ``[B] + y + x``, results outside."""
    inputs = differentiable(xs)
    return [
        tf.cast(tf.add_n([_contract_block(u, blocks[i * len(inputs) + j], x) for i, u in enumerate(us)]), x.dtype)
        for j, x in enumerate(inputs)
    ]


def _contract_block(u: tf.Tensor, block: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    batch, *sample = dims(x)
    rows, columns = size(dims(u)[1:]), size(sample)
    product = tf.matmul(
        tf.reshape(tf.cast(u, block.dtype), [batch, 1, rows]), tf.reshape(block, [batch, rows, columns])
    )
    return tf.reshape(product, [batch, *sample])


def _user_product(call: ExternalCall, xs: Tensors, us: Tensors) -> Tensors:
    """uᵀJ by the user's own function; its derivatives are those of uᵀ times the Jacobian."""
    assert call.product is not None
    floating = iter(us)
    seeds = [
        next(floating) if dtype.is_floating else tf.zeros([tf.shape(xs[0])[0], *shape], dtype)
        for dtype, shape in zip(call.dtypes, call.shapes, strict=True)
    ]
    inputs, count = differentiable(xs), len(xs)
    product = _ArrayFunction(call.product, call.name, [x.dtype for x in inputs], [x.shape[1:] for x in inputs])

    def again(tensors: Tensors) -> Tensors:
        return _user_product(call, tensors[:count], differentiable(tensors[count:]))

    results = product.call([*xs, *seeds], again)

    def rule(vs: Tensors) -> Tensors:
        at, weights = local_copies(xs), local_copies(us)
        with tf.GradientTape() as tape:
            tape.watch([*differentiable(at), *weights])
            gradients = contract(weights, external_op(call.jacobian(at), at), at)
        return tape.gradient(
            gradients, [*differentiable(at), *weights], output_gradients=vs, unconnected_gradients="zero"
        )

    return attach_gradient(results, [*inputs, *us], rule)


@dataclass(frozen=True)
class _ArrayFunction:
    """A function of arrays as one of tensors, which raises no errors but this package's.

    Attributes:
        function: the function.
        name: for messages and ops.
        dtypes: of the results.
        shapes: of the results, without the batch.
    """

    function: BatchFunction
    name: str
    dtypes: Sequence[tf.DType]
    shapes: Sequence[Sequence[int | None]]

    def call(self, xs: Tensors, again: Callable[[Tensors], Tensors]) -> Tensors:
        """The results at once, or as an op of the graph.

        ``again`` makes the same results with their derivatives, where a vectorized loop replaces the op.
        """
        if tf.executing_eagerly():
            return [tf.convert_to_tensor(y) for y in self([x.numpy() for x in xs])]
        # Stateless, as far as TensorFlow knows: an op whose results nobody takes doesn't run, and a vectorized loop
        # may hold it.
        name, arguments = op_name(self.name), refuse_lost_rule(xs)
        results = tf.numpy_function(self.in_graph, arguments, list(self.dtypes), stateful=False, name=name)
        _TENSOR_FUNCTIONS[results[0].op.get_attr("token")] = again
        for y, shape in zip(results, self.shapes, strict=True):
            y.set_shape([xs[0].shape[0], *shape])
        return list(results)

    def __call__(self, xs: Sequence[np.ndarray]) -> Arrays:
        """The results, in the declared dtypes; of an empty batch without a call."""
        dtypes = [dtype.as_numpy_dtype for dtype in self.dtypes]
        if len(xs[0]) == 0:
            return [np.zeros([0, *(n or 0 for n in s)], d) for s, d in zip(self.shapes, dtypes, strict=True)]
        try:
            return [np.asarray(y, dtype) for y, dtype in zip(self.function(xs), dtypes, strict=True)]
        except TfGradKitError:
            raise
        except Exception as error:  # of a graph that the function runs, or of what it returned
            raise original(error) or ExternalError(
                "the function outside TensorFlow returned what can't be used", subject=self.name, got=str(error)
            ) from error

    def in_graph(self, *xs: np.ndarray) -> Arrays:
        """The same, with errors marked so that they are known again when TensorFlow has turned them into text."""
        try:
            return self(xs)
        except TfGradKitError as error:
            raise marked(error) from error


def _refused_product(call: ExternalCall, xs: Tensors, us: Tensors) -> Tensors:
    """uᵀJ where J isn't known: an error now, or, of second derivatives, when the op runs.

    TensorFlow writes derivatives of a ``tf.function`` that nobody asks for, and runs them with zeros for ``us``.
    """
    count = len(xs)

    def refuse(arrays: Sequence[np.ndarray]) -> Arrays:
        if any(u.any() for u in arrays[count:]):
            raise _no_derivative(call)
        return [np.zeros(x.shape) for x in arrays[:count] if x.dtype.kind == "f"]

    if not call.differentiated:
        raise _no_derivative(call)
    inputs = differentiable(xs)
    product = _ArrayFunction(refuse, call.name, [x.dtype for x in inputs], [x.shape[1:] for x in inputs])
    return product.call([*xs, *us], lambda tensors: _refused_product(call, tensors[:count], tensors[count:]))


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
def _vectorize(op: Any) -> Any:
    """One call for all turns of a loop: their samples are one batch."""
    again = _TENSOR_FUNCTIONS.get(op.get_attr("token"))
    if again is None:
        raise ValueError("tf.numpy_function can't be vectorized")
    turns = op.pfor.loop_len_vector[0]
    results = again([tf.reshape(x, [-1, *dims(x)[2:]]) for x in stacked_inputs(op)])
    return wrapped([tf.reshape(y, [turns, -1, *dims(y)[1:]]) for y in results])
