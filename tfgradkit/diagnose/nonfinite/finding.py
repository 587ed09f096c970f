"""The result of ``locate_nonfinite``, for programs and for people, and how it is made of the notes of a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from textwrap import wrap
from typing import Any

import numpy as np

from ...graph.gradient_names import differentiated
from ...graph.recorded_run import RecordedValue
from ...graph.user_line import made_at
from ...public import public
from ...sources.layer_results import layer_of
from ..graph.graph_view import GraphView
from .nonfinite_causes import cause_of
from .trace_back import Culprit, Index, find_culprit, value_at


@public("types")
@dataclass(frozen=True)
class Operand:
    """What an op took.

    Attributes:
        name: as the op calls it.
        dtype, shape: of the whole tensor.
        value: at the element in question; None where the op mixes elements.
        low, high: the smallest and the largest of the whole tensor; None where it is empty.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    value: float | complex | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.value is not None:
            return f"{self.name} = {self.value:g}"
        size = f"{self.dtype} {list(self.shape)}"
        return (
            f"{self.name} {size}" if self.low is None else f"{self.name} {size} from {self.low:.4g} to {self.high:.4g}"
        )


@public("types")
@dataclass(frozen=True)
class NonFinite:
    """What isn't finite, and why.

    Attributes:
        result: what has NaN or Inf, "the result y" or "the gradient by x"; None where everything is finite.
        count, size: of its elements, and of how many.
        direction: "forward" or "backward" for an op of the function or of its gradient; "input", "variable" or
            "constant" where the number came from there.
        op, name: type and name of the op; the name of an input or variable.
        forward_op: of a backward op, the type of the op whose gradient it is.
        value: "NaN" or "Inf".
        index: which element of the op's result.
        sample: which sample of a batched function.
        inputs: what the op took.
        turn: which turn of the innermost loop, from 1 on.
        layer: the Keras layer.
        where, code: "file.py:LINE" of the user's code, and the line itself.
        cause: why it is not finite.
        remedy: the safe form, as code.
        compiled_only: whether TensorFlow's own kernels give finite numbers, and XLA's (``jit_compile=True``, C
            libraries) don't.
        note: what could not be looked at.
    """

    result: str | None = None
    count: int = 0
    size: int = 0
    direction: str | None = None
    op: str | None = None
    name: str | None = None
    forward_op: str | None = None
    value: str | None = None
    index: tuple[int, ...] = ()
    sample: int | None = None
    inputs: tuple[Operand, ...] = ()
    turn: int | None = None
    layer: str | None = None
    where: str | None = None
    code: str | None = None
    cause: str | None = None
    remedy: str | None = None
    compiled_only: bool = False
    note: str | None = None

    @property
    def ok(self) -> bool:
        """Whether value and gradient are finite."""
        return self.result is None

    def as_dict(self) -> dict[str, Any]:
        """The same for ``json.dumps``."""
        return {"ok": self.ok, **asdict(self)}

    def __str__(self) -> str:
        lines = [self._head(), *(f"  {name:<8} {text}" for name, text in self._facts() if text)]
        return "\n".join([*lines, *(["  instead", *(f"      {row}" for row in self._code())] if self.remedy else [])])

    def _head(self) -> str:
        if self.ok:
            return "everything is finite" if self.note is None else f"what was looked at is finite: {self.note}"
        share = f" ({self.count} of {self.size} numbers)" if self.size > 1 else ""
        compiled = ", compiled by XLA (jit_compile=True, C libraries)" if self.compiled_only else ""
        return f"{self.result} is not finite{share}{compiled}"

    def _facts(self) -> list[tuple[str, str | None]]:
        if self.ok:
            return []
        place = f" at {list(self.index)}" if self.index else ""
        if self.op is None:
            return [("because", f"the {self.direction} {self.name} itself is {self.value}{place}"), ("note", self.note)]
        of = f" in the gradient of {self.forward_op}" if self.forward_op else ""
        turn = f", in turn {self.turn} of the loop" if self.turn else ""
        return [
            ("made by", f"{self.op}{of}: {self.value}{place}{turn}"),
            ("from", ", ".join(map(str, self.inputs))),
            ("in", f"{self.where}: {self.code}" if self.where else None),
            ("layer", self.layer),
            ("because", None if self.cause is None else f"\n{' ' * 11}".join(wrap(self.cause, 85))),
            ("note", self.note),
        ]

    def _code(self) -> list[str]:
        return (self.remedy or "").splitlines()


def described(seen: GraphView, own: set[Any], cells: list[tuple[str, RecordedValue]], note: str | None) -> NonFinite:
    """The finding for the first labelled result that isn't finite; ``own`` are the ops of the function."""
    bad = [(position, label, cell) for position, (label, cell) in enumerate(cells) if cell.note is not None]
    if not bad:
        return NonFinite(note=note)
    position, label, cell = bad[0]
    origin = find_culprit(cell.note)
    wrong = ~np.isfinite(cell.value.numpy())
    facts: dict[str, Any] = {
        "result": label,
        "count": int(wrong.sum()),
        "size": int(wrong.size),
        "note": note,
        "value": _nan_or_inf(origin),
        "index": origin.index,
    }
    if origin.trouble.step is None:
        sample = origin.index[0] if origin.index and seen.source.batched and origin.trouble.origin == "input" else None
        return NonFinite(**facts, direction=origin.trouble.origin, name=origin.trouble.name, sample=sample)
    only_gradient = position >= len(seen.outputs)
    return NonFinite(**facts, **_facts_of_op(seen, origin, own if only_gradient else set()))


def _facts_of_op(seen: GraphView, origin: Culprit, hiding: set[Any]) -> dict[str, Any]:
    """The fields of a finding about an op; ``hiding``: the ops of a function whose own result is finite."""
    step = origin.trouble.step
    assert step is not None
    operation = step.operation
    path = [op.name for op in (*step.callers, operation)]
    by_gradient = differentiated(seen.graph, path)
    forward = by_gradient or _differentiated_by(operation)
    at_fault = forward or operation
    operands = _operands(origin)
    zero_upstream = any(o.value == 0 and o.name in ("dy", "gradients") for o in operands)
    hidden = (origin.annulled or forward is None or zero_upstream) and _leads_to_choice(at_fault, hiding)
    dtype = operation.outputs[0].dtype.name if operation.outputs else ""
    forward_type = None if forward is None else forward.type
    cause = cause_of(operation.type, [o.value for o in operands], dtype, forward_type, at_fault.name, hidden)
    where = made_at(at_fault)
    scope = "/".join(path)
    layer = layer_of(scope, seen.source.layer_names)
    return {
        "direction": "forward" if by_gradient is None else "backward",
        "op": operation.type,
        "name": operation.name,
        "forward_op": forward_type,
        "inputs": operands,
        "layer": None if layer == scope else layer,
        "where": None if where is None else str(where),
        "code": None if where is None else where.code,
        "cause": cause.text,
        "remedy": cause.remedy,
        "sample": origin.index[0] if seen.source.batched and origin.index else None,
        "turn": step.turns[-1] if step.turns else None,
    }


def _differentiated_by(operation: Any) -> Any | None:
    """For an op of a gradient that the function itself takes: the op that was differentiated, one of its inputs'."""
    wanted = operation.type.removesuffix("Grad")
    return next((t.op for t in operation.inputs if t.op.type == wanted != operation.type), None)


def _leads_to_choice(operation: Any, own: set[Any]) -> bool:
    """Whether a ``tf.where`` of the function depends on the result of an op."""
    waiting, met = [operation], {operation}
    while waiting:
        current = waiting.pop()
        if current in own and current.type in ("Select", "SelectV2"):
            return True
        following = {op for t in current.outputs for op in t.consumers()} & own - met
        met |= following
        waiting += following
    return False


def _operands(origin: Culprit) -> tuple[Operand, ...]:
    step = origin.trouble.step
    assert step is not None
    names = _input_names(step.operation)
    return tuple(
        _operand(name, cell.value, origin.index, step.operation)
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


def _nan_or_inf(origin: Culprit) -> str:
    results = () if origin.trouble.step is None else origin.trouble.step.results
    for value in results:
        array = value.numpy()
        if value.dtype.is_floating and len(array.shape) == len(origin.index):
            number = array[origin.index]
            return "NaN" if np.isnan(number) else "-Inf" if number < 0 else "Inf"
    return "NaN" if origin.trouble.nan else "Inf"
