"""``locate_nonfinite``: the first op, forward or backward, that makes NaN or Inf, with the numbers that did it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from ...arguments import leaves, shape_text
from ...derivatives.failures.foreign_errors import translating
from ...errors import GradientError, SignatureError
from ...graph.recorded_run import RecordedValue, Runner
from ...op_gradients.exact_functions import exact_functions
from ...sources.resolve import resolve
from ..audit.eager import left_tensorflow
from ..graph.gradient_graph import add_gradient, variables_of
from ..graph.graph_view import GraphView, view
from .finding import NonFinite, described
from .trace_back import NonFiniteTrouble, Watch, outside

_WRT = ("inputs", "parameters")
# Formulas as XLA compiles them: where dy is 0, as behind a tf.where, TensorFlow's kernels return 0, but 0 · Inf is NaN.
COMPILED: dict[str, Callable[..., Any]] = {
    "SqrtGrad": lambda y, dy: dy * 0.5 / y,
    "RsqrtGrad": lambda y, dy: dy * -0.5 * y * y * y,
    "ReciprocalGrad": lambda y, dy: -dy * y * y,
}


@translating
def locate_nonfinite(
    fn: Any, *arguments: Any, wrt: str = "inputs", batched: bool | None = None, training: bool = False
) -> NonFinite:
    """The first op that makes the NaN or Inf that a function's value or gradient has.

    The function and the gradient of the sum of its results are run op by op, into loops, branches, layers and called
    functions, once; variables that the function assigns are as before afterwards. From a result that isn't finite the
    way leads back to the op that made it of finite numbers. An Inf that ends on the way (a mask before a softmax) is no
    finding.

    Args:
        fn: a model, a layer or a function, as for an operator.
        arguments: what it takes, with the values in question.
        wrt: "inputs" for the gradient by all floating arguments, "parameters" for that by the trainable variables.
        batched: whether the first axis counts samples; None for the rule of each kind of function.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.NonFinite`: ``.ok`` where everything is finite; else ``.op``, ``.direction``, ``.inputs``,
        ``.index``, ``.where``, ``.layer``, ``.cause`` and ``.remedy``, the safe form. ``print`` it.

    Raises:
        SourceError: ``fn`` is no function or model, or a graph with loops of TensorFlow 1.
        SignatureError: arguments that the function doesn't take.
        GradientError: it can't be traced, since it leaves TensorFlow.

    Example:
        >>> found = tgk.locate_nonfinite(lambda x: tf.reduce_sum(tf.sqrt(x)), [0.0, 1.0])
        >>> found.op, found.direction, found.index
        ('SqrtGrad', 'backward', (0,))
    """
    if wrt not in _WRT:
        raise SignatureError("no such choice", subject="wrt", expected=" | ".join(map(repr, _WRT)), got=repr(wrt))
    source = resolve(fn, batched=batched, training=training)
    converted = source.to_arguments(arguments, ())
    if any(tensor.shape.num_elements() == 0 for tensor in leaves(converted)):
        return NonFinite(note="there are no numbers in the arguments")
    seen = _view(source, converted)
    own = set(seen.everywhere())
    names, partials, note = _add_gradients(seen, wrt)
    labels = [f"the result {name}" for name in seen.output_names] + [f"the gradient by {name}" for name in names]

    def located(instead: Mapping[str, Any]) -> NonFinite:
        cells = _run(seen, converted, [*seen.outputs, *partials], instead)
        return described(seen, own, list(zip(labels, cells, strict=True)), note)

    stock = located({})
    if not stock.ok or not any(operation.type in COMPILED for operation in seen.everywhere()):
        return stock
    compiled = located(COMPILED)
    return stock if compiled.ok else replace(compiled, compiled_only=True)


def _view(source: Any, arguments: Sequence[Any]) -> GraphView:
    try:
        with exact_functions():
            return view(source, *arguments)
    except NotImplementedError as error:
        obstacle = left_tensorflow(source.name, error)
        raise GradientError(obstacle.text, subject=source.name, got=obstacle.code, hint=obstacle.remedy) from error


def _add_gradients(seen: GraphView, wrt: str) -> tuple[list[str], list[Any], str | None]:
    """Adds the gradient to the graph: its names and tensors, and why there is none, if so."""
    if wrt == "inputs":
        xs = dict(zip(seen.input_names, seen.inputs, strict=True))
    else:
        xs = variables_of(seen, seen.source.trainable() or seen.graph.trainable_variables)
    xs = {name: x for name, x in xs.items() if x.dtype.is_floating or x.dtype.is_complex or x.dtype == tf.resource}
    ys = [y for y in seen.outputs if y.dtype.is_floating or y.dtype.is_complex]
    if not xs or not ys:
        return [], [], "there is nothing to differentiate, so the value alone was looked at"
    try:
        partials = add_gradient(seen, ys, list(xs.values())).partials
    except (LookupError, NotImplementedError, ValueError, TypeError) as error:
        return [], [], f"there is no gradient (tgk.audit says why): {str(error).strip().splitlines()[0]}"
    by_name = {name: partial for name, partial in zip(xs, partials, strict=True) if partial is not None}
    return list(by_name), list(by_name.values()), None


def _run(
    seen: GraphView, arguments: Sequence[Any], outputs: Sequence[Any], instead: Mapping[str, Callable[..., Any]]
) -> list[RecordedValue]:
    """The values of ``outputs`` with their troubles; ``instead``: functions for types of op."""
    leaves = [leaf for leaf in tf.nest.flatten(arguments) if hasattr(leaf, "dtype")]
    values = dict(zip((x.ref() for x in seen.inputs), leaves, strict=True))
    outer = {inner.ref(): value for value, inner in seen.graph.captures}
    cells = {}
    for inner in seen.graph.inputs:
        if inner.ref() in values:
            value = tf.convert_to_tensor(values[inner.ref()])
            name = seen.input_names[[x.ref() for x in seen.inputs].index(inner.ref())]
            cells[inner.ref()] = RecordedValue(value, outside(value, "input", name))
        else:
            value = outer[inner.ref()]
            cells[inner.ref()] = RecordedValue(value, _trouble_of_captured(value))
    watch = _NamingWatch(seen)
    before = [(variable, variable.read_value()) for variable in seen.graph.variables]
    try:
        return Runner(cells, watch, instead).run(seen.graph.get_operations(), outputs)
    finally:
        for variable, value in before:
            variable.assign(value)


def _trouble_of_captured(value: Any) -> NonFiniteTrouble | None:
    if value.dtype in (tf.resource, tf.variant):
        return None
    return outside(value, "constant", f"{shape_text(value.shape)} that the function closes over")


class _NamingWatch(Watch):
    """A :class:`Watch` that knows the names of variables."""

    def __init__(self, seen: GraphView) -> None:
        super().__init__()
        self._names = {id(variable.handle): variable.name for variable in seen.graph.variables}

    def __call__(self, step: Any) -> Sequence[NonFiniteTrouble | None]:
        if step.operation.type in ("ReadVariableOp", "ResourceGather", "ResourceGatherNd"):
            name = self._names.get(id(step.inputs[0].value), "a variable")
            return [outside(value, "variable", name) for value in step.results]
        return super().__call__(step)
