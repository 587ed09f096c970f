"""The side of TensorFlow: ops that call functions of NumPy arrays, and their derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ..derivatives.shapes import dims, size
from ..errors import ExternalError, GradientError
from ..rules.python_code import marked, op_name, original
from ..rules.vectorized import vectorized, wrapped
from .host import Arrays, BatchFunction
from .products import here, picked
from .tie import Tensors, guarded, stopped, tied

# What an op calls, by the token that TensorFlow gave it.
_CALLED: dict[bytes, Callable[..., Arrays]] = {}


@dataclass(frozen=True)
class Call:
    """One call of a function outside TensorFlow.

    Attributes:
        functions: its values, its Jacobian, the Jacobian of that, as far as they are known.
        name: for messages and ops.
        dtypes: of the results.
        shapes: of the results, without the batch.
        product: (x, u) ↦ uᵀJ, where there is one.
    """

    functions: tuple[BatchFunction, ...]
    name: str
    dtypes: Sequence[tf.DType]
    shapes: Sequence[Sequence[int | None]]
    product: BatchFunction | None = None

    def slopes(self, xs: Tensors) -> Call:
        """The call of the Jacobian: blocks for each floating result and argument."""
        pairs = [
            (dtype, [*shape, *x.shape[1:]])
            for dtype, shape in zip(self.dtypes, self.shapes, strict=True)
            for x in picked(xs)
            if dtype.is_floating
        ]
        return Call(self.functions[1:], self.name, [d for d, _ in pairs], [s for _, s in pairs])


def node(call: Call, xs: Tensors) -> Tensors:
    """The results of a call at ``xs``, differentiable as often as Jacobians are known."""
    results = _run(call, call.functions[0], stopped(xs), call.dtypes, call.shapes)
    floating = picked(results)
    if not floating or not picked(xs):
        return results
    slopes: list[Tensors] = []

    def jacobian() -> Tensors:
        if not slopes:
            slopes.append(node(call.slopes(xs), xs))
        return slopes[0]

    known = len(call.functions) > 1
    # In a graph the Jacobian stands beside the value, whatever is differentiated where: it runs if somebody needs it.
    if known and call.product is None and not tf.executing_eagerly():
        jacobian()

    def rule(us: Tensors) -> Tensors:
        if not known:
            raise _no_derivative(call.name)
        return contracted(us, jacobian(), here(xs)) if call.product is None else _product(call, here(xs), us)

    found = iter(tied(guarded(floating, call.name), picked(xs), rule))
    return [next(found) if y.dtype.is_floating else y for y in results]


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


def _product(call: Call, xs: Tensors, us: Tensors) -> Tensors:
    """uᵀJ by the user's own function; its derivatives are those of the Jacobian that it amounts to."""
    assert call.product is not None
    given = iter(us)
    seeds = [
        next(given) if d.is_floating else tf.zeros([tf.shape(xs[0])[0], *s], d)
        for d, s in zip(call.dtypes, call.shapes, strict=True)
    ]
    by = picked(xs)
    results = _run(call, call.product, stopped([*xs, *seeds]), [x.dtype for x in by], [x.shape[1:] for x in by])

    def rule(vs: Tensors) -> Tensors:
        at, weights = here(xs), here(us)
        with tf.GradientTape() as tape:
            tape.watch([*picked(at), *weights])
            gradients = contracted(weights, node(call.slopes(at), at), at)
        return tape.gradient(gradients, [*picked(at), *weights], output_gradients=vs, unconnected_gradients="zero")

    return tied(guarded(results, call.name), [*by, *us], rule)


def _run(
    call: Call, f: BatchFunction, xs: Tensors, dtypes: Sequence[tf.DType], shapes: Sequence[Sequence[int | None]]
) -> Tensors:
    """``f`` at once, or as an op of the graph."""
    run = _Run(f, call.name, [d.as_numpy_dtype for d in dtypes], shapes)
    if tf.executing_eagerly():
        return [tf.convert_to_tensor(y) for y in run([x.numpy() for x in xs])]
    # Without a state, as far as TensorFlow knows: what nobody needs doesn't run, and a vectorized loop may hold it.
    results = tf.numpy_function(run.in_graph, xs, list(dtypes), stateful=False, name=op_name(call.name))
    _CALLED[results[0].op.get_attr("token")] = run.in_graph
    for y, shape in zip(results, shapes, strict=True):
        y.set_shape([xs[0].shape[0], *shape])
    return list(results)


@dataclass(frozen=True)
class _Run:
    """A function of arrays that never raises anything but errors of ours."""

    f: BatchFunction
    name: str
    dtypes: Sequence[Any]
    shapes: Sequence[Sequence[int | None]]

    def __call__(self, xs: Sequence[np.ndarray]) -> Arrays:
        if len(xs[0]) == 0:
            pairs = zip(self.shapes, self.dtypes, strict=True)
            return [np.zeros([0, *(n or 0 for n in shape)], dtype) for shape, dtype in pairs]
        try:
            return [np.asarray(y, dtype) for y, dtype in zip(self.f(xs), self.dtypes, strict=True)]
        except ExternalError:
            raise
        except Exception as error:  # of a graph that the function runs, or of what it returned
            raise original(error) or ExternalError(
                "the function outside TensorFlow returned what can't be used", subject=self.name, got=str(error)
            ) from error

    def in_graph(self, *xs: np.ndarray) -> Arrays:
        try:
            return self(xs)
        except ExternalError as error:
            raise marked(error) from error


def _no_derivative(name: str) -> GradientError:
    return GradientError(
        "the function outside TensorFlow has no such derivative",
        subject=name,
        expected='derivative="finite-difference", "complex-step", a Jacobian or a VJP; third derivatives have none',
        hint="tf.stop_gradient around it, if no gradient is to go through",
    )


@vectorized("PyFuncStateless")
def _all_turns_at_once(given: Any) -> Any:
    """The samples of all turns as one batch: one call."""
    token = given.get_attr("token")
    called = _CALLED.get(token)
    if called is None:
        raise ValueError("tf.numpy_function can't be vectorized")
    given.stack_inputs()
    stacked = [given.stacked_input(i) for i in range(given.num_inputs)]
    turns = given.pfor.loop_len_vector[0]
    merged = [tf.reshape(x, [-1, *dims(x)[2:]]) for x in stacked]
    outputs = given.op.outputs
    results = tf.numpy_function(called, merged, [y.dtype for y in outputs], stateful=False, name=op_name("vectorized"))
    _CALLED[results[0].op.get_attr("token")] = called
    for y, result in zip(outputs, results, strict=True):
        result.set_shape([None, *y.shape[1:]])
    return wrapped([tf.reshape(y, [turns, -1, *dims(y)[1:]]) for y in results])
