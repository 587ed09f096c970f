"""From what a run noted to a finding: the op, its numbers, its place, the cause and the safe form."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...graph.gradient import differentiated
from ...graph.view import GraphView
from ...sources.layers import layer_of
from ..place import made_at
from .blame import Culprit, Index, culprit, value_at
from .causes import cause_of
from .found import NonFinite, Operand
from .run import Cell


def described(seen: GraphView, own: set[Any], cells: list[tuple[str, Cell]], note: str | None) -> NonFinite:
    """The finding for the first of some labelled results that isn't finite; ``own`` are the ops of the function."""
    bad = [(position, label, cell) for position, (label, cell) in enumerate(cells) if cell.note is not None]
    if not bad:
        return NonFinite(note=note)
    position, label, cell = bad[0]
    found = culprit(cell.note)
    wrong = ~np.isfinite(cell.value.numpy())
    facts: dict[str, Any] = {
        "result": label,
        "count": int(wrong.sum()),
        "size": int(wrong.size),
        "note": note,
        "value": _kind(found),
        "index": found.index,
    }
    if found.trouble.step is None:
        sample = found.index[0] if found.index and seen.source.batched and found.trouble.origin == "input" else None
        return NonFinite(**facts, direction=found.trouble.origin, name=found.trouble.name, sample=sample)
    only_gradient = position >= len(seen.outputs)
    return NonFinite(**facts, **_about(seen, found, own if only_gradient else set()))


def _about(seen: GraphView, found: Culprit, hiding: set[Any]) -> dict[str, Any]:
    """The facts of an op; ``hiding``: the ops of a function whose own result is finite."""
    step = found.trouble.step
    assert step is not None
    operation = step.operation
    path = [op.name for op in (*step.callers, operation)]
    by_gradient = differentiated(seen.graph, path)
    forward = by_gradient or _differentiated_by(operation)
    at_fault = forward or operation
    operands = _operands(found)
    nothing = found.annulled or forward is None or any(o.value == 0 and o.name in ("dy", "gradients") for o in operands)
    hidden = nothing and _leads_to_choice(at_fault, hiding)
    dtype = operation.outputs[0].dtype.name if operation.outputs else ""
    cause = cause_of(
        operation.type,
        [o.value for o in operands],
        dtype,
        None if forward is None else forward.type,
        at_fault.name,
        hidden,
    )
    where = made_at(at_fault)
    scope = "/".join(path)
    layer = layer_of(scope, seen.source.layer_names)
    return {
        "direction": "forward" if by_gradient is None else "backward",
        "op": operation.type,
        "name": operation.name,
        "forward_op": None if forward is None else forward.type,
        "inputs": operands,
        "layer": None if layer == scope else layer,
        "where": None if where is None else str(where),
        "code": None if where is None else where.code,
        "cause": cause.text,
        "remedy": cause.remedy,
        "sample": found.index[0] if seen.source.batched and found.index else None,
        "turn": step.turns[-1] if step.turns else None,
    }


def _differentiated_by(operation: Any) -> Any | None:
    """For the op of a gradient that the function itself takes, the op whose result or argument it uses."""
    wanted = operation.type.removesuffix("Grad")
    return next((t.op for t in operation.inputs if t.op.type == wanted != operation.type), None)


def _leads_to_choice(operation: Any, own: set[Any]) -> bool:
    """Whether the result of an op gets to a ``tf.where`` of the function."""
    waiting, met = [operation], {operation}
    while waiting:
        current = waiting.pop()
        if current in own and current.type in ("Select", "SelectV2"):
            return True
        following = {op for t in current.outputs for op in t.consumers()} & own - met
        met |= following
        waiting += following
    return False


def _operands(found: Culprit) -> tuple[Operand, ...]:
    step = found.trouble.step
    assert step is not None
    names = _input_names(step.operation)
    return tuple(
        _operand(name, cell.value, found.index, step.operation)
        for name, cell in zip(names, step.inputs, strict=False)
        if cell.value.dtype.is_floating or cell.value.dtype.is_complex or cell.value.dtype.is_integer
    )


def _operand(name: str, value: Any, index: Index, operation: Any) -> Operand:
    array = value.numpy()
    real = np.abs(array) if value.dtype.is_complex else array
    low, high = (float(np.min(real)), float(np.max(real))) if array.size else (None, None)
    shape = tuple(int(size) for size in array.shape)
    return Operand(name, value.dtype.name, shape, value_at(value, index, operation), low, high)


def _input_names(operation: Any) -> list[str]:
    names: list[str] = []
    for argument in operation.op_def.input_arg:
        count = operation.get_attr(argument.number_attr) if argument.number_attr else 1
        names += [argument.name] if count == 1 else [f"{argument.name}[{i}]" for i in range(count)]
    return names


def _kind(found: Culprit) -> str:
    results = () if found.trouble.step is None else found.trouble.step.results
    for value in results:
        array = value.numpy()
        if value.dtype.is_floating and len(array.shape) == len(found.index):
            number = array[found.index]
            return "NaN" if np.isnan(number) else "-Inf" if number < 0 else "Inf"
    return "NaN" if found.trouble.nan else "Inf"
