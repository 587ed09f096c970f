"""The connection of each output with each input: its status, asked of TensorFlow's tape, and for a gradient that is not
there what cuts it, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from ...graph.user_line import Site
from ..trace_ops.recording import Step
from .cut import Cut, carries
from .explanation import SENTENCES, ZERO_SENTENCES, Connection, Explanation, Status
from .named_tensors import NamedTensor
from .reachability import CONNECTED
from .recorded_block import RecordedBlock
from .remedies import MissingGradient, remedy
from .seeded_gradients import is_nonzero, seeded_gradients
from .unseen_cuts import not_used, unwatched, watched_late, without_influence
from .zero_gradient import zero_at

_CONSTANT_SUM = (
    "The tape's gradient is zero, since it is that of the sum of all elements of {output}, and their changes by "
    "{input} cancel. Each element has a gradient of its own."
)
_ASK_EACH = "tape.gradient({output}, {input}, output_gradients=u)  # u not the same everywhere; or tape.jacobian"


def answers(block: RecordedBlock, outputs: Sequence[NamedTensor], inputs: Sequence[NamedTensor]) -> Explanation:
    """A connection for each pair, outputs outside."""
    return Explanation(tuple(c for output in outputs for c in _connections(block, output, inputs)))


def _connections(block: RecordedBlock, output: NamedTensor, inputs: Sequence[NamedTensor]) -> list[Connection]:
    """The connections of one output."""
    if block.gradients is None:
        return [_connection(block, output, x, block.static_status(output, x)) for x in inputs]
    try:
        gradients: list[Any] = block.gradients(output.value, [x.value for x in inputs])
    except Exception:  # one by one, to see which input the error belongs to
        gradients = [_ask(block, output, x) for x in inputs]
    return [_by_gradient(block, output, x, g) for x, g in zip(inputs, gradients, strict=True)]


def _by_gradient(block: RecordedBlock, output: NamedTensor, source: NamedTensor, gradient: Any) -> Connection:
    """The connection by the tape's gradient, None, or the error that it raised."""
    error = str(gradient).strip().split("\n", 1)[0] if isinstance(gradient, Exception) else ""
    status = _status(gradient)
    if status == "zero" and _moves_by_elements(block, output, source):
        return _with_constant_sum(_connection(block, output, source, "connected"))
    connection = _connection(block, output, source, status, error)
    if connection.status != "connected" or _is_finite(gradient):
        return connection
    return replace(connection, why="Its gradient holds NaN or Inf.", remedy="tgk.locate_nonfinite(fn, …)  # says where")


def _moves_by_elements(block: RecordedBlock, output: NamedTensor, source: NamedTensor) -> bool:
    """Whether a gradient that is zero for ones as output gradients, as of a constant sum, is not for all."""
    if block.gradients is None or any(step.type == "EagerPyFunc" for step in block.steps):
        return False  # tf.py_function keeps what it needs for one gradient only
    return any(map(is_nonzero, seeded_gradients(block.gradients, output.value, [source.value])))


def _with_constant_sum(connection: Connection) -> Connection:
    """A connection that the tape's gradient doesn't show, explained."""
    if connection.status != "connected":
        return connection
    names = {"output": connection.output, "input": connection.input}
    return replace(connection, why=_CONSTANT_SUM.format(**names), remedy=_ASK_EACH.format(**names))


def _ask(block: RecordedBlock, output: NamedTensor, source: NamedTensor) -> Any:
    assert block.gradients is not None
    try:
        return block.gradients(output.value, [source.value])[0]
    except Exception as error:  # a gradient function may raise anything: the error is the answer
        return error


def _status(gradient: Any) -> Status:
    if gradient is None:
        return "none"
    if isinstance(gradient, Exception):
        return "error"
    return "connected" if is_nonzero(gradient) else "zero"


def _is_finite(gradient: Any) -> bool:
    return bool(tf.reduce_all(tf.math.is_finite(tf.abs(tf.convert_to_tensor(gradient)))))


def _connection(
    block: RecordedBlock, output: NamedTensor, source: NamedTensor, status: Status, error: str = ""
) -> Connection:
    """The connection of one pair, whose status is known."""
    if status in ("connected", "zero") and block.uses_shipped():
        state = block.state(output, source)
        if isinstance(state, Cut) and state.fails:
            return _described(block, output, source, "error", state)
    if status == "connected":
        return Connection(output.name, source.name, status)
    if status == "zero":
        cut = _zero_cut(block, output, source)
    else:
        cut = _failing_cut(block, output, source, error) if status == "error" else _cut(block, output, source)
    return _described(block, output, source, status, cut)


def _failing_cut(block: RecordedBlock, output: NamedTensor, source: NamedTensor, error: str) -> Cut:
    """The op whose gradient raises: on the way to the output, else on any way from the source."""
    states = [block.state(output, source), *block.walk(source).values.values()]
    failing = next((state for state in states if isinstance(state, Cut) and state.fails), None)
    return failing or Cut("unregistered", Step("an op", (), ()), fails=True, why=f"TensorFlow says: {error}")


def _zero_cut(block: RecordedBlock, output: NamedTensor, source: NamedTensor) -> Cut:
    """Where a gradient turns into zeros; functions and integer results give zeros also where there is no way."""
    state = block.state(output, source)
    if state == CONNECTED:
        return zero_at(block.steps, block.walk(source), output.tensor, block.gradients)
    return state if isinstance(state, Cut) else without_influence(block, source, output)


def _cut(block: RecordedBlock, output: NamedTensor, source: NamedTensor) -> Cut:
    """What cuts the way, where the gradient is None."""
    if not carries(source.dtype):
        why = f"{source.name} is {source.dtype.name}: integers, truth values and text have no gradient."
        return Cut("not_floating", Step("", (), (), _becomes_floating(block, source)), why=why)
    if not block.is_watched(source):
        return unwatched(block, source)
    late = watched_late(block, source)
    state = block.state(output, source)
    if late is not None or isinstance(state, Cut):
        return late or state  # type: ignore[return-value]
    if state == CONNECTED:
        return _first_disconnected_op(block, source) or not_used(block, source, output)
    return without_influence(block, source, output)


def _becomes_floating(block: RecordedBlock, source: NamedTensor) -> Site:
    """Where a layer turns integers into floating numbers, as an embedding; else where the integers are used first."""
    walk = block.walk(source)
    for step in block.steps:
        floats = any(carries(t.dtype) for t in step.outputs)
        if step.site.layer and floats and any(walk.value(t) for t in step.inputs):
            return step.site
    return block.place_of(source)


def _first_disconnected_op(block: RecordedBlock, source: NamedTensor) -> Cut | None:
    """The first op whose results have no gradient by the tape, where the walk alone found none."""
    walk, gradients = block.walk(source), block.gradients
    for step in block.steps if gradients is not None else ():
        results = [t for t in step.outputs if walk.value(t) == CONNECTED and carries(t.dtype)]
        if results and gradients is not None and all(gradients(t, [source.value])[0] is None for t in results):
            return Cut("custom_gradient" if step.rule or step.graph else "not_differentiable", step)
    return None


def _described(block: RecordedBlock, output: NamedTensor, source: NamedTensor, status: Status, cut: Cut) -> Connection:
    """The connection that a cut explains."""
    sites = [cut.step.site, *(step.site for step in reversed(cut.calls))]
    where = next((site.location for site in sites if site.location is not None), None)
    layer = next((site.layer for site in sites if site.layer), None)
    called = next((site.called for site in sites if site.called), None)
    op = cut.op or ((called or "").strip("_") if cut.cause == "left_tensorflow" else "") or cut.step.type or None
    missing = MissingGradient(cut.cause, op or "", source.name, called, where, layer, bool(cut.flat))
    sentence = (ZERO_SENTENCES if cut.flat else SENTENCES)[cut.cause]
    why = cut.why or sentence.format(input=source.name, output=output.name, op=op or "this line")
    return Connection(
        output.name,
        source.name,
        status,
        cut.cause,
        op,
        None if where is None else str(where),
        cut.remedy or remedy(missing),
        layer,
        "" if where is None else where.code,
        why,
    )
