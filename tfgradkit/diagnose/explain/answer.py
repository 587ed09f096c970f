"""The answer for one output and one input, whose status is known: what cuts the way, where, and what to do.

The status of every output and input, asked of TensorFlow's tape where there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from ..trace_ops.recording import Step
from ..trace_ops.user_line import Site
from .cut import Cut, carries
from .explanation import SENTENCES, ZERO_SENTENCES, Connection, Explanation, Status
from .named_tensors import NamedTensor
from .reachability import CONNECTED
from .recorded_block import RecordedBlock
from .remedies import MissingGradient, remedy
from .unseen_cuts import unread, unwatched, watched_late, without_influence
from .zero_gradient import zero_at


def connection(
    block: RecordedBlock, output: NamedTensor, source: NamedTensor, status: Status, error: str = ""
) -> Connection:
    """The answer for one pair, whose status TensorFlow has said."""
    if status in ("connected", "zero") and block.uses_shipped():
        state = block.state(output, source)
        if isinstance(state, Cut) and state.fails:
            return _answer(block, output, source, "error", state)
    if status == "connected":
        return Connection(output.name, source.name, status)
    if status == "zero":
        cut = _zero(block, output, source)
    else:
        cut = _failing(block, output, source, error) if status == "error" else _cut(block, output, source)
    return _answer(block, output, source, status, cut)


def _failing(block: RecordedBlock, output: NamedTensor, source: NamedTensor, error: str) -> Cut:
    states = [block.state(output, source), *block.walk(source).values.values()]
    found = next((state for state in states if isinstance(state, Cut) and state.fails), None)
    return found or Cut("unregistered", Step("an op", (), ()), fails=True, why=f"TensorFlow says: {error}")


def _zero(block: RecordedBlock, output: NamedTensor, source: NamedTensor) -> Cut:
    """Functions and integer results give zeros where there is no way."""
    state = block.state(output, source)
    if state == CONNECTED:
        return zero_at(block.steps, block.walk(source), output.tensor, block.gradients)
    return state if isinstance(state, Cut) else without_influence(block, source, output)


def _cut(block: RecordedBlock, output: NamedTensor, source: NamedTensor) -> Cut:
    if not carries(source.dtype):
        why = f"{source.name} is {source.dtype.name}: integers, truth values and text have no gradient."
        return Cut("not_floating", Step("", (), (), _turned(block, source)), why=why)
    if not block.is_watched(source):
        return unwatched(block, source)
    late = watched_late(block, source)
    state = block.state(output, source)
    if late is not None or isinstance(state, Cut):
        return late or state  # type: ignore[return-value]
    if state == CONNECTED:
        return _by_asking(block, source) or unread(block, source, output)
    return without_influence(block, source, output)


def _turned(block: RecordedBlock, source: NamedTensor) -> Site:
    """Where integers are turned into floating numbers, as by an embedding; else where they are used first."""
    walk = block.walk(source)
    for step in block.steps:
        floats = any(carries(t.dtype) for t in step.outputs)
        if step.site.layer and floats and any(walk.value(t) for t in step.inputs):
            return step.site
    return block.place_of(source)


def _by_asking(block: RecordedBlock, source: NamedTensor) -> Cut | None:
    """The first op whose results TensorFlow doesn't connect, where the walk alone found nothing."""
    walk, ask = block.walk(source), block.gradients
    for step in block.steps if ask is not None else ():
        made = [t for t in step.outputs if walk.value(t) == CONNECTED and carries(t.dtype)]
        if made and ask is not None and all(ask(t, [source.value])[0] is None for t in made):
            return Cut("custom_gradient" if step.rule or step.graph else "not_differentiable", step)
    return None


def _answer(block: RecordedBlock, output: NamedTensor, source: NamedTensor, status: Status, cut: Cut) -> Connection:
    sites = [cut.step.site, *(step.site for step in reversed(cut.calls))]
    where = next((site.location for site in sites if site.location is not None), None)
    layer = next((site.layer for site in sites if site.layer), None)
    called = next((site.called for site in sites if site.called), None)
    op = cut.op or ((called or "").strip("_") if cut.cause == "left_tensorflow" else "") or cut.step.type or None
    trouble = MissingGradient(cut.cause, op or "", source.name, called, where, layer, bool(cut.flat))
    sentence = (ZERO_SENTENCES if cut.flat else SENTENCES)[cut.cause]
    why = cut.why or sentence.format(input=source.name, output=output.name, op=op or "this line")
    return Connection(
        output.name,
        source.name,
        status,
        cut.cause,
        op,
        None if where is None else str(where),
        cut.remedy or remedy(trouble),
        layer,
        "" if where is None else where.code,
        why,
    )


def answers(block: RecordedBlock, outputs: Sequence[NamedTensor], inputs: Sequence[NamedTensor]) -> Explanation:
    """One connection for each pair, outputs outside."""
    return Explanation(tuple(c for output in outputs for c in _for_output(block, output, inputs)))


def _for_output(block: RecordedBlock, output: NamedTensor, inputs: Sequence[NamedTensor]) -> list[Connection]:
    if block.gradients is None:
        return [connection(block, output, x, block.static_status(output, x)) for x in inputs]
    try:
        found: list[Any] = block.gradients(output.value, [x.value for x in inputs])
    except Exception:  # which input's fault it is shows one by one
        found = [_ask(block, output, x) for x in inputs]
    return [_answer_by_status(block, output, x, g) for x, g in zip(inputs, found, strict=True)]


def _answer_by_status(block: RecordedBlock, output: NamedTensor, source: NamedTensor, gradient: Any) -> Connection:
    error = str(gradient).strip().split("\n", 1)[0] if isinstance(gradient, Exception) else ""
    found = connection(block, output, source, _status(gradient), error)
    if found.status != "connected" or _is_number(gradient):
        return found
    return replace(found, why="Its gradient holds NaN or Inf.", remedy="tgk.locate_nonfinite(fn, …)  # says where")


def _ask(block: RecordedBlock, output: NamedTensor, source: NamedTensor) -> Any:
    assert block.gradients is not None
    try:
        return block.gradients(output.value, [source.value])[0]
    except Exception as error:  # whatever a gradient function raises is the answer
        return error


def _status(gradient: Any) -> Status:
    if gradient is None:
        return "none"
    if isinstance(gradient, Exception):
        return "error"
    return "connected" if bool(tf.reduce_any(tf.convert_to_tensor(gradient) != 0)) else "zero"


def _is_number(gradient: Any) -> bool:
    return bool(tf.reduce_all(tf.math.is_finite(tf.abs(tf.convert_to_tensor(gradient)))))
